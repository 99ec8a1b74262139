{# Which code models were built by: noted by each model, compared at the start of a run. #}

{#
    Compare the code of the selected models with that which the tables were built by: what differs
    opens a batch. Tables with other columns than the model has now, or made by a version of this
    project that kept no watermarks, are dropped, so that dbt makes them again.
#}
{% macro rep_ai_list_changed_code() -%}
    {%- if rep_ai_is_run() -%}
        {%- set noted = {} -%}
        {%- for row in run_query('select model, code from ' ~ rep_ai_watermarks()).rows -%}
            {%- do noted.update({row[0]: row[1]}) -%}
        {%- endfor -%}
        {%- set changed, outdated, left_out = [], [], [] -%}
        {%- for node in rep_ai_watched_nodes() -%}
            {%- set code, before = rep_ai_code(node), noted.get(node.name) -%}
            {%- do node.update(rep_ai_code=code, rep_ai_code_before=before) -%}
            {%- set is_changed = before and before != code
                and node.unique_id in selected_resources -%}
            {%- do changed.append(node.name) if is_changed -%}
            {%- if not before or is_changed and before.split()[-1] != code.split()[-1] -%}
                {%- set table = load_relation(rep_ai_relation(node)) -%}
                {%- if table and table.is_table -%}
                    {%- do outdated.append(table) -%}
                    {%- do left_out.append(node) if node.unique_id not in selected_resources -%}
                {%- endif -%}
            {%- endif -%}
        {%- endfor -%}
        {%- do rep_ai_drop_outdated(outdated, left_out) if outdated -%}
        {%- if changed -%}
            {#- said under --quiet as well -#}
            {%- do print('rep_ai: built anew, with what is made of them, since a dry run '
                ~ 'emptied them, or their code or a variable has changed: '
                ~ changed | join(', ')) -%}
            insert into {{ rep_ai_affected() }} (kind, key, batch, listed_by)
            select 'everything', model, {{ rep_ai_newest_batch() }} + 1, 'code'
            from {{ rep_ai_watermarks() }}
            where model in ({{ rep_ai_literals(changed) }})
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro rep_ai_drop_outdated(tables, left_out) -%}
    {%- set said = 'another version of this project made these tables, or one with other'
        ~ ' rep_ai_fields; they have to be made again, as long as a full refresh takes: '
        ~ tables | map(attribute='name') | join(', ') -%}
    {%- do rep_ai_allow_full_refresh(said) -%}
    {%- if left_out -%}
        {{ exceptions.raise_compiler_error(said ~ '; select all models, as `dbt build` does') }}
    {%- endif -%}
    {%- do print('rep_ai: ' ~ said) -%}
    {#- what that version made and this one does not -#}
    {%- for name in (
        'rep_ai_builds', 'int_rep_ai__actions_deduplicated', 'int_rep_ai__changed_days',
        'int_rep_ai__changed_records', 'int_rep_ai__changed_session_groups',
        'int_rep_ai__changed_sessions', 'int_rep_ai__changed_visitors',
        'int_rep_ai__days_of_changed_sessions', 'int_rep_ai__interactions_stitched',
        'int_rep_ai__windows'
    ) -%}
        {%- do tables.append(load_relation(rep_ai_beside_deliveries(name))) -%}
    {%- endfor -%}
    {%- for table in tables if table -%}
        {%- do adapter.drop_relation(table) -%}
    {%- endfor -%}
{%- endmacro %}

{# Models and tests that are new to this warehouse: nothing was built, so nothing has changed. #}
{% macro rep_ai_note_new() -%}
    {%- if rep_ai_is_run() -%}
        insert into {{ rep_ai_watermarks() }} (model, batch, code)
        select
            present.model,
            cast(null as {{ dbt.type_bigint() }}) as batch,
            present.code
        from (
            {%- for node in graph.nodes.values() if node.rep_ai_code
                or node.get('test_metadata', {}).name == 'rep_ai_unique_grain' %}
            {{ 'union all' if not loop.first }}
            select '{{ node.name }}' as model, '{{ node.rep_ai_code }}' as code
            {%- endfor %}
        ) as present
        where present.model not in (select model from {{ rep_ai_watermarks() }})
    {%- endif -%}
{%- endmacro %}

{# The models whose code decides rows of incremental ones: themselves, and all views. #}
{% macro rep_ai_watched_nodes() -%}
    {{ return(graph.nodes.values()
        | selectattr('package_name', 'equalto', 'rep_ai')
        | selectattr('resource_type', 'equalto', 'model')
        | selectattr('config.materialized', 'in', ('incremental', 'view')) | list
    ) }}
{%- endmacro %}

{#
    What decides the rows of a model beside what it reads, as two hashes: its SQL with the macros,
    variables and raw tables that it names, comments and layout aside; and its columns. Macros are
    found where they are called by name.
#}
{% macro rep_ai_code(node) -%}
    {%- set texts, columns = [node.raw_code], [] -%}
    {%- set ids = node.depends_on.macros | list -%}
    {%- for id in ids if id.startswith('macro.rep_ai.') -%}
        {#- dbt's `graph` has no macros -#}
        {%- set macro = context['rep_ai'][id.split('.')[2]].macro -%}
        {%- do texts.append(macro.macro_sql) -%}
        {#- the list grows while it is walked -#}
        {%- do ids.extend(macro.depends_on.macros | reject('in', ids)) -%}
    {%- endfor -%}
    {%- for name in modules.re.findall("var\\('(rep_ai_\\w+)'", texts | join) | unique
        if name not in ('rep_ai_windows_before', 'rep_ai_allow_full_refresh') -%}
        {%- do texts.append(name ~ '=' ~ var(name)) -%}
    {%- endfor -%}
    {%- for id in node.depends_on.nodes if id in graph.sources -%}
        {%- do texts.append(graph.sources[id].relation_name) -%}
        {%- for column in graph.sources[id].columns.values() -%}
            {%- do texts.append(column.name ~ tojson(column.config.meta, sort_keys=true)) -%}
        {%- endfor -%}
    {%- endfor -%}
    {#- words, and literals as they are; comments give an empty text, which `select` drops -#}
    {%- set kept = modules.re.findall(
        "(?s)\\{#.*?#\\}|--[^\\n]*|('(?:[^']|'')*'|[^\\s'{-]+|[{-])", texts | join('\n')
    ) | select | join(' ') -%}
    {%- do rep_ai_with_own_fields(node) -%}
    {%- for column in node.columns.values() -%}
        {%- do columns.append(column.name ~ ' ' ~ column.data_type) -%}
    {%- endfor -%}
    {{ return(local_md5(kept) ~ ' ' ~ local_md5(columns | sort | join)) }}
{%- endmacro %}
