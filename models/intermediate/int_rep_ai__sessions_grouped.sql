{#- docs/query.md#session-groups -#}
{#-
    Labels may lead from session to session for long, or round in circles. Each round doubles the
    steps that have been walked: after 20 rounds a million. All on one way are in one group. So
    where sessions are affected, the ways of the groups that they were in, or that bear their
    names, are walked again, and no others.
-#}

{{ config(materialized='incremental') }}

{%- set rounds = 20 -%}
{#- no number, so that the query fails; with a column, or planners compute it for no row -#}
{%- set too_long = dbt.concat([
    "'labels lead on for over a million sessions, number '", rep_ai_text('walked.link_number')
]) -%}

{%- call rep_ai_incremental(
    replaces={'session': 'session_id'},
    lists={'session_group': 'session_group_id'},
) %}
    select
        'session' as kind,
        session_id as key
    from {{ this }}
    where
        session_group_id in (
            select held.session_group_id
            from {{ this }} as held
            where {{ rep_ai_is_affected('held.session_id', 'session') }}
        )
        or {{ rep_ai_is_affected('session_group_id', 'session') }}
{%- endcall -%}

with{{ rep_ai_recursive() }}

sessions as (

    select
        session_id,
        visitor_id,
        label,
        started_at
    from {{ ref('int_rep_ai__sessions_stitched') }}
    where {{ rep_ai_is_affected('session_id', 'session') }}

),

-- where a way leads to a session that is not walked again, it ends as that one's way did
{% if rep_ai_affected_keys('session') -%}
ends as (

    select
        held.session_id,
        held.session_group_id
    from {{ this }} as held
    left join sessions on held.session_id = sessions.session_id
    where
        held.session_id in (select labelled.label from sessions as labelled)
        and sessions.session_id is null

),

labels as (

    select
        sessions.session_id,
        coalesce(ends.session_group_id, sessions.label) as label,
        sessions.started_at
    from sessions
    left join ends on sessions.label = ends.session_id

),

{% else -%}
labels as (

    select * from sessions

),

{% endif -%}
-- a last step leads to a session that names itself, or to an id that no dump holds
steps as (

    select
        labels.session_id,
        labels.label,
        labels.started_at,
        labelled.label is null or labelled.label = labelled.session_id as is_last_step
    from labels
    left join labels as labelled on labels.label = labelled.session_id
    where {{ rep_ai_is_computed_once() }}

),

-- what has something before it and after it; the earliest one has the least number
links as {{ rep_ai_materialized() }} (

    select
        session_id,
        label,
        row_number() over (
            order by
                case when started_at is null then 1 else 0 end,
                started_at,
                {{ rep_ai_by_code_point('session_id') }}
        ) as link_number
    from steps
    where
        not is_last_step
        and {{ rep_ai_is_computed_once() }}
        and session_id in (select before.label from steps as before where not before.is_last_step)

),

-- one step; where no link follows, the way stays where it is
walked_0 as {{ rep_ai_materialized() }} (

    select
        links.link_number,
        coalesce(next_links.link_number, links.link_number) as reached_number,
        links.link_number as least_number
    from links
    left join links as next_links on links.label = next_links.session_id

),

{{ rep_ai_walk(rounds) }}
-- a way that has not ended goes round a circle: its least number does not change any more
ways as (

    select
        walked.link_number,
        case when one_more.reached_number = walked.reached_number then walked.reached_number end
            as last_number,
        case
            when one_more.reached_number = walked.reached_number then null
            when beyond.least_number = around.least_number then around.least_number
            else {{ rep_ai_fail(too_long) }}
        end as earliest_number
    from walked_{{ rounds }} as walked
    inner join walked_0 as one_more on walked.reached_number = one_more.link_number
    inner join walked_{{ rounds }} as around on walked.reached_number = around.link_number
    inner join walked_{{ rounds }} as beyond on around.reached_number = beyond.link_number
    where {{ rep_ai_is_computed_once() }}

),

settled as (

    select
        session_id,
        label as session_group_id
    from steps
    where is_last_step

    union all

    select
        links.session_id,
        coalesce(last_steps.label, earliest_links.session_id) as session_group_id
    from ways
    inner join links on ways.link_number = links.link_number
    left join links as last_links on ways.last_number = last_links.link_number
    left join steps as last_steps on last_links.label = last_steps.session_id
    left join links as earliest_links on ways.earliest_number = earliest_links.link_number

),

final as (

    select
        steps.session_id,
        coalesce(settled.session_group_id, next_settled.session_group_id) as session_group_id,
        sessions.visitor_id
    from steps
    inner join sessions on steps.session_id = sessions.session_id
    left join settled on steps.session_id = settled.session_id
    left join settled as next_settled on steps.label = next_settled.session_id

)

select * from final
