-- How many sessions spanned midnight, and how did they end?
select
    coalesce(sessions.end_status, 'all') as end_status,
    count(*) as session_count,
    count(case when sessions.crossed_midnight then 1 end) as crossed_midnight_count,
    round(
        100.0 * count(case when sessions.crossed_midnight then 1 end) / nullif(count(*), 0), 1
    ) as crossed_midnight_percent
from {{ ref('fct_rep_ai__sessions') }} as sessions
group by rollup(sessions.end_status)
order by grouping(sessions.end_status) desc, session_count desc, end_status asc
