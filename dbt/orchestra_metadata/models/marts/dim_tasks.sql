with task_runs as (

    select * from {{ ref('fct_task_runs') }}
    where completed_at is not null

),

totals as (

    select
        pipeline_id,
        task_id,
        max(pipeline_name) as pipeline_name,
        max(task_name) as task_name,
        max(integration) as integration,
        count(*) as run_count,
        sum(case when task_status in ('SUCCEEDED', 'WARNING') then 1 else 0 end) as successful_count,
        sum(case when task_status = 'FAILED' then 1 else 0 end) as failed_count,
        -- It went wrong, was tried again, and then went well: nobody was woken, but something is flaky.
        sum(case when task_status in ('SUCCEEDED', 'WARNING') and number_of_attempts > 1 then 1 else 0 end) as flaky_count,
        sum(duration_seconds) as duration_seconds,
        max(completed_at) as last_completed_at

    from task_runs
    group by pipeline_id, task_id

)

select
    {{ dbt.concat(['pipeline_id', "'|'", 'task_id']) }} as task_key,
    pipeline_id,
    task_id,
    {{ portable.text('pipeline_name') }} as pipeline_name,
    {{ portable.text('task_name') }} as task_name,
    {{ portable.text('integration') }} as integration,
    {{ portable.whole('run_count') }} as run_count,
    {{ portable.whole('successful_count') }} as successful_count,
    {{ portable.whole('failed_count') }} as failed_count,
    {{ portable.whole('flaky_count') }} as flaky_count,
    {{ portable.ratio('duration_seconds', 'run_count') }} as average_seconds,
    last_completed_at
from totals
