-- Can the numbers be trusted? What the dumps broke, worst first; each rule has a page in the docs.
select
    severity,
    rule,
    entity,
    count(*) as violation_count,
    min(dump_start_at) as first_dump_start_at,
    max(dump_start_at) as last_dump_start_at,
    min(detail) as example
from {{ ref('rep_ai__contract_violations') }}
group by severity, rule, entity
order by severity asc, violation_count desc, rule asc, entity asc
