with

actions as (

    select *
    from {{ ref('int_rep_ai__actions_deduplicated') }}
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
        actions.action_id,
        actions.action_type,
        actions.session_id,
        groups.session_group_id,
        sessions.visitor_id,
        actions.occurred_at,
        actions.properties
    from actions
    left join sessions on actions.session_id = sessions.session_id
    left join groups on actions.session_id = groups.session_id

)

select * from final
