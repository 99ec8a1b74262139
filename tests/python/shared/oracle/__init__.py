"""The rules of docs/query.md in plain Python, to compare the dbt marts with row for row.

Written from the rules alone, without a look at the models; each heading names the section that has
its rule. All is computed from the set of deliveries in one go; nothing has to be fast. Times are
datetimes in UTC without their zone, durations Decimals.

Read dumps first, then facts, violations and reports; json_text says how JSON is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from oracle import reports
from oracle.dumps import Delivery, Row
from oracle.facts import read_facts
from oracle.violations import violation_rows

__all__ = ["Delivery", "Row", "marts"]


def marts(
    deliveries: Iterable[Delivery],
    *,
    action_types: Iterable[str],
    interaction_types: Iterable[str],
    include_unknown_types: bool = False,
    timezone: str = "UTC",
) -> dict[str, list[Row]]:
    """All marts, from a set of deliveries in any order.

    Without `dim_rep_ai__user_agents`: the parser alone says what a user agent is.
    """
    facts = read_facts(deliveries)
    zone = ZoneInfo(timezone)
    types = {"action": set(action_types), "interaction": set(interaction_types)}
    rows = reports.fact_rows(facts, types, include_unknown_types=include_unknown_types)
    return {
        "fct_rep_ai__sessions": rows["session"],
        "fct_rep_ai__session_groups": rows["group"],
        "fct_rep_ai__actions": rows["action"],
        "fct_rep_ai__interactions": rows["interaction"],
        "fct_rep_ai__events": reports.event_rows(rows),
        "dim_rep_ai__visitors": reports.visitor_rows(facts, rows),
        "dim_rep_ai__users": reports.user_rows(facts, rows),
        "dim_rep_ai__referrers": reports.referrer_rows(rows),
        "rep_ai__daily_activity": reports.daily_activity_rows(rows, zone),
        "rep_ai__user_daily_performance": reports.user_daily_performance_rows(rows, zone),
        "rep_ai__dump_calendar": reports.dump_calendar_rows(facts),
        "rep_ai__unknown_types": reports.unknown_type_rows(facts, types),
        "rep_ai__contract_violations": violation_rows(facts),
    }
