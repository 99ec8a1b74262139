{#-
    One CTE per rule, named as the rule: (entity, record_id, window_number, detail). Rules about
    what a document says look at all its records, rules about what it means at those that hold.
-#}

{%- set rules = {
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
} -%}

{#- collection -> staging model, id, count in the delivery, column for each vendor field -#}
{%- set collections = {
    'users': ['users', 'user_id', 'user_count', {
        'id': 'raw_id',
        'email_address': 'email_address',
        'display_name': 'display_name',
        'title': 'title',
        'active': 'raw_active',
    }],
    'unique_visitors': ['visitors', 'visitor_id', 'visitor_count', {
        'id': 'raw_id',
        'custom_id': 'custom_id',
        'custom_metadata': 'custom_metadata',
    }],
    'unique_visitor_sessions': ['sessions', 'session_id', 'session_count', {
        'id': 'raw_id',
        'session_group': 'session_group_label',
        'unique_visitor_id': 'visitor_id',
        'referrer': 'referrer',
        'user_agent': 'user_agent',
        'start_time': 'raw_start_time',
        'end_time': 'raw_end_time',
    }],
    'unique_visitor_session_actions': ['actions', 'action_id', 'action_count', {
        'id': 'raw_id',
        'action': 'action_type',
        'session_id': 'session_id',
        'timestamp': 'raw_timestamp',
    }],
    'unique_visitor_session_interactions': ['interactions', 'interaction_id', 'interaction_count', {
        'id': 'raw_id',
        'interaction': 'interaction_type',
        'session_id': 'session_id',
        'user_id': 'user_id',
        'start_time': 'raw_start_time',
        'end_time': 'raw_end_time',
        'accept': 'raw_accept',
        'accept_time': 'raw_accept_time',
    }],
} -%}

{%- set times = [
    ('unique_visitor_sessions', 'start_time', 'started_at'),
    ('unique_visitor_sessions', 'end_time', 'ended_at'),
    ('unique_visitor_session_actions', 'timestamp', 'occurred_at'),
    ('unique_visitor_session_interactions', 'start_time', 'started_at'),
    ('unique_visitor_session_interactions', 'end_time', 'ended_at'),
    ('unique_visitor_session_interactions', 'accept_time', 'accept_at'),
] -%}

{%- set lasting = ['unique_visitor_sessions', 'unique_visitor_session_interactions'] -%}

with

deliveries as (

    select * from {{ ref('stg_rep_ai__deliveries') }} where is_current

),

{% for collection, (model, id, count, fields) in collections.items() -%}
{{ model }} as (

    select * from {{ ref('stg_rep_ai__' ~ model) }}

),

{% endfor -%}
rejected_records as (

    select * from {{ ref('stg_rep_ai__rejected_records') }}

),

stitched_sessions as (

    select * from {{ ref('int_rep_ai__sessions_stitched') }}

),

stitched_interactions as (

    select * from {{ ref('int_rep_ai__interactions_stitched') }}

),

deduplicated_actions as (

    select * from {{ ref('int_rep_ai__actions_deduplicated') }}

),

numbered_sessions as (

    select * from {{ ref('int_rep_ai__sessions_grouped') }}

),

grouped_sessions as (

    select
        numbered_sessions.session_group_id,
        numbered_sessions.session_number_in_group,
        stitched_sessions.session_id,
        stitched_sessions.visitor_id,
        stitched_sessions.last_window_number
    from numbered_sessions
    inner join stitched_sessions on numbered_sessions.session_id = stitched_sessions.session_id

),

missing_id as (
    {% for collection, (model, id, count, fields) in collections.items() %}
    select
        '{{ collection }}' as entity,
        cast(null as {{ dbt.type_string() }}) as record_id,
        window_number,
        {{ rep_ai_at_record(["'no id and no key: it is in no mart'"]) }} as detail
    from {{ model }}
    where {{ id }} is null
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

key_differs_from_id as (
    {% for collection, (model, id, count, fields) in collections.items() %}
    select
        '{{ collection }}' as entity,
        {{ id }} as record_id,
        window_number,
        {{ rep_ai_at_record(["'its key is '", 'record_key', "', and the id holds'"]) }} as detail
    from {{ model }}
    where {{ rep_ai_id('raw_id') }} is not null and record_key is not null
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

{% for collection, (model, id, count, fields) in collections.items() -%}
repeated_{{ model }} as (

    select distinct
        {{ id }},
        window_number
    from {{ model }}
    where {{ id }} is not null and not holds

),

{% endfor -%}
contents as (
    {% for collection, (model, id, count, fields) in collections.items() %}
    {%- set columns = fields.values() | reject('equalto', 'raw_id') | list + ['properties'] %}
    select
        '{{ collection }}' as entity,
        {{ model }}.{{ id }} as record_id,
        {{ model }}.delivery_id,
        {{ model }}.window_number,
        {{ rep_ai_content(columns) }} as content
    from {{ model }}
    inner join repeated_{{ model }}
        on
            {{ model }}.{{ id }} = repeated_{{ model }}.{{ id }}
            and {{ model }}.window_number = repeated_{{ model }}.window_number
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

duplicate_id as (

    select
        entity,
        record_id,
        window_number,
        {{ rep_ai_in_delivery([
            rep_ai_text('count(*)'), "' records of other content, the last one holds'"
        ]) }} as detail
    from contents
    group by entity, record_id, window_number, delivery_id
    having count(distinct content) > 1

),

rejected_record as (

    select
        collection as entity,
        record_key as record_id,
        window_number,
        {{ rep_ai_at_record(['reason']) }} as detail
    from rejected_records

),

unreadable_time as (
    {% for collection, field, column in times %}
    {%- set model, id = collections[collection][:2] %}
    select
        '{{ collection }}' as entity,
        {{ id }} as record_id,
        window_number,
        {{ rep_ai_at_record(["'" ~ field ~ " is '", 'raw_' ~ field]) }} as detail
    from {{ model }}
    where {{ id }} is not null and raw_{{ field }} is not null and {{ column }} is null
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

end_before_start as (
    {% for collection in lasting %}
    {%- set model, id = collections[collection][:2] %}
    select
        '{{ collection }}' as entity,
        {{ id }} as record_id,
        last_window_number as window_number,
        {{ dbt.concat([
            "'ends at '", rep_ai_text('ended_at'), "', starts at '", rep_ai_text('started_at')
        ]) }} as detail
    from stitched_{{ model }}
    where ended_at < started_at
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

{% for rule, model, id, reference, held in [
    ('unknown_visitor', 'stitched_sessions', 'session_id', 'visitor_id', 'visitors'),
    ('unknown_user', 'stitched_interactions', 'interaction_id', 'user_id', 'users'),
] -%}
held_{{ held }} as (

    select distinct {{ reference }} from {{ held }}

),

{{ rule }} as (

    select
        '{{ 'unique_visitor_sessions' if held == 'visitors' else lasting[1] }}' as entity,
        {{ model }}.{{ id }} as record_id,
        {{ model }}.last_window_number as window_number,
        {{ dbt.concat(["'no dump holds " ~ reference ~ " '", model ~ '.' ~ reference]) }} as detail
    from {{ model }}
    left join held_{{ held }} on {{ model }}.{{ reference }} = held_{{ held }}.{{ reference }}
    where {{ model }}.{{ reference }} is not null and held_{{ held }}.{{ reference }} is null

),

{% endfor -%}
unknown_session as (
    {% for collection, model, id in [
        ('unique_visitor_session_actions', 'deduplicated_actions', 'action_id'),
        ('unique_visitor_session_interactions', 'stitched_interactions', 'interaction_id'),
    ] %}
    select
        '{{ collection }}' as entity,
        {{ model }}.{{ id }} as record_id,
        {{ model }}.last_window_number as window_number,
        {{ dbt.concat(["'no dump holds session_id '", model ~ '.session_id']) }} as detail
    from {{ model }}
    left join stitched_sessions on {{ model }}.session_id = stitched_sessions.session_id
    where {{ model }}.session_id is not null and stitched_sessions.session_id is null
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

groups as (

    select
        grouped_sessions.session_group_id,
        max(grouped_sessions.last_window_number) as window_number,
        count(distinct grouped_sessions.visitor_id) as visitor_count,
        max(anchors.session_id) as anchor_id,
        max(
            case
                when grouped_sessions.session_number_in_group = 1
                    then grouped_sessions.session_id
            end
        ) as earliest_id
    from grouped_sessions
    left join stitched_sessions as anchors
        on grouped_sessions.session_group_id = anchors.session_id
    group by grouped_sessions.session_group_id

),

anchor_missing as (

    select
        'session_groups' as entity,
        session_group_id as record_id,
        window_number,
        'no dump holds the session that names the group' as detail
    from groups
    where anchor_id is null

),

anchor_not_earliest as (

    select
        'session_groups' as entity,
        session_group_id as record_id,
        window_number,
        {{ dbt.concat(["'its earliest session is '", 'earliest_id']) }} as detail
    from groups
    where anchor_id != earliest_id

),

several_visitors as (

    select
        'session_groups' as entity,
        session_group_id as record_id,
        window_number,
        {{ dbt.concat([rep_ai_text('visitor_count'), "' visitors'"]) }} as detail
    from groups
    where visitor_count > 1

),

accept_missing as (

    select
        'unique_visitor_session_interactions' as entity,
        interaction_id as record_id,
        window_number,
        {{ rep_ai_at_record(["'accept is '", "coalesce(raw_accept, 'unset')"]) }} as detail
    from interactions
    where holds and accept is null

),

accepted_without_time as (

    select
        'unique_visitor_session_interactions' as entity,
        interaction_id as record_id,
        last_window_number as window_number,
        'accepted, at an unknown time' as detail
    from stitched_interactions
    where is_accepted and accepted_at is null

),

accepted_before_start as (

    select
        'unique_visitor_session_interactions' as entity,
        interaction_id as record_id,
        last_window_number as window_number,
        {{ dbt.concat([
            "'accepted at '", rep_ai_text('accepted_at'),
            "', starts at '", rep_ai_text('acceptance_started_at'),
        ]) }} as detail
    from stitched_interactions
    where accepted_at < acceptance_started_at

),

-- what began in an earlier window may go on in this one
lasting_records as (
    {% for collection in lasting %}
    {%- set model, id = collections[collection][:2] %}
    select
        '{{ collection }}' as entity,
        {{ id }} as record_id,
        delivery_id,
        record_position,
        window_number,
        min(window_number) over (partition by {{ id }}) as first_window_number,
        window_start_at,
        window_end_at,
        started_at,
        ended_at,
        count(ended_at) over (
            partition by {{ id }}
            order by window_number
            rows between unbounded preceding and current row
        ) as known_end_count,
        lag(ended_at) over (
            partition by {{ id }}, case when ended_at is null then 0 else 1 end
            order by window_number
        ) as previous_ended_at
    from {{ model }}
    where holds
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

outside_window as (

    select
        entity,
        record_id,
        window_number,
        {{ rep_ai_at_record([
            "'starts at '", "coalesce(" ~ rep_ai_text('started_at') ~ ", 'an unknown time')",
            "', ends at '", "coalesce(" ~ rep_ai_text('ended_at') ~ ", 'an unknown time')",
        ]) }} as detail
    from lasting_records
    where
        (
            window_number = first_window_number
            and (started_at < window_start_at or started_at >= window_end_at)
        )
        or ended_at < window_start_at
        or ended_at > window_end_at

    union all

    select
        'unique_visitor_session_actions' as entity,
        action_id as record_id,
        window_number,
        {{ rep_ai_at_record(["'happened at '", rep_ai_text('occurred_at')]) }} as detail
    from actions
    where holds and (occurred_at < window_start_at or occurred_at >= window_end_at)

),

end_changed as (

    select
        entity,
        record_id,
        window_number,
        {{ rep_ai_at_record([
            "'ends at '", "coalesce(" ~ rep_ai_text('ended_at') ~ ", 'an unset time')",
            "', unlike in an earlier dump'",
        ]) }} as detail
    from lasting_records
    where
        (ended_at is null and known_end_count > 0)
        or ended_at != previous_ended_at

),

collection_missing as (
    {% for collection, (model, id, count, fields) in collections.items() %}
    select
        '{{ collection }}' as entity,
        cast(null as {{ dbt.type_string() }}) as record_id,
        window_number,
        {{ rep_ai_in_delivery(["'absent or null'"]) }} as detail
    from deliveries
    where {{ count }} is null
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

{% for collection, (model, id, count, fields) in collections.items() -%}
carried_{{ model }} as (

    select
        delivery_id,
        window_number,
        {%- for field, column in fields.items() %}
        count({{ rep_ai_id(column) if column == 'raw_id' else column }}) as {{ field }}_count,
        {%- endfor %}
        count(*) as record_count
    from {{ model }}
    group by delivery_id, window_number

),

{% endfor -%}
field_missing as (
    {% for collection, (model, id, count, fields) in collections.items() %}
    {%- set last_collection = loop.last %}
    {%- for field in fields %}
    select
        '{{ collection }}' as entity,
        '{{ field }}' as record_id,
        window_number,
        {{ rep_ai_in_delivery(["'in none of '", rep_ai_text('record_count'), "' records'"]) }}
            as detail
    from carried_{{ model }}
    where {{ field }}_count = 0
    {{ 'union all' if not (loop.last and last_collection) }}
    {%- endfor %}
    {%- endfor %}

),

violations as (
    {% for rule, severity in rules.items() %}
    select
        '{{ rule }}' as rule,
        '{{ severity }}' as severity,
        entity,
        record_id,
        window_number,
        detail
    from {{ rule }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

final as (

    select
        violations.rule,
        violations.severity,
        violations.entity,
        violations.record_id,
        deliveries.window_start_at as dump_start_at,
        violations.detail
    from violations
    inner join deliveries on violations.window_number = deliveries.window_number

)

select * from final
