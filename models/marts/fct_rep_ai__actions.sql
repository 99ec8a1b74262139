{{ config(
    materialized='incremental',
    pre_hook="{{ rep_ai_take_out_sessions('occurred_at', 'action_id') }}",
) }}

{%- set last_build = rep_ai_last_build() -%}

with

known_types as (

    select type from {{ ref('rep_ai_action_types') }}

),

actions as (

    {{ rep_ai_rows_of_changed_sessions(
        'int_rep_ai__actions_deduplicated', last_build, 'action_id'
    ) }}

),

sessions as (

    select *
    from {{ ref('int_rep_ai__sessions_stitched') }}
    where
        replaced_in is null
        and {{ rep_ai_is_changed('session', last_build, 'last_window_start_at') }}

),

groups as (

    select *
    from {{ ref('int_rep_ai__sessions_grouped') }}
    where
        replaced_in is null
        and {{ rep_ai_is_changed('session', last_build, 'last_window_start_at') }}

),

final as (

    select
        actions.action_id,
        actions.action_type,
        actions.session_id,
        groups.session_group_id,
        sessions.visitor_id,
        actions.occurred_at,
        actions.properties
    from actions
    left join sessions on actions.session_id = sessions.session_id
    left join groups on actions.session_id = groups.session_id
    left join known_types on actions.action_type = known_types.type
    where known_types.type is not null or {{ rep_ai_include_unknown_types() }}

)

select * from final
