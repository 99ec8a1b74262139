with

deliveries as (

    select * from {{ ref('int_rep_ai__deliveries') }}

),

records as (

    select
        coalesce({{ rep_ai_id('id') }}, {{ rep_ai_id('_key') }}) as visitor_id,
        _delivery_id as delivery_id
    from {{ source('rep_ai', 'unique_visitors') }}

),

sessions as (

    select * from {{ ref('int_rep_ai__sessions_stitched') }}

),

changed_sessions as (

    select * from {{ ref('int_rep_ai__changed_sessions') }} where session_id is not null

),

changes as (
    {% for build_number in ['changed_in', 'replaced_in'] %}
    select
        records.visitor_id,
        deliveries.{{ build_number }} as build_number
    from deliveries
    inner join records on deliveries.delivery_id = records.delivery_id

    union all

    select
        visitor_id,
        {{ build_number }} as build_number
    from sessions

    union all
    {% endfor %}
    select
        sessions.visitor_id,
        changed_sessions.build_number
    from changed_sessions
    inner join sessions on changed_sessions.session_id = sessions.session_id

),

final as (

    select
        visitor_id,
        build_number
    from changes
    where build_number is not null

)

select * from final
