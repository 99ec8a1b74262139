{{ config(tags=['health']) }}

with

actions as (

    select * from {{ ref('int_rep_ai__actions_deduplicated') }} where replaced_in is null

),

known_action_types as (

    select type from {{ ref('rep_ai_action_types') }}

),

interactions as (

    select * from {{ ref('int_rep_ai__interactions_stitched') }} where replaced_in is null

),

known_interaction_types as (

    select type from {{ ref('rep_ai_interaction_types') }}

),

records as (

    select
        'action' as kind,
        actions.action_type as type,
        actions.action_id as record_id,
        actions.occurred_at as seen_at
    from actions
    left join known_action_types on actions.action_type = known_action_types.type
    where known_action_types.type is null

    union all

    select
        'interaction' as kind,
        interactions.interaction_type as type,
        interactions.interaction_id as record_id,
        interactions.started_at as seen_at
    from interactions
    left join known_interaction_types on interactions.interaction_type = known_interaction_types.type
    where known_interaction_types.type is null

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
