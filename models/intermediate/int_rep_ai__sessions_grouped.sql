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

-- sessions that both lead on and are led to: every cycle is made of such. Their numbers follow no
-- order that the ids may have
links as (

    select
        session_id,
        label,
        started_at,
        row_number() over (
            order by {{ dbt.hash('session_id') }}, {{ rep_ai_by_code_point('session_id') }}
        ) as link_number
    from steps
    where
        not is_last_step
        and session_id in (select led.label from steps as led where not led.is_last_step)

),

hops as (

    select
        links.link_number,
        led.link_number as next_number
    from links
    inner join links as led on links.label = led.session_id

),

-- from each link onwards as long as numbers are greater: only the least one of a cycle comes round.
-- The others are soon over; one that a cycle has caught ends at its mark, which it moves to where it
-- is after 2, 4, 8, ... steps
walks as (

    select
        link_number as first_number,
        next_number as reached_number,
        link_number as mark_number,
        1 as mark_step,
        1 as step
    from hops

    union all

    select
        walks.first_number,
        hops.next_number as reached_number,
        case when walks.step = walks.mark_step * 2 then walks.reached_number else walks.mark_number end
            as mark_number,
        case when walks.step = walks.mark_step * 2 then walks.step else walks.mark_step end
            as mark_step,
        walks.step + 1 as step
    from walks
    inner join hops on walks.reached_number = hops.link_number
    where
        walks.reached_number > walks.first_number
        and walks.reached_number != walks.mark_number

),

cycles as (

    select first_number as cycle_number
    from walks
    where reached_number = first_number

),

cycle_members as (

    select
        links.session_id,
        first_value(links.session_id) over (
            partition by cycles.cycle_number
            order by
                case when links.started_at is null then 1 else 0 end,
                links.started_at,
                {{ rep_ai_by_code_point('links.session_id') }}
        ) as session_group_id
    from cycles
    inner join walks on cycles.cycle_number = walks.first_number
    inner join links on walks.reached_number = links.link_number

),

-- where ways end
settled as (

    select
        session_id,
        label as session_group_id
    from steps
    where is_last_step

    union all

    select
        session_id,
        session_group_id
    from cycle_members

),

-- and backwards from there, so that each session is met once
resolved as (

    select
        session_id,
        session_group_id
    from settled

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
