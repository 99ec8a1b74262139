{#-
    Labels may lead from session to session for long, or round in circles. Plain recursion takes as
    many rounds as the longest way has steps: engines stop it early, or scan all sessions each
    time. So ways are walked in jumps, and a jump of one level is up to 16 jumps of the level
    below: at the last level a million steps, which end where the way ends, or on a cycle.

    All on one way are in one group. So where sessions change, the ways of the groups that they
    were in, or that bear their names, are walked again, and no others.
-#}

{{ config(materialized='incremental', unique_key=['session_id']) }}

{%- set last_build = rep_ai_last_build() -%}
{%- set levels = 5 -%}
{%- set jumps_per_level = 16 -%}

with recursive

{% if last_build -%}
changed as (

    select distinct
        session_id,
        last_window_start_at
    from {{ ref('int_rep_ai__sessions_stitched') }}
    where {{ rep_ai_changed_since(last_build) }}

),

changed_groups as (

    select session_id as session_group_id from changed

    union distinct

    select session_group_id
    from {{ this }}
    where replaced_in is null and {{ rep_ai_is_one_of('changed') }}

),

walked as (

    select
        session_id,
        last_window_start_at
    from changed

    union distinct

    select
        session_id,
        last_window_start_at
    from {{ this }}
    where
        replaced_in is null
        and session_group_id in (select changed_groups.session_group_id from changed_groups)

),

sessions as (

    select
        session_id,
        label,
        started_at,
        last_window_start_at
    from {{ ref('int_rep_ai__sessions_stitched') }}
    where replaced_in is null and {{ rep_ai_is_one_of('walked') }}

),

-- where a way leads out of what is walked again, it ends as it did
ends as (

    select
        session_id,
        session_group_id
    from {{ this }}
    where
        replaced_in is null
        and {{ rep_ai_may_be_one_of('select label from sessions', 'label') }}
        and session_id not in (select walked.session_id from walked)

),

steps as (

    select
        sessions.session_id,
        coalesce(ends.session_group_id, sessions.label) as label,
        sessions.started_at,
        sessions.last_window_start_at,
        labelled.label is null or labelled.label = labelled.session_id as is_last_step
    from sessions
    left join sessions as labelled on sessions.label = labelled.session_id
    left join ends on sessions.label = ends.session_id

),

{% else -%}
sessions as (

    select
        session_id,
        label,
        started_at,
        last_window_start_at
    from {{ ref('int_rep_ai__sessions_stitched') }}
    where replaced_in is null

),

-- a last step names itself or an id that no dump holds
steps as (

    select
        sessions.session_id,
        sessions.label,
        sessions.started_at,
        sessions.last_window_start_at,
        labelled.label is null or labelled.label = labelled.session_id as is_last_step
    from sessions
    left join sessions as labelled on sessions.label = labelled.session_id

),

{% endif -%}
led_to as (

    select distinct label as session_id
    from steps
    where not is_last_step

),

-- what has something before it and after it; the earliest one has the least number
links as (

    select
        steps.session_id,
        steps.label,
        row_number() over (
            order by
                case when steps.started_at is null then 1 else 0 end,
                steps.started_at,
                {{ rep_ai_by_code_point('steps.session_id') }}
        ) as link_number
    from steps
    inner join led_to on steps.session_id = led_to.session_id
    where not steps.is_last_step

),

-- one step; where no link follows, the jump leads nowhere else
jumps_0 as (

    select
        links.link_number,
        coalesce(next_links.link_number, links.link_number) as reached_number,
        least(links.link_number, coalesce(next_links.link_number, links.link_number))
            as least_number
    from links
    left join links as next_links on links.label = next_links.session_id

),

{% for level in range(1, levels + 1) -%}
walks_{{ level }} as (

    select
        link_number,
        reached_number,
        least_number,
        1 as jump_count
    from jumps_{{ level - 1 }}

    union all

    select
        walks_{{ level }}.link_number,
        jumps_{{ level - 1 }}.reached_number,
        least(walks_{{ level }}.least_number, jumps_{{ level - 1 }}.least_number) as least_number,
        walks_{{ level }}.jump_count + 1 as jump_count
    from walks_{{ level }}
    inner join jumps_{{ level - 1 }}
        on walks_{{ level }}.reached_number = jumps_{{ level - 1 }}.link_number
    where
        walks_{{ level }}.jump_count < {{ jumps_per_level }}
        and jumps_{{ level - 1 }}.reached_number != walks_{{ level }}.reached_number

),

jumps_{{ level }} as (

    select
        link_number,
        {{ rep_ai_last_known('reached_number', 'jump_count') }} as reached_number,
        min(least_number) as least_number
    from walks_{{ level }}
    group by link_number

),

{% endfor -%}
-- the last link of the way leads to the last step; a link on a cycle has been all round
settled_links as (

    select
        links.session_id,
        coalesce(last_steps.label, earliest_links.session_id) as session_group_id
    from jumps_{{ levels }} as jumps
    inner join links on jumps.link_number = links.link_number
    inner join links as last_links on jumps.reached_number = last_links.link_number
    left join steps as last_steps
        on last_links.label = last_steps.session_id and last_steps.is_last_step
    inner join jumps_{{ levels }} as last_jumps on jumps.reached_number = last_jumps.link_number
    inner join links as earliest_links on last_jumps.least_number = earliest_links.link_number

),

settled as (

    select
        session_id,
        label as session_group_id
    from steps
    where is_last_step

    union all

    select
        session_id,
        session_group_id
    from settled_links

),

grouped as (

    select
        steps.session_id,
        steps.started_at,
        steps.last_window_start_at,
        coalesce(settled.session_group_id, next_settled.session_group_id) as session_group_id
    from steps
    left join settled on steps.session_id = settled.session_id
    left join settled as next_settled on steps.label = next_settled.session_id

),

{% if last_build -%}
reached_groups as (

    select distinct session_group_id from grouped

),

-- who was in such a group before, and is not walked again
kept as (

    select
        session_id,
        session_group_id,
        last_window_start_at
    from {{ this }}
    where
        replaced_in is null
        and session_group_id in (select reached_groups.session_group_id from reached_groups)
        and session_id not in (select walked.session_id from walked)

),

kept_starts as (

    select
        session_id,
        started_at
    from {{ ref('int_rep_ai__sessions_stitched') }}
    where replaced_in is null and {{ rep_ai_is_one_of('kept') }}

),

members as (

    select
        session_id,
        session_group_id,
        started_at,
        last_window_start_at
    from grouped

    union all

    select
        kept.session_id,
        kept.session_group_id,
        kept_starts.started_at,
        kept.last_window_start_at
    from kept
    inner join kept_starts on kept.session_id = kept_starts.session_id

),

affected as (

    select
        session_id,
        last_window_start_at
    from walked

    union distinct

    select
        session_id,
        last_window_start_at
    from kept

),

{% else -%}
members as (

    select
        session_id,
        session_group_id,
        started_at,
        last_window_start_at
    from grouped

),

{% endif -%}
computed as (

    select
        session_id,
        session_group_id,
        row_number() over (
            partition by session_group_id
            order by
                case when started_at is null then 1 else 0 end,
                started_at,
                {{ rep_ai_by_code_point('session_id') }}
        ) as session_number_in_group,
        last_window_start_at
    from members

),

{{ rep_ai_versions(
    last_build,
    keys=['session_id'],
    columns=[
        'session_id',
        'session_group_id',
        'session_number_in_group',
        'last_window_start_at',
    ],
    held_where='last_window_start_at in (select affected.last_window_start_at from affected)',
    fingerprint_of='session_id',
    cluster_by='last_window_start_at',
) }}
