{# What DuckDB writes in its own way; `../engines.sql` says what for. #}

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

{% macro duckdb__rep_ai_known(value, position, least_or_greatest, type) -%}
    arg_{{ least_or_greatest }}({{ value }}, {{ position }})
{%- endmacro %}

{% macro duckdb__rep_ai_regexp_extract(text, pattern) -%}
    nullif(regexp_extract({{ text }}, '{{ pattern }}', 1), '')
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

{# The rows of a seed, for `rep_ai_make_seed`; a server cannot read the file. #}
{% macro duckdb__rep_ai_rows_of_seed(node) -%}
    select * from read_csv('{{ node.root_path }}/{{ node.original_file_path }}', all_varchar = true)
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

{# A view lists the folder whenever it is read. #}
{% macro duckdb__rep_ai_external_tables(table, path) -%}
    {{ return([
        "create or replace view " ~ table ~ " as select * from read_parquet('" ~ path
        ~ "/*.parquet', union_by_name = true)"
    ]) }}
{%- endmacro %}
