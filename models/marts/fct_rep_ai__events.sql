{#- without a session all events are put in again: they are few -#}
{{ config(materialized='incremental', pre_hook=[
    "{{ rep_ai_take_out(['session_id is null']) }}",
    "{{ rep_ai_take_out_sessions('occurred_at') }}",
]) }}

{%- set last_build = rep_ai_last_build() -%}

with

sessions as (

    select *
    from {{ ref('fct_rep_ai__sessions') }}
    where {{ rep_ai_is_changed('session', last_build, 'started_at') }}

),
{% for name, time in [('actions', 'occurred_at'), ('interactions', 'started_at')] %}
{{ name }} as (

    select *
    from {{ ref('fct_rep_ai__' ~ name) }}
    where {{ rep_ai_is_changed('session', last_build, time) }}
    {%- if last_build %}

    union all

    select *
    from {{ ref('fct_rep_ai__' ~ name) }}
    where session_id is null
    {%- endif %}

),
{% endfor %}
events as (

    select
        'session_started' as event_kind,
        session_id as subject_id,
        cast(null as {{ dbt.type_string() }}) as event_type,
        started_at as occurred_at,
        session_id,
        session_group_id,
        visitor_id,
        cast(null as {{ dbt.type_string() }}) as user_id
    from sessions

    union all

    select
        'session_ended' as event_kind,
        session_id as subject_id,
        cast(null as {{ dbt.type_string() }}) as event_type,
        ended_at as occurred_at,
        session_id,
        session_group_id,
        visitor_id,
        cast(null as {{ dbt.type_string() }}) as user_id
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
        cast(null as {{ dbt.type_string() }}) as user_id
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
