with source as (

    select * from {{ source('postgres', 'order_items') }}

),

renamed as (

    select
        {{ dbt.concat([portable.text('order_id'), "'-'", portable.text('line_number')]) }} as order_item_id,
        order_id,
        line_number,
        product_id,
        quantity,
        {{ portable.money('unit_price') }} as unit_price,
        {{ portable.money('discount_amount') }} as discount_amount,
        {{ portable.money('line_amount') }} as line_amount,
        {{ portable.utc_timestamp('updated_at') }} as updated_at

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
