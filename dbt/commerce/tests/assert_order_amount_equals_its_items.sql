-- An order is worth the sum of its lines. Orders and lines are loaded one after the other, so an order that changes in
-- between differs until the next load: a handful is a warning, more is an error.
{{ config(warn_if = '>0', error_if = '>10') }}

select
    order_id,
    order_amount,
    gross_amount,
    discount_amount
from {{ ref('fct_orders') }}
where order_amount <> gross_amount - discount_amount
