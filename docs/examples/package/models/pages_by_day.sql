{{ config(materialized='incremental', unique_key='activity_date') }}

select
    cast(occurred_at as date) as activity_date,
    title,
    count(*) as view_count
from {{ ref('fct_rep_ai__actions') }}
where
    action_type = 'PAGE_VIEW'
    {%- if is_incremental() %}
    and cast(occurred_at as date) >= (select max(activity_date) from {{ this }})
    {%- endif %}
group by cast(occurred_at as date), title
