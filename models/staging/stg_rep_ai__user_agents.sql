{%- set table = source('rep_ai', 'user_agents') -%}
{%- if execute and flags.WHICH in ('build', 'run') and not load_relation(table) -%}
    {{ exceptions.raise_compiler_error(
        'there is no ' ~ table ~ ' yet: run `rep-ai ingest` (or `rep-ai run`) of this version '
        'once, which makes it of what is landed already, then build again'
    ) }}
{%- endif -%}

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
