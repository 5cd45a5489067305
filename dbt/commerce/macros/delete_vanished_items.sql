{#
    A hook of fct_order_items: takes out the lines that the shop has deleted. A merge adds and changes rows, it never learns
    of one that is gone. Only days that may still change are looked at; the first of them is asked for beforehand, since
    Databricks deletes by one subquery but not by one inside another. Nothing to do when the model is built anew.
#}
{% macro delete_vanished_items() -%}
    {%- if execute and is_incremental() -%}
        {%- set newest = portable.days_before(var('restated_days'), 'max(ordered_date)') -%}
        {%- set found = run_query('select ' ~ newest ~ ' as first_day from ' ~ this).columns[0].values() | first -%}
        {%- if found -%}
            delete from {{ this }}
            where ordered_date >= cast('{{ (found | string)[:10] }}' as date)
                and order_item_id not in (
                    select order_items.order_item_id
                    from {{ ref('stg_postgres__order_items') }} as order_items
                    inner join {{ ref('stg_postgres__orders') }} as orders
                        on order_items.order_id = orders.order_id
                    where cast(orders.ordered_at as date) >= cast('{{ (found | string)[:10] }}' as date)
                )
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
