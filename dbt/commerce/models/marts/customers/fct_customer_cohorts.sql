with orders as (

    select
        customer_id,
        order_id,
        revenue,
        {{ portable.month_of('ordered_date') }} as order_month

    from {{ ref('fct_orders') }}

),

first_months as (

    select
        customer_id,
        min(order_month) as cohort_month

    from orders
    group by customer_id

),

cohort_sizes as (

    select
        cohort_month,
        count(*) as cohort_size

    from first_months
    group by cohort_month

),

activity as (

    select
        first_months.cohort_month,
        orders.order_month,
        count(distinct orders.customer_id) as active_customers,
        count(*) as order_count,
        sum(orders.revenue) as revenue

    from orders
    inner join first_months
        on orders.customer_id = first_months.customer_id
    group by first_months.cohort_month, orders.order_month

),

joined as (

    select
        activity.cohort_month,
        activity.order_month,
        {{ dbt.datediff('activity.cohort_month', 'activity.order_month', 'month') }} as months_since_first_order,
        cohort_sizes.cohort_size,
        activity.active_customers,
        100 * activity.active_customers as active_percents,
        activity.order_count,
        activity.revenue

    from activity
    inner join cohort_sizes
        on activity.cohort_month = cohort_sizes.cohort_month

)

select
    {{ dbt.concat([portable.text('cohort_month'), "'|'", portable.text('order_month')]) }} as customer_cohort_id,
    cohort_month,
    order_month,
    {{ portable.whole('months_since_first_order') }} as months_since_first_order,
    {{ portable.whole('cohort_size') }} as cohort_size,
    {{ portable.whole('active_customers') }} as active_customers,
    {{ portable.ratio('active_percents', 'cohort_size') }} as retention_percent,
    {{ portable.whole('order_count') }} as order_count,
    {{ portable.money('revenue') }} as revenue
from joined
