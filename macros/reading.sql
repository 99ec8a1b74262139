{# How values of the dump are read (design 4.2). #}

{# Milliseconds since 1970 as digits alone, 2000 up to 2100 UTC, as a timestamp; else NULL. #}
{% macro rep_ai_time(text) -%}
    {%- set milliseconds -%}
        cast(
            case
                when translate({{ text }}, '0123456789', '') = ''
                    then
                        case
                            when length({{ text }}) between 1 and 18 then {{ text }}
                            -- a bigint has room for no more; the digits before may be zeros alone
                            when length({{ text }}) > 18
                                then
                                    case
                                        when
                                            translate(
                                                substring({{ text }}, 1, length({{ text }}) - 18),
                                                '0',
                                                ''
                                            ) = ''
                                            then substring({{ text }}, length({{ text }}) - 17)
                                    end
                        end
            end as bigint
        )
    {%- endset -%}
    case
        when {{ milliseconds }} >= 946684800000 and {{ milliseconds }} < 4102444800000
            then {{ rep_ai_epoch_ms_to_timestamp(milliseconds) }}
    end
{%- endmacro %}


{# `true` and `false` as a boolean; else NULL. #}
{% macro rep_ai_flag(text) -%}
    case {{ text }} when 'true' then true when 'false' then false end
{%- endmacro %}


{# An id: the empty text is none. #}
{% macro rep_ai_id(text) -%}
    nullif({{ text }}, '')
{%- endmacro %}


{# Exact seconds, to the millisecond, from one timestamp to a later one; NULL where not in order. #}
{% macro rep_ai_seconds_between(start_at, end_at) -%}
    case
        when {{ end_at }} >= {{ start_at }}
            then {{ rep_ai_seconds(rep_ai_milliseconds_between(start_at, end_at)) }}
    end
{%- endmacro %}


{# Milliseconds as exact seconds. #}
{% macro rep_ai_seconds(milliseconds) -%}
    cast(
        cast({{ milliseconds }} as decimal(15, 0)) * cast(0.001 as decimal(4, 3)) as decimal(18, 3)
    )
{%- endmacro %}


{# All columns of a record as one text, to tell records apart: each with its length before it. #}
{% macro rep_ai_content(columns) -%}
    {%- set parts = [] -%}
    {%- for column in columns -%}
        {%- set value = 'cast(' ~ column ~ ' as ' ~ dbt.type_string() ~ ')' -%}
        {%- set size = 'cast(length(' ~ value ~ ') as ' ~ dbt.type_string() ~ ')' -%}
        {%- do parts.append("coalesce(" ~ dbt.concat([size, "':'", value]) ~ ", '-')") -%}
    {%- endfor -%}
    {{ dbt.concat(parts) }}
{%- endmacro %}


{# Whether a record is the one of its id in its dump that holds: the one at the later position. #}
{% macro rep_ai_holds(id) -%}
    row_number() over (partition by delivery_id, {{ id }} order by record_position desc) = 1
{%- endmacro %}


{# The end of the newest loaded window: a query, for the source's freshness. #}
{% macro rep_ai_newest_end(table) -%}
    select max({{ rep_ai_time('end_time') }})
    from {{ source('rep_ai', table) }}
    where status = 'loaded'
{%- endmacro %}


{#
    The host of an address with a scheme: in lower case (of ASCII, so alike on every engine),
    without user, password and port; an IPv6 address in its brackets. NULL where there is none: no
    `://` after a scheme, nothing behind it, or what no host holds, such as a space.
#}
{% macro rep_ai_host(address) -%}
    {%- set scheme = '^[a-zA-Z][a-zA-Z0-9+.-]*://' -%}
    {%- set user = '(?:[^/?#\\\\]*@)?' -%}
    {%- set name = '[^]:@/?#[\\\\<>^|% \\t\\n\\r\\f\\v]+' -%}
    {%- set host = '(\\[[0-9a-fA-F:.]+\\]|' ~ name ~ ')' -%}
    {%- set rest = '(?::[0-9]*)?(?:[/?#\\\\]|$)' -%}
    translate(
        {{ rep_ai_captured(address, scheme ~ user ~ host ~ rest) }},
        'ABCDEFGHIJKLMNOPQRSTUVWXYZ',
        'abcdefghijklmnopqrstuvwxyz'
    )
{%- endmacro %}


{# Stop, with a word on what to do, where a raw table is missing that newer versions make. #}
{% macro rep_ai_require(table) -%}
    {%- set wanted = source('rep_ai', table) -%}
    {%- if execute and not load_relation(wanted) -%}
        {{ exceptions.raise_compiler_error(
            'there is no ' ~ wanted ~ ' yet: run `rep-ai ingest` (or `rep-ai run`) of this version '
            'once, which makes it of what is landed already, then build again'
        ) }}
    {%- endif -%}
{%- endmacro %}
