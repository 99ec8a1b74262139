{#- docs/query.md#visitors-and-users -#}

{{ config(materialized='incremental') }}

{%- call rep_ai_incremental(replaces={'visitor': 'visitor_id'}) %}
    select
        'visitor' as kind,
        visitor_id as key
    from {{ ref('stg_rep_ai__visitors') }}
    where {{ rep_ai_is_affected('delivery_id', 'delivery') }}
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
    from {{ rep_ai_named(ref('stg_rep_ai__visitors')) }} as visitors
    where
        {{ rep_ai_is_affected_record(
            'visitors', ref('stg_rep_ai__visitors'), 'visitor_id', 'visitor'
        ) }}

),

ranked as (

    select
        records.*,
        deliveries.window_number,
        {{ rep_ai_recency('records.delivery_id', 'records.visitor_id') }} as recency_in_dump
    from records
    inner join deliveries on records.delivery_id = deliveries.delivery_id

),

sessions as (

    select *
    from {{ ref('fct_rep_ai__sessions') }}
    where {{ rep_ai_is_affected('visitor_id', 'visitor') }}

),

visitors as (

    select
        visitor_id,
        {{ rep_ai_last_known('custom_id', 'window_number') }} as custom_id,
        {{- rep_ai_last_own_columns('visitors') }}
        {{ rep_ai_last_known('custom_metadata', 'window_number') }} as custom_metadata
    from ranked
    where recency_in_dump = 1
    group by visitor_id

),

session_totals as (

    select
        visitor_id,
        min(started_at) as first_seen_at,
        max(case when ended_at is null or ended_at < started_at then started_at else ended_at end)
            as last_seen_at,
        count(*) as session_count,
        count(distinct session_group_id) as session_group_count
    from sessions
    group by visitor_id

),

interaction_totals as (

    select
        visitor_id,
        count(*) as interaction_count
    from {{ ref('fct_rep_ai__interactions') }}
    where {{ rep_ai_is_affected('visitor_id', 'visitor') }}
    group by visitor_id

),

final as (

    select
        visitors.visitor_id,
        case
            when {{ rep_ai_is_nobody('visitors.custom_id') }} then visitors.visitor_id
            else coalesce(visitors.custom_id, visitors.visitor_id)
        end as person_id,
        visitors.custom_id,
        coalesce(
            {{ rep_ai_json_text('visitors.custom_metadata', 'display_name') }},
            {{ rep_ai_json_text('visitors.custom_metadata', 'displayName') }}
        ) as display_name,
        {{ rep_ai_json_text('visitors.custom_metadata', 'email') }} as email,
        visitors.custom_metadata,
        {{- rep_ai_own_columns_of_mart('visitors', 'visitors') }}
        session_totals.first_seen_at,
        session_totals.last_seen_at,
        coalesce(session_totals.session_count, 0) as session_count,
        coalesce(session_totals.session_group_count, 0) as session_group_count,
        coalesce(interaction_totals.interaction_count, 0) as interaction_count
    from visitors
    left join session_totals on visitors.visitor_id = session_totals.visitor_id
    left join interaction_totals on visitors.visitor_id = interaction_totals.visitor_id

)

select * from final
