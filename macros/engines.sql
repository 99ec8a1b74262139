{#
    What engines write differently and dbt's own cross-database macros lack: one dispatched macro
    each. A new engine is added here and nowhere else.
#}

{# The timestamp (UTC, without zone) of a number of milliseconds since 1970. #}
{% macro rep_ai_epoch_ms_to_timestamp(milliseconds) -%}
    {{ return(adapter.dispatch('rep_ai_epoch_ms_to_timestamp', 'rep_ai')(milliseconds)) }}
{%- endmacro %}

{% macro duckdb__rep_ai_epoch_ms_to_timestamp(milliseconds) -%}
    epoch_ms({{ milliseconds }})
{%- endmacro %}

{% macro postgres__rep_ai_epoch_ms_to_timestamp(milliseconds) -%}
    (timestamp '1970-01-01 00:00:00' + {{ milliseconds }} * interval '1 millisecond')
{%- endmacro %}


{# Milliseconds from one timestamp to another, as a bigint. #}
{% macro rep_ai_milliseconds_between(start_at, end_at) -%}
    {{ return(adapter.dispatch('rep_ai_milliseconds_between', 'rep_ai')(start_at, end_at)) }}
{%- endmacro %}

{% macro duckdb__rep_ai_milliseconds_between(start_at, end_at) -%}
    (epoch_ms({{ end_at }}) - epoch_ms({{ start_at }}))
{%- endmacro %}

{% macro postgres__rep_ai_milliseconds_between(start_at, end_at) -%}
    cast(extract(epoch from {{ end_at }} - {{ start_at }}) * 1000 as bigint)
{%- endmacro %}


{# The day of a UTC timestamp in the project's time zone. #}
{% macro rep_ai_local_date(timestamp) -%}
    {{ return(adapter.dispatch('rep_ai_local_date', 'rep_ai')(timestamp, var('rep_ai_timezone'))) }}
{%- endmacro %}

{% macro default__rep_ai_local_date(timestamp, timezone) -%}
    cast(({{ timestamp }} at time zone 'UTC') at time zone '{{ timezone }}' as date)
{%- endmacro %}


{# Text that sorts and compares by code point, whatever the database's collation. #}
{% macro rep_ai_by_code_point(text) -%}
    {{ return(adapter.dispatch('rep_ai_by_code_point', 'rep_ai')(text)) }}
{%- endmacro %}

{% macro default__rep_ai_by_code_point(text) -%}
    {{ text }}
{%- endmacro %}

{% macro postgres__rep_ai_by_code_point(text) -%}
    {{ text }} collate "C"
{%- endmacro %}


{# Aggregate: the value of the row with the greatest `position` among those whose value is known. #}
{% macro rep_ai_last_known(value, position) -%}
    {{ return(adapter.dispatch('rep_ai_last_known', 'rep_ai')(value, position)) }}
{%- endmacro %}

{% macro duckdb__rep_ai_last_known(value, position) -%}
    arg_max({{ value }}, {{ position }})
{%- endmacro %}

{% macro postgres__rep_ai_last_known(value, position) -%}
    (array_agg({{ value }} order by {{ position }} desc) filter (where {{ value }} is not null))[1]
{%- endmacro %}


{# Aggregate: the value of the row with the least `position` among those whose value is known. #}
{% macro rep_ai_first_known(value, position) -%}
    {{ return(adapter.dispatch('rep_ai_first_known', 'rep_ai')(value, position)) }}
{%- endmacro %}

{% macro duckdb__rep_ai_first_known(value, position) -%}
    arg_min({{ value }}, {{ position }})
{%- endmacro %}

{% macro postgres__rep_ai_first_known(value, position) -%}
    (array_agg({{ value }} order by {{ position }}) filter (where {{ value }} is not null))[1]
{%- endmacro %}


{#
    The member `key` of a JSON object where it is text that is not empty; NULL for all else: not
    JSON, no object, no such member, a number, a text that no table can hold. Of equal keys the last.
#}
{% macro rep_ai_json_text(json, key) -%}
    {{ return(adapter.dispatch('rep_ai_json_text', 'rep_ai')(json, key)) }}
{%- endmacro %}

{% macro duckdb__rep_ai_json_text(json, key) -%}
    {#- json_extract_string takes the first of equal keys, this the last.
        A lone surrogate makes DuckDB refuse the whole value: NUL takes its place, and is no text. #}
    {%- set sound -%}
        case
            when json_valid({{ json }}) then {{ json }}
            else
                regexp_replace(
                    regexp_replace(
                        regexp_replace(
                            {{ json }},
                            '\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})',
                            '\\v\1\\v\2',
                            'g'
                        ),
                        '\\u[dD][89a-fA-F][0-9a-fA-F]{2}',
                        '\\u0000',
                        'g'
                    ),
                    '\\v([dD][89a-fA-F][0-9a-fA-F]{2})',
                    '\\u\1',
                    'g'
                )
        end
    {%- endset -%}
    (
        select
            case
                when
                    json_type(members.member) = 'VARCHAR'
                    and (members.member ->> '$') <> ''
                    and not contains(members.member ->> '$', chr(0))
                    then members.member ->> '$'
            end
        from (
            select
                json_extract(objects.object, '$.*')[
                    len(json_keys(objects.object))
                    + 1
                    - list_position(list_reverse(json_keys(objects.object)), '{{ key }}')
                ] as member
            from (
                select case when json_valid(texts.text) then texts.text end as object
                from (select {{ sound }} as text) as texts
            ) as objects
        ) as members
    )
{%- endmacro %}

{% macro postgres__rep_ai_json_text(json, key) -%}
    {#- PostgreSQL refuses a whole value for a NUL or a lone surrogate in it: U+FDD0 takes its place #}
    {%- set sound -%}
        case
            when {{ json }} ~ '\\u(0000|[dD][89a-fA-F])'
                then
                    regexp_replace(
                        {{ json }},
                        '(?<!\\)((?:\\\\)*)\\u(?:0000'
                        || '|[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})'
                        || '|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u)[dD][c-fC-F][0-9a-fA-F]{2})',
                        '\1\\ufdd0',
                        'g'
                    )
            else {{ json }}
        end
    {%- endset -%}
    (
        select
            case
                when
                    json_typeof(members.member) = 'string'
                    and members.member #>> '{}' <> ''
                    and position(U&'\FDD0' in members.member #>> '{}') = 0
                    then members.member #>> '{}'
            end
        from (
            select objects.object -> '{{ key }}' as member
            from (
                select {{ target.schema }}.rep_ai_try_json(texts.text) as object
                from (select {{ sound }} as text) as texts
            ) as objects
        ) as members
    )
{%- endmacro %}


{# Functions that an engine needs and does not have; called at the start of each run. #}
{% macro rep_ai_create_functions() -%}
    {{ return(adapter.dispatch('rep_ai_create_functions', 'rep_ai')()) }}
{%- endmacro %}

{% macro default__rep_ai_create_functions() -%}
{%- endmacro %}

{% macro postgres__rep_ai_create_functions() -%}
    {#- before version 16 nothing tells whether a text is JSON #}
    create or replace function {{ target.schema }}.rep_ai_try_json(value text) returns json
    language plpgsql immutable strict parallel safe as $$
    begin
        return value::json;
    exception
        when others then return null;
    end
    $$
{%- endmacro %}
