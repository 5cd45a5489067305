with source as (

    select * from {{ source('postgres', 'customers') }}

),

renamed as (

    select
        customer_id,
        {{ portable.text('lower(trim(email))') }} as email,
        {{ portable.text('trim(first_name)') }} as first_name,
        {{ portable.text('trim(last_name)') }} as last_name,
        {{ portable.text('upper(trim(country))') }} as country,
        {{ portable.text("nullif(trim(account_number), '')") }} as account_number,
        {{ portable.utc_timestamp('created_at') }} as created_at,
        {{ portable.utc_timestamp('updated_at') }} as updated_at

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
