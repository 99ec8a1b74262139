-- What happened in this visit, in order?
with

-- name the id of any session group instead; this is the one with the most contacts
visit as (

    select session_group_id
    from {{ ref('fct_rep_ai__session_groups') }}
    order by interaction_count desc, session_group_id asc
    limit 1

)

select
    events.occurred_at,
    events.event_kind,
    events.event_type,
    events.session_id,
    events.user_id
from {{ ref('fct_rep_ai__events') }} as events
inner join visit on events.session_group_id = visit.session_group_id
order by
    events.occurred_at,
    -- of what happens at one moment
    case events.event_kind when 'session_started' then 1 when 'session_ended' then 3 else 2 end,
    events.event_id
