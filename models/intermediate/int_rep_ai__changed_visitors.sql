{{ config(materialized='incremental', incremental_strategy='append') }}

{%- set last_build = rep_ai_last_build() -%}

with

sessions as (

    {{ rep_ai_changed('session', last_build) }}

),

changes as (

    {{ rep_ai_delivered_ids('unique_visitors', 'visitor_id', last_build) }}

    union all

    -- whose session it is, and whose it was
    select visitor_id
    from {{ ref('int_rep_ai__sessions_stitched') }}
    where session_id in (select sessions.session_id from sessions)

),

{{ rep_ai_changes(last_build, ['visitor_id']) }}
