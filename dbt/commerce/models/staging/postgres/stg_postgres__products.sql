with source as (

    select * from {{ source('postgres', 'products') }}

),

renamed as (

    select
        product_id,
        trim(sku) as sku,
        trim(name) as product_name,
        trim(category) as category,
        unit_price,
        unit_cost,
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
