{#
    Runs before every build. A fresh clone has no raw tables, and the warehouse's own message ("table does not exist",
    once per staging model) does not say what to do about it. Only the sources that the selected nodes read count.
    `package` is whose sources, `advice` the lines that say how to load them.
#}
{% macro check_raw_tables(package, advice) %}
    {%- if execute -%}
        {%- set parents = [] -%}
        {%- for node in graph.nodes.values() if node.unique_id in selected_resources -%}
            {%- do parents.extend(node.depends_on.nodes) -%}
        {%- endfor -%}

        {%- set missing = [] -%}
        {%- for source in graph.sources.values() if source.package_name == package and source.unique_id in parents -%}
            {%- if not adapter.get_relation(source.database, source.schema, source.identifier) -%}
                {%- do missing.append(source.schema ~ '.' ~ source.identifier) -%}
            {%- endif -%}
        {%- endfor -%}

        {%- if missing -%}
            {%- do exceptions.raise_compiler_error(
                'The warehouse ' ~ (target.path or target.database or target.name) ~ ' has no ' ~ missing | sort | join(', ')
                ~ '.\n  The models read these raw tables, and ingestion writes them. From the root of the repository, '
                ~ advice | join('\n  ')
            ) -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}
