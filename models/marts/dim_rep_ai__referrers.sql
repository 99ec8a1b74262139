with

referrers as (

    select distinct referrer
    from {{ ref('int_rep_ai__sessions_stitched') }}
    where referrer is not null

),

final as (

    select
        referrer,
        {{ rep_ai_host('referrer') }} as referrer_host
    from referrers

)

select * from final
