with source as (

    select * from {{ source('salesforce', 'contacts') }}

),

renamed as (

    select
        {{ portable.text('id') }} as contact_id,
        {{ portable.text('account_id') }} as account_id,
        {{ portable.text('trim(first_name)') }} as first_name,
        {{ portable.text('trim(last_name)') }} as last_name,
        {{ portable.text('lower(trim(email))') }} as email,
        {{ portable.text('trim(title)') }} as title,
        {{ portable.utc_timestamp('created_date') }} as created_at,
        {{ portable.utc_timestamp('system_modstamp') }} as updated_at

    from source
    where coalesce(is_deleted, {{ portable.false_literal() }}) = {{ portable.false_literal() }}

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
