{{ config(tags=['health']) }}

{%- set kinds = {
    'action': ['int_rep_ai__actions', 'occurred_at'],
    'interaction': ['int_rep_ai__interactions', 'started_at'],
} -%}

with

{% for kind, (table, time) in kinds.items() -%}
known_{{ kind }}_types as (

    select type from {{ ref('int_rep_ai__known_types') }} where kind = '{{ kind }}'

),

-- of all records this one column is read
{{ kind }}_types as (

    select distinct {{ kind }}_type as type from {{ ref(table) }}

),

unknown_{{ kind }}_types as (

    select types.type
    from {{ kind }}_types as types
    left join known_{{ kind }}_types as known on types.type = known.type
    where known.type is null and types.type is not null

),

{% endfor -%}
records as (
    {% for kind, (table, time) in kinds.items() %}
    {%- for condition in [
        kind ~ '_type in (select types.type from unknown_' ~ kind ~ '_types as types)',
        kind ~ '_type is null',
    ] %}
    select
        '{{ kind }}' as kind,
        {{ kind }}_type as type,
        {{ kind }}_id as record_id,
        {{ time }} as seen_at
    from {{ ref(table) }}
    where {{ condition }}

    {{ 'union all' if not loop.last }}
    {%- endfor %}
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

final as (

    select
        kind,
        type,
        count(*) as record_count,
        min(seen_at) as first_seen_at,
        max(seen_at) as last_seen_at,
        min({{ rep_ai_by_code_point('record_id') }}) as example_id
    from records
    group by kind, type

)

select * from final
