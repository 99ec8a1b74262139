{#
    How a run finds what it has to do. Builds are numbered; the log says in which build each model
    last ran. Versioned tables keep the number of the build in which a row came (`changed_in`) and
    went (`replaced_in`, NULL while it holds), so that any model can tell what has changed since its
    own last build, whatever has run, failed or been killed in between.
#}

{#
    The log: (build_number, model_name, is_rebuild, settings, seen); without a model: a build has
    begun. `seen` is the last build whose changes a run had before it, its ancestors' included.
#}
{% macro rep_ai_build_log() -%}
    {%- set beside = graph.nodes['model.rep_ai.int_rep_ai__deliveries'] -%}
    {{ return(api.Relation.create(
        database=beside.database, schema=beside.schema, identifier='rep_ai_builds', type='table'
    )) }}
{%- endmacro %}


{# Number the build; called at the start of each run. #}
{% macro rep_ai_begin_build() -%}
    {%- if execute and flags.FULL_REFRESH
        and var('rep_ai_allow_full_refresh') | string | lower != 'true' -%}
        {{ exceptions.raise_compiler_error(
            'a full refresh is not allowed here, and rarely needed: see "Full refresh" in'
            " README.md; --vars '{rep_ai_allow_full_refresh: true}' allows it"
        ) }}
    {%- endif -%}
    {%- if execute and flags.WHICH in ('build', 'run') -%}
        {%- set log = rep_ai_build_log() -%}
        {%- do adapter.create_schema(log) -%}
        create table if not exists {{ log }} (
            build_number bigint,
            model_name {{ dbt.type_string() }},
            is_rebuild boolean,
            settings {{ dbt.type_string() }},
            seen bigint
        );
        insert into {{ log }} (build_number)
        select coalesce(max(build_number), 0) + 1 from {{ log }}
    {%- endif -%}
{%- endmacro %}


{# The number of this build. #}
{% macro rep_ai_this_build() -%}
    {%- set log = rep_ai_build_log() if execute else none -%}
    {%- if not execute or not load_relation(log) -%}
        {{ return(1) }}
    {%- endif -%}
    {{ return(run_query('select max(build_number) from ' ~ log).rows[0][0] | int) }}
{%- endmacro %}


{#
    The number of the last build whose changes this model had before it when it last ran, or this
    test when it last passed, so that what came later is what it has not seen. 0 where it has to
    look at all: it never ran, its settings are others now, or a model that it reads was built anew
    since, and no version tells what was there before.
#}
{% macro rep_ai_last_build() -%}
    {%- if not execute -%}
        {#- so that dbt finds what only later builds read -#}
        {{ return(1) }}
    {%- elif model.resource_type != 'test' and not is_incremental() -%}
        {{ return(0) }}
    {%- elif invocation_args_dict.defer -%}
        {#- what is read from production has the numbers of its builds, not those of this log -#}
        {{ return(0) }}
    {%- endif -%}
    {%- set log = rep_ai_build_log() -%}
    {%- if not load_relation(log) -%}
        {{ return(0) }}
    {%- endif -%}
    {%- set names = rep_ai_names_of_ancestors() + ["'" ~ model.name ~ "'"] -%}
    {%- set rows = run_query(
        "select last_run.build_number from " ~ log ~ " as last_run"
        ~ " where last_run.model_name = '" ~ model.name ~ "'"
        ~ " and last_run.settings = '" ~ rep_ai_settings() ~ "'"
        ~ " and not exists (select 1 from " ~ log ~ " as later"
        ~ " where later.build_number > last_run.build_number"
        ~ " and (later.model_name = '" ~ model.name ~ "'"
        ~ " or later.is_rebuild and later.model_name in (" ~ names | join(', ') ~ ")))"
    ).rows -%}
    {%- if not rows -%}
        {{ return(0) }}
    {%- endif -%}
    {{ return(rep_ai_seen(names, rows[0][0]) | int) }}
{%- endmacro %}


{# What a build has before it that reads these models: the least of what they had, by a build. #}
{% macro rep_ai_seen(names, build_number) -%}
    {%- set log = rep_ai_build_log() -%}
    {{ return(run_query(
        "select min(last_run.seen) from " ~ log ~ " as last_run"
        ~ " where last_run.model_name in (" ~ names | join(', ') ~ ")"
        ~ " and last_run.build_number <= " ~ build_number
        ~ " and not exists (select 1 from " ~ log ~ " as later"
        ~ " where later.model_name = last_run.model_name"
        ~ " and later.build_number > last_run.build_number"
        ~ " and later.build_number <= " ~ build_number ~ ")"
    ).rows[0][0]) }}
{%- endmacro %}


{# The names of all models and seeds that this one is made of, as literals of SQL. #}
{% macro rep_ai_names_of_ancestors() -%}
    {%- set names = [] -%}
    {%- for node in rep_ai_ancestors() -%}
        {%- do names.append("'" ~ node.name ~ "'") -%}
    {%- endfor -%}
    {{ return(names) }}
{%- endmacro %}


{# All models and seeds that this model or test is made of. #}
{% macro rep_ai_ancestors() -%}
    {%- set found = model.depends_on.nodes | list -%}
    {%- set nodes = [] -%}
    {%- for id in found -%}
        {%- if id in graph.nodes -%}
            {%- do nodes.append(graph.nodes[id]) -%}
            {#- the list grows while it is walked -#}
            {%- do found.extend(graph.nodes[id].depends_on.nodes | reject('in', found)) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(nodes) }}
{%- endmacro %}


{#
    What decides the rows of a mart, and the days that change, beside its inputs, as one text; of
    the deliveries, where the raw tables are.
#}
{% macro rep_ai_settings() -%}
    {%- if model.name == 'int_rep_ai__deliveries' -%}
        {{ return(local_md5(
            [var('rep_ai_source_schema'), var('rep_ai_source_database', target.database)] | tojson
        )) }}
    {%- endif -%}
    {%- if model.resource_type == 'test'
        or 'marts' not in model.fqn and model.name != 'int_rep_ai__changed_days' -%}
        {{ return('') }}
    {%- endif -%}
    {%- set settings = [var('rep_ai_timezone'), rep_ai_include_unknown_types()] -%}
    {%- for node in rep_ai_ancestors() | sort(attribute='name') -%}
        {%- if node.resource_type == 'seed' -%}
            {%- set seed = api.Relation.create(
                database=node.database, schema=node.schema, identifier=node.alias
            ) -%}
            {%- if node.defer_relation and not load_relation(seed) -%}
                {%- set seed = node.defer_relation.relation_name -%}
            {%- endif -%}
            {%- set types = run_query('select distinct type from ' ~ seed) -%}
            {%- do settings.append(types.columns[0].values() | map('string') | sort) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(local_md5(settings | tojson)) }}
{%- endmacro %}


{# What has come or gone since the last build of a model, as a condition on a versioned table. #}
{% macro rep_ai_changed_since(last_build, table=none) -%}
    {%- set prefix = table ~ '.' if table else '' -%}
    ({{ prefix }}changed_in > {{ last_build }} or {{ prefix }}replaced_in > {{ last_build }})
{%- endmacro %}


{# The deliveries that have become current, or are current no more, since the last build. #}
{% macro rep_ai_changed_deliveries(last_build) -%}
    select delivery_id
    from {{ ref('int_rep_ai__deliveries') }}
    where {{ rep_ai_changed_since(last_build) }}
{%- endmacro %}


{# The ids of all records in such deliveries; raw tables hold those of former ones too. #}
{% macro rep_ai_delivered_ids(collection, id, last_build) -%}
    select distinct coalesce({{ rep_ai_id('id') }}, {{ rep_ai_id('_key') }}) as {{ id }}
    from {{ source('rep_ai', collection) }}
    where _delivery_id in ({{ rep_ai_changed_deliveries(last_build) }})
{%- endmacro %}


{# The ids of what has no end, where it is judged otherwise since the last build. #}
{% macro rep_ai_open_ids(id, last_build) -%}
    select held.{{ id }}
    from {{ this }} as held
    inner join (
        select * from {{ ref('int_rep_ai__windows') }}
    ) as windows
        on
            held.last_window_start_at = windows.window_start_at
            and held.last_window_end_at = windows.window_end_at
    where
        held.replaced_in is null
        and held.ended_at is null
        and {{ rep_ai_changed_since(last_build, 'windows') }}
{%- endmacro %}


{#
    What a window says of ends that are unknown. A build that leaves out `int_rep_ai__windows` does
    not know that of a new night; the next one that does not judges it anew.
#}
{% macro rep_ai_open_end_status(windows) -%}
    coalesce({{ windows }}.open_end_status, 'ongoing')
{%- endmacro %}


{# The current deliveries whose windows lie within spans (first_window_start_at, last_...). #}
{% macro rep_ai_deliveries_within(spans) -%}
    select distinct delivery_id
    from {{ ref('int_rep_ai__deliveries') }}
    inner join {{ spans }} as spans
        on
            window_start_at >= spans.first_window_start_at
            and window_start_at <= spans.last_window_start_at
    where replaced_in is null
{%- endmacro %}


{#
    The start of a versioned model of merged records: those whose id has a record in a delivery that
    has come or gone, and the open ones that are judged otherwise. Their other records lie in the
    windows between the first and the last one of the row that holds; no other delivery is read.
-#}
{% macro rep_ai_affected_records(staging, collection, id, last_build, may_be_open) -%}
{%- if last_build -%}
affected as (

    {{ rep_ai_delivered_ids(collection, id, last_build) }}
    {%- if may_be_open %}

    union distinct

    {{ rep_ai_open_ids(id, last_build) }}
    {%- endif %}

),

spans as (

    select distinct
        first_window_start_at,
        last_window_start_at
    from {{ this }}
    where
        replaced_in is null
        and {{ rep_ai_may_be_one_of('select ' ~ id ~ ' from affected', id) }}

),

searched as (

    {{ rep_ai_changed_deliveries(last_build) }}

    union distinct

    {{ rep_ai_deliveries_within('spans') }}

),

{% endif -%}
records as (

    select *
    from {{ ref(staging) }}
    where
        {{ id }} is not null
        {%- if last_build %}
        and delivery_id in (select searched.delivery_id from searched)
        and {{ id }} in (select affected.{{ id }} from affected)
        {%- endif %}

),
{%- endmacro %}


{#
    Whether the id of a row is in a query of ids, by their fingerprints: of a whole table this one
    column is read. Some more rows may share them, so it serves where these do no harm.
#}
{% macro rep_ai_may_be_one_of(ids, id) -%}
    id_fingerprint in (
        select {{ rep_ai_fingerprint('ids.' ~ id) }} as id_fingerprint from ({{ ids }}) as ids
    )
{%- endmacro %}


{# Whether a row is of a session in a CTE that says in which window to look for it. #}
{% macro rep_ai_is_one_of(sessions) -%}
    last_window_start_at in (
        select distinct {{ sessions }}.last_window_start_at from {{ sessions }}
    )
    and session_id in (select {{ sessions }}.session_id from {{ sessions }})
{%- endmacro %}


{#
    The end of a versioned model: what `computed` has and the table has not comes, what only the
    table has goes. Later builds compute the rows of `affected` keys only.
-#}
{% macro rep_ai_versions(
    last_build,
    keys,
    columns,
    affected='affected',
    held_where=none,
    fingerprint_of=none,
    cluster_by=none
) -%}
{%- set this_build = 'cast(' ~ rep_ai_this_build() ~ ' as ' ~ dbt.type_bigint() ~ ')' -%}
{%- if last_build -%}
held as (

    select *
    from {{ this }}
    where
        replaced_in is null
        {%- if held_where %}
        and {{ held_where }}
        {%- endif %}
        {%- if affected %}
        and {{ keys[0] }} in (select {{ affected }}.{{ keys[0] }} from {{ affected }})
        {%- endif %}

),

come as (

    select {{ columns | join(', ') }} from computed
    except
    select {{ columns | join(', ') }} from held

),

gone as (

    select {{ columns | join(', ') }} from held
    except
    select {{ columns | join(', ') }} from computed

),

{% endif -%}
final as (

    select
        {%- for column in columns %}
        {{ column }},
        {%- endfor %}
        {%- if fingerprint_of %}
        {{ rep_ai_fingerprint(fingerprint_of) }} as id_fingerprint,
        {%- endif %}
        {{ this_build }} as changed_in,
        cast(null as {{ dbt.type_bigint() }}) as replaced_in
    from {{ 'come' if last_build else 'computed' }}
    {{ 'where false' if flags.EMPTY }}
    {%- if last_build %}

    union all

    select
        {%- for column in columns %}
        gone.{{ column }},
        {%- endfor %}
        {%- if fingerprint_of %}
        held.id_fingerprint,
        {%- endif %}
        held.changed_in,
        {{ this_build }} as replaced_in
    from gone
    inner join held
        on
            {%- for key in keys %}
            {{ 'and ' if not loop.first }}gone.{{ key }} = held.{{ key }}
            {%- endfor %}
    {{ 'where false' if flags.EMPTY }}
    {%- elif cluster_by %}
    order by {{ cluster_by }}
    {%- endif %}

)

select * from final
{%- endmacro %}


{#
    How dbt puts such rows into the table (a strategy of ours: `delete+insert` looks for each row's
    key in the whole table): what went is there already and gets its number, what came is added.
#}
{% macro get_incremental_rep_ai_versions_sql(arguments) -%}
    {%- set keys = arguments['unique_key'] | join(', ') -%}
    {%- set columns = arguments['dest_columns'] | map(attribute='name') | list -%}
    {%- set gone = 'from ' ~ arguments['temp_relation'] ~ ' where replaced_in is not null' -%}
    delete from {{ arguments['target_relation'] }}
    where
        replaced_in is null
        and ({{ keys }}) in (select {{ keys }} {{ gone }})
        {%- if 'last_window_start_at' in columns %}
        and last_window_start_at in (select last_window_start_at {{ gone }})
        {%- endif %};
    insert into {{ arguments['target_relation'] }} ({{ columns | join(', ') }})
    select {{ columns | join(', ') }} from {{ arguments['temp_relation'] }}
{%- endmacro %}


{#
    The end of a log of changes: the keys in `changes`, with the number of this build. Where it is
    built anew, so is all that reads it, and it begins empty.
-#}
{% macro rep_ai_changes(last_build, keys) -%}
final as (

    select distinct
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        cast({{ rep_ai_this_build() }} as {{ dbt.type_bigint() }}) as build_number
    from changes
    where
        {%- if not last_build or flags.EMPTY %}
        false
        {%- elif 'record_id' in keys and 'session_id' in keys %}
        coalesce(session_id, record_id) is not null
        {%- else %}
        {{ keys[-1] }} is not null
        {%- endif %}

)

select * from final
{%- endmacro %}


{#
    Empty a table that is built anew in place, else take out the rows that are replaced: a list of
    conditions in which `last_build` stands for the number of the last build. Where all of them are
    about changed sessions, a time of the rows tells where to look.
#}
{% macro rep_ai_take_out(conditions=[], time=none) -%}
    {%- if is_incremental() and not flags.EMPTY -%}
        {%- set last_build = rep_ai_last_build() -%}
        {%- if not last_build -%}
            delete from {{ this }}
        {%- else -%}
            {%- for condition in conditions %}
            delete from {{ this }}
            where
                {{ condition | replace('last_build', last_build) }}
                {%- if time %}
                and {{ rep_ai_is_near_changed_sessions(time, last_build) }}
                {%- endif %};
            {% endfor -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{#
    Note in the log that this model has run; part of its transaction. A dry run (`--empty`) that has
    made the table, or made it anew, leaves a model that is still to be built.
#}
{% macro rep_ai_note_build() -%}
    {%- if execute and model.config.materialized == 'incremental' -%}
        {%- if not flags.EMPTY or not is_incremental() -%}
            {%- set this_build = rep_ai_this_build() -%}
            {%- set seen = rep_ai_seen(rep_ai_names_of_ancestors(), this_build) -%}
            insert into {{ rep_ai_build_log() }}
            (build_number, model_name, is_rebuild, settings, seen)
            select
                {{ this_build }},
                '{{ model.name }}',
                {{ 'false' if rep_ai_last_build() else 'true' }},
                '{{ 'empty' if flags.EMPTY else rep_ai_settings() }}',
                {{ this_build if seen is none else seen }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{# Note in the log which tests of what is touched have passed; called at the end of each run. #}
{% macro rep_ai_note_passes(results) -%}
    {%- if execute and flags.WHICH in ('build', 'test') and not flags.EMPTY
        and load_relation(rep_ai_build_log()) -%}
        {%- set this_build = rep_ai_this_build() -%}
        {%- set rows = [] -%}
        {%- for result in results if result.status == 'pass' and result.node.test_metadata -%}
            {%- if result.node.test_metadata.kwargs.get('touched') -%}
                {%- set test = "'" ~ result.node.name ~ "'" -%}
                {%- do rows.append(
                    "(" ~ this_build ~ ", " ~ test ~ ", false, '', " ~ this_build ~ ")"
                ) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if rows -%}
            insert into {{ rep_ai_build_log() }}
            (build_number, model_name, is_rebuild, settings, seen)
            values {{ rows | join(', ') }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{#
    The sessions, session groups, visitors or days on which something has changed since the last
    build, now or before: a query of one column.
#}
{% macro rep_ai_changed(what, last_build='last_build') -%}
    {%- set key = 'activity_date' if what == 'day' else what ~ '_id' -%}
    select {{ key }}
    from {{ ref('int_rep_ai__changed_' ~ what ~ 's') }}
    where build_number > {{ last_build }} and {{ key }} is not null
{%- endmacro %}


{#
    Whether a row is of a changed one; every row is where the mart is built anew. A time of the row
    tells where to look for those of sessions.
#}
{% macro rep_ai_is_changed(what, last_build, time=none) -%}
    {%- if not last_build -%}
        true
    {%- else -%}
        {{ what }}_id in ({{ rep_ai_changed(what, last_build) }})
        {%- if time %}
        and {{ rep_ai_is_near_changed_sessions(time, last_build) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{#
    Whether a row lies on one of the days on which changed sessions do, which engines tell of whole
    blocks of rows: all that is of changed sessions does, now and before. True where it has no time.
#}
{% macro rep_ai_is_near_changed_sessions(time, last_build) -%}
    {%- set ranges = rep_ai_days_of_changed_sessions(last_build) -%}
    {%- if ranges is none -%}
        true
    {%- else -%}
        (
            {{ time }} is null
            {%- for first, after_last in ranges %}
            or (
                {{ time }} >= timestamp '{{ first }} 00:00:00'
                and {{ time }} < timestamp '{{ after_last }} 00:00:00'
            )
            {%- endfor %}
        )
    {%- endif -%}
{%- endmacro %}


{#
    Those days, in ranges: the first day of each, and the one after its last. Where there are too
    many to ask for each, one range for all; none where sessions have changed whose days no build
    has looked at yet.
#}
{% macro rep_ai_days_of_changed_sessions(last_build) -%}
    {%- set days = ref('int_rep_ai__days_of_changed_sessions') -%}
    {%- set ranges = [] -%}
    {%- if execute -%}
        {%- set last_run = "(select max(build_number) from " ~ rep_ai_build_log()
            ~ " where model_name = 'int_rep_ai__{}')" -%}
        {%- set rows = run_query(
            "select distinct lies_on from " ~ days ~ " where build_number > " ~ last_build
            ~ " union all select null where " ~ last_run.format('days_of_changed_sessions')
            ~ " < " ~ last_run.format('changed_sessions') ~ " order by lies_on"
        ).rows -%}
        {%- if none in rows.values() | map('first') -%}
            {{ return(none) }}
        {%- endif -%}
        {%- for row in rows -%}
            {%- set first, next_day = row[0], row[0] + modules.datetime.timedelta(days=1) -%}
            {%- if ranges and ranges[-1][1] == first -%}
                {%- set first = ranges.pop()[0] -%}
            {%- endif -%}
            {%- do ranges.append([first, next_day]) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(ranges if ranges | length <= 20 else [[ranges[0][0], ranges[-1][1]]]) }}
{%- endmacro %}


{# The records without a session that have changed since the last build: a query of their ids. #}
{% macro rep_ai_changed_without_session(last_build='last_build') -%}
    select record_id
    from {{ ref('int_rep_ai__changed_sessions') }}
    where build_number > {{ last_build }} and session_id is null
{%- endmacro %}


{# Take the rows of changed sessions out of a mart, and those of changed records without one. #}
{% macro rep_ai_take_out_sessions(time, record_id=none) -%}
    {%- set conditions = ['session_id in (' ~ rep_ai_changed('session') ~ ')'] -%}
    {%- if record_id -%}
        {%- do conditions.append(
            'session_id is null and ' ~ record_id
            ~ ' in (' ~ rep_ai_changed_without_session() ~ ')'
        ) -%}
    {%- endif -%}
    {{ rep_ai_take_out(conditions, time) }}
{%- endmacro %}


{# The rows of a versioned table that come in for them; all that hold where a mart is built anew. #}
{% macro rep_ai_rows_of_changed_sessions(table, last_build, record_id) -%}
    select *
    from {{ ref(table) }}
    where
        replaced_in is null
        and {{ rep_ai_is_changed('session', last_build, 'last_window_start_at') }}
    {%- if last_build %}

    union all

    select *
    from {{ ref(table) }}
    where
        replaced_in is null
        and session_id is null
        and {{ record_id }} in ({{ rep_ai_changed_without_session(last_build) }})
        and {{ rep_ai_is_near_changed_sessions('last_window_start_at', last_build) }}
    {%- endif %}
{%- endmacro %}


{# The same of days in the project's time zone, by a time; the range in UTC is quick to tell. #}
{% macro rep_ai_is_on_changed_day(time, last_build) -%}
    {%- if last_build -%}
        {%- set days = rep_ai_changed('day', last_build) -%}
        {{ time }} >= (
            select {{ dbt.dateadd('day', -1, 'min(days.activity_date)') }} from ({{ days }}) as days
        )
        and {{ time }} < (
            select {{ dbt.dateadd('day', 2, 'max(days.activity_date)') }} from ({{ days }}) as days
        )
        and {{ rep_ai_local_date(time) }} in ({{ days }})
    {%- else -%}
        {{ time }} is not null
    {%- endif -%}
{%- endmacro %}
