with

deliveries as (

    select * from {{ ref('stg_rep_ai__deliveries') }}

),

records as (

    select * from {{ source('rep_ai', 'unique_visitor_session_interactions') }}

),

final as (

    select
        records._delivery_id as delivery_id,
        records._key as record_key,
        records._position as record_position,
        {{ rep_ai_columns_of('unique_visitor_session_interactions', 'interactions') }}
    from records
    where
        (records._delivery_id, records._dlt_load_id) in (
            select
                deliveries.delivery_id,
                deliveries.load_id
            from deliveries
        )

)

select * from final
