with daily_orders as (

    select
        ordered_date as revenue_date,
        account_industry,
        count(*) as order_count,
        sum(order_amount) as order_amount,
        sum(revenue) as revenue,
        sum(margin) as margin

    from {{ ref('fct_orders') }}
    group by ordered_date, account_industry

),

daily_shipments as (

    select
        shipped_date as revenue_date,
        -- A shipment whose order has not been loaded yet still left the warehouse on that day.
        coalesce(account_industry, 'Unknown') as account_industry,
        count(*) as shipment_count,
        count(days_to_ship) as dated_count,
        sum(days_to_ship) as days_to_ship

    from {{ ref('fct_shipments') }}
    where shipped_date is not null
    group by shipped_date, coalesce(account_industry, 'Unknown')

),

all_days as (

    select
        revenue_date,
        account_industry
    from daily_orders
    union all
    select
        revenue_date,
        account_industry
    from daily_shipments

),

-- Grouped, because no spelling of a distinct union is understood by every warehouse.
days as (

    select
        revenue_date,
        account_industry

    from all_days
    group by revenue_date, account_industry

),

joined as (

    select
        {{ dbt.concat([portable.text('days.revenue_date'), "'|'", 'days.account_industry']) }} as daily_revenue_id,
        days.revenue_date,
        days.account_industry,
        coalesce(daily_orders.order_count, 0) as order_count,
        coalesce(daily_orders.order_amount, 0) as order_amount,
        coalesce(daily_orders.revenue, 0) as revenue,
        coalesce(daily_orders.margin, 0) as margin,
        coalesce(daily_shipments.shipment_count, 0) as shipment_count,
        daily_shipments.dated_count,
        daily_shipments.days_to_ship

    from days
    left join daily_orders
        on days.revenue_date = daily_orders.revenue_date
            and days.account_industry = daily_orders.account_industry
    left join daily_shipments
        on days.revenue_date = daily_shipments.revenue_date
            and days.account_industry = daily_shipments.account_industry

)

select
    daily_revenue_id,
    revenue_date,
    account_industry,
    {{ portable.whole('order_count') }} as order_count,
    {{ portable.money('order_amount') }} as order_amount,
    {{ portable.money('revenue') }} as revenue,
    {{ portable.money('margin') }} as margin,
    {{ portable.whole('shipment_count') }} as shipment_count,
    {{ portable.ratio('days_to_ship', 'dated_count') }} as average_days_to_ship
from joined
