with

deliveries as (

    select * from {{ ref('stg_rep_ai__deliveries') }} where is_current

),

records as (

    select * from {{ source('rep_ai', 'unique_visitors') }}

),

typed as (

    select
        coalesce({{ rep_ai_id('records.id') }}, {{ rep_ai_id('records._key') }}) as visitor_id,
        {{ rep_ai_id('records.custom_id') }} as custom_id,
        records._delivery_id as delivery_id,
        records.id as raw_id,
        records._key as record_key,
        records.custom_metadata,
        records._extra as properties,
        records._position as record_position,
        deliveries.window_number,
        deliveries.window_start_at,
        deliveries.window_end_at
    from records
    inner join deliveries
        on
            records._delivery_id = deliveries.delivery_id
            and records._dlt_load_id = deliveries.load_id

),

final as (

    select
        visitor_id,
        custom_id,
        delivery_id,
        raw_id,
        record_key,
        custom_metadata,
        properties,
        record_position,
        window_number,
        window_start_at,
        window_end_at
    from typed

)

select * from final
