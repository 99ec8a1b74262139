{#- docs/query.md#visitors-and-users -#}

with

deliveries as (

    select
        *,
        row_number() over (order by window_start_at, window_end_at) as window_number
    from {{ ref('int_rep_ai__deliveries') }}

),

records as (

    select * from {{ ref('stg_rep_ai__users') }} where user_id is not null

),

ranked as (

    select
        records.*,
        deliveries.window_number,
        {{ rep_ai_recency('records.delivery_id', 'records.user_id') }} as recency_in_dump
    from records
    inner join deliveries on records.delivery_id = deliveries.delivery_id

),

users as (

    select
        user_id,
        {{ rep_ai_last_known('email_address', 'window_number') }} as email_address,
        {{ rep_ai_last_known('display_name', 'window_number') }} as display_name,
        {{ rep_ai_last_known('title', 'window_number') }} as title,
        {{- rep_ai_last_own_columns('users') }}
        {{ rep_ai_last_known('is_active', 'window_number', 'boolean') }} as is_active
    from ranked
    where recency_in_dump = 1
    group by user_id

),

interaction_totals as (

    select
        user_id,
        count(*) as interaction_count,
        count(case when is_accepted then 1 end) as accepted_interaction_count
    from {{ ref('fct_rep_ai__interactions') }}
    group by user_id

),

final as (

    select
        users.user_id,
        users.email_address,
        users.display_name,
        users.title,
        users.is_active,
        {{- rep_ai_own_columns_of_mart('users', 'users') }}
        coalesce(interaction_totals.interaction_count, 0) as interaction_count,
        coalesce(interaction_totals.accepted_interaction_count, 0) as accepted_interaction_count
    from users
    left join interaction_totals on users.user_id = interaction_totals.user_id

)

select * from final
