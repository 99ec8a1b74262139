{{ config(materialized='incremental', pre_hook="{{ rep_ai_take_out([
    'activity_date in (' ~ rep_ai_changed('day') ~ ')'
]) }}") }}

{%- set last_build = rep_ai_last_build() -%}

with

interactions as (

    select
        interaction_id,
        user_id,
        {{ rep_ai_local_date('started_at') }} as activity_date,
        is_accepted,
        duration_seconds,
        seconds_to_accept
    from {{ ref('fct_rep_ai__interactions') }}
    where user_id is not null and {{ rep_ai_is_on_changed_day('started_at', last_build) }}

),

totals as (

    select
        user_id,
        activity_date,
        count(*) as interaction_count,
        count(case when is_accepted then 1 end) as accepted_interaction_count,
        sum(case when is_accepted then duration_seconds end) as talk_seconds
    from interactions
    group by user_id, activity_date

),

-- waits in order, numbered from 0, with the next one beside each
waits as (

    select
        user_id,
        activity_date,
        seconds_to_accept,
        row_number() over (
            partition by user_id, activity_date
            order by seconds_to_accept, {{ rep_ai_by_code_point('interaction_id') }}
        ) - 1 as wait_number,
        lead(seconds_to_accept) over (
            partition by user_id, activity_date
            order by seconds_to_accept, {{ rep_ai_by_code_point('interaction_id') }}
        ) as next_seconds_to_accept,
        count(*) over (partition by user_id, activity_date) as wait_count
    from interactions
    where seconds_to_accept is not null

),

-- engines disagree on the type and the rounding of their own percentiles
percentiles as (

    select
        user_id,
        activity_date,
        {{ rep_ai_percentile(5) }} as median_seconds_to_accept,
        {{ rep_ai_percentile(9) }} as p90_seconds_to_accept
    from waits
    group by user_id, activity_date

),

final as (

    select
        totals.user_id,
        totals.activity_date,
        totals.interaction_count,
        totals.accepted_interaction_count,
        cast(round(percentiles.median_seconds_to_accept, 3) as decimal(18, 3))
            as median_seconds_to_accept,
        cast(round(percentiles.p90_seconds_to_accept, 3) as decimal(18, 3))
            as p90_seconds_to_accept,
        cast(coalesce(totals.talk_seconds, 0) as decimal(18, 3)) as talk_seconds
    from totals
    left join percentiles
        on
            totals.user_id = percentiles.user_id
            and totals.activity_date = percentiles.activity_date

)

select * from final
