with customers as (

    select * from {{ ref('int_customers__accounts') }}

),

order_totals as (

    select
        customer_id,
        count(*) as order_count,
        sum(revenue) as lifetime_revenue,
        min(ordered_at) as first_ordered_at,
        max(ordered_at) as last_ordered_at

    from {{ ref('fct_orders') }}
    group by customer_id

),

countries as (

    select * from {{ ref('countries') }}

),

joined as (

    select
        customers.customer_id,
        customers.email,
        customers.first_name,
        customers.last_name,
        customers.country,
        coalesce(countries.country_name, 'Unknown') as country_name,
        coalesce(countries.region, 'Unknown') as region,
        customers.account_number,
        customers.account_name,
        customers.account_industry,
        coalesce(order_totals.order_count, 0) as order_count,
        coalesce(order_totals.lifetime_revenue, 0) as lifetime_revenue,
        order_totals.first_ordered_at,
        order_totals.last_ordered_at,
        customers.created_at

    from customers
    left join order_totals
        on customers.customer_id = order_totals.customer_id
    left join countries
        on customers.country = countries.country

)

select
    customer_id,
    email,
    first_name,
    last_name,
    country,
    {{ portable.text('country_name') }} as country_name,
    {{ portable.text('region') }} as region,
    account_number,
    account_name,
    {{ portable.text('account_industry') }} as account_industry,
    {{ portable.whole('order_count') }} as order_count,
    {{ portable.money('lifetime_revenue') }} as lifetime_revenue,
    first_ordered_at,
    last_ordered_at,
    created_at
from joined
