{{ config(materialized='incremental') }}

{%- call rep_ai_incremental(
    replaces={'action': 'action_id'},
    lists={
        'session': 'session_id',
        'day': rep_ai_local_date('occurred_at'),
        'dump': 'last_delivery_id',
    },
    within={'last_delivery_id': ['delivery', 'dump']},
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

    union all

    -- of the few that are in several dumps, those beyond the latest one
    select
        'dump' as kind,
        records.delivery_id as key
    from {{ rep_ai_named(ref('stg_rep_ai__actions')) }} as records
    inner join {{ this }} as held on records.action_id = held.action_id
    where
        held.record_count > 1
        and (
            {{ rep_ai_is_affected('held.session_id', 'session') }}
            or held.action_id in (
                select come_or_gone.action_id
                from {{ rep_ai_named(ref('stg_rep_ai__actions')) }} as come_or_gone
                where {{ rep_ai_is_affected('come_or_gone.delivery_id', 'delivery') }}
            )
        )
{%- endcall -%}

with

deliveries as (

    select
        *,
        row_number() over (order by window_start_at, window_end_at) as window_number
    from {{ ref('int_rep_ai__deliveries') }}

),

-- not by session, since the latest record may name another one; the listed dumps are all that have
-- a record of these actions
records as {{ rep_ai_materialized(false) if not rep_ai_affected_keys('action') }} (

    select
        actions.*,
        -- later windows have greater places, and so have later positions in a dump
        deliveries.window_number * 10000000000 + actions.record_position as place
    from {{ rep_ai_named(ref('stg_rep_ai__actions')) }} as actions
    inner join deliveries on actions.delivery_id = deliveries.delivery_id
    where
        actions.action_id is not null
        and {{ rep_ai_is_affected('actions.action_id', 'action') }}
        and {{ rep_ai_is_affected('actions.delivery_id', 'delivery', 'dump') }}

),

-- few ids come twice
repeated as {{ rep_ai_materialized() }} (

    select
        action_id,
        count(*) as record_count,
        max(place) as latest_place
    from records
    group by action_id
    having count(*) > 1

),

memberships as (

    select
        session_id,
        session_group_id,
        visitor_id
    from {{ ref('int_rep_ai__sessions_grouped') }}
    {% if rep_ai_affected_keys('action') -%}
    where session_id in (select records.session_id from records)
    {%- endif %}

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
        {{- rep_ai_own_columns('actions', 'records') }}
        coalesce(repeated.record_count, 1) as record_count,
        records.occurred_at
    from records
    left join memberships on records.session_id = memberships.session_id
    left join repeated on records.action_id = repeated.action_id
    where coalesce(repeated.latest_place, records.place) = records.place

)

select * from final
