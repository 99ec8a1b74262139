{{ config(materialized='incremental', incremental_strategy='append') }}

{%- set last_build = rep_ai_last_build() -%}

{#- the times by which these tables, and the facts made of them, are laid down or searched -#}
{%- set tables = {
    'int_rep_ai__sessions_stitched': [none, ['started_at', 'ended_at']],
    'int_rep_ai__actions_deduplicated': ['action_id', ['occurred_at']],
    'int_rep_ai__interactions_stitched': [
        'interaction_id', ['started_at', 'ended_at', 'accepted_at']
    ],
} -%}

with

{% for table, (record_id, times) in tables.items() -%}
{%- set is_changed -%}
    {%- if record_id -%}
        session_id in ({{ rep_ai_changed('session', last_build) }})
    {%- else -%}
        {{ rep_ai_may_be_one_of(rep_ai_changed('session', last_build), 'session_id') }}
    {%- endif -%}
{%- endset -%}
{%- set windows = table | replace('int_rep_ai__', 'windows_of_') -%}
-- of all rows no more is read than whose they are
{{ windows }} as (

    select distinct last_window_start_at
    from {{ ref(table) }}
    where {{ is_changed }}

),

{{ table }} as (

    select *
    from {{ ref(table) }}
    where
        last_window_start_at in (select {{ windows }}.last_window_start_at from {{ windows }})
        and {{ is_changed }}
    {%- if record_id %}

    union all

    select *
    from {{ ref(table) }}
    where
        session_id is null
        and {{ record_id }} in ({{ rep_ai_changed_without_session(last_build) }})
    {%- endif %}

),

{% endfor -%}
changes as (
    {% for table, (record_id, times) in tables.items() %}
    {%- set last_table = loop.last %}
    {%- for time in ['last_window_start_at'] + times %}
    select cast({{ time }} as date) as lies_on
    from {{ table }}
    {{ 'union all' if not (loop.last and last_table) }}
    {%- endfor %}
    {%- endfor %}

),

{{ rep_ai_changes(last_build, ['lies_on']) }}
