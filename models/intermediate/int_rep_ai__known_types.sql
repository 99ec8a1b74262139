{#- docs/query.md#known-types -#}
{#- What reads this is built anew where a type has come or gone. -#}

{{ config(materialized='incremental') }}

{%- set listed_types %}
    select distinct
        type_key,
        kind,
        type
    from (
        select
            {{ dbt.concat(["'action:'", 'type']) }} as type_key,
            'action' as kind,
            type
        from {{ ref('rep_ai_action_types') }}

        union all

        select
            {{ dbt.concat(["'interaction:'", 'type']) }} as type_key,
            'interaction' as kind,
            type
        from {{ ref('rep_ai_interaction_types') }}

        union all

        select
            {{ dbt.concat(['kind', "':'", 'type']) }} as type_key,
            kind,
            type
        from ({{ rep_ai_own_types() }}) as own
    ) as listed
{%- endset -%}

{%- call rep_ai_incremental(replaces={'known_type': 'type_key'}, opens_batch=true) %}
    select
        kinds.kind,
        case kinds.kind
            when 'everything' then '{{ model.name }}'
            else coalesce(found.type_key, held.type_key)
        end as key
    from ({{ listed_types }}) as found
    full outer join {{ this }} as held on found.type_key = held.type_key
    cross join (select 'known_type' as kind union all select 'everything' as kind) as kinds
    where found.type_key is null or held.type_key is null
{%- endcall -%}

with

listed_types as (
    {{ listed_types }}
),

final as (

    select
        type_key,
        kind,
        type
    from listed_types
    where {{ rep_ai_is_affected('type_key', 'known_type') }}

)

select * from final
