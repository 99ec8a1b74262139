{#
    Schemas are named as configured: `rep_ai_staging`, never `rep_ai_rep_ai_staging`. A target with
    a schema of its own, as for CI, has its own set: `ci_rep_ai_staging`. dbt asks this macro for
    our models alone; a project that imports them and names schemas itself has the last word.
#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set importing = context.get(project_name, {}) if project_name != 'rep_ai' else {} -%}
    {%- set configured = (custom_schema_name or target.schema) | trim -%}
    {%- set is_own = target.schema not in ('rep_ai', configured) -%}
    {%- if 'generate_schema_name' in importing -%}
        {{ importing.generate_schema_name(custom_schema_name, node) }}
    {%- else -%}
        {{ target.schema ~ '_' ~ configured if is_own else configured }}
    {%- endif -%}
{%- endmacro %}
