with source as (

    select * from {{ source('postgres', 'customers') }}

),

renamed as (

    select
        customer_id,
        lower(trim(email)) as email,
        trim(first_name) as first_name,
        trim(last_name) as last_name,
        upper(trim(country)) as country,
        nullif(trim(account_number), '') as account_number,
        {{ commerce.utc_timestamp('created_at') }} as created_at,
        {{ commerce.utc_timestamp('updated_at') }} as updated_at

    from source

)

select
    customer_id,
    email,
    first_name,
    last_name,
    country,
    account_number,
    created_at,
    updated_at
from renamed
