with

records as (

    select * from {{ ref('stg_rep_ai__interactions') }} where holds

),

windows as (

    select * from {{ ref('int_rep_ai__windows') }}

),

known_types as (

    select type from {{ ref('rep_ai_interaction_types') }}

),

-- the record that acceptance is read from, and the last one
marked as (

    select
        *,
        max(case when accept is not null then window_number end) over (
            partition by interaction_id
        ) as acceptance_window_number,
        max(window_number) over (partition by interaction_id) as last_window_number
    from records

),

stitched as (

    select
        interaction_id,
        {{ rep_ai_last_known('interaction_type', 'window_number') }} as interaction_type,
        {{ rep_ai_last_known('session_id', 'window_number') }} as session_id,
        {{ rep_ai_last_known('user_id', 'window_number') }} as user_id,
        max(case when window_number = last_window_number then properties end) as properties,
        max(window_number) as last_window_number,
        count(*) >= 2 or count(ended_at) < count(*) as crossed_midnight,
        {{ dbt.bool_or('window_number = acceptance_window_number and accept') }} as accept,
        min(started_at) as started_at,
        {{ rep_ai_last_known('ended_at', 'window_number') }} as ended_at,
        max(case when window_number = acceptance_window_number then started_at end)
            as acceptance_started_at,
        max(case when window_number = acceptance_window_number then accept_at end) as accept_at,
        max(acceptance_window_number) as acceptance_window_number
    from marked
    group by interaction_id

),

ended as (

    select
        stitched.*,
        case when stitched.ended_at is not null then 'ended' else windows.open_end_status end
            as end_status
    from stitched
    inner join windows on stitched.last_window_number = windows.window_number

),

judged as (

    select
        *,
        case
            when acceptance_window_number is null then 'unknown'
            when not accept and end_status in ('ongoing', 'awaiting_dump') then 'pending'
            when not accept then 'not_accepted'
            when accept_at = acceptance_started_at then 'automatic'
            else 'accepted'
        end as acceptance
    from ended

),

final as (

    select
        judged.interaction_id,
        judged.interaction_type,
        judged.session_id,
        judged.user_id,
        judged.properties,
        judged.end_status,
        judged.acceptance,
        judged.last_window_number,
        {{ rep_ai_seconds_between('judged.started_at', 'judged.ended_at') }} as duration_seconds,
        case
            when judged.acceptance = 'accepted'
                then
                    {{ rep_ai_seconds_between('judged.acceptance_started_at', 'judged.accept_at') }}
        end as seconds_to_accept,
        known_types.type is not null as is_known_type,
        judged.crossed_midnight,
        judged.acceptance in ('automatic', 'accepted') as is_accepted,
        judged.started_at,
        judged.ended_at,
        judged.acceptance_started_at,
        case when judged.acceptance in ('automatic', 'accepted') then judged.accept_at end
            as accepted_at
    from judged
    left join known_types on judged.interaction_type = known_types.type

)

select * from final
