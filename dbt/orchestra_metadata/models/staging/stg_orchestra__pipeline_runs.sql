with source as (

    select * from {{ source('orchestra', 'pipeline_runs') }}

),

renamed as (

    select
        {{ portable.text('id') }} as pipeline_run_id,
        {{ portable.text('pipeline_id') }} as pipeline_id,
        {{ portable.text("coalesce(pipeline_name, 'Unnamed')") }} as pipeline_name,
        {{ portable.text("coalesce(env_name, 'None')") }} as environment_name,
        {{ portable.text('run_status') }} as run_status,
        {{ portable.text('branch') }} as branch,
        {{ portable.utc_timestamp('created_at') }} as created_at,
        {{ portable.utc_timestamp('started_at') }} as started_at,
        {{ portable.utc_timestamp('completed_at') }} as completed_at,
        {{ portable.utc_timestamp('updated_at') }} as updated_at

    from source

)

select
    pipeline_run_id,
    pipeline_id,
    pipeline_name,
    environment_name,
    run_status,
    branch,
    created_at,
    started_at,
    completed_at,
    updated_at
from renamed
