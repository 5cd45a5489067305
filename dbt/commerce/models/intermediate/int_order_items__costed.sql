with order_items as (

    select * from {{ ref('stg_postgres__order_items') }}

),

products as (

    select * from {{ ref('stg_postgres__products') }}

),

costed as (

    select
        order_items.order_item_id,
        order_items.order_id,
        order_items.product_id,
        order_items.quantity,
        order_items.quantity * order_items.unit_price as gross_amount,
        order_items.discount_amount,
        order_items.line_amount,
        -- The shop keeps no history of costs: an item costs what its product costs today.
        order_items.quantity * products.unit_cost as line_cost

    from order_items
    left join products
        on order_items.product_id = products.product_id

)

select
    order_item_id,
    order_id,
    product_id,
    quantity,
    gross_amount,
    discount_amount,
    line_amount,
    line_cost
from costed
