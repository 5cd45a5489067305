with runs as (

    select * from {{ ref('stg_orchestra__pipeline_runs') }}

),

timed as (

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
        {{ dbt.datediff('started_at', 'completed_at', 'second') }} as duration_seconds,
        {{ dbt.datediff('created_at', 'started_at', 'second') }} as queued_seconds

    from runs

)

select
    pipeline_run_id,
    pipeline_id,
    pipeline_name,
    environment_name,
    run_status,
    case when run_status in ('SUCCEEDED', 'WARNING') then {{ portable.true_literal() }} else {{ portable.false_literal() }} end
        as is_successful,
    branch,
    created_at,
    cast(created_at as date) as created_date,
    started_at,
    completed_at,
    {{ portable.whole('duration_seconds') }} as duration_seconds,
    {{ portable.whole('queued_seconds') }} as queued_seconds
from timed
