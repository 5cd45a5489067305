with source as (

    select * from {{ source('postgres', 'order_items') }}

),

renamed as (

    select
        {{ dbt.concat([commerce.text('order_id'), "'-'", commerce.text('line_number')]) }} as order_item_id,
        order_id,
        line_number,
        product_id,
        quantity,
        {{ commerce.money('unit_price') }} as unit_price,
        {{ commerce.money('discount_amount') }} as discount_amount,
        {{ commerce.money('line_amount') }} as line_amount,
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
