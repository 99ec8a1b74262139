{#- docs/query.md#the-dump-calendar -#}

{{ config(tags=['health']) }}

{%- set measures = ['visitor', 'session', 'action', 'interaction'] %}

with

-- how far the windows before and after reach
neighbours as (

    select
        *,
        max(window_end_at) over (
            order by window_start_at, window_end_at
            rows between unbounded preceding and 1 preceding
        ) as covered_until,
        min(window_start_at) over (
            order by window_start_at, window_end_at
            rows between 1 following and unbounded following
        ) as next_start_at
    from {{ ref('int_rep_ai__delivery_versions') }}
    where is_current

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

-- the day that holds the twelfth hour is the night's own in nearly every time zone
nights as (

    select
        *,
        {{ rep_ai_weekday(rep_ai_later('window_start_at', 12, 'hour')) }} in (6, 7)
            as is_weekend,
        {{ rep_ai_milliseconds_between('window_start_at', 'window_end_at') }} as length
    from windows

),

-- of the four weeks before, and as long but for an hour
comparable as (

    select
        {%- for measure in measures %}
        others.{{ measure }}_count,
        {%- endfor %}
        nights.window_start_at,
        nights.window_end_at,
        nights.is_weekend = others.is_weekend as is_alike
    from nights
    inner join nights as others
        on
            nights.window_start_at > others.window_start_at
            and others.window_start_at >= {{ rep_ai_later('nights.window_start_at', -28, 'day') }}
            and abs(nights.length - others.length) <= 3600000

),

-- working days and weekends apart where three of the kind are known, else together
usual as (

    select
        {%- for measure in measures %}
        {%- set alike = 'case when is_alike then ' ~ measure ~ '_count end' %}
        case
            {%- for counts in [alike, measure ~ '_count'] %}
            when count({{ counts }}) >= 3
                then percentile_cont(0.5) within group (order by {{ counts }})
            {%- endfor %}
        end as usual_{{ measure }}_count,
        {%- endfor %}
        window_start_at,
        window_end_at
    from comparable
    group by window_start_at, window_end_at

),

measured as (

    select
        windows.*,
        {%- for measure in measures %}
        cast(usual.usual_{{ measure }}_count as decimal(18, 1)) as usual_{{ measure }}_count,
        {%- endfor %}
        coalesce(
            coalesce(windows.action_count, 0) * 5 < usual.usual_action_count, false
        ) as has_few_actions
    from windows
    left join usual
        on
            windows.window_start_at = usual.window_start_at
            and windows.window_end_at = usual.window_end_at

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
        cast(null as {{ dbt.type_bigint() }}) as interaction_count,
        {%- for measure in measures %}
        cast(null as decimal(18, 1)) as usual_{{ measure }}_count,
        {%- endfor %}
        false as has_few_actions
    from neighbours
    where {{ rep_ai_later('covered_until', 1, 'second') }} < window_start_at

),

final as (

    select * from measured
    union all
    select * from gaps

)

select * from final
