with

records as (

    select * from {{ ref('stg_rep_ai__actions') }} where action_id is not null

),

known_types as (

    select type from {{ ref('rep_ai_action_types') }}

),

-- the record of the last window, and in that the one that holds
ranked as (

    select
        *,
        row_number() over (
            partition by action_id
            order by window_number desc, record_position desc
        ) as recency
    from records

),

final as (

    select
        ranked.action_id,
        ranked.action_type,
        ranked.session_id,
        ranked.properties,
        ranked.window_number as last_window_number,
        known_types.type is not null as is_known_type,
        ranked.occurred_at
    from ranked
    left join known_types on ranked.action_type = known_types.type
    where ranked.recency = 1

)

select * from final
