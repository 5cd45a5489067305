with source as (

    select * from {{ source('sap', 'shipments') }}

),

renamed as (

    select
        {{ portable.text('trim(delivery_document)') }} as shipment_id,
        {{ portable.text("nullif(trim(yy1_web_order_dlh), '')") }} as order_number,
        {{ portable.text('trim(shipping_point)') }} as shipping_point,
        case
            when upper(trim(overall_goods_movement_status)) = 'C' then {{ portable.true_literal() }}
            else {{ portable.false_literal() }}
        end as is_shipped,
        case
            when upper(trim(overall_goods_movement_status)) = 'A' then 'open'
            when upper(trim(overall_goods_movement_status)) = 'C' and proof_of_delivery_date is not null then 'delivered'
            when upper(trim(overall_goods_movement_status)) = 'C' then 'shipped'
            else 'unknown'
        end as shipment_status,
        -- SAP gives each weight a unit of its own; ours is the kilogram. An unknown unit becomes null, never a wrong weight.
        cast(
            header_gross_weight * case upper(trim(header_weight_unit)) when 'KG' then 1 when 'G' then 0.001 end
            as {{ dbt.type_numeric() }}
        ) as gross_weight_kg,
        {{ portable.utc_timestamp('creation_date') }} as created_at,
        {{ portable.utc_timestamp('actual_goods_movement_date') }} as shipped_at,
        {{ portable.utc_timestamp('proof_of_delivery_date') }} as delivered_at,
        {{ portable.utc_timestamp('last_change_date_time') }} as updated_at

    from source

)

select
    shipment_id,
    order_number,
    shipping_point,
    shipment_status,
    is_shipped,
    gross_weight_kg,
    created_at,
    shipped_at,
    delivered_at,
    updated_at
from renamed
