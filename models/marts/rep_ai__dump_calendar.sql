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
        others.window_start_at as other_start_at,
        others.window_end_at as other_end_at,
        nights.is_weekend = others.is_weekend as is_alike
    from nights
    inner join nights as others
        on
            nights.window_start_at > others.window_start_at
            and others.window_start_at >= {{ rep_ai_later('nights.window_start_at', -28, 'day') }}
            and abs(nights.length - others.length) <= 3600000

),

counts as (
    {% for measure in measures %}
    select
        '{{ measure }}' as measure,
        {{ measure }}_count as counted,
        window_start_at,
        window_end_at,
        other_start_at,
        other_end_at,
        is_alike
    from comparable
    where {{ measure }}_count is not null
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

-- working days and weekends apart where three of the kind are known, else together
chosen as (

    select *
    from (
        select
            *,
            count(case when is_alike then 1 end) over (
                partition by measure, window_start_at, window_end_at
            ) as alike_count
        from counts
    ) as counts_of_kinds
    where is_alike or alike_count < 3

),

-- in order, numbered from 1; engines disagree on the type of their own medians, or have none
ordered as (

    select
        measure,
        counted,
        window_start_at,
        window_end_at,
        row_number() over (
            partition by measure, window_start_at, window_end_at
            order by counted, other_start_at, other_end_at
        ) as place,
        count(*) over (partition by measure, window_start_at, window_end_at) as place_count
    from chosen

),

-- halfway between the two in the middle, which may be one and the same
usual as (

    select
        {%- for measure in measures %}
        {%- set both = "sum(case when measure = '" ~ measure ~ "' then counted end)" %}
        {{ rep_ai_decimal(
            rep_ai_decimal(both, 0, 15) ~ ' * ' ~ rep_ai_decimal('0.5', 1, 2), 1
        ) }} as usual_{{ measure }}_count,
        {%- endfor %}
        window_start_at,
        window_end_at
    from (
        select * from ordered where place * 2 in (place_count, place_count + 1)
        union all
        select * from ordered where place * 2 in (place_count + 1, place_count + 2)
    ) as middle
    where place_count >= 3
    group by window_start_at, window_end_at

),

measured as (

    select
        windows.*,
        {%- for measure in measures %}
        usual.usual_{{ measure }}_count,
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
        cast(null as {{ rep_ai_type_string() }}) as version,
        cast(null as {{ dbt.type_bigint() }}) as user_count,
        cast(null as {{ dbt.type_bigint() }}) as visitor_count,
        cast(null as {{ dbt.type_bigint() }}) as session_count,
        cast(null as {{ dbt.type_bigint() }}) as action_count,
        cast(null as {{ dbt.type_bigint() }}) as interaction_count,
        {%- for measure in measures %}
        {{ rep_ai_decimal('null', 1) }} as usual_{{ measure }}_count,
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
