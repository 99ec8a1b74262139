{#
    The hooks around an incremental model, one statement each. Each may be the last one that runs:
    doing all of them again is harmless.
#}

{# Before: list what is touched, and what the rows touch that will be replaced. #}
{% macro rep_ai_list_before() -%}
    {%- if rep_ai_is_at_work() -%}
        {%- set state = rep_ai_state() -%}
        {%- if not state.is_anew or (state.opens_batch and load_relation(this)) -%}
            {{ rep_ai_list(is_listed=false) }}
        {%- elif state.lags or state.opens_batch -%}
            insert into {{ rep_ai_affected() }} (kind, key, batch, listed_by)
            select 'everything', '{{ model.name }}', {{ rep_ai_batch() }}, '{{ model.name }}'
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# Before a model is built anew: say so, for a build that is killed in the middle. #}
{% macro rep_ai_forget_watermark() -%}
    {%- if rep_ai_is_at_work() and rep_ai_state().is_anew -%}
        {{ rep_ai_set_watermark(batch='null') }}
    {%- endif -%}
{%- endmacro %}

{# Before: delete the rows that are replaced. #}
{% macro rep_ai_delete_affected() -%}
    {%- if rep_ai_is_at_work() and is_incremental() -%}
        delete from {{ this }}
        where {{ 'true' if rep_ai_state().is_anew else rep_ai_is_replaced() }}
    {%- endif -%}
{%- endmacro %}

{# After: list what the new rows touch. #}
{% macro rep_ai_list_after() -%}
    {%- if rep_ai_is_at_work() and rep_ai_state().lists and not rep_ai_state().is_anew -%}
        {{ rep_ai_list(is_listed=true) }}
    {%- endif -%}
{%- endmacro %}

{# After: note what has been seen, and by which code. A view that a dry run empties has another. #}
{% macro rep_ai_note_watermark() -%}
    {%- set node = graph.nodes[model.unique_id] if execute else {} -%}
    {%- set code = ('empty ' if flags.EMPTY else '') ~ node.rep_ai_code -%}
    {%- if rep_ai_is_at_work() and not flags.EMPTY -%}
        {%- set seen = rep_ai_state().get('seen') -%}
        {{ rep_ai_set_watermark('null' if seen is none else seen, code) }}
    {%- elif node and code != node.rep_ai_code_before and model.config.materialized == 'view' -%}
        {{ rep_ai_set_watermark(code=code) }}
    {%- endif -%}
{%- endmacro %}

{# A dry run (`--empty`) makes tables that are not there; what is there it leaves as it is. #}
{% macro rep_ai_is_at_work() -%}
    {{ return(
        execute
        and model.config.materialized == 'incremental'
        and not (flags.EMPTY and is_incremental())
    ) }}
{%- endmacro %}

{# The batch that a model lists in. #}
{% macro rep_ai_batch() -%}
    {%- if rep_ai_state().opens_batch -%}
        {{ rep_ai_newest_batch() }} + 1
    {%- else -%}
        {{ rep_ai_state().newest }}
    {%- endif -%}
{%- endmacro %}

{# Whether a row is one of those that are replaced; at first what is touched is not listed yet. #}
{% macro rep_ai_is_replaced(is_listed=true) -%}
    (
    {%- for kind, column in rep_ai_state().replaces.items() %}
        {{ 'or ' if not loop.first }}{{ column }} in (
            {{ rep_ai_affected_keys(kind) }}
            {%- if not is_listed %}
            union all
            select touched.key from touched where touched.kind = '{{ kind }}'
            {%- endif %}
        )
    {%- endfor %}
    )
    {%- for column, kinds in rep_ai_state().within.items() if is_listed %}
    and {{ column }} in ({{ rep_ai_affected_keys(*kinds) }})
    {%- endfor -%}
{%- endmacro %}

{# List what the replaced rows touch; and before, what the body of the head says. #}
{% macro rep_ai_list(is_listed) -%}
    {%- set lists = rep_ai_state().lists -%}
    {%- set touched = rep_ai_state().touched if not is_listed -%}
    {%- if touched or lists -%}
        insert into {{ rep_ai_affected() }} (kind, key, batch, listed_by)
        with
        touched as (
            {{ touched or 'select cast(null as ' ~ rep_ai_type_string() ~ ') as kind, '
                ~ 'cast(null as ' ~ rep_ai_type_string() ~ ') as key' }}
        )
        {%- if lists %},
        replaced as (
            select
                {%- for kind, expression in lists.items() %}
                {{ expression }} as {{ kind }}_key{{ ',' if not loop.last }}
                {%- endfor %}
            from {{ this }}
            where {{ rep_ai_is_replaced(is_listed) }}
        )
        {%- endif %}
        select distinct
            listed.kind,
            listed.key,
            {{ rep_ai_batch() }},
            '{{ model.name }}'
        from (
            select kind, key from touched
            {%- for kind in lists %}
            union all
            select '{{ kind }}' as kind, cast({{ kind }}_key as {{ rep_ai_type_string() }}) as key
            from replaced
            {%- endfor %}
        ) as listed
        where listed.key is not null
    {%- endif -%}
{%- endmacro %}
