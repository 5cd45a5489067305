{# A part of a date as a whole number: year, quarter or month. T-SQL has no extract. #}
{% macro date_part(part, expression) -%}
    {{ return(adapter.dispatch('date_part', 'portable')(part, expression)) }}
{%- endmacro %}

{% macro default__date_part(part, expression) -%}
    cast(extract({{ part }} from {{ expression }}) as {{ dbt.type_bigint() }})
{%- endmacro %}

{% macro fabric__date_part(part, expression) -%}
    cast(datepart({{ part }}, {{ expression }}) as {{ dbt.type_bigint() }})
{%- endmacro %}

{# The first day of the month of a date. #}
{% macro month_of(expression) -%}
    cast({{ dbt.date_trunc('month', expression) }} as date)
{%- endmacro %}

{# A date some days before another, as a date. #}
{% macro days_before(days, expression) -%}
    cast({{ dbt.dateadd('day', -days, expression) }} as date)
{%- endmacro %}
