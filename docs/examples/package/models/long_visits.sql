select
    session_group_id,
    started_at,
    active_seconds
from {{ ref('fct_rep_ai__session_groups') }}
where active_seconds > 600
