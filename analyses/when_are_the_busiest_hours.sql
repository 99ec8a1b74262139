-- When do visits begin, by the hour of the day in the project's time zone?
with

visits as (

    select
        (started_at at time zone 'UTC') at time zone '{{ var("rep_ai_timezone") }}'
            as local_started_at,
        interaction_count
    from {{ ref('fct_rep_ai__session_groups') }}
    where started_at is not null

),

hours as (

    select
        cast(extract(hour from local_started_at) as integer) as hour_of_day,
        interaction_count
    from visits

)

select
    hour_of_day,
    count(*) as visit_count,
    count(case when interaction_count > 0 then 1 end) as visits_with_a_contact
from hours
group by hour_of_day
order by visit_count desc, hour_of_day asc
