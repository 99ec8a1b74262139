-- Which nights are missing?
with

gaps as (

    select
        window_start_at,
        window_end_at,
        {{ rep_ai_milliseconds_between('window_start_at', 'window_end_at') }} as milliseconds
    from {{ ref('rep_ai__dump_calendar') }}
    where status = 'missing'

)

select
    window_start_at,
    window_end_at,
    -- where the clocks change a night has 23 or 25 hours
    greatest(1, cast(round(milliseconds / 86400000.0) as {{ dbt.type_bigint() }})) as night_count
from gaps
order by window_start_at
