{#
    Totals that a mart and the fact below it do not agree on: (mart, its total, fact, its total).
    Each row of the fact counts once in the mart, so that the totals are equal to the last digit.
-#}

{%- set sessions = 'fct_rep_ai__sessions' -%}
{%- set session_groups = 'fct_rep_ai__session_groups' -%}
{%- set actions = 'fct_rep_ai__actions' -%}
{%- set interactions = 'fct_rep_ai__interactions' -%}
{%- set events = 'fct_rep_ai__events' -%}
{%- set daily = 'rep_ai__daily_activity' -%}
{%- set performance = 'rep_ai__user_daily_performance' -%}

{%- set of_kind = "count(case when event_kind = '{}' then 1 end)" -%}

{%- set pairs = [
    (sessions, 'sum(action_count)', actions, 'count(session_group_id)'),
    (sessions, 'sum(interaction_count)', interactions, 'count(session_group_id)'),
    (
        sessions, 'sum(accepted_interaction_count)',
        interactions, 'count(case when is_accepted then session_group_id end)',
    ),
    (daily, 'sum(session_count)', sessions, 'count(started_at)'),
    (daily, 'sum(session_group_count)', session_groups, 'count(started_at)'),
    (
        daily, 'sum(active_seconds)',
        session_groups, 'sum(case when started_at is not null then active_seconds end)',
    ),
    (daily, 'sum(action_count)', actions, 'count(occurred_at)'),
    (daily, 'sum(interaction_count)', interactions, 'count(started_at)'),
    (
        daily, 'sum(accepted_interaction_count)',
        interactions, 'count(case when is_accepted then started_at end)',
    ),
    (
        performance, 'sum(interaction_count)',
        interactions, 'count(case when user_id is not null then started_at end)',
    ),
    (
        performance, 'sum(accepted_interaction_count)',
        interactions, 'count(case when user_id is not null and is_accepted then started_at end)',
    ),
    (
        performance, 'sum(talk_seconds)',
        interactions,
        'sum(case when user_id is not null and started_at is not null and is_accepted'
        ~ ' then duration_seconds end)',
    ),
    (events, of_kind.format('session_started'), sessions, 'count(started_at)'),
    (events, of_kind.format('session_ended'), sessions, 'count(ended_at)'),
    (events, of_kind.format('action'), actions, 'count(occurred_at)'),
    (events, of_kind.format('interaction_started'), interactions, 'count(started_at)'),
    (events, of_kind.format('interaction_ended'), interactions, 'count(ended_at)'),
    (
        events, of_kind.format('interaction_accepted'),
        interactions, "count(case when acceptance = 'accepted' then accepted_at end)",
    ),
] -%}

with

{#- each mart is read once -#}
{%- for model in (pairs | map('first') | list + pairs | map(attribute=2) | list) | unique %}
totals_of_{{ model }} as (

    select
        {%- for mart, mart_total, fact, fact_total in pairs %}
        {%- set measure = {mart: mart_total, fact: fact_total}.get(model) %}
        {%- if measure %}
        coalesce({{ measure }}, 0) as total_{{ loop.index }},
        {%- endif %}
        {%- endfor %}
        count(*) as row_count
    from {{ ref(model) }}

),
{% endfor %}
totals as (
    {% for mart, mart_total, fact, fact_total in pairs %}
    select
        '{{ mart }}' as mart,
        {{ rep_ai_literal(mart_total) }} as measure,
        of_mart.total_{{ loop.index }} as mart_total,
        of_fact.total_{{ loop.index }} as fact_total
    from totals_of_{{ mart }} as of_mart
    cross join totals_of_{{ fact }} as of_fact
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

final as (

    select *
    from totals
    where mart_total != fact_total

)

select * from final
