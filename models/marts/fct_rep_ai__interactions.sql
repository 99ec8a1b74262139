with

interactions as (

    select *
    from {{ ref('int_rep_ai__interactions_stitched') }}
    where is_known_type or {{ rep_ai_include_unknown_types() }}

),

sessions as (

    select * from {{ ref('int_rep_ai__sessions_stitched') }}

),

groups as (

    select * from {{ ref('int_rep_ai__sessions_grouped') }}

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

)

select * from final
