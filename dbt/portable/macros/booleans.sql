{#
    Fabric has no boolean type: its columns are bit, and its literals 0 and 1. These two keep `true` and `false` out of
    the models, so that `where is_deleted = {{ portable.false_literal() }}` means the same everywhere.
#}
{% macro true_literal() -%}
    {{ return(adapter.dispatch('true_literal', 'portable')()) }}
{%- endmacro %}

{% macro default__true_literal() -%}
    true
{%- endmacro %}

{% macro fabric__true_literal() -%}
    cast(1 as bit)
{%- endmacro %}

{% macro false_literal() -%}
    {{ return(adapter.dispatch('false_literal', 'portable')()) }}
{%- endmacro %}

{% macro default__false_literal() -%}
    false
{%- endmacro %}

{% macro fabric__false_literal() -%}
    cast(0 as bit)
{%- endmacro %}
