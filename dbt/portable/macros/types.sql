{#
    Amounts of money: two digits after the point, whatever the warehouse makes of a sum or a product of them. The
    types are variables because contracts name them, too, and YAML can read variables but not macros.
#}
{% macro money(expression) -%}
    {{ return(adapter.dispatch('money', 'portable')(expression)) }}
{%- endmacro %}

{% macro default__money(expression) -%}
    cast({{ expression }} as {{ var('type_money') }})
{%- endmacro %}

{# BigQuery's numeric has nine digits, and its casts take no others. #}
{% macro bigquery__money(expression) -%}
    round(cast({{ expression }} as {{ var('type_money') }}), 2)
{%- endmacro %}

{% macro text(expression) -%}
    {{ return(adapter.dispatch('text', 'portable')(expression)) }}
{%- endmacro %}

{% macro default__text(expression) -%}
    cast({{ expression }} as {{ dbt.type_string() }})
{%- endmacro %}

{# dbt's type for texts is varchar(max) there, which is stored and compared more slowly. #}
{% macro fabric__text(expression) -%}
    cast({{ expression }} as {{ var('type_text') }})
{%- endmacro %}

{% macro whole(expression) -%}
    cast({{ expression }} as {{ dbt.type_bigint() }})
{%- endmacro %}

{#
    numerator / denominator with two digits, halves rounded up; null over nothing. Warehouses divide with different
    precision, some in binary, and so would round a half to either side. Whole numbers are divided without loss.
#}
{% macro ratio(numerator, denominator) -%}
    {{ portable.money(
        "floor((200 * " ~ numerator ~ " + " ~ denominator ~ ") / (2.0 * nullif(" ~ denominator ~ ", 0))) / 100.0"
    ) }}
{%- endmacro %}
