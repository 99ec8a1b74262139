{{ config(materialized='view') }}

with

known_types as (

    select type from {{ ref('int_rep_ai__known_types') }} where kind = 'action'

),

actions as (

    select * from {{ ref('int_rep_ai__actions') }}

),

final as (

    select
        action_id,
        action_type,
        session_id,
        session_group_id,
        visitor_id,
        occurred_at,
        {{- rep_ai_own_columns_of_mart('actions', 'actions') }}
        properties
    from actions
    where
        action_type in (select known_types.type from known_types)
        or {{ rep_ai_include_unknown_types() }}

)

select * from final
