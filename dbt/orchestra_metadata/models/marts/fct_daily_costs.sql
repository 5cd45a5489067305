with operations as (

    select * from {{ ref('stg_orchestra__operations') }}
    where cost_amount is not null

),

pipeline_runs as (

    select * from {{ ref('stg_orchestra__pipeline_runs') }}

),

daily as (

    select
        cast(operations.inserted_at as date) as cost_date,
        pipeline_runs.pipeline_id,
        max(pipeline_runs.pipeline_name) as pipeline_name,
        operations.integration,
        coalesce(operations.cost_currency, 'None') as cost_currency,
        count(*) as operation_count,
        sum(operations.cost_amount) as cost_amount

    from operations
    inner join pipeline_runs
        on operations.pipeline_run_id = pipeline_runs.pipeline_run_id
    group by
        cast(operations.inserted_at as date),
        pipeline_runs.pipeline_id,
        operations.integration,
        coalesce(operations.cost_currency, 'None')

)

select
    {{ dbt.concat([portable.text('cost_date'), "'|'", 'pipeline_id', "'|'", 'integration', "'|'", 'cost_currency']) }}
        as daily_cost_id,
    cost_date,
    pipeline_id,
    {{ portable.text('pipeline_name') }} as pipeline_name,
    integration,
    {{ portable.text('cost_currency') }} as cost_currency,
    {{ portable.whole('operation_count') }} as operation_count,
    {{ portable.money('cost_amount') }} as cost_amount
from daily
