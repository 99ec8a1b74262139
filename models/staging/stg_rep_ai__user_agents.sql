{{ rep_ai_require_raw('user_agents') }}

with

user_agents as (

    select * from {{ source('rep_ai', 'user_agents') }}

),

ranked as (

    select
        *,
        row_number() over (
            partition by user_agent
            order by {{ rep_ai_by_code_point('parser_version') }} desc
        ) as version_rank
    from user_agents

),

final as (

    select
        user_agent,
        parser_version,
        browser,
        browser_version,
        operating_system,
        operating_system_version,
        device_class,
        is_bot
    from ranked
    where version_rank = 1

)

select * from final
