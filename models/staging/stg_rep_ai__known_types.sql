{{ rep_ai_require_raw('known_types') }}

with

known_types as (

    select * from {{ source('rep_ai', 'known_types') }}

),

final as (

    select
        kind,
        type,
        min(_at) as added_at
    from known_types
    group by kind, type

)

select * from final
