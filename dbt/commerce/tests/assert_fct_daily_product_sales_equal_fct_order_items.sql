-- Days that were replaced and days that were kept: together they are the lines of today, day by day.
with daily as (

    select
        ordered_date,
        sum(line_count) as line_count,
        sum(revenue) as revenue

    from {{ ref('fct_daily_product_sales') }}
    group by ordered_date

),

order_items as (

    select
        ordered_date,
        count(*) as line_count,
        sum(revenue) as revenue

    from {{ ref('fct_order_items') }}
    group by ordered_date

)

select
    order_items.ordered_date,
    order_items.line_count,
    daily.line_count as daily_line_count,
    order_items.revenue,
    daily.revenue as daily_revenue
from order_items
left join daily
    on order_items.ordered_date = daily.ordered_date
where coalesce(daily.line_count, 0) <> order_items.line_count
    or coalesce(daily.revenue, 0) <> order_items.revenue
