with source as (

    select * from {{ source('orchestra', 'task_runs') }}

),

renamed as (

    select
        {{ portable.text('id') }} as task_run_id,
        {{ portable.text('pipeline_run_id') }} as pipeline_run_id,
        {{ portable.text('pipeline_id') }} as pipeline_id,
        {{ portable.text('task_id') }} as task_id,
        {{ portable.text('task_name') }} as task_name,
        {{ portable.text('integration') }} as integration,
        {{ portable.text('integration_job') }} as integration_job,
        {{ portable.text('status') }} as task_status,
        {{ portable.whole('attempt_number') }} as attempt_number,
        {{ portable.whole('number_of_attempts') }} as number_of_attempts,
        {{ portable.utc_timestamp('created_at') }} as created_at,
        {{ portable.utc_timestamp('started_at') }} as started_at,
        {{ portable.utc_timestamp('completed_at') }} as completed_at,
        {{ portable.utc_timestamp('updated_at') }} as updated_at

    from source

)

select
    task_run_id,
    pipeline_run_id,
    pipeline_id,
    task_id,
    task_name,
    integration,
    integration_job,
    task_status,
    attempt_number,
    number_of_attempts,
    created_at,
    started_at,
    completed_at,
    updated_at
from renamed
