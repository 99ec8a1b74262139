{{ config(materialized='incremental', unique_key=['session_id']) }}

{%- set last_build = rep_ai_last_build() -%}

with

{{ rep_ai_affected_records(
    'stg_rep_ai__sessions',
    'unique_visitor_sessions',
    'session_id',
    last_build,
    may_be_open=true,
) }}

ranked as (

    select
        *,
        {{ rep_ai_holds('session_id') }} as holds
    from records

),

marked as (

    select
        *,
        max(window_number) over (partition by session_id) as last_window_number
    from ranked
    where holds

),

windows as (

    select * from {{ ref('int_rep_ai__windows') }} where replaced_in is null

),

stitched as (

    select
        session_id,
        coalesce({{ rep_ai_first_known('session_group_label', 'window_number') }}, session_id)
            as label,
        {{ rep_ai_last_known('visitor_id', 'window_number') }} as visitor_id,
        {{ rep_ai_first_known('referrer', 'window_number') }} as referrer,
        {{ rep_ai_last_known('user_agent', 'window_number') }} as user_agent,
        count(*) as dump_count,
        min(window_start_at) as first_window_start_at,
        max(case when window_number = last_window_number then window_start_at end)
            as last_window_start_at,
        max(case when window_number = last_window_number then window_end_at end)
            as last_window_end_at,
        count(*) >= 2 or count(ended_at) < count(*) as crossed_midnight,
        min(started_at) as started_at,
        {{ rep_ai_last_known('ended_at', 'window_number') }} as ended_at
    from marked
    group by session_id

),

computed as (

    select
        stitched.session_id,
        stitched.label,
        stitched.visitor_id,
        stitched.referrer,
        stitched.user_agent,
        case
            when stitched.ended_at is not null then 'ended'
            else {{ rep_ai_open_end_status('windows') }}
        end as end_status,
        stitched.dump_count,
        {{ rep_ai_seconds_between('stitched.started_at', 'stitched.ended_at') }}
            as duration_seconds,
        stitched.crossed_midnight,
        stitched.started_at,
        stitched.ended_at,
        stitched.first_window_start_at,
        stitched.last_window_start_at,
        stitched.last_window_end_at
    from stitched
    left join windows
        on
            stitched.last_window_start_at = windows.window_start_at
            and stitched.last_window_end_at = windows.window_end_at

),

{{ rep_ai_versions(
    last_build,
    keys=['session_id'],
    columns=[
        'session_id',
        'label',
        'visitor_id',
        'referrer',
        'user_agent',
        'end_status',
        'dump_count',
        'duration_seconds',
        'crossed_midnight',
        'started_at',
        'ended_at',
        'first_window_start_at',
        'last_window_start_at',
        'last_window_end_at',
    ],
    held_where='last_window_start_at in (select spans.last_window_start_at from spans)',
    fingerprint_of='session_id',
    cluster_by='last_window_start_at',
) }}
