{#-
    The host of an address with a scheme: in lower case (of ASCII, so alike on every engine),
    without user, password and port; an IPv6 address in its brackets. NULL where there is none: no
    `://` after a scheme, nothing behind it, or what no host holds, such as a space.
-#}
{%- set scheme = '^[a-zA-Z][a-zA-Z0-9+.-]*://' -%}
{%- set user = '(?:[^/?#\\\\]*@)?' -%}
{%- set name = '[^]:@/?#[\\\\<>^|% \\t\\n\\r\\f\\v]+' -%}
{%- set host = '(\\[[0-9a-fA-F:.]+\\]|' ~ name ~ ')' -%}
{%- set rest = '(?::[0-9]*)?(?:[/?#\\\\]|$)' -%}

with

referrers as (

    select distinct referrer
    from {{ ref('int_rep_ai__sessions_stitched') }}
    where referrer is not null

),

final as (

    select
        referrer,
        translate(
            {{ rep_ai_regexp_extract('referrer', scheme ~ user ~ host ~ rest) }},
            'ABCDEFGHIJKLMNOPQRSTUVWXYZ',
            'abcdefghijklmnopqrstuvwxyz'
        ) as referrer_host
    from referrers

)

select * from final
