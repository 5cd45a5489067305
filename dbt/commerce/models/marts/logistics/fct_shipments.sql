with shipments as (

    select * from {{ ref('stg_sap__shipments') }}

),

orders as (

    select * from {{ ref('fct_orders') }}

),

joined as (

    select
        shipments.shipment_id,
        shipments.order_number,
        orders.order_id,
        orders.customer_id,
        orders.account_number,
        orders.account_industry,
        shipments.shipping_point,
        shipments.shipment_status,
        shipments.is_shipped,
        shipments.gross_weight_kg,
        orders.revenue as order_revenue,
        orders.ordered_at,
        shipments.created_at,
        shipments.shipped_at,
        cast(shipments.shipped_at as date) as shipped_date,
        shipments.delivered_at,
        {{ dbt.datediff('orders.ordered_at', 'shipments.shipped_at', 'day') }} as days_to_ship,
        {{ dbt.datediff('shipments.shipped_at', 'shipments.delivered_at', 'day') }} as days_to_deliver

    from shipments
    left join orders
        on shipments.order_number = orders.order_number

)

select
    shipment_id,
    order_number,
    order_id,
    customer_id,
    account_number,
    account_industry,
    shipping_point,
    {{ portable.text('shipment_status') }} as shipment_status,
    is_shipped,
    gross_weight_kg,
    order_revenue,
    ordered_at,
    created_at,
    shipped_at,
    shipped_date,
    delivered_at,
    {{ portable.whole('days_to_ship') }} as days_to_ship,
    {{ portable.whole('days_to_deliver') }} as days_to_deliver
from joined
