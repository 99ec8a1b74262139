with

deliveries as (

    select * from {{ ref('stg_rep_ai__deliveries') }}

),

records as (

    select * from {{ source('rep_ai', 'unique_visitor_sessions') }}

),

final as (

    select
        records._delivery_id as delivery_id,
        records._key as record_key,
        records._position as record_position,
        {{ rep_ai_columns_of('unique_visitor_sessions', 'sessions') }}
    from records
    where
        {{ rep_ai_is_pair_of(
            ['records._delivery_id', 'records._dlt_load_id'],
            'deliveries', ['delivery_id', 'load_id']
        ) }}

)

select * from final
