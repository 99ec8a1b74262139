with

deliveries as (

    select * from {{ ref('stg_rep_ai__deliveries') }} where is_current

),

records as (

    select * from {{ source('rep_ai', 'users') }}

),

typed as (

    select
        coalesce({{ rep_ai_id('records.id') }}, {{ rep_ai_id('records._key') }}) as user_id,
        records._delivery_id as delivery_id,
        records.id as raw_id,
        records._key as record_key,
        records.email_address,
        records.display_name,
        records.title,
        records._extra as properties,
        records.active as raw_active,
        records._position as record_position,
        deliveries.window_number,
        {{ rep_ai_flag('records.active') }} as is_active,
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
        user_id,
        delivery_id,
        raw_id,
        record_key,
        email_address,
        display_name,
        title,
        properties,
        raw_active,
        record_position,
        window_number,
        is_active,
        window_start_at,
        window_end_at
    from typed

)

select * from final
