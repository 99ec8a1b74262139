{{ config(materialized='incremental', pre_hook="{{ rep_ai_take_out([
    'visitor_id in (' ~ rep_ai_changed('visitor') ~ ')'
]) }}") }}

{%- set last_build = rep_ai_last_build() -%}

with

records as (

    select *
    from {{ ref('stg_rep_ai__visitors') }}
    where visitor_id is not null and {{ rep_ai_is_changed('visitor', last_build) }}

),

ranked as (

    select
        *,
        {{ rep_ai_holds('visitor_id') }} as holds
    from records

),

sessions as (

    select *
    from {{ ref('fct_rep_ai__sessions') }}
    where {{ rep_ai_is_changed('visitor', last_build) }}

),

visitors as (

    select
        visitor_id,
        {{ rep_ai_last_known('custom_id', 'window_number') }} as custom_id,
        {{ rep_ai_last_known('custom_metadata', 'window_number') }} as custom_metadata
    from ranked
    where holds
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
    where {{ rep_ai_is_changed('visitor', last_build) }}
    group by visitor_id

),

final as (

    select
        visitors.visitor_id,
        coalesce(visitors.custom_id, visitors.visitor_id) as person_id,
        visitors.custom_id,
        coalesce(
            {{ rep_ai_json_text('visitors.custom_metadata', 'display_name') }},
            {{ rep_ai_json_text('visitors.custom_metadata', 'displayName') }}
        ) as display_name,
        {{ rep_ai_json_text('visitors.custom_metadata', 'email') }} as email,
        visitors.custom_metadata,
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
