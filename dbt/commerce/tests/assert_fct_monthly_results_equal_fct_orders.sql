-- The revenue of all months and categories is the revenue of all orders: once by lines, once by totals of the shop.
{{ config(severity = 'warn') }}
with results as (

    select coalesce(sum(revenue), 0) as revenue
    from {{ ref('fct_monthly_results') }}

),

orders as (

    select coalesce(sum(revenue), 0) as revenue
    from {{ ref('fct_orders') }}

)

select
    results.revenue,
    orders.revenue as order_revenue
from results
cross join orders
where results.revenue <> orders.revenue
