with source as (

    select * from {{ source('orchestra', 'assets') }}

),

renamed as (

    select
        {{ portable.text('asset_id') }} as asset_id,
        {{ portable.text('external_id') }} as external_id,
        {{ portable.text('asset_name') }} as asset_name,
        {{ portable.text('asset_type') }} as asset_type,
        {{ portable.text('status') }} as asset_status,
        {{ portable.text('integration') }} as integration,
        {{ portable.text('database_name') }} as database_name,
        {{ portable.text('schema_name') }} as schema_name,
        {{ portable.utc_timestamp('last_successful_run') }} as last_successful_run_at,
        {{ portable.utc_timestamp('last_updated_in_integration') }} as last_updated_in_integration_at,
        {{ portable.utc_timestamp('updated_at') }} as updated_at

    from source

)

select
    asset_id,
    external_id,
    asset_name,
    asset_type,
    asset_status,
    integration,
    database_name,
    schema_name,
    last_successful_run_at,
    last_updated_in_integration_at,
    updated_at
from renamed
