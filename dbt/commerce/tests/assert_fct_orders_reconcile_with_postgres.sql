-- The number of orders and their total equal the raw table, exactly. Returns one row with both sides if they do not.
with raw_orders as (

    select
        count(*) as order_count,
        sum(total_amount) as order_amount

    from {{ source('postgres', 'orders') }}

),

mart_orders as (

    select
        count(*) as order_count,
        sum(order_amount) as order_amount

    from {{ ref('fct_orders') }}

)

select
    raw_orders.order_count as raw_order_count,
    mart_orders.order_count as mart_order_count,
    raw_orders.order_amount as raw_order_amount,
    mart_orders.order_amount as mart_order_amount
from raw_orders
cross join mart_orders
where raw_orders.order_count <> mart_orders.order_count
    or coalesce(raw_orders.order_amount, 0) <> coalesce(mart_orders.order_amount, 0)
