{{ config(materialized='incremental', incremental_strategy='append') }}

{%- set last_build = rep_ai_last_build() -%}

with

changes as (

    select session_group_id
    from {{ ref('int_rep_ai__sessions_grouped') }}
    where {{ rep_ai_changed_since(last_build) }}

    union all

    select session_group_id
    from {{ ref('int_rep_ai__sessions_grouped') }}
    where
        replaced_in is null
        and {{ rep_ai_is_changed('session', last_build, 'last_window_start_at') }}

),

{{ rep_ai_changes(last_build, ['session_group_id']) }}
