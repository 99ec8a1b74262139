{#- docs/query.md#sessions-across-midnight, docs/query.md#crossed_midnight -#}

{{ config(materialized='incremental') }}

{%- call rep_ai_incremental(
    replaces={'session': 'session_id'},
    lists={'visitor': 'visitor_id'},
) %}
    -- sessions of deliveries that came or went
    select
        'session' as kind,
        session_id as key
    from {{ ref('stg_rep_ai__sessions') }}
    where {{ rep_ai_is_affected('delivery_id', 'delivery') }}

    union all

    -- open sessions whose last window is judged otherwise
    select
        'session' as kind,
        session_id as key
    from {{ this }}
    where ended_at is null and {{ rep_ai_is_affected('last_delivery_id', 'window') }}
{%- endcall -%}

with

deliveries as (

    select
        *,
        row_number() over (order by window_start_at, window_end_at) as window_number
    from {{ ref('int_rep_ai__deliveries') }}

),

records as (

    select *
    from {{ rep_ai_named(ref('stg_rep_ai__sessions')) }} as sessions
    where
        {{ rep_ai_is_affected_record(
            'sessions', ref('stg_rep_ai__sessions'), 'session_id', 'session'
        ) }}

),

ranked as (

    select
        records.*,
        deliveries.window_number,
        {{ rep_ai_recency('records.delivery_id', 'records.session_id') }} as recency_in_dump
    from records
    inner join deliveries on records.delivery_id = deliveries.delivery_id

),

stitched as (

    select
        session_id,
        {{ rep_ai_first_known('session_group_label', 'window_number') }} as session_group_label,
        {{ rep_ai_last_known('visitor_id', 'window_number') }} as visitor_id,
        {{ rep_ai_last_known('delivery_id', 'window_number') }} as last_delivery_id,
        {{ rep_ai_first_known('referrer', 'window_number') }} as referrer,
        {{ rep_ai_last_known('user_agent', 'window_number') }} as user_agent,
        {{- rep_ai_last_own_columns('sessions') }}
        count(*) as dump_count,
        count(*) >= 2 or count(ended_at) < count(*) as crossed_midnight,
        min(started_at) as started_at,
        {{ rep_ai_last_known('ended_at', 'window_number', 'timestamp') }} as ended_at
    from ranked
    where recency_in_dump = 1
    group by session_id

),

final as (

    select
        stitched.session_id,
        coalesce(stitched.session_group_label, stitched.session_id) as label,
        stitched.visitor_id,
        stitched.last_delivery_id,
        stitched.referrer,
        stitched.user_agent,
        {{- rep_ai_own_columns('sessions', 'stitched') }}
        case
            when stitched.ended_at is not null then 'ended'
            else deliveries.open_end_status
        end as end_status,
        stitched.dump_count,
        {{ rep_ai_seconds_between('stitched.started_at', 'stitched.ended_at') }}
            as duration_seconds,
        stitched.crossed_midnight,
        stitched.started_at,
        stitched.ended_at
    from stitched
    inner join deliveries on stitched.last_delivery_id = deliveries.delivery_id

)

select * from final
