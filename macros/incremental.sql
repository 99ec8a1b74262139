{#
    Incremental models: one list of what was touched, and one watermark for each model. Why this is
    right, whatever is killed or left out: docs/incremental.md.

    `rep_ai_affected` (kind, key, batch, listed_by): which keys were touched. A batch is one change
        of the current deliveries, of the known types, or of code.
    `rep_ai_watermarks` (model, batch, code): up to which batch a model has seen what concerns it
        (NULL: it is to be built anew), and by which code it was built.

    Both lie beside `int_rep_ai__deliveries`. They are not models: under `--defer` a `ref` would
    resolve to production's, and write there.
#}
{% macro rep_ai_affected() -%}
    {{ return(rep_ai_beside_deliveries('rep_ai_affected')) }}
{%- endmacro %}

{% macro rep_ai_watermarks() -%}
    {{ return(rep_ai_beside_deliveries('rep_ai_watermarks')) }}
{%- endmacro %}

{% macro rep_ai_beside_deliveries(name) -%}
    {{ return(rep_ai_relation(graph.nodes['model.rep_ai.int_rep_ai__deliveries'], name)) }}
{%- endmacro %}

{% macro rep_ai_relation(node, name=none) -%}
    {{ return(api.Relation.create(
        database=node.database, schema=node.schema, identifier=name or node.alias, type='table'
    )) }}
{%- endmacro %}


{#
    The head of an incremental model: which of its rows a run replaces, and what that touches.

    replaces: kind -> column; rows whose column is an affected key of the kind are replaced.
    lists: kind -> expression; what the replaced rows touch, before and after.
    within: column -> kinds; a promise that in each replaced row the column is an affected key of
        these kinds, which `lists` has to list. Engines then pass over the rest of a large table.
    opens_batch: true where all begins. Such a model compares what it holds with what it would hold;
        what differs is a new batch.
    The body, a query of (kind, key), is what is touched beyond what other models have listed.
#}
{% macro rep_ai_incremental(replaces, lists={}, within={}, opens_batch=false) -%}
    {#- called while dbt parses too, which finds there what the body reads -#}
    {%- set touched = caller() | trim if caller is defined else '' -%}
    {%- do rep_ai_state().update(
        replaces=replaces, lists=lists, within=within, opens_batch=opens_batch, touched=touched
    ) -%}
{%- endmacro %}


{#
    Whether a row's key is affected (of any of the kinds), as a condition; `true` where the model is
    built anew.
#}
{% macro rep_ai_is_affected(column) -%}
    {%- set keys = rep_ai_affected_keys(*varargs) -%}
    {%- if keys is none -%}
        true
    {%- elif 'delivery' in varargs -%}
        {{ rep_ai_is_one_of_few(column, keys) }}
    {%- else -%}
        {{ column }} in ({{ keys }})
    {%- endif -%}
{%- endmacro %}

{#
    The same for records in staging, an alias and its model. Dumps without an affected record are
    ruled out first, by reading one column of them: it halves the time of a night.
#}
{% macro rep_ai_is_affected_record(records, staging, id, kind) -%}
    {%- set keys = rep_ai_affected_keys(kind) -%}
    {%- if keys is none -%}
        {{ records }}.{{ id }} is not null
    {%- else -%}
        {{ rep_ai_is_key_of_record(records ~ '.' ~ id, keys, kind) }}
        and {{ records }}.delivery_id in (
            select held.delivery_id
            from {{ rep_ai_named(staging) }} as held
            where {{ rep_ai_is_key_of_record('held.' ~ id, keys, kind) }}
        )
    {%- endif -%}
{%- endmacro %}

{#
    The keys of one or several kinds that a model has to look at, as a query; none where it is built
    anew. Only what it or an ancestor has listed: what a parallel model lists must not come between
    its delete and its insert.
#}
{% macro rep_ai_affected_keys() -%}
    {%- set state = rep_ai_state() -%}
    {{ return(none if state.is_anew else
        "select affected.key from " ~ rep_ai_affected() ~ " as affected where affected.kind in ("
        ~ rep_ai_literals(varargs) ~ ") and affected.batch > " ~ state.since
        ~ " and affected.listed_by in (" ~ rep_ai_literals(state.ancestors) ~ ")"
    ) }}
{%- endmacro %}


{#
    Where a model (or a test) stands, read once and before all else:

    newest: the newest batch.
    since: up to which batch it has seen what concerns it.
    seen: up to which it will have, after this run: the least that its parents have.
    lags: whether it has not seen the newest one.
    is_anew: whether all of it is built again. It never was, its code or all of a parent has
        changed, or the list does not reach back so far.
    moment: when, where the engine wants to know it.
#}
{% macro rep_ai_state() -%}
    {%- set node = graph.get('nodes', {}).get(model.unique_id, {}) -%}
    {%- if node.get('rep_ai_state', {}).invocation_id == invocation_id -%}
        {{ return(node.rep_ai_state) }}
    {%- endif -%}
    {%- set state = {
        'invocation_id': invocation_id, 'is_anew': true, 'lags': true, 'newest': 0,
    } -%}
    {%- if node and not invocation_args_dict.defer and load_relation(rep_ai_watermarks()) -%}
        {%- set above = rep_ai_above(node) -%}
        {%- set awaited = above.parents | reject('in', above.roots) | list -%}
        {%- set newest, oldest, since, least, count, changes, moment
            = run_query(rep_ai_state_query(node.name, awaited, above.built_with)).rows[0] -%}
        {%- set is_model = node.resource_type == 'model' -%}
        {%- do state.update(
            newest=newest,
            since=since if above.parents else newest,
            seen=newest if not awaited else least if count == awaited | length else none,
            lags=since is none or since < newest,
            is_anew=since is none or since < oldest - 1 or changes > 0
                or (is_model and (flags.FULL_REFRESH or not is_incremental())),
            ancestors=above.ancestors,
            moment=moment,
        ) -%}
    {%- endif -%}
    {%- do node.update(rep_ai_state=state) -%}
    {{ return(state) }}
{%- endmacro %}

{% macro rep_ai_state_query(name, parents, built_with) -%}
    {%- set affected, watermarks = rep_ai_affected(), rep_ai_watermarks() -%}
    {%- set newest = rep_ai_newest_batch() -%}
    {%- set is_parent = 'where model in (' ~ rep_ai_literals(parents) ~ ')' -%}
    select
        {{ newest }} as newest,
        coalesce((select min(batch) from {{ affected }}), {{ newest }} + 1) as oldest,
        own.batch as since,
        (select min(batch) from {{ watermarks }} {{ is_parent }}) as least,
        (select count(batch) from {{ watermarks }} {{ is_parent }}) as parent_count,
        (
            select count(*) from {{ affected }}
            where
                kind = 'everything'
                and batch > (select max(batch) from {{ watermarks }} where model = '{{ name }}')
                and key in ({{ rep_ai_literals(built_with) }})
                and listed_by != '{{ name }}'
        ) as changes,
        {{ rep_ai_moment() }} as moment
    from (select max(batch) as batch from {{ watermarks }} where model = '{{ name }}') as own
{%- endmacro %}

{# The newest batch, 0 where there is none; known from the watermarks too if the list is lost. #}
{% macro rep_ai_newest_batch() -%}
    (
        select max(batches.batch)
        from (
            select batch from {{ rep_ai_affected() }}
            union all
            select batch from {{ rep_ai_watermarks() }}
            union all
            select 0
        ) as batches
    )
{%- endmacro %}

{#
    What a model or test is made of: `parents`, its nearest incremental ancestors; `roots`, those of
    them that have none; `ancestors`, all incremental ones and itself; `built_with`, whose code and
    whole contents it follows: itself, its parents, and the views between.
#}
{% macro rep_ai_above(node) -%}
    {%- set above = {'parents': [], 'roots': [], 'ancestors': [], 'built_with': [node.name]} -%}
    {%- do above.ancestors.append(node.name) -%}
    {%- set ids = node.depends_on.nodes | list -%}
    {%- for id in ids if id in graph.nodes -%}
        {%- set parent = graph.nodes[id] -%}
        {%- do above.built_with.append(parent.name) -%}
        {%- if parent.config.materialized == 'incremental' -%}
            {%- set further = rep_ai_above(parent) -%}
            {%- do above.parents.append(parent.name) -%}
            {%- do above.roots.append(parent.name) if not further.parents -%}
            {%- do above.ancestors.extend(further.ancestors | reject('in', above.ancestors)) -%}
        {%- else -%}
            {#- the list grows while it is walked -#}
            {%- do ids.extend(parent.depends_on.nodes | reject('in', ids)) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(above) }}
{%- endmacro %}

{% macro rep_ai_literals(names) -%}
    {{ return("'" ~ names | join("', '") ~ "'") }}
{%- endmacro %}
