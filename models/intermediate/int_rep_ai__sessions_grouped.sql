with recursive

sessions as (

    select
        session_id,
        label,
        started_at
    from {{ ref('int_rep_ai__sessions_stitched') }}

),

-- where a session's label leads: to a session that may lead on, or to the end of the way
steps as (

    select
        sessions.session_id,
        sessions.label,
        sessions.started_at,
        labelled.label is null or labelled.label = labelled.session_id as is_last_step
    from sessions
    left join sessions as labelled on sessions.label = labelled.session_id

),

-- sessions that both lead on and are led to: every cycle is made of such
links as (

    select
        steps.session_id,
        steps.label,
        steps.started_at,
        count(*) over () as link_count
    from steps
    where
        not steps.is_last_step
        and steps.session_id in (select led.label from steps as led where not led.is_last_step)

),

-- from each link onwards as long as ids are greater: only the least id of a cycle comes round
walks as (

    select
        links.session_id as first_id,
        links.label as reached_id,
        1 as step_count
    from links

    union all

    select
        walks.first_id,
        links.label as reached_id,
        walks.step_count + 1 as step_count
    from walks
    inner join links on walks.reached_id = links.session_id
    where
        {{ rep_ai_by_code_point('walks.reached_id') }}
        > {{ rep_ai_by_code_point('walks.first_id') }}
        and walks.step_count <= links.link_count

),

-- once round from there: the sessions of the cycle
cycles as (

    select
        walks.first_id as cycle_id,
        walks.first_id as session_id
    from walks
    where walks.reached_id = walks.first_id

    union all

    select
        cycles.cycle_id,
        links.label as session_id
    from cycles
    inner join links on cycles.session_id = links.session_id
    where links.label != cycles.cycle_id

),

cycle_members as (

    select
        cycles.session_id,
        first_value(cycles.session_id) over (
            partition by cycles.cycle_id
            order by
                case when links.started_at is null then 1 else 0 end,
                links.started_at,
                {{ rep_ai_by_code_point('cycles.session_id') }}
        ) as session_group_id
    from cycles
    inner join links on cycles.session_id = links.session_id

),

-- backwards from where ways end, so that each session is met once
resolved as (

    select
        steps.session_id,
        steps.label as session_group_id
    from steps
    where steps.is_last_step

    union all

    select
        cycle_members.session_id,
        cycle_members.session_group_id
    from cycle_members

    union all

    select
        steps.session_id,
        resolved.session_group_id
    from resolved
    inner join steps on resolved.session_id = steps.label
    where
        not steps.is_last_step
        and steps.session_id not in (select cycle_members.session_id from cycle_members)

),

final as (

    select
        resolved.session_id,
        resolved.session_group_id,
        row_number() over (
            partition by resolved.session_group_id
            order by
                case when sessions.started_at is null then 1 else 0 end,
                sessions.started_at,
                {{ rep_ai_by_code_point('resolved.session_id') }}
        ) as session_number_in_group
    from resolved
    inner join sessions on resolved.session_id = sessions.session_id

)

select * from final
