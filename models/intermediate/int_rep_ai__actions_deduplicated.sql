{{ config(materialized='incremental', unique_key=['action_id']) }}

{%- set last_build = rep_ai_last_build() -%}

with

{{ rep_ai_affected_records(
    'stg_rep_ai__actions',
    'unique_visitor_session_actions',
    'action_id',
    last_build,
    may_be_open=false,
) }}

-- few ids come twice: all other records pass as they are, in the order of their dumps
repeated as (

    select
        action_id,
        count(*) as record_count,
        min(window_start_at) as first_window_start_at
    from records
    group by action_id
    having count(*) > 1

),

-- the record of the last window, and in that the one that holds
ranked as (

    select
        records.*,
        repeated.record_count,
        repeated.first_window_start_at,
        row_number() over (
            partition by records.action_id
            order by records.window_number desc, records.record_position desc
        ) as recency
    from records
    inner join repeated on records.action_id = repeated.action_id

),

computed as (

    select
        records.action_id,
        records.action_type,
        records.session_id,
        records.properties,
        1 as record_count,
        records.occurred_at,
        records.window_start_at as first_window_start_at,
        records.window_start_at as last_window_start_at,
        records.window_end_at as last_window_end_at
    from records
    left join repeated on records.action_id = repeated.action_id
    where repeated.action_id is null

    union all

    select
        action_id,
        action_type,
        session_id,
        properties,
        record_count,
        occurred_at,
        first_window_start_at,
        window_start_at as last_window_start_at,
        window_end_at as last_window_end_at
    from ranked
    where recency = 1

),

{{ rep_ai_versions(
    last_build,
    keys=['action_id'],
    columns=[
        'action_id',
        'action_type',
        'session_id',
        'properties',
        'record_count',
        'occurred_at',
        'first_window_start_at',
        'last_window_start_at',
        'last_window_end_at',
    ],
    held_where='last_window_start_at in (select spans.last_window_start_at from spans)',
    fingerprint_of='action_id',
) }}
