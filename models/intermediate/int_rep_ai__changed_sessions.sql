{%- set tables = {
    'int_rep_ai__sessions_stitched': none,
    'int_rep_ai__sessions_grouped': none,
    'int_rep_ai__actions_deduplicated': 'action_id',
    'int_rep_ai__interactions_stitched': 'interaction_id',
} -%}

with

changes as (
    {% for table, record_id in tables.items() %}
    {%- set last_table = loop.last %}
    {%- for build_number in ['changed_in', 'replaced_in'] %}
    select
        session_id,
        {%- if record_id %}
        case when session_id is null then {{ record_id }} end as record_id,
        {%- else %}
        cast(null as {{ dbt.type_string() }}) as record_id,
        {%- endif %}
        {{ build_number }} as build_number
    from {{ ref(table) }}
    {%- if build_number == 'replaced_in' %}
    where replaced_in is not null
    {%- endif %}
    {{ 'union all' if not (last_table and loop.last) }}
    {%- endfor %}
    {%- endfor %}

),

final as (

    select
        session_id,
        record_id,
        build_number
    from changes

)

select * from final
