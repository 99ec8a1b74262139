{#
    Schemas are named as configured: `rep_ai_staging`, never `rep_ai_rep_ai_staging`. A target with
    a schema of its own, as for CI, has its own set: `ci_rep_ai_staging`.
#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set configured = (custom_schema_name or target.schema) | trim -%}
    {%- set is_own = target.schema not in ('rep_ai', configured) -%}
    {{ target.schema ~ '_' ~ configured if is_own else configured }}
{%- endmacro %}
