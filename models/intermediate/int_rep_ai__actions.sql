{{ config(materialized='incremental') }}

{%- call rep_ai_incremental(
    replaces={'action': 'action_id'},
    lists={
        'session': 'session_id',
        'day': 'cast(occurred_at as date)',
    },
) %}
    -- actions of deliveries that came or went
    select
        'action' as kind,
        action_id as key
    from {{ ref('stg_rep_ai__actions') }}
    where {{ rep_ai_is_affected('delivery_id', 'delivery') }}

    union all

    -- actions of sessions whose group or visitor may be another one
    select
        'action' as kind,
        action_id as key
    from {{ this }}
    where {{ rep_ai_is_affected('session_id', 'session') }}
{%- endcall -%}

with

deliveries as (

    select
        *,
        row_number() over (order by window_start_at, window_end_at) as window_number
    from {{ ref('int_rep_ai__deliveries') }}

),

-- by the action's id alone: the record of another session may be the latest one
records as {{ 'not materialized' if not rep_ai_affected_keys('action') }} (

    select
        actions.*,
        -- later windows have greater places, and so have later positions in a dump
        deliveries.window_number * 10000000000 + actions.record_position as place
    from {{ ref('stg_rep_ai__actions') }} as actions
    inner join deliveries on actions.delivery_id = deliveries.delivery_id
    where
        {{ rep_ai_is_affected_record(
            'actions', ref('stg_rep_ai__actions'), 'action_id', 'action'
        ) }}

),

-- few ids come twice
repeated as materialized (

    select
        action_id,
        count(*) as record_count,
        max(place) as latest_place
    from records
    group by action_id
    having count(*) > 1

),

final as (

    select
        records.action_id,
        records.action_type,
        records.session_id,
        memberships.session_group_id,
        memberships.visitor_id,
        records.delivery_id as last_delivery_id,
        records.properties,
        coalesce(repeated.record_count, 1) as record_count,
        records.occurred_at
    from records
    left join {{ ref('int_rep_ai__sessions_grouped') }} as memberships
        on records.session_id = memberships.session_id
    left join repeated on records.action_id = repeated.action_id
    where coalesce(repeated.latest_place, records.place) = records.place

)

select * from final
