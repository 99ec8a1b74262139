-- How many visits ask for help, and in how many of those does anybody accept a contact?
with

requests as (

    select distinct session_group_id
    from {{ ref('fct_rep_ai__actions') }}
    where action_type = 'REQUESTED_HELP' and session_group_id is not null

)

select
    count(*) as visit_count,
    count(requests.session_group_id) as help_requested_count,
    round(100.0 * count(requests.session_group_id) / nullif(count(*), 0), 1)
        as help_requested_percent,
    count(case when groups.accepted_interaction_count > 0 then requests.session_group_id end)
        as helped_count
from {{ ref('fct_rep_ai__session_groups') }} as groups
left join requests on groups.session_group_id = requests.session_group_id
