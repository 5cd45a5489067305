{#
    A hook for incremental models: takes out the rows whose key is not in `relation` any more. A merge adds and changes
    rows, it never learns of one that was deleted at its source. Nothing to do when the model is built anew.
#}
{% macro delete_vanished(key, relation) -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where {{ key }} not in (select {{ key }} from {{ relation }} where {{ key }} is not null)
    {%- endif -%}
{%- endmacro %}
