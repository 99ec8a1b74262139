-- How many sessions spanned midnight, and how did they end?
select
    end_status,
    count(*) as session_count,
    count(case when crossed_midnight then 1 end) as crossed_midnight_count,
    round(100.0 * count(case when crossed_midnight then 1 end) / count(*), 1)
        as crossed_midnight_percent
from {{ ref('fct_rep_ai__sessions') }}
group by end_status
order by session_count desc, end_status asc
