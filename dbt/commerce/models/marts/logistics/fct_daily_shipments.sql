with shipments as (

    select * from {{ ref('fct_shipments') }}
    where shipped_date is not null

),

shipping_points as (

    select * from {{ ref('shipping_points') }}

),

daily as (

    select
        shipped_date,
        shipping_point,
        count(*) as shipment_count,
        count(delivered_at) as delivered_count,
        sum(case when days_to_ship <= {{ var('prompt_days') }} then 1 else 0 end) as prompt_count,
        count(days_to_ship) as dated_count,
        sum(days_to_ship) as days_to_ship,
        sum(days_to_deliver) as days_to_deliver,
        sum(gross_weight_kg) as gross_weight_kg

    from shipments
    group by shipped_date, shipping_point

),

named as (

    select
        daily.*,
        coalesce(shipping_points.shipping_point_name, 'Unknown') as shipping_point_name

    from daily
    left join shipping_points
        on daily.shipping_point = {{ portable.text('shipping_points.shipping_point') }}

)

select
    {{ dbt.concat([portable.text('shipped_date'), "'|'", 'shipping_point']) }} as daily_shipments_id,
    shipped_date,
    shipping_point,
    {{ portable.text('shipping_point_name') }} as shipping_point_name,
    {{ portable.whole('shipment_count') }} as shipment_count,
    {{ portable.whole('delivered_count') }} as delivered_count,
    {{ portable.whole('prompt_count') }} as prompt_count,
    {{ portable.ratio('days_to_ship', 'dated_count') }} as average_days_to_ship,
    {{ portable.ratio('days_to_deliver', 'delivered_count') }} as average_days_to_deliver,
    {{ portable.money('gross_weight_kg') }} as gross_weight_kg
from named
