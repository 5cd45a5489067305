-- Every order, with its amount, revenue and margin, appears in the daily mart exactly once.
with orders as (

    select
        count(*) as order_count,
        sum(order_amount) as order_amount,
        sum(revenue) as revenue,
        sum(margin) as margin

    from {{ ref('fct_orders') }}

),

daily as (

    select
        sum(order_count) as order_count,
        sum(order_amount) as order_amount,
        sum(revenue) as revenue,
        sum(margin) as margin

    from {{ ref('fct_daily_revenue') }}

)

select
    orders.order_count,
    daily.order_count as daily_order_count,
    orders.order_amount,
    daily.order_amount as daily_order_amount,
    orders.revenue,
    daily.revenue as daily_revenue,
    orders.margin,
    daily.margin as daily_margin
from orders
cross join daily
where orders.order_count <> coalesce(daily.order_count, 0)
    or coalesce(orders.order_amount, 0) <> coalesce(daily.order_amount, 0)
    or coalesce(orders.revenue, 0) <> coalesce(daily.revenue, 0)
    or coalesce(orders.margin, 0) <> coalesce(daily.margin, 0)
