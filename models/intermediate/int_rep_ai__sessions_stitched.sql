with

records as (

    select * from {{ ref('stg_rep_ai__sessions') }} where holds

),

windows as (

    select * from {{ ref('int_rep_ai__windows') }}

),

stitched as (

    select
        session_id,
        coalesce({{ rep_ai_first_known('session_group_label', 'window_number') }}, session_id)
            as label,
        {{ rep_ai_last_known('visitor_id', 'window_number') }} as visitor_id,
        {{ rep_ai_first_known('referrer', 'window_number') }} as referrer,
        {{ rep_ai_last_known('user_agent', 'window_number') }} as user_agent,
        count(*) as dump_count,
        max(window_number) as last_window_number,
        count(*) >= 2 or count(ended_at) < count(*) as crossed_midnight,
        min(started_at) as started_at,
        {{ rep_ai_last_known('ended_at', 'window_number') }} as ended_at
    from records
    group by session_id

),

final as (

    select
        stitched.session_id,
        stitched.label,
        stitched.visitor_id,
        stitched.referrer,
        stitched.user_agent,
        case when stitched.ended_at is not null then 'ended' else windows.open_end_status end
            as end_status,
        stitched.dump_count,
        stitched.last_window_number,
        {{ rep_ai_seconds_between('stitched.started_at', 'stitched.ended_at') }}
            as duration_seconds,
        stitched.crossed_midnight,
        stitched.started_at,
        stitched.ended_at
    from stitched
    inner join windows on stitched.last_window_number = windows.window_number

)

select * from final
