with products as (

    select * from {{ ref('stg_postgres__products') }}

),

sales as (

    select
        order_items.product_id,
        sum(order_items.quantity) as units_sold,
        sum(order_items.line_amount) as revenue

    from {{ ref('int_order_items__costed') }} as order_items
    inner join {{ ref('fct_orders') }} as orders
        on order_items.order_id = orders.order_id
    where orders.order_status not in ('cancelled', 'returned')
    group by order_items.product_id

),

joined as (

    select
        products.product_id,
        products.sku,
        products.product_name,
        products.category,
        products.unit_price,
        products.unit_cost,
        products.unit_price - products.unit_cost as unit_margin,
        coalesce(sales.units_sold, 0) as units_sold,
        coalesce(sales.revenue, 0) as revenue,
        products.created_at

    from products
    left join sales
        on products.product_id = sales.product_id

)

select
    product_id,
    sku,
    product_name,
    category,
    unit_price,
    unit_cost,
    unit_margin,
    units_sold,
    revenue,
    created_at
from joined
