{{ config(materialized='incremental', incremental_strategy='append') }}

{%- set last_build = rep_ai_last_build() -%}

{%- set tables = {
    'int_rep_ai__sessions_stitched': none,
    'int_rep_ai__sessions_grouped': none,
    'int_rep_ai__actions_deduplicated': 'action_id',
    'int_rep_ai__interactions_stitched': 'interaction_id',
} -%}

with

changes as (
    {% for table, record_id in tables.items() %}
    select
        session_id,
        {%- if record_id %}
        case when session_id is null then {{ record_id }} end as record_id
        {%- else %}
        cast(null as {{ dbt.type_string() }}) as record_id
        {%- endif %}
    from {{ ref(table) }}
    where {{ rep_ai_changed_since(last_build) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

{{ rep_ai_changes(last_build, ['session_id', 'record_id']) }}
