with states as (

    select * from {{ ref('products_snapshot') }}

),

numbered as (

    select
        product_id,
        row_number() over (partition by product_id order by dbt_valid_from) as version_number,
        sku,
        product_name,
        category,
        unit_price,
        unit_cost,
        -- The first state that was seen stands for all the time before it.
        case
            when row_number() over (partition by product_id order by dbt_valid_from) = 1 then created_at
            else dbt_valid_from
        end as valid_from,
        dbt_valid_to as valid_to

    from states

)

select
    {{ dbt.concat([portable.text('product_id'), "'-'", portable.text('version_number')]) }} as product_version_id,
    product_id,
    {{ portable.whole('version_number') }} as version_number,
    sku,
    product_name,
    category,
    unit_price,
    unit_cost,
    valid_from,
    valid_to,
    case when valid_to is null then {{ portable.true_literal() }} else {{ portable.false_literal() }} end as is_current
from numbered
