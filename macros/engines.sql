{#
    What engines write differently and dbt's own cross-database macros lack, or do otherwise than
    the rules of this project want: one dispatched macro each, here with its default. How an engine
    does it is in its file in `engines/`, and nowhere else. `_macros.yml` describes the public ones.
#}
{% macro rep_ai_literal(text) -%}
    {{ return(adapter.dispatch('rep_ai_literal', 'rep_ai')(text)) }}
{%- endmacro %}
{% macro rep_ai_type_string() -%}
    {{ return(adapter.dispatch('rep_ai_type_string', 'rep_ai')()) }}
{%- endmacro %}
{% macro rep_ai_column_type(data_type) -%}
    {{ return(adapter.dispatch('rep_ai_column_type', 'rep_ai')(data_type)) }}
{%- endmacro %}
{% macro rep_ai_decimal(expression, scale, precision=18) -%}
    {{ return(adapter.dispatch('rep_ai_decimal', 'rep_ai')(expression, precision, scale)) }}
{%- endmacro %}
{% macro rep_ai_time(text) -%}
    {{ return(adapter.dispatch('rep_ai_time', 'rep_ai')(text, 946684800000, 4102444799999)) }}
{%- endmacro %}
{% macro rep_ai_later(timestamp, number, unit) -%}
    {{ return(adapter.dispatch('rep_ai_later', 'rep_ai')(timestamp, number, unit)) }}
{%- endmacro %}
{% macro rep_ai_milliseconds_between(start_at, end_at) -%}
    {{ return(adapter.dispatch('rep_ai_milliseconds_between', 'rep_ai')(start_at, end_at)) }}
{%- endmacro %}
{% macro rep_ai_local_time(timestamp, zone) -%}
    {{ return(adapter.dispatch('rep_ai_local_time', 'rep_ai')(timestamp, zone)) }}
{%- endmacro %}
{% macro rep_ai_weekday(timestamp) -%}
    {{ return(adapter.dispatch('rep_ai_weekday', 'rep_ai')(timestamp)) }}
{%- endmacro %}
{% macro rep_ai_days_of(bounds) -%}
    {{ return(adapter.dispatch('rep_ai_days_of', 'rep_ai')(bounds)) }}
{%- endmacro %}
{% macro rep_ai_by_code_point(text) -%}
    {{ return(adapter.dispatch('rep_ai_by_code_point', 'rep_ai')(text)) }}
{%- endmacro %}
{% macro rep_ai_first_known(value, position, type='string') -%}
    {{ return(adapter.dispatch('rep_ai_known', 'rep_ai')(value, position, 'min', type)) }}
{%- endmacro %}
{% macro rep_ai_last_known(value, position, type='string') -%}
    {{ return(adapter.dispatch('rep_ai_known', 'rep_ai')(value, position, 'max', type)) }}
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
{% macro rep_ai_fail(message) -%}
    {{ return(adapter.dispatch('rep_ai_fail', 'rep_ai')(message)) }}
{%- endmacro %}
{% macro rep_ai_is_pair_of(pair, relation, columns) -%}
    {{ return(adapter.dispatch('rep_ai_is_pair_of', 'rep_ai')(pair, relation, columns)) }}
{%- endmacro %}
{% macro rep_ai_union_distinct() -%}
    {{ return(adapter.dispatch('rep_ai_union_distinct', 'rep_ai')()) }}
{%- endmacro %}
{% macro rep_ai_recursive() -%}
    {{ return(adapter.dispatch('rep_ai_recursive', 'rep_ai')()) }}
{%- endmacro %}
{% macro rep_ai_materialized(is_so=true) -%}
    {{ return(adapter.dispatch('rep_ai_materialized', 'rep_ai')(is_so)) }}
{%- endmacro %}
{% macro rep_ai_is_computed_once() -%}
    {{ return(adapter.dispatch('rep_ai_is_computed_once', 'rep_ai')()) }}
{%- endmacro %}
{% macro rep_ai_walk(rounds) -%}
    {{ return(adapter.dispatch('rep_ai_walk', 'rep_ai')(rounds)) }}
{%- endmacro %}
{% macro rep_ai_table_format(node, parted_by=none) -%}
    {{ return(adapter.dispatch('rep_ai_table_format', 'rep_ai')(node, parted_by)) }}
{%- endmacro %}
{% macro rep_ai_moment() -%}
    {{ return(adapter.dispatch('rep_ai_moment', 'rep_ai')()) }}
{%- endmacro %}
{% macro rep_ai_set_watermark(batch=none, code=none) -%}
    {{ return(adapter.dispatch('rep_ai_set_watermark', 'rep_ai')(batch, code)) }}
{%- endmacro %}
{#
    Whether a record's id is one of the keys of its kind, session or interaction; `keys` is a query
    without NULL. Engines with indexes look the keys up.
#}
{% macro rep_ai_is_key_of_record(id, keys, kind) -%}
    {{ return(adapter.dispatch('rep_ai_is_key_of_record', 'rep_ai')(id, keys, kind)) }}
{%- endmacro %}

{% macro rep_ai_is_one_of_few(value, keys) -%}
    {{ return(adapter.dispatch('rep_ai_is_one_of_few', 'rep_ai')(value, keys)) }}
{%- endmacro %}
{% macro rep_ai_lock() -%}
    {{ return(adapter.dispatch('rep_ai_lock', 'rep_ai')() if rep_ai_is_at_work()) }}
{%- endmacro %}
{% macro rep_ai_drop_old_view() -%}
    {{ return(adapter.dispatch('rep_ai_drop_old_view', 'rep_ai')()
        if execute and model.config.materialized == 'view') }}
{%- endmacro %}
{% macro rep_ai_plan() -%}
    {{ return(adapter.dispatch('rep_ai_plan', 'rep_ai')() if rep_ai_is_at_work()) }}
{%- endmacro %}
{% macro rep_ai_tidy() -%}
    {{ return(adapter.dispatch('rep_ai_tidy', 'rep_ai')() if rep_ai_is_at_work()) }}
{%- endmacro %}
{% macro rep_ai_create_functions() -%}
    {{ return(adapter.dispatch('rep_ai_create_functions', 'rep_ai')()
        if rep_ai_is_concerned() or not execute) }}
{%- endmacro %}

{# A text as a literal of SQL. #}
{% macro default__rep_ai_literal(text) -%}
    '{{ dbt.escape_single_quotes(text) }}'
{%- endmacro %}

{# The type of texts of any length. #}
{% macro default__rep_ai_type_string() -%}
    {{ dbt.type_string() }}
{%- endmacro %}

{# What a contract calls a type, where dbt's translation does not hold. #}
{% macro default__rep_ai_column_type(data_type) -%}
    {{ return(data_type) }}
{%- endmacro %}

{% macro default__rep_ai_decimal(expression, precision, scale) -%}
    cast({{ expression }} as decimal({{ precision }}, {{ scale }}))
{%- endmacro %}

{# Whether two values are those of two columns in one row of a relation. #}
{% macro default__rep_ai_is_pair_of(pair, relation, columns) -%}
    ({{ pair | join(', ') }}) in (
            select
                {{ relation }}.{{ columns[0] }},
                {{ relation }}.{{ columns[1] }}
            from {{ relation }}
        )
{%- endmacro %}

{% macro default__rep_ai_union_distinct() -%}
    union distinct
{%- endmacro %}

{# Behind `with`, where `rep_ai_walk` has a CTE that reads itself. #}
{% macro default__rep_ai_recursive() -%}
{%- endmacro %}

{# A time so many units later; earlier, where the number is negative. #}
{% macro default__rep_ai_later(timestamp, number, unit) -%}
    ({{ dbt.dateadd(unit, number, timestamp) | trim }})
{%- endmacro %}

{% macro default__rep_ai_milliseconds_between(start_at, end_at) -%}
    {{ dbt.datediff(start_at, end_at, 'millisecond') }}
{%- endmacro %}

{# What clocks of a time zone show at a UTC timestamp. #}
{% macro default__rep_ai_local_time(timestamp, zone) -%}
    ({{ timestamp }} at time zone 'UTC') at time zone '{{ zone }}'
{%- endmacro %}

{# 1 is Monday. #}
{% macro default__rep_ai_weekday(timestamp) -%}
    extract(isodow from {{ timestamp }})
{%- endmacro %}

{# A query of each `activity_date` from `first_date` to `last_date`, of a table with one row. #}
{% macro default__rep_ai_days_of(bounds) -%}
    select cast(days.activity_at as date) as activity_date
    from {{ bounds }}
    cross join
        generate_series({{ bounds }}.first_date, {{ bounds }}.last_date, interval '1 day')
            as days (activity_at)
{%- endmacro %}

{% macro default__rep_ai_by_code_point(text) -%}
    {{ text }}
{%- endmacro %}

{# A whole number that makes the query fail where it is computed, with the message. #}
{% macro default__rep_ai_fail(message) -%}
    cast({{ message }} as {{ dbt.type_bigint() }})
{%- endmacro %}

{# Whether a CTE is computed once, or as a part of each query that reads it. #}
{% macro default__rep_ai_materialized(is_so) -%}
    {{ 'materialized' if is_so else 'not materialized' }}
{%- endmacro %}

{# The same as a condition, always true, for engines that have no word for it. #}
{% macro default__rep_ai_is_computed_once() -%}
    true
{%- endmacro %}

{# CTEs that double the steps of `walked_0` as often as there are rounds; `walked_1` and so on. #}
{% macro default__rep_ai_walk(rounds) -%}
{% for round in range(rounds) -%}
walked_{{ round + 1 }} as {{ rep_ai_materialized() }} (

    select
        so_far.link_number,
        further.reached_number,
        least(so_far.least_number, further.least_number) as least_number
    from walked_{{ round }} as so_far
    inner join walked_{{ round }} as further
        on so_far.reached_number = further.link_number

),

{% endfor -%}
{%- endmacro %}

{# The rows of a seed, for `rep_ai_make_seed`; a server cannot read the file. #}
{% macro default__rep_ai_rows_of_seed(node) -%}
    {%- do exceptions.warn(node.name ~ ' is not there yet, so that no type is known, and the facts'
        ~ ' keep none: run `dbt seed` or `dbt build`') -%}
    select {{ rep_ai_text("''") }} as type, '' as label, '' as description limit 0
{%- endmacro %}

{#
    What a table is stored as, where it is not dbt that creates it: as those of a node; and by which
    column its rows are apart, so that writers of some do not disturb those of others.
#}
{% macro default__rep_ai_table_format(node, parted_by) -%}
{%- endmacro %}

{# By which an engine without locks tells what others write while it builds a model. #}
{% macro default__rep_ai_moment() -%}
    null
{%- endmacro %}

{# Note the batch, the code or both in the watermark of the model that is built. #}
{% macro default__rep_ai_set_watermark(batch, code) -%}
    update {{ rep_ai_watermarks() }}
    set
        {%- if batch is not none %} batch = {{ batch }}{{ ',' if code }}{% endif %}
        {%- if code %} code = '{{ code }}'{% endif %}
    where model = '{{ model.name }}'
{%- endmacro %}

{# Let another process that builds the same model, or opens a batch too, come to its end. #}
{% macro default__rep_ai_lock() -%}
{%- endmacro %}

{# Before a view that the engine would not replace. #}
{% macro default__rep_ai_drop_old_view() -%}
{%- endmacro %}

{# Whether a value is one of a query's, which gives but few. #}
{% macro default__rep_ai_is_key_of_record(id, keys, kind) -%}
    {{ id }} in ({{ keys }})
{%- endmacro %}

{% macro default__rep_ai_is_one_of_few(value, keys) -%}
    {{ value }} in ({{ keys }})
{%- endmacro %}

{# Before and after an incremental model: what a planner has to know, and must not leave behind. #}
{% macro default__rep_ai_plan() -%}
{%- endmacro %}

{% macro default__rep_ai_tidy() -%}
{%- endmacro %}

{# Functions that an engine needs and does not have; made at the start of each run. #}
{% macro default__rep_ai_create_functions() -%}
{%- endmacro %}

{#
    A relation (or the name of a CTE) that its query gives a name. Under `--empty` dbt makes a
    subquery of each, and on PostgreSQL gives it a name itself: two names are a syntax error.
#}
{% macro rep_ai_named(relation) -%}
    {{ return(relation if relation is string else relation.replace(require_alias=false)) }}
{%- endmacro %}
