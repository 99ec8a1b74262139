{{ rep_ai_require_raw('retirements') }}

with

completed_loads as (

    select load_id from {{ source('rep_ai', '_dlt_loads') }} where status = 0

),

-- of the rows of a delivery the last one holds
retirements as (

    select
        *,
        row_number() over (partition by _delivery_id order by _at desc, action desc) as recency
    from {{ source('rep_ai', 'retirements') }}

),

retired as (

    select _delivery_id
    from retirements
    where recency = 1 and action = 'retire'

),

-- a copy of a loaded file has a row of its own, and may be the older one
files as (

    select
        *,
        min(case when status = 'loaded' then _dlt_load_id end) over (
            partition by _delivery_id
        ) as load_id,
        case
            when
                count(*) over (partition by _delivery_id)
                = count(file_modified_at) over (partition by _delivery_id)
                then min(file_modified_at) over (partition by _delivery_id)
        end as first_modified_at
    from {{ source('rep_ai', 'deliveries') }}
    where _dlt_load_id in (select completed_loads.load_id from completed_loads)

),

final as (

    select
        _delivery_id as delivery_id,
        load_id,
        file_url,
        version,
        users_count as user_count,
        unique_visitors_count as visitor_count,
        unique_visitor_sessions_count as session_count,
        unique_visitor_session_actions_count as action_count,
        unique_visitor_session_interactions_count as interaction_count,
        rejected_records_count as rejected_record_count,
        first_modified_at as file_modified_at,
        _delivery_id in (select retired._delivery_id from retired) as is_retired,
        {{ rep_ai_time('start_time') }} as window_start_at,
        {{ rep_ai_time('end_time') }} as window_end_at
    from files
    where status = 'loaded' and _dlt_load_id = load_id

)

select * from final
