with

loads as (

    select load_id from {{ source('rep_ai', '_dlt_loads') }} where status = 0

),

-- a copy of a loaded file has a row of its own, and may be the later one
files as (

    select
        *,
        min(case when status = 'loaded' then _dlt_load_id end) over (
            partition by _delivery_id
        ) as load_id,
        max(file_modified_at) over (partition by _delivery_id) as last_modified_at
    from {{ source('rep_ai', 'deliveries') }}
    where _dlt_load_id in (select loads.load_id from loads)

),

deliveries as (

    select
        _delivery_id as delivery_id,
        load_id,
        last_modified_at as file_modified_at,
        file_url,
        version,
        users_count as user_count,
        unique_visitors_count as visitor_count,
        unique_visitor_sessions_count as session_count,
        unique_visitor_session_actions_count as action_count,
        unique_visitor_session_interactions_count as interaction_count,
        rejected_records_count as rejected_record_count,
        {{ dbt.split_part(dbt.split_part('version', "'+'", 1), "'-'", 1) }} as release,
        {{ dbt.split_part('version', "'+'", 1) }} as release_and_prerelease,
        {{ rep_ai_time('start_time') }} as window_start_at,
        {{ rep_ai_time('end_time') }} as window_end_at
    from files
    where status = 'loaded' and _dlt_load_id = load_id

),

version_parts as (

    select
        *,
        {{ dbt.split_part('release', "'.'", 1) }} as major,
        {{ dbt.split_part('release', "'.'", 2) }} as minor,
        {{ dbt.split_part('release', "'.'", 3) }} as patch,
        nullif(substring(release_and_prerelease, length(release) + 2), '') as prerelease
    from deliveries
    {%- if var('rep_ai_windows_before') %}
    where window_start_at < timestamp '{{ var('rep_ai_windows_before') }} 00:00:00'
    {%- endif %}

),

-- numbers of any size compare by their length first, then as text
ranked as (

    select
        *,
        count(*) over (partition by window_start_at, window_end_at) as delivery_count,
        row_number() over (
            partition by window_start_at, window_end_at
            order by
                length(major) desc,
                {{ rep_ai_by_code_point('major') }} desc,
                length(minor) desc,
                {{ rep_ai_by_code_point('minor') }} desc,
                length(patch) desc,
                {{ rep_ai_by_code_point('patch') }} desc,
                case when prerelease is null then 1 else 0 end desc,
                {{ rep_ai_by_code_point('prerelease') }} desc,
                case when file_modified_at is null then 1 else 0 end,
                file_modified_at desc,
                {{ rep_ai_by_code_point('delivery_id') }} desc
        ) as version_rank,
        dense_rank() over (order by window_start_at, window_end_at) as window_number
    from version_parts

),

final as (

    select
        delivery_id,
        load_id,
        file_url,
        version,
        window_number,
        delivery_count,
        user_count,
        visitor_count,
        session_count,
        action_count,
        interaction_count,
        rejected_record_count,
        version_rank = 1 as is_current,
        window_start_at,
        window_end_at
    from ranked

)

select * from final
