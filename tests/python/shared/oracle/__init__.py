"""The design's rules in plain Python, to compare the dbt marts with row for row.

Written from sections 2 to 5 of the design alone, whose numbers the headings bear, without a look at
the models. Everything is computed from the set of deliveries in one go; nothing has to be fast.
Inside, times are epoch milliseconds (int); rows carry datetimes, Decimals, ints, bools, text, None.
"""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from oracle.dumps import (
    AFTER_LAST_TIME,
    FIELDS,
    FIRST_TIME,
    JSON_COLUMNS,
    KIND,
    Delivery,
    Row,
    Value,
    read_dump,
    seconds,
    timestamp,
    version_key,
)
from oracle.facts import (
    action_rows,
    event_rows,
    from_metadata,
    host_of,
    interaction_rows,
    referrer_rows,
    session_group_rows,
    session_rows,
    unknown_type_rows,
    user_rows,
    visitor_rows,
)
from oracle.reports import daily_activity_rows, dump_calendar_rows, user_daily_performance_rows
from oracle.violations import violation_rows
from oracle.world import read_world

__all__ = [
    "AFTER_LAST_TIME",
    "FIELDS",
    "FIRST_TIME",
    "JSON_COLUMNS",
    "KIND",
    "Delivery",
    "Row",
    "Value",
    "from_metadata",
    "host_of",
    "marts",
    "read_dump",
    "seconds",
    "timestamp",
    "version_key",
]


def marts(
    deliveries: Iterable[Delivery],
    *,
    action_types: Iterable[str],
    interaction_types: Iterable[str],
    include_unknown_types: bool = False,
    timezone: str = "UTC",
) -> dict[str, list[Row]]:
    """All marts of section 5, from a set of deliveries in any order.

    But for `dim_rep_ai__user_agents`: what a user agent is, nothing but the parser says.
    """
    world = read_world(deliveries)
    zone = ZoneInfo(timezone)
    known_actions, known_talks = set(action_types), set(interaction_types)

    # 4.6: after merging, facts, counts and metrics keep known types only.
    all_actions, all_interactions = action_rows(world), interaction_rows(world)
    actions, interactions = all_actions, all_interactions
    if not include_unknown_types:
        actions = [row for row in actions if row["action_type"] in known_actions]
        interactions = [row for row in interactions if row["interaction_type"] in known_talks]

    sessions = session_rows(world, actions, interactions)
    groups = session_group_rows(world, actions, interactions)
    return {
        "fct_rep_ai__sessions": sessions,
        "fct_rep_ai__session_groups": groups,
        "fct_rep_ai__actions": actions,
        "fct_rep_ai__interactions": interactions,
        "fct_rep_ai__events": event_rows(sessions, actions, interactions),
        "dim_rep_ai__visitors": visitor_rows(world, interactions),
        "dim_rep_ai__users": user_rows(world, interactions),
        "dim_rep_ai__referrers": referrer_rows(sessions),
        "rep_ai__daily_activity": daily_activity_rows(
            sessions, groups, actions, interactions, zone
        ),
        "rep_ai__user_daily_performance": user_daily_performance_rows(interactions, zone),
        "rep_ai__dump_calendar": dump_calendar_rows(world),
        "rep_ai__unknown_types": unknown_type_rows(
            all_actions, all_interactions, known_actions, known_talks
        ),
        "rep_ai__contract_violations": violation_rows(world),
    }
