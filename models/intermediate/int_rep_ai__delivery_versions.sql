{#- docs/query.md#current-deliveries, docs/query.md#end_status -#}

with

deliveries as (

    select *
    from {{ ref('stg_rep_ai__deliveries') }}
    where not coalesce(is_retired, false)

),

-- in steps, where a variable says so
looked_at as (

    select *
    from deliveries
    {%- if var('rep_ai_windows_before') %}
    where window_start_at < timestamp '{{ var('rep_ai_windows_before') }} 00:00:00'
    {%- endif %}

),

releases as (

    select
        *,
        {{ dbt.split_part(dbt.split_part('version', "'+'", 1), "'-'", 1) }} as release,
        {{ dbt.split_part('version', "'+'", 1) }} as release_and_prerelease
    from looked_at

),

version_parts as (

    select
        *,
        {{ dbt.split_part('release', "'.'", 1) }} as major,
        {{ dbt.split_part('release', "'.'", 2) }} as minor,
        {{ dbt.split_part('release', "'.'", 3) }} as patch,
        nullif(substring(release_and_prerelease, length(release) + 2), '') as prerelease
    from releases

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
        ) as version_rank
    from version_parts

),

current_windows as (

    select
        delivery_id,
        window_start_at,
        window_end_at,
        max(window_start_at) over () as last_start_at
    from ranked
    where version_rank = 1

),

-- windows that cover the moment at which another one ends; some exports end at 23:59:59.999
covered as (

    select distinct ending.delivery_id
    from current_windows as ending
    inner join current_windows as others
        on
            {{ rep_ai_later('ending.window_end_at', 1, 'second') }} >= others.window_start_at
            and ending.window_end_at < others.window_end_at

),

open_ends as (

    select
        current_windows.delivery_id,
        case
            when current_windows.window_start_at = current_windows.last_start_at then 'ongoing'
            when covered.delivery_id is not null then 'never_closed'
            else 'awaiting_dump'
        end as open_end_status
    from current_windows
    left join covered on current_windows.delivery_id = covered.delivery_id

),

final as (

    select
        ranked.delivery_id,
        ranked.file_url,
        ranked.version,
        ranked.release_and_prerelease as version_precedence,
        open_ends.open_end_status,
        ranked.delivery_count,
        ranked.user_count,
        ranked.visitor_count,
        ranked.session_count,
        ranked.action_count,
        ranked.interaction_count,
        ranked.version_rank = 1 as is_current,
        ranked.window_start_at,
        ranked.window_end_at
    from ranked
    left join open_ends on ranked.delivery_id = open_ends.delivery_id

)

select * from final
