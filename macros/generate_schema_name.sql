{# Schemas are named as configured: `rep_ai_staging`, never `rep_ai_rep_ai_staging`. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
