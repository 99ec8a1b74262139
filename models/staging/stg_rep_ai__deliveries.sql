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
        files._delivery_id as delivery_id,
        files.load_id,
        files.file_url,
        files.version,
        files.users_count as user_count,
        files.unique_visitors_count as visitor_count,
        files.unique_visitor_sessions_count as session_count,
        files.unique_visitor_session_actions_count as action_count,
        files.unique_visitor_session_interactions_count as interaction_count,
        files.rejected_records_count as rejected_record_count,
        files.first_modified_at as file_modified_at,
        retired._delivery_id is not null as is_retired,
        {{ rep_ai_time('files.start_time') }} as window_start_at,
        {{ rep_ai_time('files.end_time') }} as window_end_at
    from files
    left join retired on files._delivery_id = retired._delivery_id
    where files.status = 'loaded' and files._dlt_load_id = files.load_id

)

select * from final
