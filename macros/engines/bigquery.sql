{#
    What BigQuery writes in its own way; `../engines.sql` says what for. Times are its `timestamp`,
    moments in UTC. What SQL cannot do there, functions in JavaScript do (`javascript.sql`).
#}

{# JSON's escapes are those of its literals, which may not span lines. #}
{% macro bigquery__rep_ai_literal(text) -%}
    {{ text | tojson }}
{%- endmacro %}

{# Nothing has digits but columns; the values are rounded before. #}
{% macro bigquery__rep_ai_column_type(data_type) -%}
    {{ return('numeric' if data_type.startswith('decimal') else data_type) }}
{%- endmacro %}

{# Exact to nine digits. #}
{% macro bigquery__rep_ai_decimal(expression, precision, scale) -%}
    round(cast({{ expression }} as numeric), {{ scale }})
{%- endmacro %}

{% macro bigquery__rep_ai_is_pair_of(pair, relation, columns) -%}
    exists (
            select 1
            from {{ relation }}
            where
                {{ relation }}.{{ columns[0] }} = {{ pair[0] }}
                and {{ relation }}.{{ columns[1] }} = {{ pair[1] }}
        )
{%- endmacro %}

{% macro bigquery__rep_ai_time(text, least, greatest) -%}
    {%- set milliseconds -%}
        case
            when regexp_contains({{ text }}, r'^[0-9]+$')
                then safe_cast(ltrim({{ text }}, '0') as int64)
        end
    {%- endset -%}
    case
        when {{ milliseconds }} between {{ least }} and {{ greatest }}
            then timestamp_millis({{ milliseconds }})
    end
{%- endmacro %}

{# A date is taken as its first moment in UTC. #}
{% macro bigquery__rep_ai_later(timestamp, number, unit) -%}
    timestamp_add(cast({{ timestamp }} as timestamp), interval {{ number }} {{ unit }})
{%- endmacro %}

{% macro bigquery__rep_ai_milliseconds_between(start_at, end_at) -%}
    timestamp_diff({{ end_at }}, {{ start_at }}, millisecond)
{%- endmacro %}

{% macro bigquery__rep_ai_local_time(timestamp, zone) -%}
    datetime({{ timestamp }}, '{{ zone }}')
{%- endmacro %}

{# For BigQuery 1 is Sunday. #}
{% macro bigquery__rep_ai_weekday(timestamp) -%}
    mod(extract(dayofweek from {{ timestamp }}) + 5, 7) + 1
{%- endmacro %}

{% macro bigquery__rep_ai_days_of(bounds) -%}
    select activity_date
    from {{ bounds }}
    cross join
        unnest(generate_date_array({{ bounds }}.first_date, {{ bounds }}.last_date))
            as activity_date
{%- endmacro %}

{% macro bigquery__rep_ai_known(value, position, least_or_greatest, type) -%}
    array_agg(
        {{ value }} ignore nulls
        order by {{ position }} {{ 'asc' if least_or_greatest == 'min' else 'desc' }}
        limit 1
    )[safe_offset(0)]
{%- endmacro %}

{% macro bigquery__rep_ai_regexp_extract(text, pattern) -%}
    nullif(regexp_extract({{ text }}, r'{{ pattern }}'), '')
{%- endmacro %}

{% macro bigquery__rep_ai_json_text(json, key) -%}
    {{ rep_ai_javascript('json_text') }}({{ json }}, '{{ key }}')
{%- endmacro %}

{% macro bigquery__rep_ai_member(json, name) -%}
    case
        when strpos({{ json }}, '{{ name }}') > 0
            then {{ rep_ai_javascript('member') }}({{ json }}, '{{ name }}')
    end
{%- endmacro %}

{% macro bigquery__rep_ai_without(json, names) -%}
    {{ rep_ai_javascript('without') }}({{ json }}, '{{ names | tojson }}')
{%- endmacro %}

{# No cast fails with the text in its message. #}
{% macro bigquery__rep_ai_fail(message) -%}
    cast(error({{ message }}) as int64)
{%- endmacro %}

{% macro bigquery__rep_ai_materialized(is_so) -%}
{%- endmacro %}

{#
    The links are the places of an array, of which each round reads one row: joins, each of a result
    with itself, would be planned a million times.
#}
{% macro bigquery__rep_ai_walk(rounds) -%}
steps_0 as (

    select
        array_agg(
            struct(reached_number as reached, least_number as least) order by link_number
        ) as steps
    from walked_0

),

{% for round in range(rounds) -%}
steps_{{ round + 1 }} as (

    select
        array(
            select as struct
                so_far.steps[ordinal(step.reached)].reached as reached,
                least(step.least, so_far.steps[ordinal(step.reached)].least) as least
            from unnest(so_far.steps) as step with offset as place
            order by place
        ) as steps
    from steps_{{ round }} as so_far

),

{% endfor -%}
walked_{{ rounds }} as (

    select
        place + 1 as link_number,
        step.reached as reached_number,
        step.least as least_number
    from steps_{{ rounds }} as walked
    cross join unnest(walked.steps) as step with offset as place

),

{% endmacro %}

{% macro bigquery__rep_ai_create_functions() -%}
    {%- if execute -%}
        {%- do adapter.create_schema(
            api.Relation.create(database=target.database, schema=target.schema)
        ) -%}
        {%- for name, (arguments, returns, body) in rep_ai_javascript_functions().items()
            if name != 'walked' %}
        create or replace function {{ rep_ai_javascript(name) }}(
            {{- arguments | join(' string, ') }} string)
        returns string
        language js
        as r"""
            if ({{ arguments | join(' === null || ') }} === null) return null;
            {{ body }}
        """;
        {%- endfor %}
    {%- endif -%}
{%- endmacro %}
