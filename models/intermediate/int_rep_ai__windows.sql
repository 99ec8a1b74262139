with

deliveries as (

    select
        window_number,
        window_start_at,
        window_end_at
    from {{ ref('stg_rep_ai__deliveries') }}
    where is_current

),

bounds as (

    select max(window_start_at) as last_start_at from deliveries

),

-- windows that cover the moment at which another one ends
covered as (

    select distinct deliveries.window_number
    from deliveries
    inner join deliveries as others
        on
            deliveries.window_end_at >= others.window_start_at
            and deliveries.window_end_at < others.window_end_at

),

final as (

    select
        deliveries.window_number,
        case
            when deliveries.window_start_at = bounds.last_start_at then 'ongoing'
            when covered.window_number is not null then 'never_closed'
            else 'awaiting_dump'
        end as open_end_status,
        deliveries.window_start_at,
        deliveries.window_end_at
    from deliveries
    cross join bounds
    left join covered on deliveries.window_number = covered.window_number

)

select * from final
