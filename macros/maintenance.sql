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

{#
    What nightly deletes leave behind is given back: `dbt run-operation rep_ai_maintain`. Readers of
    Spark's tables may look back `keep_days` days.
#}
{% macro rep_ai_maintain(keep_days=7) -%}
    {%- set tables = [rep_ai_affected(), rep_ai_watermarks()] -%}
    {%- for node in rep_ai_watched_nodes() if node.config.materialized == 'incremental' -%}
        {%- do tables.append(rep_ai_relation(node)) -%}
    {%- endfor -%}
    {%- for table in tables if load_relation(table) -%}
        {%- for sql in adapter.dispatch('rep_ai_maintain', 'rep_ai')(table, keep_days) -%}
            {%- do print('rep_ai: ' ~ sql) -%}
            {#- none of them within a transaction -#}
            {%- call statement(auto_begin=false) %}{{ sql }}{% endcall -%}
        {%- endfor -%}
    {%- endfor -%}
{%- endmacro %}

{# DuckDB uses again what is free. #}
{% macro default__rep_ai_maintain(table, keep_days) -%}
    {{ return([]) }}
{%- endmacro %}

{# Print, as JSON, which models the next run would build anew; `rep-ai run --dry-run` asks. #}
{% macro rep_ai_say_changed_code() -%}
    {%- set noted, changed = {}, [] -%}
    {%- if load_relation(rep_ai_watermarks()) -%}
        {%- for row in run_query('select model, code from ' ~ rep_ai_watermarks()).rows -%}
            {%- do noted.update({row[0]: row[1]}) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- for node in rep_ai_watched_nodes() if noted.get(node.name)
        and noted.get(node.name) != rep_ai_code(node) -%}
        {%- do changed.append(node.name) -%}
    {%- endfor -%}
    {%- do print(tojson(changed, sort_keys=true)) -%}
{%- endmacro %}
