with orders as (

    select * from {{ ref('stg_postgres__orders') }}

),

customers as (

    select * from {{ ref('int_customers__accounts') }}

),

item_totals as (

    select
        order_id,
        count(*) as item_count,
        sum(quantity) as unit_count,
        sum(gross_amount) as gross_amount,
        sum(discount_amount) as discount_amount,
        sum(line_cost) as cost_amount

    from {{ ref('int_order_items__costed') }}
    group by order_id

),

-- One shipment per order is the rule. If SAP ever splits a delivery, the order must still be counted once.
order_shipments as (

    select
        order_number,
        min(shipment_id) as shipment_id

    from {{ ref('stg_sap__shipments') }}
    group by order_number

),

enriched as (

    select
        orders.order_id,
        orders.order_number,
        orders.customer_id,
        customers.country,
        customers.account_number,
        customers.account_industry,
        order_shipments.shipment_id,
        orders.order_status,
        orders.currency,
        coalesce(item_totals.item_count, 0) as item_count,
        coalesce(item_totals.unit_count, 0) as unit_count,
        coalesce(item_totals.gross_amount, 0) as gross_amount,
        coalesce(item_totals.discount_amount, 0) as discount_amount,
        orders.total_amount as order_amount,
        coalesce(item_totals.cost_amount, 0) as cost_amount,
        orders.ordered_at,
        orders.updated_at

    from orders
    left join customers
        on orders.customer_id = customers.customer_id
    left join item_totals
        on orders.order_id = item_totals.order_id
    left join order_shipments
        on orders.order_number = order_shipments.order_number

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
    currency,
    item_count,
    unit_count,
    gross_amount,
    discount_amount,
    order_amount,
    cost_amount,
    ordered_at,
    updated_at
from enriched
