{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key='order_item_id',
        on_schema_change='fail',
        post_hook="{{ commerce.delete_vanished_items() }}",
    )
}}

{% if is_incremental() -%}
-- Orders and their lines arrive one after the other: what changed shortly before the newest row is read once more.
with newest as (

    select {{ dbt.dateadd('day', '-' ~ var('lookback_days'), 'max(updated_at)') }} as read_from
    from {{ this }}

),

changed as (

    select orders.order_id
    from {{ ref('stg_postgres__orders') }} as orders
    cross join newest
    where orders.updated_at >= newest.read_from

    union all

    select order_items.order_id
    from {{ ref('stg_postgres__order_items') }} as order_items
    cross join newest
    where order_items.updated_at >= newest.read_from

),

order_items as (

    select order_items.* from {{ ref('stg_postgres__order_items') }} as order_items
    where order_items.order_id in (select changed.order_id from changed)

),

orders as (

    select orders.* from {{ ref('stg_postgres__orders') }} as orders
    where orders.order_id in (select changed.order_id from changed)

),

{% else -%}
with order_items as (

    select * from {{ ref('stg_postgres__order_items') }}

),

orders as (

    select * from {{ ref('stg_postgres__orders') }}

),

{% endif -%}
joined as (

    select
        order_items.order_item_id,
        order_items.order_id,
        order_items.line_number,
        order_items.product_id,
        orders.customer_id,
        orders.order_status,
        order_items.quantity,
        order_items.unit_price,
        order_items.quantity * order_items.unit_price as gross_amount,
        order_items.discount_amount,
        order_items.line_amount,
        case when orders.order_status in ('cancelled', 'returned') then 0 else order_items.line_amount end as revenue,
        orders.ordered_at,
        -- A line changes when its order's status does.
        case when orders.updated_at > order_items.updated_at then orders.updated_at else order_items.updated_at end
            as updated_at

    from order_items
    inner join orders
        on order_items.order_id = orders.order_id

)

select
    order_item_id,
    order_id,
    {{ portable.whole('line_number') }} as line_number,
    product_id,
    customer_id,
    order_status,
    {{ portable.whole('quantity') }} as quantity,
    unit_price,
    {{ portable.money('gross_amount') }} as gross_amount,
    discount_amount,
    line_amount,
    {{ portable.money('revenue') }} as revenue,
    ordered_at,
    cast(ordered_at as date) as ordered_date,
    updated_at
from joined
