{# What PostgreSQL writes in its own way; `../engines.sql` says what for. #}

{# A text of digits as a number of milliseconds; NULL where it is none, or much too great. #}
{% macro postgres__rep_ai_milliseconds(text) -%}
    {#- leading zeros aside such a number has 12 or 13 digits -#}
    cast(
        case
            when
                translate({{ text }}, '0123456789', '') = ''
                and length(ltrim({{ text }}, '0')) between 12 and 13
                then ltrim({{ text }}, '0')
        end as bigint
    )
{%- endmacro %}

{% macro postgres__rep_ai_time(text, least, greatest) -%}
    {%- set milliseconds = postgres__rep_ai_milliseconds(text) -%}
    case
        when {{ milliseconds }} between {{ least }} and {{ greatest }}
            {#- floating point, but exact: microseconds up to 2255 are whole numbers below 2^53 #}
            then timestamp '1970-01-01 00:00:00' + {{ milliseconds }} * interval '1 millisecond'
    end
{%- endmacro %}

{% macro postgres__rep_ai_by_code_point(text) -%}
    {{ text }} collate "C"
{%- endmacro %}

{% macro postgres__rep_ai_known(value, position, least_or_greatest, type) -%}
    (
        array_agg(
            {{ value }}
            order by {{ position }} {{ 'asc' if least_or_greatest == 'min' else 'desc' }}
        )
        filter (where {{ value }} is not null)
    )[1]
{%- endmacro %}

{% macro postgres__rep_ai_regexp_extract(text, pattern) -%}
    nullif(substring({{ text }} from '{{ pattern }}'), '')
{%- endmacro %}

{% macro postgres__rep_ai_json_text(json, key) -%}
    {{ adapter.quote(target.schema) }}.rep_ai_json_text({{ json }}, '{{ key }}')
{%- endmacro %}

{% macro postgres__rep_ai_member(json, name) -%}
    {{ adapter.quote(target.schema) }}.rep_ai_member({{ json }}, '{{ name }}')
{%- endmacro %}

{% macro postgres__rep_ai_without(json, names) -%}
    {{ adapter.quote(target.schema) }}.rep_ai_without(
        {{ json }}, array[{{ rep_ai_literals(names) }}]
    )
{%- endmacro %}

{% macro postgres__rep_ai_lock() -%}
    {%- if rep_ai_state().opens_batch -%}
        lock table {{ rep_ai_affected() }} in share row exclusive mode
    {%- else -%}
        select batch from {{ rep_ai_watermarks() }} where model = '{{ model.name }}' for update
    {%- endif -%}
{%- endmacro %}

{% macro postgres__rep_ai_is_key_of_record(id, keys, kind) -%}
    {#- without the index each record would be compared with each key -#}
    {%- set index = adapter.quote(var('rep_ai_source_schema')) ~ '.rep_ai_' ~ kind ~ '_id' -%}
    {%- if execute and run_query(
        'select to_regclass(' ~ rep_ai_literal(index) ~ ') is not null'
    ).rows[0][0] -%}
        left({{ id }}, 600) = any(array(select left(listed.key, 600) from ({{ keys }}) as listed))
        and (length({{ id }}) < 600 or {{ id }} in ({{ keys }}))
    {%- else -%}
        {{ id }} in ({{ keys }})
    {%- endif -%}
{%- endmacro %}

{% macro postgres__rep_ai_is_one_of_few(value, keys) -%}
    {#- unlike `in` it reaches into views, which otherwise type all records of all dumps first -#}
    {{ value }} = any(array({{ keys }}))
{%- endmacro %}

{% macro postgres__rep_ai_plan() -%}
    {#- it takes what a run has just listed for next to nothing, and loops over it for hours; to
        have it counted would let models wait for each other; until the transaction ends -#}
    set local enable_nestloop = off;
    {#- a list of keys that does not fit is gone through for each row -#}
    set local work_mem = '128MB';
    set local jit = off
{%- endmacro %}

{% macro postgres__rep_ai_tidy() -%}
    {%- if rep_ai_state().is_anew %}
    {#- the server counts by itself too, but a minute later at the earliest #}
    analyze {{ this }};
    {%- endif %}
    {#- dbt's table is kept by the session, which a pooler hands on to other clients #}
    discard temp
{%- endmacro %}

{% macro postgres__rep_ai_create_functions() -%}
    {%- set schema = adapter.quote(target.schema) %}
    {#- not raised by the server: dbt goes on after a hook that fails there #}
    {%- set encoding = run_query('show server_encoding').rows[0][0] if execute %}
    {{- exceptions.raise_compiler_error(
        'the encoding of the database is ' ~ encoding ~ ', which does not hold all texts as they'
        " are; make another one, with `create database NAME encoding 'UTF8' template template0`,"
        ' and set PGDATABASE to it'
    ) if execute and encoding != 'UTF8' }}
    do $do$
    declare
        raw_table regclass;
    begin
        -- another run may be about the same: two would end with `tuple concurrently updated`
        perform pg_advisory_xact_lock(7370112097);
        -- dbt has made the schemas of the selected models only
        if to_regnamespace('{{ schema }}') is null then
            create schema {{ schema }};
        end if;
        -- a night's records are looked up, whatever the length of the history
        {%- set raw = adapter.quote(var('rep_ai_source_schema')) %}
        {%- set expressions = {} %}
        {%- for collection in ('sessions', 'session_actions', 'session_interactions') %}
        {%- do expressions.update({collection ~ '_delivery_id': [collection, '_delivery_id']}) %}
        {%- endfor %}
        {#- an index takes no text of 2.7 kB: with one of a whole id nothing more could be landed #}
        {%- set id = '(left(coalesce(' ~ rep_ai_id('id') ~ ', ' ~ rep_ai_id('_key') ~ '), 600))' %}
        {%- do expressions.update({
            'session_id': ['sessions', id], 'interaction_id': ['session_interactions', id]
        }) %}
        {%- for name, (collection, expression) in expressions.items() %}
        begin
            -- asked first: `if not exists` would wait for whoever is loading
            if to_regclass({{ rep_ai_literal(raw ~ '.rep_ai_' ~ name) }}) is null then
                create index if not exists rep_ai_{{ name }}
                on {{ raw }}.unique_visitor_{{ collection }} ({{ expression }});
            end if;
        exception
            -- not our table, a view, not landed yet: without it a build takes longer, no more
            when others then null;
        end;
        {%- endfor %}
        -- the planner knows nothing of what was just loaded
        for raw_table in
            select relid from pg_stat_user_tables
            where schemaname = '{{ var('rep_ai_source_schema') }}' and n_mod_since_analyze > 0
        loop
            execute format('analyze %s', raw_table);
        end loop;
        -- before version 16 nothing but an error tells that a text is not JSON
        create or replace function {{ schema }}.rep_ai_json_text(object text, key text)
        returns text language plpgsql immutable strict as $function$
        declare
            member json;
        begin
            member := object::json -> key;
            return case when json_typeof(member) = 'string' then nullif(member #>> '{}', '') end;
        exception
            when others then return null;
        end
        $function$;
        -- the text of a member as it was written
        create or replace function {{ schema }}.rep_ai_member(object text, key text)
        returns text language plpgsql immutable strict as $function$
        begin
            return case when strpos(object, key) > 0 then object::json ->> key end;
        exception
            when others then return null;
        end
        $function$;
        create or replace function {{ schema }}.rep_ai_without(object text, keys text[])
        returns text language plpgsql immutable strict as $function$
        begin
            return (
                select '{' || string_agg(to_json(member.key) || ':' || member.value, ',') || '}'
                from json_each(object::json) as member
                where member.key <> all (keys)
            );
        exception
            when others then return object;
        end
        $function$;
    end
    $do$
{%- endmacro %}

{# Deleted rows; and what the planner knows of the others. #}
{% macro postgres__rep_ai_maintain(table, keep_days) -%}
    {{ return(['vacuum (analyze) ' ~ table]) }}
{%- endmacro %}
