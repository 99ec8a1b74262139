{{ config(materialized='incremental', pre_hook="{{ rep_ai_take_out_sessions('started_at') }}") }}

{%- set last_build = rep_ai_last_build() -%}

with

sessions as (

    select *
    from {{ ref('int_rep_ai__sessions_stitched') }}
    where
        replaced_in is null
        and {{ rep_ai_is_changed('session', last_build, 'last_window_start_at') }}

),

groups as (

    select *
    from {{ ref('int_rep_ai__sessions_grouped') }}
    where
        replaced_in is null
        and {{ rep_ai_is_changed('session', last_build, 'last_window_start_at') }}

),

action_counts as (

    select
        session_id,
        count(*) as action_count
    from {{ ref('fct_rep_ai__actions') }}
    where {{ rep_ai_is_changed('session', last_build, 'occurred_at') }}
    group by session_id

),

interaction_counts as (

    select
        session_id,
        count(*) as interaction_count,
        count(case when is_accepted then 1 end) as accepted_interaction_count
    from {{ ref('fct_rep_ai__interactions') }}
    where {{ rep_ai_is_changed('session', last_build, 'started_at') }}
    group by session_id

),

final as (

    select
        sessions.session_id,
        groups.session_group_id,
        sessions.visitor_id,
        sessions.referrer,
        sessions.user_agent,
        sessions.started_at,
        sessions.ended_at,
        sessions.end_status,
        sessions.duration_seconds,
        sessions.crossed_midnight,
        sessions.dump_count,
        groups.session_number_in_group,
        coalesce(action_counts.action_count, 0) as action_count,
        coalesce(interaction_counts.interaction_count, 0) as interaction_count,
        coalesce(interaction_counts.accepted_interaction_count, 0) as accepted_interaction_count
    from sessions
    inner join groups on sessions.session_id = groups.session_id
    left join action_counts on sessions.session_id = action_counts.session_id
    left join interaction_counts on sessions.session_id = interaction_counts.session_id

)

select * from final
