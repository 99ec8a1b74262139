-- Which offers are accepted? Automatic ones had no acceptance step, pending ones may still be.
with

interactions as (

    select
        interaction_type,
        count(*) as interaction_count,
        count(case when acceptance = 'automatic' then 1 end) as automatic_count,
        count(case when acceptance = 'pending' then 1 end) as pending_count,
        count(case when acceptance = 'accepted' then 1 end) as accepted_count,
        count(case when acceptance = 'not_accepted' then 1 end) as not_accepted_count
    from {{ ref('fct_rep_ai__interactions') }}
    group by interaction_type

)

select
    interaction_type,
    interaction_count,
    automatic_count,
    pending_count,
    accepted_count,
    not_accepted_count,
    round(100.0 * accepted_count / nullif(accepted_count + not_accepted_count, 0), 1)
        as acceptance_percent
from interactions
order by interaction_count desc, interaction_type asc
