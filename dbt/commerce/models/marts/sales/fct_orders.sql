with orders as (

    select * from {{ ref('int_orders__enriched') }}

),

classified as (

    select
        order_id,
        order_number,
        customer_id,
        country,
        account_number,
        account_industry,
        shipment_id,
        order_status,
        case when order_status = 'cancelled' then {{ portable.true_literal() }} else {{ portable.false_literal() }} end
            as is_cancelled,
        case when order_status = 'returned' then {{ portable.true_literal() }} else {{ portable.false_literal() }} end
            as is_returned,
        currency,
        item_count,
        unit_count,
        gross_amount,
        discount_amount,
        order_amount,
        cost_amount,
        case when order_status in ('cancelled', 'returned') then 0 else order_amount end as revenue,
        case when order_status in ('cancelled', 'returned') then 0 else order_amount - cost_amount end as margin,
        ordered_at,
        cast(ordered_at as date) as ordered_date,
        updated_at

    from orders

)

select
    order_id,
    order_number,
    customer_id,
    country,
    account_number,
    account_industry,
    shipment_id,
    order_status,
    is_cancelled,
    is_returned,
    currency,
    {{ portable.whole('item_count') }} as item_count,
    {{ portable.whole('unit_count') }} as unit_count,
    {{ portable.money('gross_amount') }} as gross_amount,
    {{ portable.money('discount_amount') }} as discount_amount,
    order_amount,
    {{ portable.money('cost_amount') }} as cost_amount,
    {{ portable.money('revenue') }} as revenue,
    {{ portable.money('margin') }} as margin,
    ordered_at,
    ordered_date,
    updated_at
from classified
