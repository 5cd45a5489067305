{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='ordered_date',
        on_schema_change='fail',
    )
}}

with order_items as (

    select * from {{ ref('fct_order_items') }}

    {% if is_incremental() %}
    -- Whole days are replaced. No order changes any more once it is that old.
    where ordered_date >= (
            select {{ portable.days_before(var('restated_days'), 'max(ordered_date)') }}
            from {{ this }}
        )
    {% endif %}

),

daily as (

    select
        ordered_date,
        product_id,
        count(*) as line_count,
        sum(quantity) as units_ordered,
        sum(case when order_status in ('cancelled', 'returned') then 0 else quantity end) as units_sold,
        sum(gross_amount) as gross_amount,
        sum(discount_amount) as discount_amount,
        sum(case when order_status = 'cancelled' then line_amount else 0 end) as cancelled_amount,
        sum(case when order_status = 'returned' then line_amount else 0 end) as returned_amount,
        sum(revenue) as revenue

    from order_items
    group by ordered_date, product_id

)

select
    {{ dbt.concat([portable.text('ordered_date'), "'|'", portable.text('product_id')]) }} as daily_product_sales_id,
    ordered_date,
    product_id,
    {{ portable.whole('line_count') }} as line_count,
    {{ portable.whole('units_ordered') }} as units_ordered,
    {{ portable.whole('units_sold') }} as units_sold,
    {{ portable.money('gross_amount') }} as gross_amount,
    {{ portable.money('discount_amount') }} as discount_amount,
    {{ portable.money('cancelled_amount') }} as cancelled_amount,
    {{ portable.money('returned_amount') }} as returned_amount,
    {{ portable.money('revenue') }} as revenue
from daily
