with

deliveries as (

    select * from {{ ref('stg_rep_ai__deliveries') }}

),

records as (

    select * from {{ source('rep_ai', 'rejected_records') }}

),

final as (

    select
        records._delivery_id as delivery_id,
        records._key as record_key,
        records._position as record_position,
        records.collection,
        records.record,
        records.reason
    from records
    where
        {{ rep_ai_is_pair_of(
            ['records._delivery_id', 'records._dlt_load_id'],
            'deliveries', ['delivery_id', 'load_id']
        ) }}

)

select * from final
