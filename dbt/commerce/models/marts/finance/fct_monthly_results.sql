with sales as (

    select
        {{ portable.month_of('ordered_date') }} as result_month,
        product_id,
        units_sold,
        gross_amount,
        discount_amount,
        cancelled_amount,
        returned_amount,
        revenue

    from {{ ref('fct_daily_product_sales') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

monthly as (

    select
        sales.result_month,
        products.category,
        sum(sales.units_sold) as units_sold,
        sum(sales.gross_amount) as gross_amount,
        sum(sales.discount_amount) as discount_amount,
        sum(sales.cancelled_amount) as cancelled_amount,
        sum(sales.returned_amount) as returned_amount,
        sum(sales.revenue) as revenue,
        -- The shop keeps no history of costs: a unit costs what its product costs today.
        sum(sales.units_sold * products.unit_cost) as cost_amount

    from sales
    inner join products
        on sales.product_id = products.product_id
    group by sales.result_month, products.category

)

select
    {{ dbt.concat([portable.text('result_month'), "'|'", 'category']) }} as monthly_result_id,
    result_month,
    category,
    {{ portable.whole('units_sold') }} as units_sold,
    {{ portable.money('gross_amount') }} as gross_amount,
    {{ portable.money('discount_amount') }} as discount_amount,
    {{ portable.money('cancelled_amount') }} as cancelled_amount,
    {{ portable.money('returned_amount') }} as returned_amount,
    {{ portable.money('revenue') }} as revenue,
    {{ portable.money('cost_amount') }} as cost_amount,
    {{ portable.money('revenue - cost_amount') }} as margin
from monthly
