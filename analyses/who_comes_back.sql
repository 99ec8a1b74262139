-- How many visitors come back, and how many visits are theirs?
with

visitors as (

    select
        visitor_id,
        count(*) as visit_count,
        case
            when count(*) = 1 then '1 visit'
            when count(*) <= 4 then '2 to 4 visits'
            else '5 visits or more'
        end as visits
    from {{ ref('fct_rep_ai__session_groups') }}
    where visitor_id is not null
    group by visitor_id

)

select
    visits,
    count(*) as visitor_count,
    sum(visit_count) as visit_count
from visitors
group by visits
order by visits
