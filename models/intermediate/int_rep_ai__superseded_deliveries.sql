{#- docs/query.md#current-deliveries -#}

with

versions as (

    select * from {{ ref('int_rep_ai__delivery_versions') }}

),

superseded as (

    select
        versions.delivery_id,
        versions.file_url,
        current_versions.delivery_id as current_delivery_id,
        current_versions.file_url as current_file_url,
        versions.version_precedence = current_versions.version_precedence as has_equal_version
    from versions
    inner join versions as current_versions
        on
            versions.window_start_at = current_versions.window_start_at
            and versions.window_end_at = current_versions.window_end_at
    where current_versions.is_current and not versions.is_current

),

sessions as (

    select distinct
        delivery_id,
        session_id
    from {{ ref('stg_rep_ai__sessions') }}
    where
        session_id is not null
        and delivery_id in (
            select superseded.delivery_id from superseded
            union all
            select superseded.current_delivery_id from superseded
        )

),

final as (

    select
        superseded.delivery_id,
        superseded.file_url,
        superseded.current_delivery_id,
        superseded.current_file_url,
        superseded.has_equal_version,
        count(sessions.session_id) as session_count,
        count(sessions.session_id) - count(held.session_id) as lost_session_count
    from superseded
    left join sessions on superseded.delivery_id = sessions.delivery_id
    left join sessions as held
        on
            superseded.current_delivery_id = held.delivery_id
            and sessions.session_id = held.session_id
    group by
        superseded.delivery_id,
        superseded.file_url,
        superseded.current_delivery_id,
        superseded.current_file_url,
        superseded.has_equal_version

)

select * from final
