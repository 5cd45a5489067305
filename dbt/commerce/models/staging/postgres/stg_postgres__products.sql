with source as (

    select * from {{ source('postgres', 'products') }}

),

renamed as (

    select
        product_id,
        {{ commerce.text('trim(sku)') }} as sku,
        {{ commerce.text('trim(name)') }} as product_name,
        {{ commerce.text('trim(category)') }} as category,
        {{ commerce.money('unit_price') }} as unit_price,
        {{ commerce.money('unit_cost') }} as unit_cost,
        {{ commerce.utc_timestamp('created_at') }} as created_at,
        {{ commerce.utc_timestamp('updated_at') }} as updated_at

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
