{#-
    Broken promises that show where the records of a session or of an interaction are stitched.
    `rules` has, of each: its name, where to look, the condition, and what is said.
-#}

{{ config(materialized='incremental') }}

{{ rep_ai_incremental(replaces={'session': 'session_id', 'interaction': 'interaction_id'}) }}

{%- set start = "coalesce(" ~ rep_ai_text('started_at') ~ ", 'an unknown time')" -%}
{%- set end = "coalesce(" ~ rep_ai_text('ended_at') ~ ", 'an unknown time')" -%}
{%- set ends_and_starts = dbt.concat(["'ends at '", end, "', starts at '", start]) -%}

{#- what began in an earlier window may go on in this one: its start counts in the first alone -#}
{%- set rules = [
    ('end_before_start', 'merged', 'ended_at < started_at', ends_and_starts),
    (
        'outside_window',
        'history',
        'is_first and (started_at < window_start_at or started_at >= window_end_at)'
        ~ ' or ended_at < window_start_at or ended_at > window_end_at',
        dbt.concat([ends_and_starts, "', position '", rep_ai_text('record_position')]),
    ),
    (
        'end_changed',
        'history',
        'ended_at is null and known_end_count > 0 or ended_at != previous_ended_at',
        dbt.concat([
            "'unlike in an earlier dump, ends at '", end,
            "', position '", rep_ai_text('record_position'),
        ]),
    ),
] -%}
{%- set rules_of_acceptance = [
    (
        'accepted_without_time',
        'merged',
        'is_accepted and accepted_at is null',
        "'accepted, at an unknown time'",
    ),
    (
        'accepted_before_start',
        'merged',
        'accepted_at < acceptance_started_at',
        dbt.concat([
            "'accepted at '", rep_ai_text('accepted_at'),
            "', starts at '", rep_ai_text('acceptance_started_at'),
        ]),
    ),
] -%}

{%- set collections = {
    'unique_visitor_sessions': {
        'kind': 'session', 'model': 'sessions', 'id': 'session_id',
        'merged': ref('int_rep_ai__sessions_stitched'), 'rules': rules,
    },
    'unique_visitor_session_interactions': {
        'kind': 'interaction', 'model': 'interactions', 'id': 'interaction_id',
        'merged': ref('int_rep_ai__interactions'), 'rules': rules + rules_of_acceptance,
    },
} -%}

with

deliveries as (

    select
        *,
        row_number() over (order by window_start_at, window_end_at) as window_number
    from {{ ref('int_rep_ai__deliveries') }}

),

{% for entity, of in collections.items() -%}
merged_{{ of.model }} as (

    select
        *,
        last_delivery_id as delivery_id
    from {{ of.merged }}
    where {{ rep_ai_is_affected(of.id, of.kind) }}

),

records_of_{{ of.model }} as (

    select
        records.*,
        deliveries.window_number,
        deliveries.window_start_at,
        deliveries.window_end_at
    from {{ rep_ai_named(ref('stg_rep_ai__' ~ of.model)) }} as records
    inner join deliveries on records.delivery_id = deliveries.delivery_id
    where
        {{ rep_ai_is_affected_record(
            'records', ref('stg_rep_ai__' ~ of.model), of.id, of.kind
        ) }}

),

-- most are in one dump, and within its window: nothing to compare
suspect_{{ of.model }} as (

    select {{ of.id }}
    from merged_{{ of.model }}
    where crossed_midnight

    {{ rep_ai_union_distinct() }}

    select {{ of.id }}
    from records_of_{{ of.model }}
    where
        started_at < window_start_at
        or started_at >= window_end_at
        or ended_at < window_start_at
        or ended_at > window_end_at

),

ranked_{{ of.model }} as (

    select
        *,
        {{ rep_ai_recency('delivery_id', of.id) }} as recency_in_dump
    from records_of_{{ of.model }}
    where {{ of.id }} in (select suspects.{{ of.id }} from suspect_{{ of.model }} as suspects)

),

-- each record beside what the windows before it say
history_of_{{ of.model }} as (

    select
        {{ of.id }},
        delivery_id,
        record_position,
        row_number() over (partition by {{ of.id }} order by window_number) = 1 as is_first,
        count(ended_at) over (
            partition by {{ of.id }}
            order by window_number
            rows between unbounded preceding and current row
        ) as known_end_count,
        lag(ended_at) over (
            partition by {{ of.id }}, case when ended_at is null then 0 else 1 end
            order by window_number
        ) as previous_ended_at,
        started_at,
        ended_at,
        window_start_at,
        window_end_at
    from ranked_{{ of.model }}
    where recency_in_dump = 1

),

{% endfor -%}
final as (
    {% for entity, of in collections.items() %}
    {%- set is_last = loop.last %}
    {%- for rule, place, condition, said in of.rules %}
    select
        '{{ rule }}' as rule,
        '{{ entity }}' as entity,
        {{ of.id }} as record_id,
        delivery_id,
        {%- for kind in ('session', 'interaction') %}
        {{ of.id if kind == of.kind else 'cast(null as ' ~ rep_ai_type_string() ~ ')' }}
            as {{ kind }}_id,
        {%- endfor %}
        {{ said }} as detail
    from {{ place }}_{{ 'of_' if place == 'history' }}{{ of.model }}
    where {{ condition }}
    {{ 'union all' if not (is_last and loop.last) }}
    {%- endfor %}
    {%- endfor %}

)

select * from final
