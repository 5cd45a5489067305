with source as (

    select * from {{ source('salesforce', 'accounts') }}

),

renamed as (

    select
        {{ portable.text('id') }} as account_id,
        {{ portable.text('trim(account_number)') }} as account_number,
        {{ portable.text('trim(name)') }} as account_name,
        {{ portable.text("nullif(trim(industry), '')") }} as industry,
        {{ portable.text('upper(trim(billing_country))') }} as billing_country,
        {{ portable.money('annual_revenue') }} as annual_revenue,
        {{ portable.text('owner_id') }} as owner_id,
        {{ portable.utc_timestamp('created_date') }} as created_at,
        {{ portable.utc_timestamp('system_modstamp') }} as updated_at

    from source
    -- Written as a comparison, because T-SQL has no boolean expressions. A null means that nobody deleted it.
    where coalesce(is_deleted, {{ portable.false_literal() }}) = {{ portable.false_literal() }}

)

select
    account_id,
    account_number,
    account_name,
    industry,
    billing_country,
    annual_revenue,
    owner_id,
    created_at,
    updated_at
from renamed
