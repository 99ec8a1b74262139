{#- docs/query.md#acceptance -#}

{{ config(materialized='incremental') }}

{%- call rep_ai_incremental(
    replaces={'interaction': 'interaction_id'},
    lists={
        'session': 'session_id',
        'user': 'user_id',
        'day': rep_ai_local_date('started_at'),
    },
) %}
    -- interactions of deliveries that came or went
    select
        'interaction' as kind,
        interaction_id as key
    from {{ ref('stg_rep_ai__interactions') }}
    where {{ rep_ai_is_affected('delivery_id', 'delivery') }}

    union all

    -- open ones whose last window is judged otherwise, and those whose session may have another
    -- group or visitor
    select
        'interaction' as kind,
        interaction_id as key
    from {{ this }}
    where
        (ended_at is null and {{ rep_ai_is_affected('last_delivery_id', 'window') }})
        or {{ rep_ai_is_affected('session_id', 'session') }}
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
    from {{ rep_ai_named(ref('stg_rep_ai__interactions')) }} as interactions
    where
        {{ rep_ai_is_affected_record(
            'interactions', ref('stg_rep_ai__interactions'), 'interaction_id', 'interaction'
        ) }}

),

ranked as (

    select
        records.*,
        deliveries.window_number,
        {{ rep_ai_recency('records.delivery_id', 'records.interaction_id') }} as recency_in_dump
    from records
    inner join deliveries on records.delivery_id = deliveries.delivery_id

),

-- the last record, and the one that acceptance is read from
marked as (

    select
        *,
        max(window_number) over (partition by interaction_id) as last_window_number,
        max(case when accept is not null then window_number end) over (
            partition by interaction_id
        ) as acceptance_window_number
    from ranked
    where recency_in_dump = 1

),

stitched as (

    select
        interaction_id,
        {{ rep_ai_last_known('interaction_type', 'window_number') }} as interaction_type,
        {{ rep_ai_last_known('session_id', 'window_number') }} as session_id,
        {{ rep_ai_last_known('user_id', 'window_number') }} as user_id,
        {{ rep_ai_last_known('delivery_id', 'window_number') }} as last_delivery_id,
        max(case when window_number = last_window_number then properties end) as properties,
        {{- rep_ai_last_own_columns('interactions') }}
        count(*) >= 2 or count(ended_at) < count(*) as crossed_midnight,
        {{ dbt.bool_or('window_number = acceptance_window_number and accept') }} as accept,
        min(started_at) as started_at,
        {{ rep_ai_last_known('ended_at', 'window_number', 'timestamp') }} as ended_at,
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
        case
            when stitched.ended_at is not null then 'ended'
            else deliveries.open_end_status
        end as end_status
    from stitched
    inner join deliveries on stitched.last_delivery_id = deliveries.delivery_id

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

memberships as (

    select
        session_id,
        session_group_id,
        visitor_id
    from {{ ref('int_rep_ai__sessions_grouped') }}
    {% if rep_ai_affected_keys('interaction') -%}
    where session_id in (select judged.session_id from judged)
    {%- endif %}

),

final as (

    select
        judged.interaction_id,
        judged.interaction_type,
        judged.session_id,
        memberships.session_group_id,
        memberships.visitor_id,
        judged.user_id,
        judged.last_delivery_id,
        judged.properties,
        {{- rep_ai_own_columns('interactions', 'judged') }}
        judged.end_status,
        judged.acceptance,
        {{ rep_ai_seconds_between('judged.started_at', 'judged.ended_at') }} as duration_seconds,
        case
            when judged.acceptance = 'accepted'
                then
                    {{ rep_ai_seconds_between('judged.acceptance_started_at', 'judged.accept_at') }}
        end as seconds_to_accept,
        judged.crossed_midnight,
        judged.acceptance in ('automatic', 'accepted') as is_accepted,
        judged.started_at,
        judged.ended_at,
        judged.acceptance_started_at,
        case when judged.acceptance in ('automatic', 'accepted') then judged.accept_at end
            as accepted_at
    from judged
    left join memberships on judged.session_id = memberships.session_id

)

select * from final
