{#-
    Broken promises that a delivery shows by itself. `rules` has, of each: its name, the condition
    under which a record breaks it, and what is said of that record.
-#}

{{ config(materialized='incremental') }}

{{ rep_ai_incremental(replaces={'delivery': 'delivery_id'}) }}

{%- set collections = {
    'users': ['users', 'user_id'],
    'unique_visitors': ['visitors', 'visitor_id'],
    'unique_visitor_sessions': ['sessions', 'session_id'],
    'unique_visitor_session_actions': ['actions', 'action_id'],
    'unique_visitor_session_interactions': ['interactions', 'interaction_id'],
} -%}

with

deliveries as (

    select *
    from {{ ref('int_rep_ai__deliveries') }}
    where {{ rep_ai_is_affected('delivery_id', 'delivery') }}

),

{% for collection, (model, id) in collections.items() -%}
{%- set fields = rep_ai_vendor_fields(collection) -%}
{%- set rules = [
    ('missing_id', id ~ ' is null', "'no id and no key: it is in no mart'"),
    (
        'key_differs_from_id',
        rep_ai_id('raw_id') ~ ' is not null and record_key is not null',
        dbt.concat(["'its key is '", 'record_key', "', and the id holds'"]),
    ),
] -%}
{%- for time in fields | selectattr('reads_as', 'equalto', 'time') -%}
{%- set raw = time.staged_raw_as -%}
{%- do rules.append((
        'unreadable_time',
        id ~ ' is not null and ' ~ raw ~ ' is not null and ' ~ time.staged_as ~ ' is null',
        dbt.concat(["'" ~ time.name ~ " is '", raw]),
    )) -%}
{%- endfor -%}
{%- if model == 'actions' -%}
{%- do rules.append((
        'outside_window',
        'is_latest and (occurred_at < window_start_at or occurred_at >= window_end_at)',
        dbt.concat(["'happened at '", rep_ai_text('occurred_at')]),
    )) -%}
{%- elif model == 'visitors' -%}
{%- do rules.append((
        'custom_id_of_nobody',
        'is_latest and ' ~ rep_ai_is_nobody('custom_id'),
        dbt.concat(["'custom_id is \"'", 'custom_id', "'\"'"]),
    )) -%}
{%- elif model == 'interactions' -%}
{%- do rules.append((
        'accept_missing',
        'is_latest and accept is null',
        dbt.concat(["'accept is '", "coalesce(raw_accept, 'unset')"]),
    )) -%}
{%- endif -%}
{#- a record's fields as one text, to tell records apart: each with its length before it -#}
{%- set contents = [] -%}
{%- for column in fields[1:] | map(attribute='staged_raw_as') | list + ['properties'] -%}
{%- set value = rep_ai_text('records.' ~ column) -%}
{%- set part = dbt.concat([rep_ai_text('length(' ~ value ~ ')'), "':'", value]) -%}
{%- do contents.append("coalesce(" ~ part ~ ", '-')") -%}
{%- endfor -%}
-- read several times, each time for few columns
{{ model }} as {{ rep_ai_materialized(false) }} (

    select
        records.*,
        deliveries.window_start_at,
        deliveries.window_end_at
    from {{ rep_ai_named(ref('stg_rep_ai__' ~ model)) }} as records
    inner join deliveries on records.delivery_id = deliveries.delivery_id
    where {{ rep_ai_is_affected('records.delivery_id', 'delivery') }}

),

-- few ids come twice in a dump
repeated_{{ model }} as (

    select
        delivery_id,
        {{ id }},
        max(record_position) as latest_position
    from {{ model }}
    where
        {{ id }} is not null
        {%- if model == 'actions' %}
        -- of all actions only those are looked at that come twice at all
        and {{ id }} in (
            select merged.{{ id }}
            from {{ rep_ai_named(ref('int_rep_ai__actions')) }} as merged
            where merged.record_count > 1
        )
        {%- endif %}
    group by delivery_id, {{ id }}
    having count(*) > 1

),

-- the latest record of an id in a dump is the one that counts
marked_{{ model }} as (

    select
        records.*,
        records.{{ id }} is not null
        and coalesce(repeated.latest_position, records.record_position) = records.record_position
            as is_latest
    from {{ model }} as records
    left join repeated_{{ model }} as repeated
        on
            records.delivery_id = repeated.delivery_id
            and records.{{ id }} = repeated.{{ id }}

),

broken_{{ model }} as (

    select *
    from marked_{{ model }}
    where ({{ rules | map(attribute=1) | join(') or (') }})

),

rules_of_{{ model }} as (
    {% for rule, condition, said in rules %}
    select
        {{ loop.index }} as rule_number,
        '{{ rule }}' as rule
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

-- each beside each rule: a branch for each rule would read all records again on some engines
judged_{{ model }} as (

    select
        broken.*,
        rules.rule_number,
        rules.rule
    from broken_{{ model }} as broken
    cross join rules_of_{{ model }} as rules

),

said_of_{{ model }} as (

    select
        rule,
        {{ id }} as record_id,
        delivery_id,
        case rule_number
            {%- for rule, condition, said in rules %}
            when {{ loop.index }}
                then {{ dbt.concat([said, "', position '", rep_ai_text('record_position')]) }}
            {%- endfor %}
        end as detail
    from judged_{{ model }}
    where
        case rule_number
            {%- for rule, condition, said in rules %}
            when {{ loop.index }} then {{ condition }}
            {%- endfor %}
        end

    union all

    select
        'duplicate_id' as rule,
        contents.{{ id }} as record_id,
        contents.delivery_id,
        {{ dbt.concat([
            rep_ai_text('count(*)'), "' records of other content, the last one holds'"
        ]) }} as detail
    from (
        select
            records.{{ id }},
            records.delivery_id,
            {{ dbt.concat(contents) }} as content
        from {{ model }} as records
        inner join repeated_{{ model }} as repeated
            on
                records.delivery_id = repeated.delivery_id
                and records.{{ id }} = repeated.{{ id }}
    ) as contents
    group by contents.{{ id }}, contents.delivery_id
    having count(distinct contents.content) > 1

),

-- how many records carry each field
carried_by_{{ model }} as (

    select
        {%- for field in fields %}
        {%- set raw = field.staged_raw_as %}
        count({{ rep_ai_id(raw) if field.reads_as == 'key' else raw }}) as {{ field.name }}_count,
        {%- endfor %}
        delivery_id,
        count(*) as record_count
    from {{ model }}
    group by delivery_id

),

fields_of_{{ model }} as (
    {% for field in fields %}
    select '{{ field.name }}' as field
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

carried_fields_of_{{ model }} as (

    select
        carried.*,
        fields.field
    from carried_by_{{ model }} as carried
    cross join fields_of_{{ model }} as fields

),

{% endfor -%}
violations as (
    {% for collection, (model, id) in collections.items() %}
    select
        rule,
        '{{ collection }}' as entity,
        record_id,
        delivery_id,
        detail
    from said_of_{{ model }}

    union all

    select
        'field_missing' as rule,
        '{{ collection }}' as entity,
        field as record_id,
        delivery_id,
        {{ dbt.concat(["'in none of '", rep_ai_text('record_count'), "' records'"]) }} as detail
    from carried_fields_of_{{ model }}
    where
        case field
            {%- for field in rep_ai_vendor_fields(collection) %}
            when '{{ field.name }}' then {{ field.name }}_count
            {%- endfor %}
        end = 0

    union all
    {% endfor %}
    select
        'rejected_record' as rule,
        records.collection as entity,
        records.record_key as record_id,
        records.delivery_id,
        {{ dbt.concat([
            'records.reason', "', position '", rep_ai_text('records.record_position')
        ]) }} as detail
    from {{ rep_ai_named(ref('stg_rep_ai__rejected_records')) }} as records
    inner join deliveries on records.delivery_id = deliveries.delivery_id

),

final as (

    select
        rule,
        entity,
        record_id,
        delivery_id,
        detail
    from violations

)

select * from final
