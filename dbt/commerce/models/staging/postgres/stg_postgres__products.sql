with source as (

    select * from {{ source('postgres', 'products') }}

),

renamed as (

    select
        product_id,
        {{ portable.text('trim(sku)') }} as sku,
        {{ portable.text('trim(name)') }} as product_name,
        {{ portable.text('trim(category)') }} as category,
        {{ portable.money('unit_price') }} as unit_price,
        {{ portable.money('unit_cost') }} as unit_cost,
        {{ portable.utc_timestamp('created_at') }} as created_at,
        {{ portable.utc_timestamp('updated_at') }} as updated_at

    from source

)

select
    product_id,
    sku,
    product_name,
    category,
    unit_price,
    unit_cost,
    created_at,
    updated_at
from renamed
