{#
    A column with a time zone, as a plain timestamp in UTC. Casting alone would depend on the session's time zone,
    and an order would move to another day when a colleague in another country builds the marts.
#}
{% macro utc_timestamp(column) -%}
    {{ return(adapter.dispatch('utc_timestamp', 'portable')(column)) }}
{%- endmacro %}

{% macro default__utc_timestamp(column) -%}
    cast({{ column }} as {{ dbt.type_timestamp() }})
{%- endmacro %}

{% macro duckdb__utc_timestamp(column) -%}
    (cast({{ column }} as timestamp with time zone) at time zone 'UTC')
{%- endmacro %}

{% macro postgres__utc_timestamp(column) -%}
    (cast({{ column }} as timestamp with time zone) at time zone 'UTC')
{%- endmacro %}

{% macro snowflake__utc_timestamp(column) -%}
    cast(convert_timezone('UTC', cast({{ column }} as timestamp_tz)) as timestamp_ntz)
{%- endmacro %}

{% macro fabric__utc_timestamp(column) -%}
    cast(cast({{ column }} as datetimeoffset(6)) at time zone 'UTC' as datetime2(6))
{%- endmacro %}
