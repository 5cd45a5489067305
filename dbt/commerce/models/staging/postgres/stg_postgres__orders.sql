with source as (

    select * from {{ source('postgres', 'orders') }}

),

renamed as (

    select
        order_id,
        {{ portable.text('trim(order_number)') }} as order_number,
        customer_id,
        {{ portable.text('lower(trim(status))') }} as order_status,
        {{ portable.text('upper(trim(currency))') }} as currency,
        {{ portable.money('total_amount') }} as total_amount,
        {{ portable.utc_timestamp('ordered_at') }} as ordered_at,
        {{ portable.utc_timestamp('updated_at') }} as updated_at

    from source

)

select
    order_id,
    order_number,
    customer_id,
    order_status,
    currency,
    total_amount,
    ordered_at,
    updated_at
from renamed
