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
        cast({{ rep_ai_local_time(timestamp, var('rep_ai_timezone')) }} as date)
    {%- endif -%}
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
    {{ rep_ai_decimal(
        rep_ai_decimal(milliseconds, 0, 15) ~ ' * ' ~ rep_ai_decimal('0.001', 3, 4), 3
    ) }}
{%- endmacro %}

{% macro rep_ai_text(expression) -%}
    cast({{ expression }} as {{ rep_ai_type_string() }})
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
    staging; `staged_raw_as`, the column that has it as it was delivered; `raw`, where staging finds
    that: a field that is listed later than it was delivered lies in `_extra`.
#}
{% macro rep_ai_vendor_fields(collection) -%}
    {%- set fields = [] -%}
    {%- set source = graph.sources['source.rep_ai.rep_ai.' ~ collection] if execute else {} -%}
    {%- set always_listed = source.get('config', {}).get('meta', {}).get('always_listed', []) -%}
    {%- for column in source.get('columns', {}).values() if not column.name.startswith('_') -%}
        {%- set reads_as = column.config.meta.reads_as or 'text' -%}
        {%- set staged_as = column.config.meta.staged_as or column.name -%}
        {%- set raw = 'records.' ~ column.name -%}
        {%- set unlisted = rep_ai_member('records._extra', column.name) -%}
        {%- do fields.append({
            'name': column.name, 'reads_as': reads_as, 'staged_as': staged_as,
            'staged_raw_as': staged_as if reads_as in ('id', 'text') else 'raw_' ~ column.name,
            'raw': raw if column.name in always_listed else
                'coalesce(' ~ raw ~ ', ' ~ unlisted ~ ')',
            'is_always_listed': column.name in always_listed,
        }) -%}
    {%- endfor -%}
    {{ return(fields) }}
{%- endmacro %}

{#
    The columns of a staging model that are fields of the records: the vendor's; the user's own; and
    `properties`, the JSON text of what the vendor's list lacks.
#}
{% macro rep_ai_columns_of(collection, entity) -%}
    {%- set listed, listed_later = [], [] -%}
    {%- for field in rep_ai_vendor_fields(collection) -%}
        {%- do listed.append(field.name) -%}
        {%- do listed_later.append(field.name) if not field.is_always_listed -%}
        {%- if field.staged_raw_as != field.staged_as %}
        {{ field.raw }} as {{ field.staged_raw_as }},
        {%- endif %}
        {% if field.reads_as == 'key' -%}
            {#- in an object the key stands in for a missing id -#}
            coalesce({{ rep_ai_id(field.raw) }}, {{ rep_ai_id('records._key') }})
        {%- elif field.reads_as == 'id' -%}
            {{ rep_ai_id(field.raw) }}
        {%- elif field.reads_as == 'time' -%}
            {{ rep_ai_time(field.raw) }}
        {%- elif field.reads_as == 'flag' -%}
            {{ rep_ai_flag(field.raw) }}
        {%- else -%}
            {{ field.raw }}
        {%- endif %} as {{ field.staged_as }},
    {%- endfor -%}
    {%- for field in rep_ai_own_fields(entity) %}
        {{- exceptions.raise_compiler_error(
            'rep_ai_fields: ' ~ field.name ~ ' of ' ~ entity ~ ' is a listed field already'
        ) if field.name in listed }}
        {{ rep_ai_member('records._extra', field.name) }} as {{ field.held_as }},
    {%- endfor %}
        {% if listed_later -%}
            {{ rep_ai_without('records._extra', listed_later) }}
        {%- else -%}
            records._extra
        {%- endif %} as properties
{%- endmacro %}

{#
    The fields of variable `rep_ai_fields`: of sessions, actions, interactions, visitors or users
    each `name` in the dump; `column`, the same as a name of SQL: `utm-Source` is `utm_source`; and
    `held_as`, its column before the marts, where it might have the name of one of ours.
#}
{% macro rep_ai_own_fields(entity) -%}
    {%- set own, fields = var('rep_ai_fields') or {}, [] -%}
    {%- set entities = ['sessions', 'actions', 'interactions', 'visitors', 'users'] -%}
    {%- for name in own if name not in entities -%}
        {{ exceptions.raise_compiler_error(
            'rep_ai_fields: there is no ' ~ name ~ '; it has fields of ' ~ entities | join(', ')
        ) }}
    {%- endfor -%}
    {%- for name in rep_ai_listed('rep_ai_fields', own.get(entity)) -%}
        {%- set column = modules.re.sub('[^a-z0-9_]', '_', name | string | lower) -%}
        {{ exceptions.raise_compiler_error(
            'rep_ai_fields: ' ~ name ~ ' of ' ~ entity ~ ' comes twice, or cannot be a column: a'
            ' name begins with a letter and has letters, digits, spaces and any of _ . : / -'
        ) if column in fields | map(attribute='column') | list
            or not modules.re.fullmatch('[A-Za-z_][A-Za-z0-9_ .:/-]*', name | string) }}
        {%- do fields.append({'name': name, 'column': column, 'held_as': 'own__' ~ column}) -%}
    {%- endfor -%}
    {{ return(fields) }}
{%- endmacro %}

{# The list that a variable has to have; a text would be taken for a list of letters. #}
{% macro rep_ai_listed(variable, values) -%}
    {{ exceptions.raise_compiler_error(
        variable ~ ': ' ~ values ~ ' is no list; write [' ~ values ~ ']'
    ) if values is string or values is mapping or values is number }}
    {{ return(values or []) }}
{%- endmacro %}

{# The columns of variable `rep_ai_fields`, each with a comma after it; `from` is their table. #}
{% macro rep_ai_own_columns(entity, from) -%}
    {%- for field in rep_ai_own_fields(entity) %}
        {{ from }}.{{ field.held_as }},
    {%- endfor -%}
{%- endmacro %}

{# The same, of the last record of an id that has the field. #}
{% macro rep_ai_last_own_columns(entity) -%}
    {%- for field in rep_ai_own_fields(entity) %}
        {{ rep_ai_last_known(field.held_as, 'window_number') }} as {{ field.held_as }},
    {%- endfor -%}
{%- endmacro %}

{# The same as a mart calls them. #}
{% macro rep_ai_own_columns_of_mart(entity, from) -%}
    {%- for field in rep_ai_own_fields(entity) %}
        {{ from }}.{{ field.held_as }} as {{ adapter.quote(field.column) }},
    {%- endfor -%}
{%- endmacro %}

{#
    A model with columns of variable `rep_ai_fields` names their entity in `meta.own_fields`. They
    are made a part of its contract before its table is, and its types those of the engine.
#}
{% macro rep_ai_add_own_fields() -%}
    {%- if execute -%}
        {%- do rep_ai_with_own_fields(model) -%}
        {%- for column in model.columns.values() if column.data_type -%}
            {%- do column.update(data_type=rep_ai_column_type(column.data_type)) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{% macro rep_ai_with_own_fields(node) -%}
    {%- set is_mart = node.config.contract and node.config.contract.enforced -%}
    {%- for field in rep_ai_own_fields(node.config.meta.own_fields) if node.config.meta -%}
        {%- set column = field.column if is_mart else field.held_as -%}
        {%- set given = node.columns.get(column) -%}
        {{ exceptions.raise_compiler_error(
            'rep_ai_fields: ' ~ node.name ~ ' has a column ' ~ column ~ ' already'
        ) if given and not given.is_own }}
        {%- do node.columns.update({column: {
            'name': column, 'data_type': dbt.type_string(), 'is_own': true, 'constraints': [],
            'quote': is_mart, 'description': '',
        }}) -%}
    {%- endfor -%}
{%- endmacro %}

{#
    Types of the user's own as a query: those that `rep-ai types --add` and the variable add. In a
    project that imports this one the variable may name a seed or model of that project.
#}
{% macro rep_ai_own_types() -%}
    {%- set own = var('rep_ai_known_types') or {} -%}
    select kind, type from {{ ref('stg_rep_ai__known_types') }}
    {%- if own is string %}
    union distinct
    select {{ rep_ai_text('kind') }} as kind, {{ rep_ai_text('type') }} as type
    from {{ ref(project_name, own) }}
    where kind in ('action', 'interaction') and type is not null
    {%- endif -%}
    {%- for kind, types in ({} if own is string else own).items() -%}
        {{ exceptions.raise_compiler_error(
            'rep_ai_known_types: there is no kind ' ~ kind ~ '; it has action and interaction'
        ) if kind not in ('action', 'interaction') }}
        {%- for type in rep_ai_listed('rep_ai_known_types', types) %}
    {{ rep_ai_union_distinct() }}
    select '{{ kind }}' as kind, {{ rep_ai_literal(type | string) }} as type
        {%- endfor -%}
    {%- endfor -%}
{%- endmacro %}

{# Whether a custom id stands for nobody, as a web page sends it that knows no customer. #}
{% macro rep_ai_is_nobody(custom_id) -%}
    {%- set white = ' \t\n\r\x0b\f\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004'
        ~ '\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000' -%}
    (
        {{ custom_id }} in ('undefined', 'null', '[object Object]', '0')
        or translate({{ custom_id }}, {{ rep_ai_literal(white) }}, '') = ''
    )
{%- endmacro %}


{# Whether a time lies on an affected day; the range in UTC is quick to tell. #}
{% macro rep_ai_is_on_affected_day(time) -%}
    {%- set keys = rep_ai_affected_keys('day') -%}
    {%- set days = '(select cast(days.key as date) as day from (' ~ keys ~ ') as days)' -%}
    {%- set first = rep_ai_later('min(d.day)', -1, 'day') -%}
    {%- set end = rep_ai_later('max(d.day)', 2, 'day') -%}
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
    {%- set name = '[^\\]:@/?#\\[\\\\<>^|% \\t\\n\\r\\f\\x0B]+' -%}
    {%- set host = '(\\[[0-9a-fA-F:.]+\\]|' ~ name ~ ')' -%}
    {%- set rest = '(?::[0-9]*)?(?:[/?#\\\\]|$)' -%}
    translate(
        {{ rep_ai_regexp_extract(address, scheme ~ user ~ host ~ rest) }},
        'ABCDEFGHIJKLMNOPQRSTUVWXYZ',
        'abcdefghijklmnopqrstuvwxyz'
    )
{%- endmacro %}
