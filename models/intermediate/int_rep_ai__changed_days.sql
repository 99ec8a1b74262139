{{ config(materialized='incremental', incremental_strategy='append') }}

{%- set last_build = rep_ai_last_build() -%}

with

groups as (

    {{ rep_ai_changed('session_group', last_build) }}

),

-- a group starts with its earliest session, now and before
earliest_sessions as (

    select
        session_id,
        last_window_start_at
    from {{ ref('int_rep_ai__sessions_grouped') }}
    where
        session_number_in_group = 1
        and session_group_id in (select groups.session_group_id from groups)

),

times as (
    {% for table, time in [
        ('int_rep_ai__sessions_stitched', 'started_at'),
        ('int_rep_ai__actions_deduplicated', 'occurred_at'),
        ('int_rep_ai__interactions_stitched', 'started_at'),
    ] %}
    select {{ time }} as changed_at
    from {{ ref(table) }}
    where {{ rep_ai_changed_since(last_build) }}

    union all
    {% endfor %}
    select started_at as changed_at
    from {{ ref('int_rep_ai__sessions_stitched') }}
    where {{ rep_ai_is_one_of('earliest_sessions') }}

),

changes as (

    select {{ rep_ai_local_date('changed_at') }} as activity_date from times

),

{{ rep_ai_changes(last_build, ['activity_date']) }}
