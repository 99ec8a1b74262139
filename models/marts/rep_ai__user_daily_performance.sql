{#- docs/query.md#how-agents-do -#}

{{ config(materialized='incremental') }}

{%- do rep_ai_incremental(replaces={'day': rep_ai_text('activity_date')}) -%}

{#- the place of each percentile among waits that are numbered from 0, in tenths -#}
{%- set places = {'median': '(wait_count - 1) * 5', 'p90': '(wait_count - 1) * 9'} -%}

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
    where user_id is not null and {{ rep_ai_is_on_affected_day('started_at') }}

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
        {%- for name, place in places.items() %}
        max(
            case
                when wait_number * 10 <= {{ place }} and (wait_number + 1) * 10 > {{ place }}
                    then
                        seconds_to_accept
                        + (coalesce(next_seconds_to_accept, seconds_to_accept) - seconds_to_accept)
                        * ({{ place }} - wait_number * 10)
                        * {{ rep_ai_decimal('0.1', 1, 2) }}
            end
        ) as {{ name }}_seconds_to_accept,
        {%- endfor %}
        user_id,
        activity_date
    from waits
    group by user_id, activity_date

),

final as (

    select
        totals.user_id,
        totals.activity_date,
        totals.interaction_count,
        totals.accepted_interaction_count,
        {{ rep_ai_decimal('round(percentiles.median_seconds_to_accept, 3)', 3) }}
            as median_seconds_to_accept,
        {{ rep_ai_decimal('round(percentiles.p90_seconds_to_accept, 3)', 3) }}
            as p90_seconds_to_accept,
        {{ rep_ai_decimal('coalesce(totals.talk_seconds, 0)', 3) }} as talk_seconds
    from totals
    left join percentiles
        on
            totals.user_id = percentiles.user_id
            and totals.activity_date = percentiles.activity_date

)

select * from final
