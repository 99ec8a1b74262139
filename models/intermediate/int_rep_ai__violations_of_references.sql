{#-
    Broken promises between records: ids that are named and that no dump holds, and groups. A
    violation is replaced with the one key that it bears, the id that is named or the group.
-#}

{{ config(materialized='incremental') }}

{%- call rep_ai_incremental(
    replaces={
        'session': 'session_id',
        'visitor': 'visitor_id',
        'user': 'user_id',
        'session_group': 'session_group_id',
    },
) %}
    select
        'user' as kind,
        user_id as key
    from {{ ref('stg_rep_ai__users') }}
    where {{ rep_ai_is_affected('delivery_id', 'delivery') }}
{%- endcall -%}

{%- set sessions = ref('int_rep_ai__sessions_stitched') -%}
{%- set actions = ref('int_rep_ai__actions') -%}
{%- set interactions = ref('int_rep_ai__interactions') -%}

{#- kind -> where it is known, and who names it: entity, relation, id -#}
{%- set interaction = ['unique_visitor_session_interactions', interactions, 'interaction_id'] -%}
{%- set references = {
    'session': [sessions, [
        ['unique_visitor_session_actions', actions, 'action_id'], interaction
    ]],
    'visitor': [ref('dim_rep_ai__visitors'), [['unique_visitor_sessions', sessions, 'session_id']]],
    'user': ['current_users', [interaction]],
} -%}

{#- rule, condition, and what is said -#}
{%- set rules_of_groups = [
    ('anchor_missing', 'anchor_id is null', "'no dump holds the session that names the group'"),
    (
        'anchor_not_earliest',
        'anchor_id != earliest_id',
        dbt.concat(["'its earliest session is '", 'earliest_id']),
    ),
    (
        'several_visitors',
        'visitor_count > 1',
        dbt.concat([rep_ai_text('visitor_count'), "' visitors'"]),
    ),
] -%}

with

deliveries as (

    select
        *,
        row_number() over (order by window_start_at, window_end_at) as window_number
    from {{ ref('int_rep_ai__deliveries') }}

),

current_users as (

    select users.user_id
    from {{ rep_ai_named(ref('stg_rep_ai__users')) }} as users
    inner join deliveries on users.delivery_id = deliveries.delivery_id

),

{% for kind, (known, naming) in references.items() -%}
{%- set keys = rep_ai_affected_keys(kind) -%}
named_{{ kind }}s as (

    {% if keys -%}
    select keys.key as {{ kind }}_id from ({{ keys }}) as keys
    {%- else -%}
    {%- for entity, relation, id in naming -%}
    {{ rep_ai_union_distinct() if not loop.first }}
    select distinct {{ kind }}_id from {{ relation }}
    {% endfor -%}
    {%- endif %}

),

known_{{ kind }}s as (

    select known.{{ kind }}_id
    from {{ rep_ai_named(known) }} as known
    where known.{{ kind }}_id in (select named.{{ kind }}_id from named_{{ kind }}s as named)

),

-- they are few; not by `not in`, for which PostgreSQL goes through a long list for each row
unknown_{{ kind }}s as (

    select named.{{ kind }}_id
    from named_{{ kind }}s as named
    left join known_{{ kind }}s as known on named.{{ kind }}_id = known.{{ kind }}_id
    where known.{{ kind }}_id is null

),

{% endfor -%}
members as (

    select
        session_group_id,
        session_id,
        session_number_in_group,
        visitor_id
    from {{ ref('fct_rep_ai__sessions') }}
    where {{ rep_ai_is_affected('session_group_id', 'session_group') }}

),

group_members as (

    select
        members.session_group_id,
        members.session_id,
        members.session_number_in_group,
        members.visitor_id,
        deliveries.delivery_id,
        deliveries.window_number
    from members
    inner join {{ rep_ai_named(sessions) }} as stitched on members.session_id = stitched.session_id
    inner join deliveries on stitched.last_delivery_id = deliveries.delivery_id
    -- said twice, for engines that would hold all sessions to join them
    where stitched.session_id in (select wanted.session_id from members as wanted)

),

session_groups as (

    select
        session_group_id,
        {{ rep_ai_last_known('delivery_id', 'window_number') }} as delivery_id,
        count(distinct visitor_id) as visitor_count,
        max(case when session_id = session_group_id then session_id end) as anchor_id,
        max(case when session_number_in_group = 1 then session_id end) as earliest_id
    from group_members
    group by session_group_id

),

violations as (
    {% for kind, (known, naming) in references.items() %}
    {%- for entity, relation, id in naming %}
    select
        'unknown_{{ kind }}' as rule,
        '{{ entity }}' as entity,
        {{ id }} as record_id,
        last_delivery_id as delivery_id,
        '{{ kind }}' as kind,
        {{ kind }}_id as key,
        {{ dbt.concat(["'no dump holds " ~ kind ~ "_id '", kind ~ '_id']) }} as detail
    from {{ relation }}
    where {{ kind }}_id in (select unknown.{{ kind }}_id from unknown_{{ kind }}s as unknown)

    union all
    {% endfor %}
    {%- endfor %}
    {%- for rule, condition, said in rules_of_groups %}
    select
        '{{ rule }}' as rule,
        'session_groups' as entity,
        session_group_id as record_id,
        delivery_id,
        'session_group' as kind,
        session_group_id as key,
        {{ said }} as detail
    from session_groups
    where {{ condition }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

final as (

    select
        rule,
        entity,
        record_id,
        delivery_id,
        {%- for kind in ('session', 'visitor', 'user', 'session_group') %}
        case when kind = '{{ kind }}' then key end as {{ kind }}_id,
        {%- endfor %}
        detail
    from violations

)

select * from final
