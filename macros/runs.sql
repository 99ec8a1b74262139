{# What happens at the start and at the end of a run; one statement a hook. #}

{# Refuse what is not allowed, and make room for the list and the watermarks. #}
{% macro rep_ai_prepare_run() -%}
    {%- if rep_ai_is_run() -%}
        {%- do rep_ai_allow_full_refresh('a full refresh is not allowed here, and rarely needed')
            if flags.FULL_REFRESH -%}
        {%- for node in rep_ai_watched_nodes() if 'rep_ai_incremental(' in node.raw_code
            and (node.config.materialized, node.config.incremental_strategy)
                != ('incremental', 'merge' if target.type == 'bigquery' else 'append') -%}
            {{ exceptions.raise_compiler_error(
                'materialized or incremental_strategy of your dbt_project.yml reach ' ~ node.name
                ~ ', and its rows would be wrong: write them below the name of your project,'
                ' `models: ' ~ project_name ~ ': +materialized: ...`'
            ) }}
        {%- endfor -%}
        {%- for node in rep_ai_watched_nodes()
            if node.schema in (target.database, node.database) -%}
            {#- DuckDB cannot tell them apart in a view -#}
            {{ exceptions.raise_compiler_error(
                'the database has the name of the schema ' ~ node.schema ~ ': rename the file, for'
                ' example to warehouse.duckdb, and set REP_AI_DUCKDB to it'
            ) if target.type == 'duckdb' }}
        {%- endfor -%}
        {%- do rep_ai_refuse_misspelt_variables() -%}
        {%- do rep_ai_refuse_newer_raw() -%}
        {%- do adapter.create_schema(rep_ai_affected()) -%}
    {%- endif -%}
{%- endmacro %}

{# A variable that nothing reads would be without effect, and without a word. #}
{% macro rep_ai_refuse_misspelt_variables() -%}
    {%- set known = [
        'rep_ai_source_schema', 'rep_ai_source_database', 'rep_ai_supported_major',
        'rep_ai_timezone', 'rep_ai_include_unknown_types', 'rep_ai_known_types', 'rep_ai_fields',
        'rep_ai_allow_full_refresh', 'rep_ai_windows_before', 'rep_ai_violation_severity',
        'rep_ai_file_format',
        'rep_ai_unit_tests',
    ] -%}
    {%- for name in invocation_args_dict.vars or {} if name.startswith('rep_ai_') -%}
        {{ exceptions.raise_compiler_error(
            'there is no variable ' ~ name ~ '; there are ' ~ known | join(', ')
        ) if name not in known }}
    {%- endfor -%}
{%- endmacro %}

{# Raw tables that a newer `rep-ai` wrote may mean something else: none is read. #}
{% macro rep_ai_refuse_newer_raw() -%}
    {%- set node = graph.sources['source.rep_ai.rep_ai._schema_version'] -%}
    {%- set versions = load_relation(api.Relation.create(
        database=node.database, schema=node.schema, identifier=node.identifier
    )) -%}
    {%- set known = node.config.meta.version -%}
    {%- if versions and run_query('select max(version) from ' ~ versions).rows[0][0] > known -%}
        {{ exceptions.raise_compiler_error(
            'a newer rep-ai wrote the raw tables, and this version knows them up to version '
            ~ known ~ ': upgrade it'
        ) }}
    {%- endif -%}
{%- endmacro %}

{% macro rep_ai_is_run() -%}
    {{ return(rep_ai_is_concerned() and flags.WHICH in ('build', 'run')) }}
{%- endmacro %}

{# Whether anything of this project is selected: another one may import it, and do its own. #}
{% macro rep_ai_is_concerned() -%}
    {%- for id in selected_resources if execute and id.split('.')[1] == 'rep_ai' -%}
        {{ return(true) }}
    {%- endfor -%}
    {{ return(false) }}
{%- endmacro %}

{# Refuse to read a raw table that the `rep-ai` which landed the dumps did not know yet. #}
{% macro rep_ai_require_raw(name) -%}
    {%- if rep_ai_is_run() and not load_relation(source('rep_ai', name)) -%}
        {{ exceptions.raise_compiler_error(
            'there is no ' ~ source('rep_ai', name) ~ ' yet: run `rep-ai ingest` (or `rep-ai run`)'
            ' of this version once, which makes it of what is landed already, then build again'
        ) }}
    {%- endif -%}
{%- endmacro %}

{% macro rep_ai_allow_full_refresh(otherwise) -%}
    {%- if var('rep_ai_allow_full_refresh') | string | lower != 'true' -%}
        {{ exceptions.raise_compiler_error(
            otherwise ~ ': see "Full refresh" in docs/incremental.md;'
            " --vars '{rep_ai_allow_full_refresh: true}' allows it"
        ) }}
    {%- endif -%}
{%- endmacro %}

{# Make the list or the watermarks; all columns but `batch` are text. #}
{% macro rep_ai_create(table, columns) -%}
    {%- if rep_ai_is_run() -%}
        {%- set relation = rep_ai_beside_deliveries(table) -%}
        {%- do adapter.cache_added(relation.incorporate(dbt_created=true)) -%}
        create table if not exists {{ relation }} (
            {%- for column in columns %}
            {{ column }} {{ dbt.type_bigint() if column == 'batch' else rep_ai_type_string() }}
            {{- ',' if not loop.last }}
            {%- endfor %}
        )
        {{ rep_ai_table_format(
            graph.nodes['model.rep_ai.int_rep_ai__deliveries'],
            parted_by='model' if 'model' in columns else none
        ) }}
    {%- endif -%}
{%- endmacro %}

{# `dbt run` makes no seeds: those that are not there yet are made at its start. #}
{% macro rep_ai_make_seed(name) -%}
    {%- set node = graph.nodes['seed.rep_ai.' ~ name] if execute else {} -%}
    {%- if rep_ai_is_run() and flags.WHICH == 'run' and not load_relation(rep_ai_relation(node)) -%}
        {%- do adapter.create_schema(rep_ai_relation(node)) -%}
        {%- do adapter.cache_added(rep_ai_relation(node).incorporate(dbt_created=true)) -%}
        create table {{ rep_ai_relation(node) }} {{ rep_ai_table_format(node) }} as
        {{ adapter.dispatch('rep_ai_rows_of_seed', 'rep_ai')(node) }}
    {%- endif -%}
{%- endmacro %}


{# Tests that read what was touched have watermarks of their own, which move when they pass. #}
{% macro rep_ai_note_passes(results) -%}
    {%- set passed = [] -%}
    {%- for result in results if execute and result.status == 'pass' and not flags.EMPTY -%}
        {%- set test = graph.nodes.get(result.node.unique_id, {}) -%}
        {%- do passed.append(test) if test.get('rep_ai_state', {}).get('seen') is not none -%}
    {%- endfor -%}
    {%- if passed -%}
        update {{ rep_ai_watermarks() }}
        set batch = case model
            {%- for test in passed %} when '{{ test.name }}' then {{ test.rep_ai_state.seen }}
            {%- endfor %} end
        where model in ({{ rep_ai_literals(passed | map(attribute='name')) }})
    {%- endif -%}
{%- endmacro %}

{# What all models have seen is kept for ten batches more, for others who read the list. #}
{% macro rep_ai_cut_list() -%}
    {%- if rep_ai_is_run() -%}
        delete from {{ rep_ai_affected() }}
        where batch < (
            select min(batch) - 10 from {{ rep_ai_watermarks() }}
            where model in ({{ rep_ai_literals(
                rep_ai_watched_nodes() | selectattr('config.materialized', 'equalto', 'incremental')
                | map(attribute='name')
            ) }})
        )
    {%- endif -%}
{%- endmacro %}
