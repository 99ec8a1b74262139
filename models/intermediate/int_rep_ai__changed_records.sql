{%- set merged = {
    'unique_visitor_sessions': ['int_rep_ai__sessions_stitched', 'session_id'],
    'unique_visitor_session_actions': ['int_rep_ai__actions_deduplicated', 'action_id'],
    'unique_visitor_session_interactions': [
        'int_rep_ai__interactions_stitched', 'interaction_id'
    ],
} -%}

with

deliveries as (

    select * from {{ ref('int_rep_ai__deliveries') }}

),

sessions as (

    select * from {{ ref('int_rep_ai__sessions_stitched') }} where replaced_in is null

),

changed_sessions as (

    select * from {{ ref('int_rep_ai__changed_sessions') }} where session_id is not null

),

changed_visitors as (

    select * from {{ ref('int_rep_ai__changed_visitors') }}

),

changes as (
    {% for entity, (table, id) in merged.items() %}
    {%- for build_number in ['changed_in', 'replaced_in'] %}
    select
        '{{ entity }}' as entity,
        {{ id }} as record_id,
        {{ build_number }} as build_number
    from {{ ref(table) }}

    union all
    {% if entity != 'unique_visitor_session_actions' %}
    -- merged as before, but from other records
    select
        '{{ entity }}' as entity,
        coalesce({{ rep_ai_id('records.id') }}, {{ rep_ai_id('records._key') }}) as record_id,
        deliveries.{{ build_number }} as build_number
    from deliveries
    inner join (select * from {{ source('rep_ai', entity) }}) as records
        on deliveries.delivery_id = records._delivery_id

    union all
    {% endif %}
    {%- endfor %}
    {%- if entity != 'unique_visitor_sessions' %}
    -- a session that it names may have come or gone
    select
        '{{ entity }}' as entity,
        records.{{ id }} as record_id,
        changed_sessions.build_number
    from changed_sessions
    inner join (select * from {{ ref(table) }}) as records on changed_sessions.session_id = records.session_id

    union all
    {% endif %}
    {%- endfor %}
    select
        'unique_visitor_sessions' as entity,
        sessions.session_id as record_id,
        changed_visitors.build_number
    from changed_visitors
    inner join sessions on changed_visitors.visitor_id = sessions.visitor_id

    union all

    select
        'session_groups' as entity,
        session_group_id as record_id,
        build_number
    from {{ ref('int_rep_ai__changed_session_groups') }}

),

final as (

    select
        entity,
        record_id,
        build_number
    from changes
    where build_number is not null and record_id is not null

)

select * from final
