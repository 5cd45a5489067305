with products as (

    select * from {{ ref('stg_postgres__products') }}

),

sales as (

    select
        product_id,
        sum(units_sold) as units_sold,
        sum(revenue) as revenue

    from {{ ref('fct_daily_product_sales') }}
    group by product_id

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
    {{ portable.money('unit_margin') }} as unit_margin,
    {{ portable.whole('units_sold') }} as units_sold,
    {{ portable.money('revenue') }} as revenue,
    created_at
from joined
