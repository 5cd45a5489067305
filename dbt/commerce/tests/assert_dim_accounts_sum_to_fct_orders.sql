-- Orders and revenue of all accounts together are those of the customers who buy for a live account.
with accounts as (

    select
        coalesce(sum(order_count), 0) as order_count,
        coalesce(sum(lifetime_revenue), 0) as revenue

    from {{ ref('dim_accounts') }}

),

orders as (

    select
        count(*) as order_count,
        coalesce(sum(fct_orders.revenue), 0) as revenue

    from {{ ref('fct_orders') }} as fct_orders
    inner join {{ ref('stg_salesforce__accounts') }} as live_accounts
        on fct_orders.account_number = live_accounts.account_number

)

select
    accounts.order_count,
    orders.order_count as expected_order_count,
    accounts.revenue,
    orders.revenue as expected_revenue
from accounts
cross join orders
where accounts.order_count <> orders.order_count
    or accounts.revenue <> orders.revenue
