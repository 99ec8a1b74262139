with

bounds as (

    select
        min({{ rep_ai_local_date('window_start_at') }}) as first_date,
        -- the end is not within the window
        max({{ rep_ai_local_date(rep_ai_later('window_end_at', -1, 'millisecond')) }}) as last_date
    from {{ ref('int_rep_ai__deliveries') }}

),

final as (

    {{ rep_ai_days_of('bounds') }}

)

select * from final
