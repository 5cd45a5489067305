with customers as (

    select * from {{ ref('stg_postgres__customers') }}

),

accounts as (

    select * from {{ ref('stg_salesforce__accounts') }}

),

joined as (

    select
        customers.customer_id,
        customers.email,
        customers.first_name,
        customers.last_name,
        customers.country,
        customers.created_at,
        customers.account_number,
        accounts.account_id,
        accounts.account_name,
        case
            when customers.account_number is null then 'Consumer'
            else coalesce(accounts.industry, 'Unknown')
        end as account_industry

    from customers
    left join accounts
        on customers.account_number = accounts.account_number

)

select
    customer_id,
    email,
    first_name,
    last_name,
    country,
    account_number,
    account_id,
    account_name,
    account_industry,
    created_at
from joined
