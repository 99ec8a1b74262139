{#- docs/query.md#events -#}

{{ config(materialized='view') }}

with

sessions as (

    select * from {{ ref('fct_rep_ai__sessions') }}

),

actions as (

    select * from {{ ref('fct_rep_ai__actions') }}

),

interactions as (

    select * from {{ ref('fct_rep_ai__interactions') }}

),

events as (

    select
        'session_started' as event_kind,
        session_id as subject_id,
        cast(null as {{ rep_ai_type_string() }}) as event_type,
        started_at as occurred_at,
        session_id,
        session_group_id,
        visitor_id,
        cast(null as {{ rep_ai_type_string() }}) as user_id
    from sessions

    union all

    select
        'session_ended' as event_kind,
        session_id as subject_id,
        cast(null as {{ rep_ai_type_string() }}) as event_type,
        ended_at as occurred_at,
        session_id,
        session_group_id,
        visitor_id,
        cast(null as {{ rep_ai_type_string() }}) as user_id
    from sessions

    union all

    select
        'action' as event_kind,
        action_id as subject_id,
        action_type as event_type,
        occurred_at,
        session_id,
        session_group_id,
        visitor_id,
        cast(null as {{ rep_ai_type_string() }}) as user_id
    from actions
    {% for kind, time in [('started', 'started_at'), ('ended', 'ended_at')] %}
    union all

    select
        'interaction_{{ kind }}' as event_kind,
        interaction_id as subject_id,
        interaction_type as event_type,
        {{ time }} as occurred_at,
        session_id,
        session_group_id,
        visitor_id,
        user_id
    from interactions
    {% endfor %}
    union all

    select
        'interaction_accepted' as event_kind,
        interaction_id as subject_id,
        interaction_type as event_type,
        accepted_at as occurred_at,
        session_id,
        session_group_id,
        visitor_id,
        user_id
    from interactions
    -- an automatic acceptance is the start over again
    where acceptance = 'accepted'

),

final as (

    select
        {{ dbt.concat(['event_kind', "':'", 'subject_id']) }} as event_id,
        event_kind,
        event_type,
        occurred_at,
        session_id,
        session_group_id,
        visitor_id,
        user_id
    from events
    where occurred_at is not null

)

select * from final
