with runs as (

    select * from {{ ref('fct_pipeline_runs') }}
    where completed_at is not null

),

daily as (

    select
        created_date,
        pipeline_id,
        max(pipeline_name) as pipeline_name,
        count(*) as run_count,
        sum(case when run_status in ('SUCCEEDED', 'WARNING') then 1 else 0 end) as successful_count,
        sum(case when run_status = 'FAILED' then 1 else 0 end) as failed_count,
        sum(duration_seconds) as duration_seconds,
        max(duration_seconds) as longest_seconds

    from runs
    group by created_date, pipeline_id

)

select
    {{ dbt.concat([portable.text('created_date'), "'|'", 'pipeline_id']) }} as daily_pipeline_reliability_id,
    created_date,
    pipeline_id,
    {{ portable.text('pipeline_name') }} as pipeline_name,
    {{ portable.whole('run_count') }} as run_count,
    {{ portable.whole('successful_count') }} as successful_count,
    {{ portable.whole('failed_count') }} as failed_count,
    {{ portable.ratio('duration_seconds', 'run_count') }} as average_seconds,
    {{ portable.whole('longest_seconds') }} as longest_seconds
from daily
