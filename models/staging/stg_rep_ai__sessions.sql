with

deliveries as (

    select * from {{ ref('stg_rep_ai__deliveries') }} where is_current

),

records as (

    select * from {{ source('rep_ai', 'unique_visitor_sessions') }}

),

typed as (

    select
        coalesce({{ rep_ai_id('records.id') }}, {{ rep_ai_id('records._key') }}) as session_id,
        {{ rep_ai_id('records.session_group') }} as session_group_label,
        {{ rep_ai_id('records.unique_visitor_id') }} as visitor_id,
        records._delivery_id as delivery_id,
        records.id as raw_id,
        records._key as record_key,
        records.referrer,
        records.user_agent,
        records.start_time as raw_start_time,
        records.end_time as raw_end_time,
        records._extra as properties,
        records._position as record_position,
        deliveries.window_number,
        deliveries.window_start_at,
        deliveries.window_end_at,
        {{ rep_ai_time('records.start_time') }} as started_at,
        {{ rep_ai_time('records.end_time') }} as ended_at
    from records
    inner join deliveries
        on
            records._delivery_id = deliveries.delivery_id
            and records._dlt_load_id = deliveries.load_id

),

final as (

    select
        session_id,
        session_group_label,
        visitor_id,
        delivery_id,
        raw_id,
        record_key,
        referrer,
        user_agent,
        raw_start_time,
        raw_end_time,
        properties,
        record_position,
        window_number,
        window_start_at,
        window_end_at,
        started_at,
        ended_at
    from typed

)

select * from final
