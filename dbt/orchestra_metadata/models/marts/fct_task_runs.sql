with task_runs as (

    select * from {{ ref('stg_orchestra__task_runs') }}

),

pipeline_runs as (

    select * from {{ ref('stg_orchestra__pipeline_runs') }}

),

joined as (

    select
        task_runs.task_run_id,
        task_runs.pipeline_run_id,
        task_runs.pipeline_id,
        coalesce(pipeline_runs.pipeline_name, 'Unnamed') as pipeline_name,
        task_runs.task_id,
        task_runs.task_name,
        task_runs.integration,
        task_runs.integration_job,
        task_runs.task_status,
        task_runs.number_of_attempts,
        task_runs.created_at,
        task_runs.started_at,
        task_runs.completed_at,
        {{ dbt.datediff('task_runs.started_at', 'task_runs.completed_at', 'second') }} as duration_seconds

    from task_runs
    left join pipeline_runs
        on task_runs.pipeline_run_id = pipeline_runs.pipeline_run_id

)

select
    task_run_id,
    pipeline_run_id,
    pipeline_id,
    {{ portable.text('pipeline_name') }} as pipeline_name,
    task_id,
    task_name,
    integration,
    integration_job,
    task_status,
    case when task_status in ('SUCCEEDED', 'WARNING') then {{ portable.true_literal() }} else {{ portable.false_literal() }} end
        as is_successful,
    number_of_attempts,
    created_at,
    cast(created_at as date) as created_date,
    started_at,
    completed_at,
    {{ portable.whole('duration_seconds') }} as duration_seconds
from joined
