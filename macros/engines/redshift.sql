{#
    What Redshift writes in its own way; `../engines.sql` says what for. dbt takes it for a kind of
    PostgreSQL: what `postgres.sql` has is here too, if only to say that it does not hold. In its
    literals backslashes are doubled. What it cannot do: docs/engines.md#redshift.
#}

{% macro redshift__rep_ai_literal(text) -%}
    '{{ text | replace('\\', '\\\\') | replace("'", "''") }}'
{%- endmacro %}

{# Its `text` ends after 256 bytes. #}
{% macro redshift__rep_ai_type_string() -%}
    varchar(65535)
{%- endmacro %}

{% macro redshift__rep_ai_column_type(data_type) -%}
    {{ return('varchar(65535)' if data_type | lower in ('text', 'string') else data_type) }}
{%- endmacro %}

{% macro redshift__rep_ai_is_pair_of(pair, relation, columns) -%}
    {{ bigquery__rep_ai_is_pair_of(pair, relation, columns) }}
{%- endmacro %}

{% macro redshift__rep_ai_union_distinct() -%}
    union
{%- endmacro %}

{# Days and milliseconds of a day: `dateadd` takes numbers below 2^31. #}
{% macro redshift__rep_ai_time(text, least, greatest) -%}
    {%- set milliseconds = postgres__rep_ai_milliseconds(text) -%}
    case
        when {{ milliseconds }} between {{ least }} and {{ greatest }}
            then
                dateadd(
                    millisecond,
                    cast(mod({{ milliseconds }}, 86400000) as integer),
                    dateadd(
                        day,
                        cast({{ milliseconds }} / 86400000 as integer),
                        timestamp '1970-01-01 00:00:00'
                    )
                )
    end
{%- endmacro %}

{% macro redshift__rep_ai_local_time(timestamp, zone) -%}
    convert_timezone('UTC', '{{ zone }}', {{ timestamp }})
{%- endmacro %}

{# For Redshift 0 is Sunday. #}
{% macro redshift__rep_ai_weekday(timestamp) -%}
    mod(cast(extract(dow from {{ timestamp }}) as integer) + 6, 7) + 1
{%- endmacro %}

{# Its `generate_series` is the leader's, which sees no table. #}
{% macro redshift__rep_ai_days_of(bounds) -%}
    {%- set digits = [] -%}
    {%- for digit in range(10) -%}
        {%- do digits.append('select ' ~ digit ~ ' as digit') -%}
    {%- endfor -%}
    {%- set digits = '(' ~ digits | join(' union all ') ~ ')' -%}
    select cast(dateadd(day, numbers.number, {{ bounds }}.first_date) as date) as activity_date
    from {{ bounds }}
    inner join (
        select
            ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit
            + 10000 * myriads.digit as number
        from {{ digits }} as ones
        {%- for place in ('tens', 'hundreds', 'thousands', 'myriads') %}
        cross join {{ digits }} as {{ place }}
        {%- endfor %}
    ) as numbers
        on numbers.number <= datediff(day, {{ bounds }}.first_date, {{ bounds }}.last_date)
{%- endmacro %}

{# By bytes, which is by code point, unless the database was made otherwise: that is refused. #}
{% macro redshift__rep_ai_by_code_point(text) -%}
    {{ text }}
{%- endmacro %}

{# Neither arrays nor `max_by` are there: the place, as digits, goes before the value. #}
{% macro redshift__rep_ai_known(value, position, least_or_greatest, type) -%}
    {%- set text -%}
        {%- if type == 'boolean' -%}
            case when {{ value }} then 'true' else 'false' end
        {%- elif type == 'timestamp' -%}
            cast({{ value }} as varchar(30))
        {%- else -%}
            {{ value }}
        {%- endif -%}
    {%- endset -%}
    {%- set known -%}
        substring(
            {{ least_or_greatest }}(
                case
                    when {{ value }} is not null
                        then lpad(cast({{ position }} as varchar(20)), 20, '0') || {{ text }}
                end
            ),
            21
        )
    {%- endset -%}
    {%- if type == 'boolean' -%}
        {{ known }} = 'true'
    {%- elif type == 'timestamp' -%}
        cast({{ known }} as timestamp)
    {%- else -%}
        {{ known }}
    {%- endif -%}
{%- endmacro %}

{# As Perl reads patterns: `$` also stands before a last line feed. #}
{% macro redshift__rep_ai_regexp_extract(text, pattern) -%}
    {%- set perl = rep_ai_literal(pattern | replace('$', '\\z')) -%}
    nullif(regexp_substr({{ text }}, {{ perl }}, 1, 1, 'ep'), '')
{%- endmacro %}

{# Whether the member is a text shows behind its name alone, wherever that stands. #}
{% macro redshift__rep_ai_json_text(json, key) -%}
    case
        when
            can_json_parse({{ json }})
            and regexp_instr({{ json }}, '"{{ key }}"[[:space:]]*:[[:space:]]*"') > 0
            then nullif(json_extract_path_text({{ json }}, '{{ key }}', true), '')
    end
{%- endmacro %}

{# The empty text is none. #}
{% macro redshift__rep_ai_member(json, name) -%}
    case
        when strpos({{ json }}, '{{ name }}') > 0
            then nullif(json_extract_path_text({{ json }}, '{{ name }}', true), '')
    end
{%- endmacro %}

{# Nothing takes a member out of JSON there. #}
{% macro redshift__rep_ai_without(json, names) -%}
    {{ json }}
{%- endmacro %}

{% macro redshift__rep_ai_materialized(is_so) -%}
{%- endmacro %}

{% macro redshift__rep_ai_recursive() -%}
    {{ return(' recursive') }}
{%- endmacro %}

{#
    Step by step, as a CTE that others read twice may be planned twice; to the end, or 500 of them.
    Beyond, the query fails as it does elsewhere after a million.
#}
{% macro redshift__rep_ai_walk(rounds) -%}
walks (link_number, reached_number, least_number, step_number) as (

    select
        link_number,
        reached_number,
        least_number,
        1 as step_number
    from walked_0

    union all

    select
        walks.link_number,
        further.reached_number,
        least(walks.least_number, further.least_number) as least_number,
        walks.step_number + 1 as step_number
    from walks
    inner join walked_0 as further on walks.reached_number = further.link_number
    where walks.step_number < 500 and further.reached_number != walks.reached_number

),

walked_{{ rounds }} as (

    select
        link_number,
        reached_number,
        least_number
    from (
        select
            *,
            row_number() over (partition by link_number order by step_number desc) as recency
        from walks
    ) as numbered
    where recency = 1

),

{% endmacro %}

{# Every statement is a transaction of its own, so that no lock outlives it. #}
{% macro redshift__rep_ai_lock() -%}
{%- endmacro %}

{% macro redshift__rep_ai_is_key_of_record(id, keys, kind) -%}
    {{ id }} in ({{ keys }})
{%- endmacro %}

{% macro redshift__rep_ai_is_one_of_few(value, keys) -%}
    {{ value }} in ({{ keys }})
{%- endmacro %}

{% macro redshift__rep_ai_plan() -%}
{%- endmacro %}

{% macro redshift__rep_ai_tidy() -%}
{%- endmacro %}

{# It has no functions to make; and a database that takes `a` for `A` would merge ids. #}
{% macro redshift__rep_ai_create_functions() -%}
    {%- set collation = run_query('select db_collation()').rows[0][0] if execute -%}
    {{- exceptions.raise_compiler_error(
        'the database takes `a` for `A` (' ~ collation ~ '), so that ids would be mixed up; make'
        ' another one, with `create database NAME collate case_sensitive`, and set'
        ' REDSHIFT_DATABASE to it'
    ) if execute and collation == 'case_insensitive' }}
{%- endmacro %}

{# Deleted rows; and what the planner knows of the others. #}
{% macro redshift__rep_ai_maintain(table, keep_days) -%}
    {{ return(['vacuum ' ~ table, 'analyze ' ~ table]) }}
{%- endmacro %}
