{{ config(materialized='incremental', pre_hook="{{ rep_ai_take_out([
    'referrer in (select sessions.referrer from ' ~ ref('int_rep_ai__sessions_stitched')
    ~ ' as sessions where ' ~ rep_ai_changed_since('last_build', 'sessions') ~ ')'
]) }}") }}

{%- set last_build = rep_ai_last_build() -%}
{%- set is_changed = 'referrer in (select changed.referrer from changed)' -%}

with

{% if last_build -%}
changed as (

    select referrer
    from {{ ref('int_rep_ai__sessions_stitched') }}
    where {{ rep_ai_changed_since(last_build) }}

),

{% endif -%}
-- of all sessions this one column is read
all_referrers as (

    select distinct referrer
    from {{ ref('int_rep_ai__sessions_stitched') }}
    where replaced_in is null and referrer is not null

),

referrers as (

    select referrer
    from all_referrers
    where {{ is_changed if last_build else 'true' }}

),

final as (

    select
        referrer,
        {{ rep_ai_host('referrer') }} as referrer_host
    from referrers

)

select * from final
