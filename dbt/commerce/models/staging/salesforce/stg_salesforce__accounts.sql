with source as (

    select * from {{ source('salesforce', 'accounts') }}

),

renamed as (

    select
        {{ commerce.text('id') }} as account_id,
        {{ commerce.text('trim(account_number)') }} as account_number,
        {{ commerce.text('trim(name)') }} as account_name,
        {{ commerce.text("nullif(trim(industry), '')") }} as industry,
        {{ commerce.text('upper(trim(billing_country))') }} as billing_country,
        {{ commerce.money('annual_revenue') }} as annual_revenue,
        {{ commerce.text('owner_id') }} as owner_id,
        {{ commerce.utc_timestamp('created_date') }} as created_at,
        {{ commerce.utc_timestamp('system_modstamp') }} as updated_at

    from source
    -- Written as a comparison, because T-SQL has no boolean expressions. A null means that nobody deleted it.
    where coalesce(is_deleted, {{ commerce.false_literal() }}) = {{ commerce.false_literal() }}

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
