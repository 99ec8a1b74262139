{#- docs/query.md#violations -#}

{{ config(materialized='view', tags=['health']) }}

{%- set severities = {
    'missing_id': 'error',
    'key_differs_from_id': 'error',
    'duplicate_id': 'error',
    'rejected_record': 'error',
    'unreadable_time': 'error',
    'end_before_start': 'error',
    'unknown_session': 'warn',
    'unknown_visitor': 'warn',
    'unknown_user': 'warn',
    'anchor_missing': 'warn',
    'anchor_not_earliest': 'warn',
    'several_visitors': 'error',
    'accept_missing': 'error',
    'accepted_without_time': 'error',
    'accepted_before_start': 'error',
    'outside_window': 'warn',
    'end_changed': 'warn',
    'collection_missing': 'error',
    'field_missing': 'warn',
    'custom_id_of_nobody': 'warn',
    'equal_versions': 'warn',
    'equal_version_lacks_sessions': 'error',
    'higher_version_lacks_sessions': 'warn',
} -%}

with

deliveries as (

    select * from {{ ref('int_rep_ai__deliveries') }}

),

-- what looks at the deliveries themselves; they are few
collections_missing as (
    {% for collection, count in {
        'users': 'user_count',
        'unique_visitors': 'visitor_count',
        'unique_visitor_sessions': 'session_count',
        'unique_visitor_session_actions': 'action_count',
        'unique_visitor_session_interactions': 'interaction_count',
    }.items() %}
    select
        'collection_missing' as rule,
        '{{ collection }}' as entity,
        cast(null as {{ rep_ai_type_string() }}) as record_id,
        delivery_id,
        'absent or null' as detail
    from {{ ref('stg_rep_ai__deliveries') }}
    where {{ count }} is null
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

superseded as (

    select
        case
            when lost_session_count = 0 then 'equal_versions'
            when has_equal_version then 'equal_version_lacks_sessions'
            else 'higher_version_lacks_sessions'
        end as rule,
        'deliveries' as entity,
        delivery_id as record_id,
        current_delivery_id as delivery_id,
        {{ dbt.concat([
            'current_file_url', "' counts in place of '", 'file_url', "', and lacks '",
            rep_ai_text('lost_session_count'), "' of its '", rep_ai_text('session_count'),
            "' sessions'"
        ]) }} as detail
    from {{ ref('int_rep_ai__superseded_deliveries') }}
    where has_equal_version or lost_session_count > 0

),

violations as (
    {% for relation in [
        ref('int_rep_ai__violations_of_records'),
        ref('int_rep_ai__violations_of_history'),
        ref('int_rep_ai__violations_of_references'),
        'collections_missing',
        'superseded',
    ] %}
    select
        rule,
        entity,
        record_id,
        delivery_id,
        detail
    from {{ relation }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

final as (

    select
        violations.rule,
        case violations.rule
            {%- for rule, severity in severities.items() %}
            when '{{ rule }}' then '{{ severity }}'
            {%- endfor %}
        end as severity,
        violations.entity,
        violations.record_id,
        deliveries.window_start_at as dump_start_at,
        {{ dbt.concat([
            'violations.detail', "'; delivery '", 'substring(violations.delivery_id, 1, 12)'
        ]) }} as detail
    from violations
    inner join deliveries on violations.delivery_id = deliveries.delivery_id

)

select * from final
