{{ config(materialized='incremental', unique_key=['delivery_id']) }}

{%- set last_build = rep_ai_last_build() -%}

with

computed as (

    select
        delivery_id,
        window_start_at,
        window_end_at
    from {{ ref('stg_rep_ai__deliveries') }}
    where is_current

),

{{ rep_ai_versions(
    last_build,
    keys=['delivery_id'],
    columns=['delivery_id', 'window_start_at', 'window_end_at'],
    affected=none,
) }}
