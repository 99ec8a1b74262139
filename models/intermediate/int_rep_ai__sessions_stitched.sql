{{ config(materialized='incremental', unique_key=['session_id', 'changed_in']) }}

{%- set last_build = rep_ai_last_build() -%}

with

{% if last_build -%}
affected as (

    {{ rep_ai_delivered_ids('unique_visitor_sessions', 'session_id', last_build) }}

    union distinct

    {{ rep_ai_open_ids('session_id', last_build) }}

),

{% endif -%}
records as (

    select *
    from {{ ref('stg_rep_ai__sessions') }}
    where
        session_id is not null
        {%- if last_build %}
        and session_id in (select affected.session_id from affected)
        {%- endif %}

),

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
        case when stitched.ended_at is not null then 'ended' else windows.open_end_status end
            as end_status,
        stitched.dump_count,
        {{ rep_ai_seconds_between('stitched.started_at', 'stitched.ended_at') }}
            as duration_seconds,
        stitched.crossed_midnight,
        stitched.started_at,
        stitched.ended_at,
        stitched.last_window_start_at,
        stitched.last_window_end_at
    from stitched
    inner join windows
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
        'last_window_start_at',
        'last_window_end_at',
    ],
) }}
