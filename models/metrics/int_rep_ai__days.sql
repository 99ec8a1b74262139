with

bounds as (

    select
        min({{ rep_ai_local_date('window_start_at') }}) as first_date,
        -- the end is not within the window
        max({{ rep_ai_local_date("(window_end_at - interval '1 millisecond')") }}) as last_date
    from {{ ref('int_rep_ai__deliveries') }}

),

final as (

    select cast(days.activity_at as date) as activity_date
    from bounds
    {{ rep_ai_cross_join_days('bounds.first_date', 'bounds.last_date') }}

)

select * from final
