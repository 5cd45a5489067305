with source as (

    select * from {{ source('salesforce', 'contacts') }}

),

renamed as (

    select
        {{ commerce.text('id') }} as contact_id,
        {{ commerce.text('account_id') }} as account_id,
        {{ commerce.text('trim(first_name)') }} as first_name,
        {{ commerce.text('trim(last_name)') }} as last_name,
        {{ commerce.text('lower(trim(email))') }} as email,
        {{ commerce.text('trim(title)') }} as title,
        {{ commerce.utc_timestamp('created_date') }} as created_at,
        {{ commerce.utc_timestamp('system_modstamp') }} as updated_at

    from source
    where coalesce(is_deleted, {{ commerce.false_literal() }}) = {{ commerce.false_literal() }}

)

select
    contact_id,
    account_id,
    first_name,
    last_name,
    email,
    title,
    created_at,
    updated_at
from renamed
