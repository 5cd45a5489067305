-- The incremental table holds every line of the shop and no other, with today's amounts.
with items as (

    select
        count(*) as line_count,
        sum(line_amount) as line_amount

    from {{ ref('fct_order_items') }}

),

raw_items as (

    select
        count(*) as line_count,
        sum(order_items.line_amount) as line_amount

    from {{ ref('stg_postgres__order_items') }} as order_items
    inner join {{ ref('stg_postgres__orders') }} as orders
        on order_items.order_id = orders.order_id

)

select
    items.line_count,
    raw_items.line_count as raw_line_count,
    items.line_amount,
    raw_items.line_amount as raw_line_amount
from items
cross join raw_items
where items.line_count <> raw_items.line_count
    or coalesce(items.line_amount, 0) <> coalesce(raw_items.line_amount, 0)
