with

sessions as (

    select * from {{ ref('int_rep_ai__changed_sessions') }} where session_id is not null

),

memberships as (

    select * from {{ ref('int_rep_ai__sessions_grouped') }}

),

changes as (

    select
        session_group_id,
        changed_in as build_number
    from memberships

    union all

    select
        session_group_id,
        replaced_in as build_number
    from memberships
    where replaced_in is not null

    union all

    select
        memberships.session_group_id,
        sessions.build_number
    from sessions
    inner join memberships on sessions.session_id = memberships.session_id
    where memberships.replaced_in is null

),

final as (

    select
        session_group_id,
        build_number
    from changes

)

select * from final
