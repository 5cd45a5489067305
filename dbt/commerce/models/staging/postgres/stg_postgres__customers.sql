with source as (

    select * from {{ source('postgres', 'customers') }}

),

renamed as (

    select
        customer_id,
        {{ commerce.text('lower(trim(email))') }} as email,
        {{ commerce.text('trim(first_name)') }} as first_name,
        {{ commerce.text('trim(last_name)') }} as last_name,
        {{ commerce.text('upper(trim(country))') }} as country,
        {{ commerce.text("nullif(trim(account_number), '')") }} as account_number,
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
