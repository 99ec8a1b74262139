{{ config(
    materialized='incremental',
    pre_hook="{{ rep_ai_take_out_sessions('started_at', 'interaction_id') }}",
) }}

{%- set last_build = rep_ai_last_build() -%}

with

known_types as (

    select type from {{ ref('rep_ai_interaction_types') }}

),

interactions as (

    {{ rep_ai_rows_of_changed_sessions(
        'int_rep_ai__interactions_stitched', last_build, 'interaction_id'
    ) }}

),

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

final as (

    select
        interactions.interaction_id,
        interactions.interaction_type,
        interactions.session_id,
        groups.session_group_id,
        sessions.visitor_id,
        interactions.user_id,
        interactions.started_at,
        interactions.ended_at,
        interactions.end_status,
        interactions.duration_seconds,
        interactions.crossed_midnight,
        interactions.acceptance,
        interactions.is_accepted,
        interactions.accepted_at,
        interactions.seconds_to_accept,
        interactions.properties
    from interactions
    left join sessions on interactions.session_id = sessions.session_id
    left join groups on interactions.session_id = groups.session_id
    left join known_types on interactions.interaction_type = known_types.type
    where known_types.type is not null or {{ rep_ai_include_unknown_types() }}

)

select * from final
