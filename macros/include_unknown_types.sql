{# Whether facts keep types that no seed lists, as a condition of SQL. #}
{% macro rep_ai_include_unknown_types() -%}
    {{ 'true' if var('rep_ai_include_unknown_types') | string | lower == 'true' else 'false' }}
{%- endmacro %}
