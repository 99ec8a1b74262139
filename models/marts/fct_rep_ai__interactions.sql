{{ config(materialized='view') }}

with

known_types as (

    select type from {{ ref('int_rep_ai__known_types') }} where kind = 'interaction'

),

interactions as (

    select * from {{ ref('int_rep_ai__interactions') }}

),

final as (

    select
        interaction_id,
        interaction_type,
        session_id,
        session_group_id,
        visitor_id,
        user_id,
        started_at,
        ended_at,
        end_status,
        duration_seconds,
        crossed_midnight,
        acceptance,
        is_accepted,
        accepted_at,
        seconds_to_accept,
        {{- rep_ai_own_columns_of_mart('interactions', 'interactions') }}
        properties
    from interactions
    where
        interaction_type in (select known_types.type from known_types)
        or {{ rep_ai_include_unknown_types() }}

)

select * from final
