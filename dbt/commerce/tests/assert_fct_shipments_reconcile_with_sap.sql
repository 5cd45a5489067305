-- The number of shipments equals the raw table: the join to the orders neither loses nor repeats one.
with raw_shipments as (

    select count(*) as shipment_count
    from {{ source('sap', 'shipments') }}

),

mart_shipments as (

    select count(*) as shipment_count
    from {{ ref('fct_shipments') }}

)

select
    raw_shipments.shipment_count as raw_shipment_count,
    mart_shipments.shipment_count as mart_shipment_count
from raw_shipments
cross join mart_shipments
where raw_shipments.shipment_count <> mart_shipments.shipment_count
