{# Session groups whose figures are not those of their sessions. #}

with

session_groups as (

    select * from {{ ref('fct_rep_ai__session_groups') }}

),

totals as (

    select
        session_group_id,
        count(*) as session_count,
        min(session_number_in_group) as first_number,
        max(session_number_in_group) as last_number,
        sum(action_count) as action_count,
        sum(interaction_count) as interaction_count,
        sum(accepted_interaction_count) as accepted_interaction_count,
        min(started_at) as started_at
    from {{ ref('fct_rep_ai__sessions') }}
    group by session_group_id

),

final as (

    select session_groups.*
    from session_groups
    left join totals on session_groups.session_group_id = totals.session_group_id
    where
        totals.session_group_id is null
        or totals.first_number != 1
        or totals.last_number != totals.session_count
        or session_groups.session_count != totals.session_count
        or session_groups.action_count != totals.action_count
        or session_groups.interaction_count != totals.interaction_count
        or session_groups.accepted_interaction_count != totals.accepted_interaction_count
        or session_groups.started_at != totals.started_at
)

select * from final
