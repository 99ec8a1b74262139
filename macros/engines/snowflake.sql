{#
    What Snowflake writes in its own way; `../engines.sql` says what for. In its literals
    backslashes are doubled. What SQL cannot do, functions in JavaScript do (`javascript.sql`).
#}

{% macro snowflake__rep_ai_literal(text) -%}
    '{{ text | replace('\\', '\\\\') | replace("'", "''") }}'
{%- endmacro %}

{# Whole milliseconds; and no time zone, whatever an account takes `timestamp` for. #}
{% macro snowflake__rep_ai_column_type(data_type) -%}
    {{ return('timestamp_ntz(3)' if data_type | lower == 'timestamp' else data_type) }}
{%- endmacro %}

{% macro snowflake__rep_ai_union_distinct() -%}
    union
{%- endmacro %}

{% macro snowflake__rep_ai_time(text, least, greatest) -%}
    {#- leading zeros aside such a number has 12 or 13 digits -#}
    {%- set milliseconds -%}
        case
            when
                translate({{ text }}, '0123456789', '') = ''
                and length(ltrim({{ text }}, '0')) between 12 and 13
                then try_to_number(ltrim({{ text }}, '0'), 18, 0)
        end
    {%- endset -%}
    case
        when {{ milliseconds }} between {{ least }} and {{ greatest }}
            then cast(to_timestamp_ntz({{ milliseconds }}, 3) as timestamp_ntz(3))
    end
{%- endmacro %}

{% macro snowflake__rep_ai_local_time(timestamp, zone) -%}
    convert_timezone('UTC', '{{ zone }}', {{ timestamp }})
{%- endmacro %}

{% macro snowflake__rep_ai_weekday(timestamp) -%}
    dayofweekiso({{ timestamp }})
{%- endmacro %}

{% macro snowflake__rep_ai_days_of(bounds) -%}
    select dateadd('day', cast(days.value as bigint), {{ bounds }}.first_date) as activity_date
    from
        {{ bounds }},
        lateral flatten(
            input => array_generate_range(
                0, datediff('day', {{ bounds }}.first_date, {{ bounds }}.last_date) + 1
            )
        ) as days
{%- endmacro %}

{% macro snowflake__rep_ai_known(value, position, least_or_greatest, type) -%}
    {{ least_or_greatest }}_by(
        {{ value }}, case when {{ value }} is not null then {{ position }} end
    )
{%- endmacro %}

{# It knows no groups that are not captured: the one that is meant comes after those before it. #}
{% macro snowflake__rep_ai_regexp_extract(text, pattern) -%}
    {%- set before = modules.re.split('\\((?!\\?:)', pattern)[0] -%}
    {%- set place = before.split('(?:') | length -%}
    nullif(
        regexp_substr(
            {{ text }}, {{ rep_ai_literal(pattern | replace('(?:', '(')) }}, 1, 1, 'e', {{ place }}
        ),
        ''
    )
{%- endmacro %}

{% macro snowflake__rep_ai_json_text(json, key) -%}
    {{ rep_ai_javascript('json_text') }}({{ json }}, '{{ key }}')
{%- endmacro %}

{% macro snowflake__rep_ai_member(json, name) -%}
    case
        when contains({{ json }}, '{{ name }}')
            then {{ rep_ai_javascript('member') }}({{ json }}, '{{ name }}')
    end
{%- endmacro %}

{% macro snowflake__rep_ai_without(json, names) -%}
    {{ rep_ai_javascript('without') }}({{ json }}, '{{ names | tojson }}')
{%- endmacro %}

{% macro snowflake__rep_ai_materialized(is_so) -%}
{%- endmacro %}

{#
    The links are the places of an array: joins, each of a result with itself, might be planned a
    million times.
#}
{% macro snowflake__rep_ai_walk(rounds) -%}
first_steps as (

    select
        array_agg(array_construct(reached_number, least_number)) within group (
            order by link_number
        ) as steps
    from walked_0

),

walked_{{ rounds }} as (

    select
        cast(walked.index + 1 as bigint) as link_number,
        cast(get(walked.value, 0) as bigint) as reached_number,
        cast(get(walked.value, 1) as bigint) as least_number
    from
        first_steps,
        lateral flatten(
            input => {{ rep_ai_javascript('walked') }}(first_steps.steps, {{ rounds }})
        ) as walked

),

{% endmacro %}

{# Functions in JavaScript see their arguments in upper case. #}
{% macro snowflake__rep_ai_create_functions() -%}
    {%- if execute -%}
        {%- do adapter.create_schema(
            api.Relation.create(database=target.database, schema=target.schema)
        ) -%}
        {%- for name, (arguments, returns, body) in rep_ai_javascript_functions().items() %}
        create or replace function {{ rep_ai_javascript(name) }}(
            {%- for argument, type in arguments.items() %}
            {{- argument }} {{ {'text': 'varchar', 'number': 'float'}.get(type, 'array') }}
            {{- ', ' if not loop.last }}
            {%- endfor -%}
        )
        returns {{ {'text': 'varchar'}.get(returns, 'array') }}
        language javascript strict immutable
        as $$
            {%- for argument in arguments %}
            let {{ argument }} = {{ argument | upper }};
            {%- endfor %}
            {{ body }}
        $$;
        {%- endfor %}
    {%- endif -%}
{%- endmacro %}
