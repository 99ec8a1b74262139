{#- docs/query.md#active_seconds -#}

{{ config(materialized='incremental') }}

{{ rep_ai_incremental(
    replaces={'session_group': 'session_group_id'},
    lists={'day': rep_ai_local_date('started_at')},
) }}

with

sessions as (

    select *
    from {{ ref('fct_rep_ai__sessions') }}
    where {{ rep_ai_is_affected('session_group_id', 'session_group') }}

),

-- open tabs overlap: of each session only what no earlier one covers
intervals as (

    select
        session_group_id,
        started_at,
        ended_at,
        max(ended_at) over (
            partition by session_group_id
            order by started_at, ended_at, {{ rep_ai_by_code_point('session_id') }}
            rows between unbounded preceding and 1 preceding
        ) as covered_until
    from sessions
    where duration_seconds is not null

),

active as (

    select
        session_group_id,
        sum(
            case
                when covered_until is null or covered_until < started_at
                    then {{ rep_ai_milliseconds_between('started_at', 'ended_at') }}
                when covered_until < ended_at
                    then {{ rep_ai_milliseconds_between('covered_until', 'ended_at') }}
                else 0
            end
        ) as active_milliseconds
    from intervals
    group by session_group_id

),

totals as (

    select
        session_group_id,
        case
            when count(case when end_status = 'ongoing' then 1 end) > 0 then 'ongoing'
            when count(case when end_status = 'awaiting_dump' then 1 end) > 0
                then 'awaiting_dump'
            when count(case when end_status = 'ended' then 1 end) > 0 then 'ended'
            else 'never_closed'
        end as end_status,
        max(case when session_number_in_group = 1 then visitor_id end) as visitor_id,
        max(case when session_number_in_group = 1 then referrer end) as referrer,
        count(*) as session_count,
        sum(action_count) as action_count,
        sum(interaction_count) as interaction_count,
        sum(accepted_interaction_count) as accepted_interaction_count,
        {{ dbt.bool_or('crossed_midnight') }} as crossed_midnight,
        min(started_at) as started_at,
        max(ended_at) as last_ended_at
    from sessions
    group by session_group_id

),

dated as (

    select
        *,
        case when end_status = 'ended' then last_ended_at end as ended_at
    from totals

),

final as (

    select
        dated.session_group_id,
        dated.visitor_id,
        dated.referrer,
        dated.started_at,
        dated.ended_at,
        dated.end_status,
        {{ rep_ai_seconds_between('dated.started_at', 'dated.ended_at') }} as elapsed_seconds,
        {{ rep_ai_seconds('coalesce(active.active_milliseconds, 0)') }} as active_seconds,
        dated.session_count,
        dated.crossed_midnight,
        anchors.session_id is not null as anchor_delivered,
        cast(dated.action_count as bigint) as action_count,
        cast(dated.interaction_count as bigint) as interaction_count,
        cast(dated.accepted_interaction_count as bigint) as accepted_interaction_count
    from dated
    left join active on dated.session_group_id = active.session_group_id
    left join sessions as anchors on dated.session_group_id = anchors.session_id

)

select * from final
