{#
    A table in Markdown: how models differ from those of production. For the checks of a change,
    docs/package.md#in-the-ci-of-a-warehouse: `dbt run-operation rep_ai_compare`.
#}
{% macro rep_ai_compare(production) -%}
    {%- set lines = [] -%}
    {%- for id, place in production | dictsort if id in graph.nodes -%}
        {%- set node = graph.nodes[id] -%}
        {%- set here = load_relation(rep_ai_relation(node)) -%}
        {%- set before = adapter.get_relation(**place) if place -%}
        {#- of this project what others query, of another one that imports it all -#}
        {%- if here and (node.package_name != 'rep_ai' or node.config.access == 'public') -%}
            {%- do lines.append('| ' ~ node.name ~ ' | ' ~ (
                rep_ai_compared(before, here, (node.config.meta or {}).get('grain'))
                    if before else '| | | | | not in production'
            ) ~ ' |') -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do print(
        '| model | rows in production only | here only | in both | of these differ | columns |\n'
        ~ '|---|--:|--:|--:|--:|---|\n' ~ lines | join('\n')
            if lines else 'No model was built that production has.'
    ) -%}
{%- endmacro %}

{# The cells of one model. Rows are those with the same grain; where none is named, equal ones. #}
{% macro rep_ai_compared(production, here, grain) -%}
    {%- set types, compared, said = {}, [], [] -%}
    {%- for column in adapter.get_columns_in_relation(production) -%}
        {%- do types.update({column.name: column.data_type}) -%}
    {%- endfor -%}
    {%- for column in adapter.get_columns_in_relation(here) -%}
        {%- set type, name = types.pop(column.name, none), adapter.quote(column.name) -%}
        {%- if type is none -%}
            {%- do said.append('`' ~ column.name ~ '` is new') -%}
        {%- elif type != column.data_type -%}
            {%- do said.append(
                '`' ~ column.name ~ '` is ' ~ column.data_type ~ ', was ' ~ type
            ) -%}
            {%- do compared.append([column.name, rep_ai_text(name) ~ ' as ' ~ name]) -%}
        {%- else -%}
            {%- do compared.append([column.name, name]) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- for name in types -%}
        {%- do said.append('`' ~ name ~ '` is gone') -%}
    {%- endfor -%}
    {%- set names = compared | map('first') | list -%}
    {%- set keys = grain if grain and grain | reject('in', names) | list == [] else names -%}
    {%- set others = names | reject('in', keys) | list -%}
    {%- set found = run_query(rep_ai_compare_query(
        [production, here], compared | map('last') | list, keys, others
    )).rows[0] | list -%}
    {%- for name in others -%}
        {%- set count = found[4 + loop.index0] -%}
        {%- do said.append('`' ~ name ~ '` differs in ' ~ count) if count -%}
    {%- endfor -%}
    {{ return((found[:4] + [said | join('; ')]) | join(' | ')) }}
{%- endmacro %}

{# One row: how many rows are only there, only here, in both, and differ; then in each column. #}
{% macro rep_ai_compare_query(tables, columns, keys, others) -%}
    with

    rows_of_both as (

        select {{ columns | join(', ') }}, 1 as in_production, 0 as is_here
        from {{ tables[0] }}

        union all

        select {{ columns | join(', ') }}, 0 as in_production, 1 as is_here
        from {{ tables[1] }}

    ),

    by_key as (

        select
            {%- for name in others %}
            case
                when
                    count(distinct {{ adapter.quote(name) }}) > 1
                    or count({{ adapter.quote(name) }}) not in (0, count(*))
                    then 1
                else 0
            end as differs_{{ loop.index }},
            {%- endfor %}
            sum(in_production) as in_production,
            sum(is_here) as is_here
        from rows_of_both
        group by {% for name in keys %}{{ adapter.quote(name) }}{{ ', ' if not loop.last }}
            {%- endfor %}

    )

    select
        {%- set is_in_both = 'in_production > 0 and is_here > 0' %}
        coalesce(sum(case when in_production > is_here then in_production - is_here end), 0),
        coalesce(sum(case when is_here > in_production then is_here - in_production end), 0),
        coalesce(sum(case when is_here < in_production then is_here else in_production end), 0),
        coalesce(sum(case when {{ is_in_both }} and (0 = 1
            {%- for name in others %} or differs_{{ loop.index }} = 1{% endfor -%}
        ) then 1 end), 0)
        {%- for name in others %},
        coalesce(sum(case when {{ is_in_both }} then differs_{{ loop.index }} end), 0)
        {%- endfor %}
    from by_key
{%- endmacro %}
