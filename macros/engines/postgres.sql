{# What PostgreSQL writes in its own way; `../engines.sql` says what for. #}

{% macro postgres__rep_ai_time(text, least, greatest) -%}
    {#- leading zeros aside such a number has 12 or 13 digits -#}
    {%- set milliseconds -%}
        cast(
            case
                when
                    translate({{ text }}, '0123456789', '') = ''
                    and length(ltrim({{ text }}, '0')) between 12 and 13
                    then ltrim({{ text }}, '0')
            end as bigint
        )
    {%- endset -%}
    case
        when {{ milliseconds }} between {{ least }} and {{ greatest }}
            {#- floating point, but exact: microseconds up to 2255 are whole numbers below 2^53 #}
            then timestamp '1970-01-01 00:00:00' + {{ milliseconds }} * interval '1 millisecond'
    end
{%- endmacro %}

{% macro postgres__rep_ai_by_code_point(text) -%}
    {{ text }} collate "C"
{%- endmacro %}

{% macro postgres__rep_ai_known(value, position, least_or_greatest, direction) -%}
    (
        array_agg({{ value }} order by {{ position }} {{ direction }})
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

{% macro postgres__rep_ai_create_functions() -%}
    {%- set schema = adapter.quote(target.schema) %}
    do $do$
    begin
        -- another run may be about the same: two would end with `tuple concurrently updated`
        perform pg_advisory_xact_lock(7370112097);
        -- dbt has made the schemas of the selected models only
        if to_regnamespace('{{ schema }}') is null then
            create schema {{ schema }};
        end if;
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
