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
    {#- floating point, but exact: microseconds up to the year 2255 are whole numbers below 2^53 #}
    (timestamp '1970-01-01 00:00:00' + ({{ milliseconds }}) * interval '1 millisecond')
{%- endmacro %}


{# Milliseconds from one timestamp to another, as a bigint. #}
{% macro rep_ai_milliseconds_between(start_at, end_at) -%}
    {{ return(adapter.dispatch('rep_ai_milliseconds_between', 'rep_ai')(start_at, end_at)) }}
{%- endmacro %}

{% macro duckdb__rep_ai_milliseconds_between(start_at, end_at) -%}
    (epoch_ms({{ end_at }}) - epoch_ms({{ start_at }}))
{%- endmacro %}

{% macro postgres__rep_ai_milliseconds_between(start_at, end_at) -%}
    {#- the cast rounds: before version 14 seconds are floating point, with digits to spare #}
    cast(extract(epoch from {{ end_at }} - {{ start_at }}) * 1000 as bigint)
{%- endmacro %}


{# The day of a UTC timestamp in the project's time zone. #}
{% macro rep_ai_local_date(timestamp) -%}
    {{ return(adapter.dispatch('rep_ai_local_date', 'rep_ai')(timestamp, var('rep_ai_timezone'))) }}
{%- endmacro %}

{% macro default__rep_ai_local_date(timestamp, timezone) -%}
    {%- if timezone == 'UTC' -%}
        cast({{ timestamp }} as date)
    {%- else -%}
        cast(({{ timestamp }} at time zone 'UTC') at time zone '{{ timezone }}' as date)
    {%- endif -%}
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


{#
    A number of 48 bits that stands for an id where all ids are searched: smaller than text, and
    quicker to read. Equal ids have equal ones, and hardly any others have.
#}
{% macro rep_ai_fingerprint(id) -%}
    {{ return(adapter.dispatch('rep_ai_fingerprint', 'rep_ai')(id)) }}
{%- endmacro %}

{% macro duckdb__rep_ai_fingerprint(id) -%}
    {#- hash() may differ between versions of DuckDB #}
    cast(md5_number_lower({{ id }}) & 281474976710655 as bigint)
{%- endmacro %}

{% macro postgres__rep_ai_fingerprint(id) -%}
    cast(cast('x' || substring(md5({{ id }}), 1, 12) as bit(48)) as bigint)
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


{# What the first parentheses of a regular expression catch; NULL where it does not match. #}
{% macro rep_ai_captured(text, pattern) -%}
    {{ return(adapter.dispatch('rep_ai_captured', 'rep_ai')(text, pattern)) }}
{%- endmacro %}

{% macro duckdb__rep_ai_captured(text, pattern) -%}
    nullif(regexp_extract({{ text }}, '{{ pattern }}', 1), '')
{%- endmacro %}

{% macro postgres__rep_ai_captured(text, pattern) -%}
    nullif(substring({{ text }} from '{{ pattern }}'), '')
{%- endmacro %}


{#
    The member `key` of a JSON object where it is text that is not empty; NULL for all else: not
    JSON, no object, no such member, a number, text that no table can hold. Of equal keys the last.
#}
{% macro rep_ai_json_text(json, key) -%}
    {{ return(adapter.dispatch('rep_ai_json_text', 'rep_ai')(json, key)) }}
{%- endmacro %}

{% macro duckdb__rep_ai_json_text(json, key) -%}
    {#- json_valid lets trailing commas, NaN and Infinity pass; json_extract_string takes the first
        of equal keys #}
    (
        select
            case
                when
                    json_type(members.member) = 'VARCHAR'
                    and not contains(members.member ->> '$', {{ rep_ai_unstorable(json) }})
                    then nullif(members.member ->> '$', '')
            end
        from (
            select
                json_extract(objects.object, '$.*')[
                    len(json_keys(objects.object))
                    + 1
                    - list_position(list_reverse(json_keys(objects.object)), '{{ key }}')
                ] as member
            from (
                select
                    case
                        when
                            json_valid(texts.text)
                            and not regexp_matches(
                                regexp_replace(texts.text, '"(\\.|[^"\\])*"', '""', 'g'),
                                ',[ \t\r\n]*[]}]|[iI]|[nN][aA]'
                            )
                            then texts.text
                    end as object
                from (select {{ rep_ai_storable_json(json) }} as text) as texts
            ) as objects
        ) as members
    )
{%- endmacro %}

{% macro postgres__rep_ai_json_text(json, key) -%}
    (
        select nullif(members.member, '')
        from (
            select
                {{ adapter.quote(target.schema) }}.rep_ai_json_text(
                    {{ rep_ai_storable_json(json) }}, '{{ key }}'
                ) as member
            -- keeps the planner from calling the function twice
            offset 0
        ) as members
        where position({{ rep_ai_unstorable(json) }} in members.member) = 0
    )
{%- endmacro %}


{#
    A JSON text in which a word that stands nowhere else takes the place of each NUL character and
    each half of a surrogate pair: for such escapes engines refuse the whole text. The first two
    steps put all other escapes out of the way, behind a character that JSON does not allow.
#}
{% macro rep_ai_storable_json(json) -%}
    case
        when position('\u' in {{ json }}) = 0 or position(chr(1) in {{ json }}) > 0 then {{ json }}
        else
            replace(
                regexp_replace(
                    regexp_replace(
                        replace({{ json }}, '\\', chr(1) || chr(1)),
                        '\\(u[dD][89abAB][0-9a-fA-F]{2})\\(u[dD][c-fC-F][0-9a-fA-F]{2})',
                        chr(1) || '\1' || chr(1) || '\2',
                        'g'
                    ),
                    '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})',
                    {{ rep_ai_unstorable(json) }},
                    'g'
                ),
                chr(1),
                '\'
            )
    end
{%- endmacro %}

{% macro rep_ai_unstorable(json) -%}
    'x' || md5({{ json }})
{%- endmacro %}


{# Functions that an engine needs and does not have; called at the start of each run. #}
{% macro rep_ai_create_functions() -%}
    {{ return(adapter.dispatch('rep_ai_create_functions', 'rep_ai')()) }}
{%- endmacro %}

{% macro default__rep_ai_create_functions() -%}
{%- endmacro %}

{% macro postgres__rep_ai_create_functions() -%}
    {#- before version 16 nothing but an error tells that a text is not JSON #}
    do $do$
    begin
        -- another run may be about the same: two would end with `tuple concurrently updated`
        perform pg_advisory_xact_lock(7370112097);
        -- dbt has made the schemas of the selected models only
        if to_regnamespace('{{ adapter.quote(target.schema) }}') is null then
            create schema {{ adapter.quote(target.schema) }};
        end if;
        -- not parallel safe: workers cannot catch errors
        create or replace function
        {{ adapter.quote(target.schema) }}.rep_ai_json_text(object text, key text)
        returns text language plpgsql immutable strict as $function$
        declare
            member json;
        begin
            member := object::json -> key;
            return case when json_typeof(member) = 'string' then member #>> '{}' end;
        exception
            when others then return null;
        end
        $function$;
    end
    $do$
{%- endmacro %}
