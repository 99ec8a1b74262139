{{ config(materialized='incremental', unique_key=['interaction_id']) }}

{%- set last_build = rep_ai_last_build() -%}

with

{{ rep_ai_affected_records(
    'stg_rep_ai__interactions',
    'unique_visitor_session_interactions',
    'interaction_id',
    last_build,
    may_be_open=true,
) }}

ranked as (

    select
        *,
        {{ rep_ai_holds('interaction_id') }} as holds
    from records

),

windows as (

    select * from {{ ref('int_rep_ai__windows') }} where replaced_in is null

),

-- the record that acceptance is read from, and the last one
marked as (

    select
        *,
        max(case when accept is not null then window_number end) over (
            partition by interaction_id
        ) as acceptance_window_number,
        max(window_number) over (partition by interaction_id) as last_window_number
    from ranked
    where holds

),

stitched as (

    select
        interaction_id,
        {{ rep_ai_last_known('interaction_type', 'window_number') }} as interaction_type,
        {{ rep_ai_last_known('session_id', 'window_number') }} as session_id,
        {{ rep_ai_last_known('user_id', 'window_number') }} as user_id,
        max(case when window_number = last_window_number then properties end) as properties,
        min(window_start_at) as first_window_start_at,
        max(case when window_number = last_window_number then window_start_at end)
            as last_window_start_at,
        max(case when window_number = last_window_number then window_end_at end)
            as last_window_end_at,
        count(*) >= 2 or count(ended_at) < count(*) as crossed_midnight,
        {{ dbt.bool_or('window_number = acceptance_window_number and accept') }} as accept,
        min(started_at) as started_at,
        {{ rep_ai_last_known('ended_at', 'window_number') }} as ended_at,
        max(case when window_number = acceptance_window_number then started_at end)
            as acceptance_started_at,
        max(case when window_number = acceptance_window_number then accept_at end) as accept_at,
        max(acceptance_window_number) as acceptance_window_number
    from marked
    group by interaction_id

),

ended as (

    select
        stitched.*,
        case
            when stitched.ended_at is not null then 'ended'
            else {{ rep_ai_open_end_status('windows') }}
        end as end_status
    from stitched
    left join windows
        on
            stitched.last_window_start_at = windows.window_start_at
            and stitched.last_window_end_at = windows.window_end_at

),

judged as (

    select
        *,
        case
            when acceptance_window_number is null then 'unknown'
            when not accept and end_status in ('ongoing', 'awaiting_dump') then 'pending'
            when not accept then 'not_accepted'
            when accept_at = acceptance_started_at then 'automatic'
            else 'accepted'
        end as acceptance
    from ended

),

computed as (

    select
        interaction_id,
        interaction_type,
        session_id,
        user_id,
        properties,
        end_status,
        acceptance,
        {{ rep_ai_seconds_between('started_at', 'ended_at') }} as duration_seconds,
        case
            when acceptance = 'accepted'
                then {{ rep_ai_seconds_between('acceptance_started_at', 'accept_at') }}
        end as seconds_to_accept,
        crossed_midnight,
        acceptance in ('automatic', 'accepted') as is_accepted,
        started_at,
        ended_at,
        acceptance_started_at,
        case when acceptance in ('automatic', 'accepted') then accept_at end as accepted_at,
        first_window_start_at,
        last_window_start_at,
        last_window_end_at
    from judged

),

{{ rep_ai_versions(
    last_build,
    keys=['interaction_id'],
    columns=[
        'interaction_id',
        'interaction_type',
        'session_id',
        'user_id',
        'properties',
        'end_status',
        'acceptance',
        'duration_seconds',
        'seconds_to_accept',
        'crossed_midnight',
        'is_accepted',
        'started_at',
        'ended_at',
        'acceptance_started_at',
        'accepted_at',
        'first_window_start_at',
        'last_window_start_at',
        'last_window_end_at',
    ],
    held_where='last_window_start_at in (select spans.last_window_start_at from spans)',
    fingerprint_of='interaction_id',
    cluster_by='last_window_start_at',
) }}
