-- How fast does each agent accept? Only what somebody had to accept has a time.
select
    interactions.user_id,
    users.display_name as agent,
    count(*) as accepted_count,
    percentile_cont(0.5) within group (order by interactions.seconds_to_accept) as median_seconds,
    percentile_cont(0.9) within group (order by interactions.seconds_to_accept) as p90_seconds
from {{ ref('fct_rep_ai__interactions') }} as interactions
left join {{ ref('dim_rep_ai__users') }} as users on interactions.user_id = users.user_id
where interactions.seconds_to_accept is not null
group by interactions.user_id, users.display_name
order by median_seconds, interactions.user_id
