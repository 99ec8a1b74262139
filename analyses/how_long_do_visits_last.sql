-- How long do visits last? Time with a page open, and time from first to last with its pauses.
with

visits as (

    select
        case
            when session_count = 1 then '1 session'
            when session_count <= 4 then '2 to 4 sessions'
            else '5 sessions or more'
        end as visits,
        active_seconds,
        elapsed_seconds
    from {{ ref('fct_rep_ai__session_groups') }}
    -- what goes on has no length yet
    where elapsed_seconds is not null

)

select
    visits,
    count(*) as visit_count,
    percentile_cont(0.5) within group (order by active_seconds) as median_active_seconds,
    percentile_cont(0.5) within group (order by elapsed_seconds) as median_elapsed_seconds
from visits
group by visits
order by visits
