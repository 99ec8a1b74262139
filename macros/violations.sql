{# What `detail` of a violation is made of. #}

{# Any value as text. #}
{% macro rep_ai_text(expression) -%}
    cast({{ expression }} as {{ dbt.type_string() }})
{%- endmacro %}


{# What is said of a delivery, and which one. #}
{% macro rep_ai_in_delivery(parts) -%}
    {{ dbt.concat(parts + ["'; delivery '", 'substring(delivery_id, 1, 12)']) }}
{%- endmacro %}


{# What is said of a record, and where it lies in the raw tables. #}
{% macro rep_ai_at_record(parts) -%}
    {{ dbt.concat([
        rep_ai_in_delivery(parts), "', position '", rep_ai_text('record_position')
    ]) }}
{%- endmacro %}
