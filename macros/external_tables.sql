{#
    The files of `rep-ai ingest --destination filesystem` become the raw tables:
    `dbt run-operation rep_ai_external_tables --args '{folder: /lake/rep_ai_raw}'`.
#}
{% macro rep_ai_external_tables(folder) -%}
    {%- for source in graph.sources.values() if source.package_name == 'rep_ai' -%}
        {%- set table = api.Relation.create(
            database=source.database, schema=source.schema, identifier=source.identifier
        ) -%}
        {%- if loop.first -%}
            {%- do adapter.create_schema(table.without_identifier()) -%}
        {%- endif -%}
        {%- set path = (folder ~ '/' ~ source.identifier) | replace("'", "''") -%}
        {%- for sql in adapter.dispatch('rep_ai_external_tables', 'rep_ai')(table, path) -%}
            {%- do print('rep_ai: ' ~ sql) -%}
            {%- call statement(auto_begin=false) %}{{ sql }}{% endcall -%}
        {%- endfor -%}
    {%- endfor -%}
{%- endmacro %}

{% macro default__rep_ai_external_tables(table, path) -%}
    {{ exceptions.raise_compiler_error(
        'docs/engines.md ("Files") says how ' ~ target.type ~ ' is pointed at files'
    ) }}
{%- endmacro %}

{# A view lists the folder whenever it is read. #}
{% macro duckdb__rep_ai_external_tables(table, path) -%}
    {{ return([
        "create or replace view " ~ table ~ " as select * from read_parquet('" ~ path
        ~ "/*.parquet', union_by_name = true)"
    ]) }}
{%- endmacro %}

{# The table is made anew for the files that have come: a table keeps the list it began with. #}
{% macro spark__rep_ai_external_tables(table, path) -%}
    {{ return([
        "drop table if exists " ~ table,
        "create table " ~ table ~ " using parquet options (path '" ~ path
        ~ "', mergeSchema 'true')"
    ]) }}
{%- endmacro %}
