with

deliveries as (

    select * from {{ ref('stg_rep_ai__deliveries') }} where is_current

),

records as (

    select * from {{ source('rep_ai', 'unique_visitor_session_interactions') }}

),

typed as (

    select
        coalesce({{ rep_ai_id('records.id') }}, {{ rep_ai_id('records._key') }}) as interaction_id,
        {{ rep_ai_id('records.session_id') }} as session_id,
        {{ rep_ai_id('records.user_id') }} as user_id,
        records._delivery_id as delivery_id,
        records.id as raw_id,
        records._key as record_key,
        records.interaction as interaction_type,
        records.start_time as raw_start_time,
        records.end_time as raw_end_time,
        records.accept_time as raw_accept_time,
        records._extra as properties,
        records.accept as raw_accept,
        records._position as record_position,
        deliveries.window_number,
        {{ rep_ai_flag('records.accept') }} as accept,
        deliveries.window_start_at,
        deliveries.window_end_at,
        {{ rep_ai_time('records.start_time') }} as started_at,
        {{ rep_ai_time('records.end_time') }} as ended_at,
        {{ rep_ai_time('records.accept_time') }} as accept_at
    from records
    inner join deliveries
        on
            records._delivery_id = deliveries.delivery_id
            and records._dlt_load_id = deliveries.load_id

),

final as (

    select
        interaction_id,
        session_id,
        user_id,
        delivery_id,
        raw_id,
        record_key,
        interaction_type,
        raw_start_time,
        raw_end_time,
        raw_accept_time,
        properties,
        raw_accept,
        record_position,
        window_number,
        accept,
        window_start_at,
        window_end_at,
        started_at,
        ended_at,
        accept_at
    from typed

)

select * from final
