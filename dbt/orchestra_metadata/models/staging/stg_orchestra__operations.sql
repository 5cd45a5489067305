with source as (

    select * from {{ source('orchestra', 'operations') }}

),

renamed as (

    select
        {{ portable.text('id') }} as operation_id,
        {{ portable.text('pipeline_run_id') }} as pipeline_run_id,
        {{ portable.text('task_run_id') }} as task_run_id,
        {{ portable.text('operation_name') }} as operation_name,
        {{ portable.text('operation_type') }} as operation_type,
        {{ portable.text('operation_status') }} as operation_status,
        {{ portable.text('integration') }} as integration,
        {{ portable.money('operation_duration') }} as duration_seconds,
        {{ portable.whole('rows_affected') }} as rows_affected,
        {{ portable.money('final_cost_amount') }} as cost_amount,
        {{ portable.text('final_cost_currency') }} as cost_currency,
        {{ portable.text('asset_external_id') }} as asset_external_id,
        {{ portable.utc_timestamp('inserted_at') }} as inserted_at

    from source

)

select
    operation_id,
    pipeline_run_id,
    task_run_id,
    operation_name,
    operation_type,
    operation_status,
    integration,
    duration_seconds,
    rows_affected,
    cost_amount,
    cost_currency,
    asset_external_id,
    inserted_at
from renamed
