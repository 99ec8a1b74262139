{# Windows of the last two weeks with less than a fifth of the usual actions. #}

{{ config(severity=var('rep_ai_violation_severity'), tags=['health']) }}

with

calendar as (

    select * from {{ ref('rep_ai__dump_calendar') }}

),

newest as (

    select max(window_end_at) as window_end_at from calendar

),

final as (

    select calendar.*
    from calendar
    inner join newest
        on calendar.window_start_at >= {{ rep_ai_later('newest.window_end_at', -14, 'day') }}
    where calendar.has_few_actions

)

select * from final
