{{ config(materialized='incremental', pre_hook="{{ rep_ai_take_out([
    'referrer in (select sessions.referrer from ' ~ ref('int_rep_ai__sessions_stitched')
    ~ ' as sessions where ' ~ rep_ai_changed_since('last_build', 'sessions') ~ ')'
]) }}") }}

{#- what the build's log notes of each mart is read from the seeds #}
{%- if not execute -%}
    {%- do [ref('rep_ai_action_types'), ref('rep_ai_interaction_types')] -%}
{%- endif -%}

{%- set last_build = rep_ai_last_build() -%}

with

sessions as (

    select * from {{ ref('int_rep_ai__sessions_stitched') }} where referrer is not null

),

referrers as (

    select distinct sessions.referrer
    from sessions
    where
        sessions.replaced_in is null
        {%- if last_build %}
        and sessions.referrer in (
            select changed.referrer
            from sessions as changed
            where {{ rep_ai_changed_since(last_build, 'changed') }}
        )
        {%- endif %}

),

final as (

    select
        referrer,
        {{ rep_ai_host('referrer') }} as referrer_host
    from referrers

)

select * from final
