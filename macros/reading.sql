{# How values of the dump are read: docs/query.md#how-values-are-read; `_macros.yml` says more. #}

{% macro rep_ai_flag(text) -%}
    case {{ text }} when 'true' then true when 'false' then false end
{%- endmacro %}

{# An id: the empty text is none. #}
{% macro rep_ai_id(text) -%}
    nullif({{ text }}, '')
{%- endmacro %}

{# The day of a UTC timestamp in the project's time zone. #}
{% macro rep_ai_local_date(timestamp) -%}
    {%- if var('rep_ai_timezone') == 'UTC' -%}
        cast({{ timestamp }} as date)
    {%- else -%}
        {%- set zone = "'" ~ var('rep_ai_timezone') ~ "'" -%}
        cast(({{ timestamp }} at time zone 'UTC') at time zone {{ zone }} as date)
    {%- endif -%}
{%- endmacro %}

{# Exact seconds, to the millisecond, from one timestamp to a later one; NULL where not in order. #}
{% macro rep_ai_seconds_between(start_at, end_at) -%}
    case
        when {{ end_at }} >= {{ start_at }}
            then {{ rep_ai_seconds(dbt.datediff(start_at, end_at, 'millisecond')) }}
    end
{%- endmacro %}

{# Milliseconds as exact seconds. #}
{% macro rep_ai_seconds(milliseconds) -%}
    cast(
        cast({{ milliseconds }} as decimal(15, 0)) * cast(0.001 as decimal(4, 3)) as decimal(18, 3)
    )
{%- endmacro %}

{% macro rep_ai_text(expression) -%}
    cast({{ expression }} as {{ dbt.type_string() }})
{%- endmacro %}

{# Number 1 is the latest record of an id in a dump, the one that counts: at the last position. #}
{% macro rep_ai_recency(delivery_id, id) -%}
    row_number() over (partition by {{ delivery_id }}, {{ id }} order by record_position desc)
{%- endmacro %}

{# Whether facts keep types that are not known, as a condition of SQL. #}
{% macro rep_ai_include_unknown_types() -%}
    {{ 'true' if var('rep_ai_include_unknown_types') | string | lower == 'true' else 'false' }}
{%- endmacro %}


{#
    The vendor's fields, of which models/staging/_staging__sources.yml has the one list. Of each:
    `name` in the dump; `reads_as` (key, id, time, flag or text); `staged_as`, its column in
    staging; `staged_raw_as`, the column that has it as it was delivered.
#}
{% macro rep_ai_vendor_fields(collection) -%}
    {%- set fields = [] -%}
    {%- set source = graph.sources['source.rep_ai.rep_ai.' ~ collection] if execute else {} -%}
    {%- for column in source.get('columns', {}).values() if not column.name.startswith('_') -%}
        {%- set reads_as = column.config.meta.reads_as or 'text' -%}
        {%- set staged_as = column.config.meta.staged_as or column.name -%}
        {%- do fields.append({
            'name': column.name, 'reads_as': reads_as, 'staged_as': staged_as,
            'staged_raw_as': staged_as if reads_as in ('id', 'text') else 'raw_' ~ column.name,
        }) -%}
    {%- endfor -%}
    {{ return(fields) }}
{%- endmacro %}

{# The columns of a staging model that are a collection's fields. #}
{% macro rep_ai_fields(collection) -%}
    {%- for field in rep_ai_vendor_fields(collection) -%}
        {%- set raw = 'records.' ~ field.name -%}
        {%- if field.staged_raw_as != field.staged_as %}
        {{ raw }} as {{ field.staged_raw_as }},
        {%- endif %}
        {% if field.reads_as == 'key' -%}
            {#- in an object the key stands in for a missing id -#}
            coalesce({{ rep_ai_id(raw) }}, {{ rep_ai_id('records._key') }})
        {%- elif field.reads_as == 'id' -%}
            {{ rep_ai_id(raw) }}
        {%- elif field.reads_as == 'time' -%}
            {{ rep_ai_time(raw) }}
        {%- elif field.reads_as == 'flag' -%}
            {{ rep_ai_flag(raw) }}
        {%- else -%}
            {{ raw }}
        {%- endif %} as {{ field.staged_as }},
    {%- endfor -%}
{%- endmacro %}


{# Whether a time lies on an affected day; the range in UTC is quick to tell. #}
{% macro rep_ai_is_on_affected_day(time) -%}
    {%- set keys = rep_ai_affected_keys('day') -%}
    {%- set days = '(select cast(days.key as date) as day from (' ~ keys ~ ') as days)' -%}
    {%- set first = dbt.dateadd('day', -1, 'min(d.day)') -%}
    {%- set end = dbt.dateadd('day', 2, 'max(d.day)') -%}
    {%- if keys is none -%}
        {{ time }} is not null
    {%- else -%}
        {{ time }} >= (select {{ first }} from {{ days }} as d)
        and {{ time }} < (select {{ end }} from {{ days }} as d)
        and {{ rep_ai_local_date(time) }} in {{ days }}
    {%- endif -%}
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
        {{ rep_ai_regexp_extract(address, scheme ~ user ~ host ~ rest) }},
        'ABCDEFGHIJKLMNOPQRSTUVWXYZ',
        'abcdefghijklmnopqrstuvwxyz'
    )
{%- endmacro %}
