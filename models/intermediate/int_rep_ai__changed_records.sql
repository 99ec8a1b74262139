{{ config(materialized='incremental', incremental_strategy='append') }}

{%- set last_build = rep_ai_last_build() -%}

{%- set merged = {
    'unique_visitor_sessions': ['int_rep_ai__sessions_stitched', 'session_id'],
    'unique_visitor_session_actions': ['int_rep_ai__actions_deduplicated', 'action_id'],
    'unique_visitor_session_interactions': [
        'int_rep_ai__interactions_stitched', 'interaction_id'
    ],
} -%}

with

changes as (
    {% for entity, (table, id) in merged.items() %}
    select
        '{{ entity }}' as entity,
        {{ id }} as record_id
    from {{ ref(table) }}
    where {{ rep_ai_changed_since(last_build) }}

    union all
    {% if entity != 'unique_visitor_session_actions' %}
    -- merged as before, but from other records
    select
        '{{ entity }}' as entity,
        delivered.record_id
    from ({{ rep_ai_delivered_ids(entity, 'record_id', last_build) }}) as delivered

    union all
    {% endif %}
    {%- if entity != 'unique_visitor_sessions' %}
    -- a session that it names may have come or gone
    select
        '{{ entity }}' as entity,
        {{ id }} as record_id
    from {{ ref(table) }}
    where
        replaced_in is null
        and {{ rep_ai_is_changed('session', last_build, 'last_window_start_at') }}

    union all
    {% endif %}
    {%- endfor %}
    select
        'session_groups' as entity,
        groups.session_group_id as record_id
    from ({{ rep_ai_changed('session_group', last_build) }}) as groups

),

{{ rep_ai_changes(last_build, ['entity', 'record_id']) }}
