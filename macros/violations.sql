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


{# What is said of what names an id that no dump holds. #}
{% macro rep_ai_is_not_held(id, table) -%}
    {{ dbt.concat(["'no dump holds " ~ id ~ " '", table ~ '.' ~ id]) }}
{%- endmacro %}


{#
    Which violations a build judges anew, so takes out and puts in, as conditions. What a delivery
    alone decides: where the deliveries of its night have changed. What its place among the others
    decides: where the record or the group itself has. An unknown visitor, whom what is said names:
    where it has come or gone, or a session of it has. An unknown user: always.
#}
{% macro rep_ai_violations_judged_anew() -%}
    {%- set decided_by_delivery = "(rule in ('missing_id', 'key_differs_from_id', 'duplicate_id',"
        ~ " 'rejected_record', 'unreadable_time', 'accept_missing', 'collection_missing',"
        ~ " 'field_missing') or rule = 'outside_window'"
        ~ " and entity = 'unique_visitor_session_actions')" -%}
    {%- set conditions = [
        "rule = 'unknown_user'",
        "rule = 'unknown_visitor' and detail in (select "
        ~ rep_ai_is_not_held('visitor_id', 'visitors')
        ~ ' from (' ~ rep_ai_changed('visitor') ~ ') as visitors)',
        decided_by_delivery ~ ' and dump_start_at in (' ~ rep_ai_changed_starts() ~ ')',
    ] -%}
    {%- for entity in [
        'unique_visitor_sessions',
        'unique_visitor_session_actions',
        'unique_visitor_session_interactions',
        'session_groups',
    ] -%}
        {%- do conditions.append(
            'not ' ~ decided_by_delivery ~ " and rule != 'unknown_visitor' and entity = '" ~ entity
            ~ "' and record_id in (" ~ rep_ai_changed_records(entity) ~ ')'
        ) -%}
    {%- endfor -%}
    {{ return(conditions) }}
{%- endmacro %}


{# The starts of the windows whose deliveries have changed since the last build: a query. #}
{% macro rep_ai_changed_starts(last_build='last_build') -%}
    select window_start_at
    from {{ ref('int_rep_ai__deliveries') }}
    where {{ rep_ai_changed_since(last_build) }}
{%- endmacro %}


{# The records of one kind that have changed since the last build: a query of their ids. #}
{% macro rep_ai_changed_records(entity, last_build='last_build') -%}
    select record_id
    from {{ ref('int_rep_ai__changed_records') }}
    where entity = '{{ entity }}' and build_number > {{ last_build }}
{%- endmacro %}


{# Whether a row is of such a window, or of such a record; every row is in a rebuild. #}
{% macro rep_ai_is_of_changed_start(last_build) -%}
    {%- if last_build -%}
        window_start_at in ({{ rep_ai_changed_starts(last_build) }})
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{# Some more records may be: `rep_ai_violations_judged_anew` tells. #}
{% macro rep_ai_may_be_changed_record(entity, last_build) -%}
    {%- if last_build -%}
        {{ rep_ai_may_be_one_of(rep_ai_changed_records(entity, last_build), 'record_id') }}
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{% macro rep_ai_is_changed_record(id, entity, last_build) -%}
    {%- if last_build -%}
        {{ id }} in ({{ rep_ai_changed_records(entity, last_build) }})
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
