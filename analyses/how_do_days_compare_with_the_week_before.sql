-- How does each day compare with the same day of the week before?
select
    days.activity_date,
    days.session_group_count as visit_count,
    week_before.session_group_count as week_before_visit_count,
    round(
        100.0 * (days.session_group_count - week_before.session_group_count)
        / nullif(week_before.session_group_count, 0),
        1
    ) as change_percent
from {{ ref('rep_ai__daily_activity') }} as days
left join {{ ref('rep_ai__daily_activity') }} as week_before
    on days.activity_date - 7 = week_before.activity_date
order by days.activity_date
