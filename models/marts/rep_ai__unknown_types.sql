with

records as (

    select
        'action' as kind,
        action_type as type,
        action_id as record_id,
        occurred_at as seen_at
    from {{ ref('int_rep_ai__actions_deduplicated') }}
    where not is_known_type

    union all

    select
        'interaction' as kind,
        interaction_type as type,
        interaction_id as record_id,
        started_at as seen_at
    from {{ ref('int_rep_ai__interactions_stitched') }}
    where not is_known_type

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
