-- Every shipment that has left appears in the daily mart exactly once.
with shipments as (

    select count(*) as shipment_count
    from {{ ref('fct_shipments') }}
    where shipped_date is not null

),

daily as (

    select coalesce(sum(shipment_count), 0) as shipment_count
    from {{ ref('fct_daily_revenue') }}

)

select
    shipments.shipment_count,
    daily.shipment_count as daily_shipment_count
from shipments
cross join daily
where shipments.shipment_count <> daily.shipment_count
