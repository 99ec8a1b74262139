{{ config(tags=['health']) }}

with

deliveries as (

    select * from {{ ref('stg_rep_ai__deliveries') }} where is_current

),

-- how far the windows before and after reach
neighbours as (

    select
        *,
        max(window_end_at) over (
            order by window_number
            rows between unbounded preceding and 1 preceding
        ) as covered_until,
        min(window_start_at) over (
            order by window_number
            rows between 1 following and unbounded following
        ) as next_start_at
    from deliveries

),

windows as (

    select
        window_start_at,
        window_end_at,
        case
            when covered_until > window_start_at or next_start_at < window_end_at
                then 'overlapping'
            else 'delivered'
        end as status,
        delivery_count,
        version,
        user_count,
        visitor_count,
        session_count,
        action_count,
        interaction_count
    from neighbours

),

gaps as (

    select
        covered_until as window_start_at,
        window_start_at as window_end_at,
        'missing' as status,
        0 as delivery_count,
        cast(null as {{ dbt.type_string() }}) as version,
        cast(null as {{ dbt.type_bigint() }}) as user_count,
        cast(null as {{ dbt.type_bigint() }}) as visitor_count,
        cast(null as {{ dbt.type_bigint() }}) as session_count,
        cast(null as {{ dbt.type_bigint() }}) as action_count,
        cast(null as {{ dbt.type_bigint() }}) as interaction_count
    from neighbours
    where covered_until < window_start_at

),

final as (

    select * from windows
    union all
    select * from gaps

)

select * from final
