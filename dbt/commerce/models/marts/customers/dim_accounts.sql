with accounts as (

    select * from {{ ref('stg_salesforce__accounts') }}

),

contact_totals as (

    select
        account_id,
        count(*) as contact_count

    from {{ ref('stg_salesforce__contacts') }}
    group by account_id

),

customer_totals as (

    select
        account_number,
        count(*) as customer_count,
        sum(order_count) as order_count,
        sum(lifetime_revenue) as lifetime_revenue

    from {{ ref('dim_customers') }}
    where account_number is not null
    group by account_number

),

joined as (

    select
        accounts.account_id,
        accounts.account_number,
        accounts.account_name,
        coalesce(accounts.industry, 'Unknown') as industry,
        accounts.billing_country,
        accounts.annual_revenue,
        coalesce(contact_totals.contact_count, 0) as contact_count,
        coalesce(customer_totals.customer_count, 0) as customer_count,
        coalesce(customer_totals.order_count, 0) as order_count,
        coalesce(customer_totals.lifetime_revenue, 0) as lifetime_revenue,
        accounts.created_at

    from accounts
    left join contact_totals
        on accounts.account_id = contact_totals.account_id
    left join customer_totals
        on accounts.account_number = customer_totals.account_number

)

select
    account_id,
    account_number,
    account_name,
    {{ portable.text('industry') }} as industry,
    billing_country,
    annual_revenue,
    {{ portable.whole('contact_count') }} as contact_count,
    {{ portable.whole('customer_count') }} as customer_count,
    {{ portable.whole('order_count') }} as order_count,
    {{ portable.money('lifetime_revenue') }} as lifetime_revenue,
    created_at
from joined
