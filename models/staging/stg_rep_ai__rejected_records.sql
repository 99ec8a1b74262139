with

deliveries as (

    select * from {{ ref('stg_rep_ai__deliveries') }} where is_current

),

records as (

    select * from {{ source('rep_ai', 'rejected_records') }}

),

final as (

    select
        records._delivery_id as delivery_id,
        records.collection,
        records._key as record_key,
        records.record,
        records.reason,
        records._position as record_position,
        deliveries.window_number,
        deliveries.window_start_at,
        deliveries.window_end_at
    from records
    inner join deliveries
        on
            records._delivery_id = deliveries.delivery_id
            and records._dlt_load_id = deliveries.load_id

)

select * from final
