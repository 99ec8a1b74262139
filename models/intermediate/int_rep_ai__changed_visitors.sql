{{ config(materialized='incremental', incremental_strategy='append') }}

{%- set last_build = rep_ai_last_build() -%}

with

changes as (

    {{ rep_ai_delivered_ids('unique_visitors', 'visitor_id', last_build) }}

    union all

    -- whose session it is, and whose it was
    select visitor_id
    from {{ ref('int_rep_ai__sessions_stitched') }}
    where {{ rep_ai_is_changed('session', last_build, 'last_window_start_at') }}

),

{{ rep_ai_changes(last_build, ['visitor_id']) }}
