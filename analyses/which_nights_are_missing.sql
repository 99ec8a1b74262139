-- Which nights are missing?
select
    window_start_at,
    window_end_at,
    cast(window_end_at as date) - cast(window_start_at as date) as night_count
from {{ ref('rep_ai__dump_calendar') }}
where status = 'missing'
order by window_start_at
