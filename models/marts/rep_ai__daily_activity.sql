{#- docs/query.md#daily-figures -#}

{{ config(materialized='incremental') }}

{%- do rep_ai_incremental(replaces={'day': rep_ai_text('activity_date')}) -%}

with

sessions as (

    select
        {{ rep_ai_local_date('started_at') }} as activity_date,
        count(*) as session_count,
        count(distinct visitor_id) as visitor_count
    from {{ ref('fct_rep_ai__sessions') }}
    where {{ rep_ai_is_on_affected_day('started_at') }}
    group by 1

),

session_groups as (

    select
        {{ rep_ai_local_date('started_at') }} as activity_date,
        count(*) as session_group_count,
        sum(active_seconds) as active_seconds
    from {{ ref('fct_rep_ai__session_groups') }}
    where {{ rep_ai_is_on_affected_day('started_at') }}
    group by 1

),

actions as (

    select
        {{ rep_ai_local_date('occurred_at') }} as activity_date,
        count(*) as action_count
    from {{ ref('fct_rep_ai__actions') }}
    where {{ rep_ai_is_on_affected_day('occurred_at') }}
    group by 1

),

interactions as (

    select
        {{ rep_ai_local_date('started_at') }} as activity_date,
        count(*) as interaction_count,
        count(case when is_accepted then 1 end) as accepted_interaction_count,
        count(case when acceptance = 'accepted' then 1 end) as handled_interaction_count,
        count(case when acceptance = 'automatic' then 1 end) as automatic_interaction_count,
        count(case when acceptance = 'pending' then 1 end) as pending_interaction_count,
        count(case when acceptance = 'not_accepted' then 1 end) as not_accepted_interaction_count,
        count(case when acceptance = 'unknown' then 1 end) as unknown_acceptance_interaction_count
    from {{ ref('fct_rep_ai__interactions') }}
    where {{ rep_ai_is_on_affected_day('started_at') }}
    group by 1

),

days as (

    select activity_date from sessions
    {{ rep_ai_union_distinct() }}
    select activity_date from session_groups
    {{ rep_ai_union_distinct() }}
    select activity_date from actions
    {{ rep_ai_union_distinct() }}
    select activity_date from interactions

),

final as (

    select
        days.activity_date,
        coalesce(sessions.session_count, 0) as session_count,
        coalesce(session_groups.session_group_count, 0) as session_group_count,
        coalesce(sessions.visitor_count, 0) as visitor_count,
        coalesce(actions.action_count, 0) as action_count,
        coalesce(interactions.interaction_count, 0) as interaction_count,
        coalesce(interactions.accepted_interaction_count, 0) as accepted_interaction_count,
        coalesce(interactions.handled_interaction_count, 0) as handled_interaction_count,
        coalesce(interactions.automatic_interaction_count, 0) as automatic_interaction_count,
        coalesce(interactions.pending_interaction_count, 0) as pending_interaction_count,
        coalesce(interactions.not_accepted_interaction_count, 0)
            as not_accepted_interaction_count,
        coalesce(interactions.unknown_acceptance_interaction_count, 0)
            as unknown_acceptance_interaction_count,
        {{ rep_ai_decimal('coalesce(session_groups.active_seconds, 0)', 3) }} as active_seconds
    from days
    left join sessions on days.activity_date = sessions.activity_date
    left join session_groups on days.activity_date = session_groups.activity_date
    left join actions on days.activity_date = actions.activity_date
    left join interactions on days.activity_date = interactions.activity_date

)

select * from final
