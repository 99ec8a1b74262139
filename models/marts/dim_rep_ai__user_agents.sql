with

user_agents as (

    select * from {{ ref('stg_rep_ai__user_agents') }}

),

final as (

    select
        user_agent,
        browser,
        browser_version,
        operating_system,
        operating_system_version,
        device_class,
        is_bot,
        parser_version
    from user_agents

)

select * from final
