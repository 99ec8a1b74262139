{{ config(materialized='incremental', unique_key=['window_start_at', 'window_end_at']) }}

{%- set last_build = rep_ai_last_build() -%}

with

deliveries as (

    select
        window_start_at,
        window_end_at
    from {{ ref('int_rep_ai__deliveries') }}
    where replaced_in is null

),

bounds as (

    select max(window_start_at) as last_start_at from deliveries

),

-- windows that cover the moment at which another one ends
covered as (

    select distinct
        deliveries.window_start_at,
        deliveries.window_end_at
    from deliveries
    inner join deliveries as others
        on
            deliveries.window_end_at >= others.window_start_at
            and deliveries.window_end_at < others.window_end_at

),

computed as (

    select
        deliveries.window_start_at,
        deliveries.window_end_at,
        case
            when deliveries.window_start_at = bounds.last_start_at then 'ongoing'
            when covered.window_end_at is not null then 'never_closed'
            else 'awaiting_dump'
        end as open_end_status
    from deliveries
    cross join bounds
    left join covered
        on
            deliveries.window_start_at = covered.window_start_at
            and deliveries.window_end_at = covered.window_end_at

),

{{ rep_ai_versions(
    last_build,
    keys=['window_start_at', 'window_end_at'],
    columns=['window_start_at', 'window_end_at', 'open_end_status'],
    affected=none,
) }}
