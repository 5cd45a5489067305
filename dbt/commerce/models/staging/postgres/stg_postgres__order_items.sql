with source as (

    select * from {{ source('postgres', 'order_items') }}

),

renamed as (

    select
        {{ dbt.concat(["cast(order_id as " ~ dbt.type_string() ~ ")", "'-'", "cast(line_number as " ~ dbt.type_string() ~ ")"]) }}
            as order_item_id,
        order_id,
        line_number,
        product_id,
        quantity,
        unit_price,
        discount_amount,
        line_amount,
        {{ commerce.utc_timestamp('updated_at') }} as updated_at

    from source

)

select
    order_item_id,
    order_id,
    line_number,
    product_id,
    quantity,
    unit_price,
    discount_amount,
    line_amount,
    updated_at
from renamed
