-- What happened in the visit just before help was requested, and how long before?
with

events as (

    select
        event_type,
        occurred_at,
        coalesce(
            lag(coalesce(event_type, event_kind)) over (
                partition by session_group_id order by occurred_at, event_id
            ),
            'nothing'
        ) as previous_event,
        lag(occurred_at) over (
            partition by session_group_id order by occurred_at, event_id
        ) as previous_at
    from {{ ref('fct_rep_ai__events') }}
    where session_group_id is not null

)

select
    previous_event,
    count(*) as request_count,
    min(occurred_at - previous_at) as shortest_pause,
    max(occurred_at - previous_at) as longest_pause
from events
where event_type = 'REQUESTED_HELP'
group by previous_event
order by request_count desc, previous_event asc
