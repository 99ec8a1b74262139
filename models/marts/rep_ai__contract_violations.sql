{#-
    One CTE per rule, named as the rule: (entity, record_id, dump_start_at, detail). Rules about
    what a document says look at all its records, rules about what it means at those that hold.
-#}

{{ config(
    materialized='incremental',
    pre_hook="{{ rep_ai_take_out(rep_ai_violations_judged_anew()) }}",
    tags=['health'],
) }}

{%- set last_build = rep_ai_last_build() -%}

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

{%- set merged = {
    'unique_visitor_sessions': 'int_rep_ai__sessions_stitched',
    'unique_visitor_session_actions': 'int_rep_ai__actions_deduplicated',
    'unique_visitor_session_interactions': 'int_rep_ai__interactions_stitched',
} -%}

{%- set lasting = ['unique_visitor_sessions', 'unique_visitor_session_interactions'] -%}

with

deliveries as (

    select *
    from {{ ref('stg_rep_ai__deliveries') }}
    where is_current and {{ rep_ai_is_of_changed_start(last_build) }}

),

{% for collection, (model, id, count, fields) in collections.items() -%}
{{ model }} as (

    select
        *,
        window_start_at as dump_start_at
    from {{ ref('stg_rep_ai__' ~ model) }}
    where delivery_id in (select deliveries.delivery_id from deliveries)

),

{% endfor -%}
rejected_records as (

    select
        *,
        window_start_at as dump_start_at
    from {{ ref('stg_rep_ai__rejected_records') }}
    where delivery_id in (select deliveries.delivery_id from deliveries)

),

{% for collection, table in merged.items() -%}
{%- set model, id = collections[collection][:2] -%}
merged_{{ model }} as (

    select *
    from {{ ref(table) }}
    where
        replaced_in is null
        {%- if model == 'actions' %}
        -- they are many, and quicker found by their sessions, without which no rule here is broken
        and {{ rep_ai_is_changed('session', last_build, 'last_window_start_at') }}
        {%- else %}
        and {{ rep_ai_may_be_changed_record(collection, last_build) }}
        {%- endif %}

),

{% endfor -%}
memberships as (

    select *
    from {{ ref('int_rep_ai__sessions_grouped') }}
    where
        replaced_in is null
        and {{ rep_ai_is_changed_record('session_group_id', 'session_groups', last_build) }}

),

members as (

    select *
    from {{ ref('int_rep_ai__sessions_stitched') }}
    where
        replaced_in is null
        and {{ rep_ai_is_one_of('memberships') if last_build else 'true' }}

),

grouped_sessions as (

    select
        memberships.session_group_id,
        memberships.session_number_in_group,
        members.session_id,
        members.visitor_id,
        members.last_window_start_at
    from memberships
    inner join members on memberships.session_id = members.session_id

),

missing_id as (
    {% for collection, (model, id, count, fields) in collections.items() %}
    select
        '{{ collection }}' as entity,
        cast(null as {{ dbt.type_string() }}) as record_id,
        dump_start_at,
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
        dump_start_at,
        {{ rep_ai_at_record(["'its key is '", 'record_key', "', and the id holds'"]) }} as detail
    from {{ model }}
    where {{ rep_ai_id('raw_id') }} is not null and record_key is not null
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

-- few ids come twice in a dump; of the many actions only those are looked at that come twice at all
{% for collection, (model, id, count, fields) in collections.items() -%}
repeated_{{ model }} as (

    select
        {{ id }},
        window_number
    from {{ model }}
    where
        {{ id }} is not null
        {%- if model == 'actions' %}
        and {{ id }} in (
            select merged.{{ id }}
            from (select * from {{ ref('int_rep_ai__actions_deduplicated') }}) as merged
            where merged.replaced_in is null and merged.record_count > 1
        )
        {%- endif %}
    group by {{ id }}, window_number
    having count(*) > 1

),

ranked_{{ model }} as (

    select
        {{ model }}.{{ id }},
        {{ model }}.window_number,
        {{ model }}.record_position,
        row_number() over (
            partition by {{ model }}.window_number, {{ model }}.{{ id }}
            order by {{ model }}.record_position desc
        ) as recency
    from {{ model }}
    inner join repeated_{{ model }}
        on
            {{ model }}.{{ id }} = repeated_{{ model }}.{{ id }}
            and {{ model }}.window_number = repeated_{{ model }}.window_number

),

overruled_{{ model }} as (

    select * from ranked_{{ model }} where recency > 1

),

holding_{{ model }} as (

    select {{ model }}.*
    from {{ model }}
    left join overruled_{{ model }} as overruled
        on
            {{ model }}.{{ id }} = overruled.{{ id }}
            and {{ model }}.window_number = overruled.window_number
            and {{ model }}.record_position = overruled.record_position
    where {{ model }}.{{ id }} is not null and overruled.record_position is null

),

{% endfor -%}
contents as (
    {% for collection, (model, id, count, fields) in collections.items() %}
    {%- set columns = fields.values() | reject('equalto', 'raw_id') | list + ['properties'] %}
    select
        '{{ collection }}' as entity,
        {{ model }}.{{ id }} as record_id,
        {{ model }}.delivery_id,
        {{ model }}.dump_start_at,
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
        dump_start_at,
        {{ rep_ai_in_delivery([
            rep_ai_text('count(*)'), "' records of other content, the last one holds'"
        ]) }} as detail
    from contents
    group by entity, record_id, dump_start_at, delivery_id
    having count(distinct content) > 1

),

rejected_record as (

    select
        collection as entity,
        record_key as record_id,
        dump_start_at,
        {{ rep_ai_at_record(['reason']) }} as detail
    from rejected_records

),

unreadable_time as (
    {% for collection, field, column in times %}
    {%- set model, id = collections[collection][:2] %}
    select
        '{{ collection }}' as entity,
        {{ id }} as record_id,
        dump_start_at,
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
        last_window_start_at as dump_start_at,
        {{ dbt.concat([
            "'ends at '", rep_ai_text('ended_at'), "', starts at '", rep_ai_text('started_at')
        ]) }} as detail
    from merged_{{ model }}
    where ended_at < started_at
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

-- users are few and come in every dump: of all interactions it is asked whether theirs is known
{% for rule, (entity, id, reference, dimension) in {
    'unknown_visitor': ['unique_visitor_sessions', 'session_id', 'visitor_id', 'visitors'],
    'unknown_user': [
        'unique_visitor_session_interactions', 'interaction_id', 'user_id', 'users'
    ],
}.items() -%}
named_{{ dimension }} as (
    {% if rule == 'unknown_visitor' and last_build %}
    {{ rep_ai_changed('visitor', last_build) }}
    {%- else %}
    select distinct {{ reference }}
    from {{ ref(merged[entity]) }}
    where replaced_in is null
    {%- endif %}

),

held_{{ dimension }} as (

    select {{ reference }} from {{ ref('dim_rep_ai__' ~ dimension) }}

),

unknown_{{ dimension }} as (

    select named.{{ reference }}
    from named_{{ dimension }} as named
    left join held_{{ dimension }} as held on named.{{ reference }} = held.{{ reference }}
    where named.{{ reference }} is not null and held.{{ reference }} is null

),

{{ rule }} as (

    select
        '{{ entity }}' as entity,
        records.{{ id }} as record_id,
        records.last_window_start_at as dump_start_at,
        {{ rep_ai_is_not_held(reference, 'records') }} as detail
    from (select * from {{ ref(merged[entity]) }}) as records
    where
        records.replaced_in is null
        and records.{{ reference }} in (
            select unknowns.{{ reference }} from unknown_{{ dimension }} as unknowns
        )

),

{% endfor -%}
{% if last_build -%}
named_sessions as (

    select session_id from merged_actions
    union distinct
    select session_id from merged_interactions
    union distinct
    select session_group_id as session_id from memberships

),

{% endif -%}
{%- set is_named = rep_ai_may_be_one_of('select session_id from named_sessions', 'session_id') -%}
held_sessions as (

    select session_id
    from {{ ref('int_rep_ai__sessions_stitched') }}
    where replaced_in is null and {{ is_named if last_build else 'true' }}

),

unknown_session as (
    {% for collection, model, id in [
        ('unique_visitor_session_actions', 'merged_actions', 'action_id'),
        ('unique_visitor_session_interactions', 'merged_interactions', 'interaction_id'),
    ] %}
    select
        '{{ collection }}' as entity,
        {{ model }}.{{ id }} as record_id,
        {{ model }}.last_window_start_at as dump_start_at,
        {{ rep_ai_is_not_held('session_id', model) }} as detail
    from {{ model }}
    left join held_sessions on {{ model }}.session_id = held_sessions.session_id
    where {{ model }}.session_id is not null and held_sessions.session_id is null
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

groups as (

    select
        grouped_sessions.session_group_id,
        max(grouped_sessions.last_window_start_at) as dump_start_at,
        count(distinct grouped_sessions.visitor_id) as visitor_count,
        max(anchors.session_id) as anchor_id,
        max(
            case
                when grouped_sessions.session_number_in_group = 1
                    then grouped_sessions.session_id
            end
        ) as earliest_id
    from grouped_sessions
    left join held_sessions as anchors
        on grouped_sessions.session_group_id = anchors.session_id
    group by grouped_sessions.session_group_id

),

anchor_missing as (

    select
        'session_groups' as entity,
        session_group_id as record_id,
        dump_start_at,
        'no dump holds the session that names the group' as detail
    from groups
    where anchor_id is null

),

anchor_not_earliest as (

    select
        'session_groups' as entity,
        session_group_id as record_id,
        dump_start_at,
        {{ dbt.concat(["'its earliest session is '", 'earliest_id']) }} as detail
    from groups
    where anchor_id != earliest_id

),

several_visitors as (

    select
        'session_groups' as entity,
        session_group_id as record_id,
        dump_start_at,
        {{ dbt.concat([rep_ai_text('visitor_count'), "' visitors'"]) }} as detail
    from groups
    where visitor_count > 1

),

accept_missing as (

    select
        'unique_visitor_session_interactions' as entity,
        interaction_id as record_id,
        dump_start_at,
        {{ rep_ai_at_record(["'accept is '", "coalesce(raw_accept, 'unset')"]) }} as detail
    from holding_interactions
    where accept is null

),

accepted_without_time as (

    select
        'unique_visitor_session_interactions' as entity,
        interaction_id as record_id,
        last_window_start_at as dump_start_at,
        'accepted, at an unknown time' as detail
    from merged_interactions
    where is_accepted and accepted_at is null

),

accepted_before_start as (

    select
        'unique_visitor_session_interactions' as entity,
        interaction_id as record_id,
        last_window_start_at as dump_start_at,
        {{ dbt.concat([
            "'accepted at '", rep_ai_text('accepted_at'),
            "', starts at '", rep_ai_text('acceptance_started_at'),
        ]) }} as detail
    from merged_interactions
    where accepted_at < acceptance_started_at

),

{% for collection in lasting -%}
{%- set model, id = collections[collection][:2] -%}
{%- set searched = 'searched_' ~ model -%}
{%- set is_near = 'delivery_id in (select delivery_id from ' ~ searched ~ ')' -%}
{% if last_build -%}
spans_{{ model }} as (

    select distinct
        first_window_start_at,
        last_window_start_at
    from merged_{{ model }}

),

-- their records lie in the windows between the first and the last one
{{ searched }} as (

    {{ rep_ai_deliveries_within('spans_' ~ model) }}

),

{% endif -%}
lasting_{{ model }} as (

    select
        *,
        {{ rep_ai_holds(id) }} as holds
    from {{ ref('stg_rep_ai__' ~ model) }}
    where
        {{ id }} is not null
        and {{ rep_ai_is_changed_record(id, collection, last_build) }}
        and {{ is_near if last_build else 'true' }}

),

{% endfor -%}
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
    from lasting_{{ model }}
    where holds
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

outside_window as (

    select
        entity,
        record_id,
        window_start_at as dump_start_at,
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
        window_start_at as dump_start_at,
        {{ rep_ai_at_record(["'happened at '", rep_ai_text('occurred_at')]) }} as detail
    from holding_actions
    where occurred_at < window_start_at or occurred_at >= window_end_at

),

end_changed as (

    select
        entity,
        record_id,
        window_start_at as dump_start_at,
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
        window_start_at as dump_start_at,
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
        dump_start_at,
        {%- for field, column in fields.items() %}
        count({{ rep_ai_id(column) if column == 'raw_id' else column }}) as {{ field }}_count,
        {%- endfor %}
        count(*) as record_count
    from {{ model }}
    group by delivery_id, dump_start_at

),

{% endfor -%}
field_missing as (
    {% for collection, (model, id, count, fields) in collections.items() %}
    {%- set last_collection = loop.last %}
    {%- for field in fields %}
    select
        '{{ collection }}' as entity,
        '{{ field }}' as record_id,
        dump_start_at,
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
        dump_start_at,
        detail
    from {{ rule }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

final as (

    select
        rule,
        severity,
        entity,
        record_id,
        dump_start_at,
        detail
    from violations
    {%- if last_build %}
    -- some of the records above are not among those whose violations were taken out
    where
        {% for condition in rep_ai_violations_judged_anew() -%}
        {{ 'or ' if not loop.first }}({{ condition | replace('last_build', last_build) }})
        {% endfor %}
    {%- endif %}

)

select * from final
