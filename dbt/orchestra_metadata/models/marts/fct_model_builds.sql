with operations as (

    select * from {{ ref('stg_orchestra__operations') }}
    where integration in ('DBT_CORE', 'DBT')
        and operation_type in ('MATERIALISATION', 'SEED', 'SNAPSHOT')

)

select
    operation_id,
    pipeline_run_id,
    task_run_id,
    operation_name as model_name,
    operation_type,
    operation_status,
    case when operation_status = 'REUSED' then {{ portable.true_literal() }} else {{ portable.false_literal() }} end as is_reused,
    duration_seconds,
    rows_affected,
    inserted_at as built_at,
    cast(inserted_at as date) as built_date
from operations
