with

changed_session_groups as (

    select * from {{ ref('int_rep_ai__changed_session_groups') }}

),

memberships as (

    select * from {{ ref('int_rep_ai__sessions_grouped') }} where session_number_in_group = 1

),

sessions as (

    select * from {{ ref('int_rep_ai__sessions_stitched') }}

),

changes as (
    {% for table, time in [
        ('int_rep_ai__sessions_stitched', 'started_at'),
        ('int_rep_ai__actions_deduplicated', 'occurred_at'),
        ('int_rep_ai__interactions_stitched', 'started_at'),
    ] %}
    {%- for build_number in ['changed_in', 'replaced_in'] %}
    select
        {{ time }} as changed_at,
        {{ build_number }} as build_number
    from {{ ref(table) }}

    union all
    {% endfor %}
    {%- endfor %}
    -- a group starts with its earliest session, now and before
    select
        sessions.started_at as changed_at,
        changed_session_groups.build_number
    from changed_session_groups
    inner join memberships
        on changed_session_groups.session_group_id = memberships.session_group_id
    inner join sessions on memberships.session_id = sessions.session_id

),

final as (

    select
        {{ rep_ai_local_date('changed_at') }} as activity_date,
        build_number
    from changes
    where build_number is not null and changed_at is not null

)

select * from final
