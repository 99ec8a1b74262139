{#
    What engines write differently and dbt's own cross-database macros lack: one dispatched macro
    each. A new engine is added here and nowhere else. `_macros.yml` describes the public ones.
#}
{% macro rep_ai_time(text) -%}
    {{ return(adapter.dispatch('rep_ai_time', 'rep_ai')(text, 946684800000, 4102444799999)) }}
{%- endmacro %}
{% macro rep_ai_by_code_point(text) -%}
    {{ return(adapter.dispatch('rep_ai_by_code_point', 'rep_ai')(text)) }}
{%- endmacro %}
{% macro rep_ai_first_known(value, position) -%}
    {{ return(adapter.dispatch('rep_ai_known', 'rep_ai')(value, position, 'min', 'asc')) }}
{%- endmacro %}
{% macro rep_ai_last_known(value, position) -%}
    {{ return(adapter.dispatch('rep_ai_known', 'rep_ai')(value, position, 'max', 'desc')) }}
{%- endmacro %}
{% macro rep_ai_regexp_extract(text, pattern) -%}
    {{ return(adapter.dispatch('rep_ai_regexp_extract', 'rep_ai')(text, pattern)) }}
{%- endmacro %}
{% macro rep_ai_json_text(json, key) -%}
    {{ return(adapter.dispatch('rep_ai_json_text', 'rep_ai')(json, key)) }}
{%- endmacro %}
{% macro rep_ai_member(json, name) -%}
    {{ return(adapter.dispatch('rep_ai_member', 'rep_ai')(json, name)) }}
{%- endmacro %}
{% macro rep_ai_without(json, names) -%}
    {{ return(adapter.dispatch('rep_ai_without', 'rep_ai')(json, names)) }}
{%- endmacro %}
{% macro rep_ai_lock() -%}
    {{ return(adapter.dispatch('rep_ai_lock', 'rep_ai')() if rep_ai_is_at_work()) }}
{%- endmacro %}
{% macro rep_ai_create_functions() -%}
    {{ return(adapter.dispatch('rep_ai_create_functions', 'rep_ai')()) }}
{%- endmacro %}

{% macro duckdb__rep_ai_time(text, least, greatest) -%}
    {%- set milliseconds = 'try_cast(' ~ text ~ ' as bigint)' %}
    case
        when
            {{ milliseconds }} between {{ least }} and {{ greatest }}
            {#- digits alone; the usual spelling is told in a third of the time #}
            and (
                cast({{ milliseconds }} as varchar) = {{ text }}
                or regexp_full_match({{ text }}, '[0-9]+')
            )
            then epoch_ms({{ milliseconds }})
    end
{%- endmacro %}

{% macro postgres__rep_ai_time(text, least, greatest) -%}
    {#- leading zeros aside such a number has 12 or 13 digits -#}
    {%- set milliseconds -%}
        cast(
            case
                when
                    translate({{ text }}, '0123456789', '') = ''
                    and length(ltrim({{ text }}, '0')) between 12 and 13
                    then ltrim({{ text }}, '0')
            end as bigint
        )
    {%- endset -%}
    case
        when {{ milliseconds }} between {{ least }} and {{ greatest }}
            {#- floating point, but exact: microseconds up to 2255 are whole numbers below 2^53 #}
            then timestamp '1970-01-01 00:00:00' + {{ milliseconds }} * interval '1 millisecond'
    end
{%- endmacro %}

{% macro default__rep_ai_by_code_point(text) -%}
    {{ text }}
{%- endmacro %}

{% macro postgres__rep_ai_by_code_point(text) -%}
    {{ text }} collate "C"
{%- endmacro %}

{% macro duckdb__rep_ai_known(value, position, least_or_greatest, direction) -%}
    arg_{{ least_or_greatest }}({{ value }}, {{ position }})
{%- endmacro %}

{% macro postgres__rep_ai_known(value, position, least_or_greatest, direction) -%}
    (
        array_agg({{ value }} order by {{ position }} {{ direction }})
        filter (where {{ value }} is not null)
    )[1]
{%- endmacro %}

{% macro duckdb__rep_ai_regexp_extract(text, pattern) -%}
    nullif(regexp_extract({{ text }}, '{{ pattern }}', 1), '')
{%- endmacro %}

{% macro postgres__rep_ai_regexp_extract(text, pattern) -%}
    nullif(substring({{ text }} from '{{ pattern }}'), '')
{%- endmacro %}

{% macro duckdb__rep_ai_json_text(json, key) -%}
    {#- DuckDB lets trailing commas, NaN and Infinity pass: looked for outside of strings -#}
    try(
        case
            when
                json_type(json_extract({{ json }}, '$.{{ key }}')) = 'VARCHAR'
                and not regexp_matches(
                    regexp_replace({{ json }}, '"(\\.|[^"\\])*"', '""', 'g'),
                    ',[ \t\r\n]*[]}]|[iI]|[nN][aA]'
                )
                then nullif({{ json }} ->> '$.{{ key }}', '')
        end
    )
{%- endmacro %}

{% macro postgres__rep_ai_json_text(json, key) -%}
    {{ adapter.quote(target.schema) }}.rep_ai_json_text({{ json }}, '{{ key }}')
{%- endmacro %}

{#
    DuckDB spells numbers anew when it takes JSON apart (`1e2` becomes `100.0`). So each is made a
    text that begins with the character U+0001 before, and a number again after.
#}
{% macro duckdb__rep_ai_member(json, name) -%}
    case
        when contains({{ json }}, '"{{ name }}"')
            then try({{ duckdb__rep_ai_numbers_again(
                'json_extract_string(' ~ duckdb__rep_ai_numbers_as_text(json)
                ~ ", '$.\"" ~ name ~ "\"')"
            ) }})
    end
{%- endmacro %}

{% macro duckdb__rep_ai_without(json, names) -%}
    {%- set patch -%}
        '{"{{ names | join('":null,"') }}":null}'
    {%- endset -%}
    case
        when regexp_matches({{ json }}, '"({{ names | join('|') }})"')
            then
                nullif(
                    coalesce(
                        try({{ duckdb__rep_ai_numbers_again(
                            'cast(json_merge_patch(' ~ duckdb__rep_ai_numbers_as_text(json) ~ ', '
                            ~ patch ~ ') as varchar)'
                        ) }}),
                        {{ json }}
                    ),
                    '{}'
                )
        else {{ json }}
    end
{%- endmacro %}

{% macro duckdb__rep_ai_numbers_as_text(json) -%}
    {#- behind each text comes two times U+0001, around each number once -#}
    regexp_replace(
        replace(
            regexp_replace(
                {{ json }},
                '("(?:[^"\\]|\\.)*")|(-?[0-9][0-9.eE+-]*)',
                '\1' || chr(1) || '\2' || chr(1),
                'g'
            ),
            chr(1) || chr(1),
            ''
        ),
        chr(1) || '([^' || chr(1) || ']*)' || chr(1),
        '"\\u0001\1"',
        'g'
    )
{%- endmacro %}

{% macro duckdb__rep_ai_numbers_again(json) -%}
    ltrim(regexp_replace({{ json }}, '"\\u0001([^"]*)"', '\1', 'g'), chr(1))
{%- endmacro %}

{% macro postgres__rep_ai_member(json, name) -%}
    {{ adapter.quote(target.schema) }}.rep_ai_member({{ json }}, '{{ name }}')
{%- endmacro %}

{% macro postgres__rep_ai_without(json, names) -%}
    {{ adapter.quote(target.schema) }}.rep_ai_without(
        {{ json }}, array[{{ rep_ai_literals(names) }}]
    )
{%- endmacro %}

{# The rows of a seed, for `rep_ai_make_seed`; a server cannot read the file. #}
{% macro duckdb__rep_ai_rows_of_seed(node) -%}
    select * from read_csv('{{ node.root_path }}/{{ node.original_file_path }}', all_varchar = true)
{%- endmacro %}

{% macro default__rep_ai_rows_of_seed(node) -%}
    {%- do exceptions.warn(node.name ~ ' is not there yet, so that no type is known, and the facts'
        ~ ' keep none: run `dbt seed` or `dbt build`') -%}
    select {{ rep_ai_text("''") }} as type, '' as label, '' as description where false
{%- endmacro %}

{# Let another process that builds the same model, or opens a batch too, come to its end. #}
{% macro default__rep_ai_lock() -%}
{%- endmacro %}

{% macro postgres__rep_ai_lock() -%}
    {%- if rep_ai_state().opens_batch -%}
        lock table {{ rep_ai_affected() }} in share row exclusive mode
    {%- else -%}
        select batch from {{ rep_ai_watermarks() }} where model = '{{ model.name }}' for update
    {%- endif -%}
{%- endmacro %}

{# Functions that an engine needs and does not have; made at the start of each run. #}
{% macro default__rep_ai_create_functions() -%}
{%- endmacro %}

{% macro postgres__rep_ai_create_functions() -%}
    {%- set schema = adapter.quote(target.schema) %}
    do $do$
    begin
        -- another run may be about the same: two would end with `tuple concurrently updated`
        perform pg_advisory_xact_lock(7370112097);
        -- dbt has made the schemas of the selected models only
        if to_regnamespace('{{ schema }}') is null then
            create schema {{ schema }};
        end if;
        -- before version 16 nothing but an error tells that a text is not JSON
        create or replace function {{ schema }}.rep_ai_json_text(object text, key text)
        returns text language plpgsql immutable strict as $function$
        declare
            member json;
        begin
            member := object::json -> key;
            return case when json_typeof(member) = 'string' then nullif(member #>> '{}', '') end;
        exception
            when others then return null;
        end
        $function$;
        -- the text of a member as it was written
        create or replace function {{ schema }}.rep_ai_member(object text, key text)
        returns text language plpgsql immutable strict as $function$
        begin
            return case when strpos(object, key) > 0 then object::json ->> key end;
        exception
            when others then return null;
        end
        $function$;
        create or replace function {{ schema }}.rep_ai_without(object text, keys text[])
        returns text language plpgsql immutable strict as $function$
        begin
            return (
                select '{' || string_agg(to_json(member.key) || ':' || member.value, ',') || '}'
                from json_each(object::json) as member
                where member.key <> all (keys)
            );
        exception
            when others then return object;
        end
        $function$;
    end
    $do$
{%- endmacro %}
