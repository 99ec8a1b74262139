{#- Whole groups are replaced, since the number of a session is its place in its group. -#}

{{ config(materialized='incremental') }}

{%- call rep_ai_incremental(
    replaces={'session_group': 'session_group_id'},
    lists={'visitor': 'visitor_id', 'day': rep_ai_local_date('started_at')},
) %}
    select
        'session_group' as kind,
        session_group_id as key
    from {{ ref('int_rep_ai__sessions_grouped') }}
    where {{ rep_ai_is_affected('session_id', 'session') }}
{%- endcall -%}

with

memberships as (

    select *
    from {{ ref('int_rep_ai__sessions_grouped') }}
    where {{ rep_ai_is_affected('session_group_id', 'session_group') }}

),

action_counts as (

    select
        session_id,
        count(*) as action_count
    from {{ ref('fct_rep_ai__actions') }}
    where {{ rep_ai_is_affected('session_group_id', 'session_group') }}
    group by session_id

),

interaction_counts as (

    select
        session_id,
        count(*) as interaction_count,
        count(case when is_accepted then 1 end) as accepted_interaction_count
    from {{ ref('fct_rep_ai__interactions') }}
    where {{ rep_ai_is_affected('session_group_id', 'session_group') }}
    group by session_id

),

final as (

    select
        sessions.session_id,
        memberships.session_group_id,
        sessions.visitor_id,
        sessions.referrer,
        sessions.user_agent,
        {{- rep_ai_own_columns_of_mart('sessions', 'sessions') }}
        sessions.started_at,
        sessions.ended_at,
        sessions.end_status,
        sessions.duration_seconds,
        sessions.crossed_midnight,
        sessions.dump_count,
        cast(
            row_number() over (
                partition by memberships.session_group_id
                order by
                    case when sessions.started_at is null then 1 else 0 end,
                    sessions.started_at,
                    {{ rep_ai_by_code_point('sessions.session_id') }}
            ) as {{ dbt.type_bigint() }}
        ) as session_number_in_group,
        coalesce(action_counts.action_count, 0) as action_count,
        coalesce(interaction_counts.interaction_count, 0) as interaction_count,
        coalesce(interaction_counts.accepted_interaction_count, 0) as accepted_interaction_count
    from memberships
    inner join {{ rep_ai_named(ref('int_rep_ai__sessions_stitched')) }} as sessions
        on memberships.session_id = sessions.session_id
    left join action_counts on memberships.session_id = action_counts.session_id
    left join interaction_counts on memberships.session_id = interaction_counts.session_id
    -- said twice, for engines that would hold all sessions to join them
    where sessions.session_id in (select wanted.session_id from memberships as wanted)

)

select * from final
