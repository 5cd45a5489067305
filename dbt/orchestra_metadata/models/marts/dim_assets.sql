with assets as (

    select * from {{ ref('stg_orchestra__assets') }}

),

-- Ages are counted from the newest moment that the metadata knows, so that a build is repeatable.
newest as (

    select max(updated_at) as known_until
    from assets

),

aged as (

    select
        assets.asset_id,
        assets.external_id,
        assets.asset_name,
        assets.asset_type,
        assets.asset_status,
        assets.integration,
        assets.database_name,
        assets.schema_name,
        assets.last_updated_in_integration_at,
        newest.known_until,
        {{ dbt.datediff('assets.last_updated_in_integration_at', 'newest.known_until', 'hour') }} as age_hours

    from assets
    cross join newest

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
    last_updated_in_integration_at,
    known_until,
    {{ portable.whole('age_hours') }} as age_hours
from aged
