"""Known types, events, dimensions, and what counts and sums up the facts."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from statistics import median, quantiles
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from oracle.dumps import ACTIONS, ADJOINING, INTERACTIONS, SESSIONS, USERS, VISITORS, Dump, Row
from oracle.facts import Facts, group_row, known, last_known
from oracle.json_text import members, read_json, storable
from oracle.violations import is_nobody

Rows: TypeAlias = dict[str, list[Row]]  # by what one row is
# what there is of each kind of fact: the collection it comes from, and the time that counts
FACTS = {"action": (ACTIONS, "occurred_at"), "interaction": (INTERACTIONS, "started_at")}


def where(rows: Iterable[Row], column: str, value: Any) -> list[Row]:
    """The rows that bear a value in a column."""
    return [row for row in rows if row[column] == value]


# ------------------------------------------------------------------------ docs/query.md#known-types


def fact_rows(facts: Facts, types: dict[str, set[str]], *, include_unknown_types: bool) -> Rows:
    """The facts that marts are made of: stitched, known types only, and counts of those."""
    rows: Rows = {}
    for fact, (collection, _) in FACTS.items():
        stitched = facts.rows[collection].values()
        rows[fact] = [row for row in stitched if row[f"{fact}_type"] in types[fact]]
        if include_unknown_types:
            rows[fact] = list(stitched)

    def counts(column: str, value: str) -> Row:
        interactions = where(rows["interaction"], column, value)
        return {
            "action_count": len(where(rows["action"], column, value)),
            "interaction_count": len(interactions),
            "accepted_interaction_count": len(where(interactions, "is_accepted", True)),
        }

    sessions = facts.rows[SESSIONS]
    groups = {name: group_row(name, members, sessions) for name, members in facts.groups.items()}
    rows["session"] = [row | counts("session_id", name) for name, row in sessions.items()]
    rows["group"] = [row | counts("session_group_id", name) for name, row in groups.items()]
    return rows


def unknown_type_rows(facts: Facts, types: dict[str, set[str]]) -> list[Row]:
    """rep_ai__unknown_types."""
    rows: list[Row] = []
    for fact, (collection, time) in FACTS.items():
        stitched = facts.rows[collection].values()
        for name in {row[f"{fact}_type"] for row in stitched} - types[fact]:
            unknown = where(stitched, f"{fact}_type", name)
            rows.append(
                {
                    "kind": fact,
                    "type": name,
                    "record_count": len(unknown),
                    "first_seen_at": min(known(unknown, time), default=None),
                    "last_seen_at": max(known(unknown, time), default=None),
                    "example_id": min(row[f"{fact}_id"] for row in unknown),
                }
            )
    return rows


# ----------------------------------------------------------------------------- docs/query.md#events

EVENTS = {  # kind: the fact it is of, and the column of its time
    "session_started": ("session", "started_at"),
    "session_ended": ("session", "ended_at"),
    "action": ("action", "occurred_at"),
    "interaction_started": ("interaction", "started_at"),
    "interaction_accepted": ("interaction", "accepted_at"),
    "interaction_ended": ("interaction", "ended_at"),
}


def event_rows(rows: Rows) -> list[Row]:
    """fct_rep_ai__events; those without a time are left out, and the automatic acceptances."""
    return [
        {
            "event_id": f"{kind}:{row[f'{fact}_id']}",
            "event_kind": kind,
            "event_type": row.get(f"{fact}_type"),
            "occurred_at": row[time],
            "session_id": row["session_id"],
            "session_group_id": row["session_group_id"],
            "visitor_id": row["visitor_id"],
            "user_id": row.get("user_id"),
        }
        for kind, (fact, time) in EVENTS.items()
        for row in rows[fact]
        if row[time] and (kind != "interaction_accepted" or row["acceptance"] != "automatic")
    ]


# ----------------------------------------------------------------- docs/query.md#visitors-and-users


def from_metadata(metadata: str | None, *names: str) -> str | None:
    """The first of the named members of the custom metadata that is non-empty text."""
    found = members(read_json(metadata or ""))
    texts = [json.loads(found[name]) for name in names if found.get(name, "")[:1] == '"']
    return next((text for text in texts if text and storable(text)), None)


def visitor_rows(facts: Facts, rows: Rows) -> list[Row]:
    """dim_rep_ai__visitors."""
    visitors: list[Row] = []
    for name, seen in facts.seen[VISITORS].items():
        visitor = {"visitor_id": name, **last_known(VISITORS, seen)}
        custom_id, metadata = visitor["custom_id"], visitor["custom_metadata"]
        sessions = where(rows["session"], "visitor_id", name)
        starts, ends = known(sessions, "started_at"), known(sessions, "ended_at")
        visitor |= {
            "person_id": name if custom_id is None or is_nobody(custom_id) else custom_id,
            "display_name": from_metadata(metadata, "display_name", "displayName"),
            "email": from_metadata(metadata, "email"),
            "first_seen_at": min(starts, default=None),
            "last_seen_at": max(starts + ends, default=None),
            "session_count": len(sessions),
            "session_group_count": len({session["session_group_id"] for session in sessions}),
            "interaction_count": len(where(rows["interaction"], "visitor_id", name)),
        }
        visitors.append(visitor)
    return visitors


def user_rows(facts: Facts, rows: Rows) -> list[Row]:
    """dim_rep_ai__users."""
    users: list[Row] = []
    for name, seen in facts.seen[USERS].items():
        own = where(rows["interaction"], "user_id", name)
        user = {"user_id": name, **last_known(USERS, seen), "interaction_count": len(own)}
        user["accepted_interaction_count"] = len(where(own, "is_accepted", True))
        users.append(user)
    return users


HOST = re.compile(
    r"""
    [a-z][a-z0-9+.-]*://                # scheme
    (?: [^/?#\\]* @ )?                  # user and password
    ( \[ [0-9a-f:.]+ \]                 # host: an address of IPv6,
    | [^][:@/?#\\<>^|%\s]+ )            #   or a name
    (?: : [0-9]* )?                     # port
    (?: [/?#\\] .* )?                   # the rest
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII | re.DOTALL,
)


def host_of(address: str) -> str | None:
    """The host of an address, in lower case as far as it is ASCII."""
    found = HOST.fullmatch(address)
    return "".join(c.lower() if c.isascii() else c for c in found[1]) if found else None


def referrer_rows(rows: Rows) -> list[Row]:
    """dim_rep_ai__referrers."""
    referrers = set(known(rows["session"], "referrer"))
    return [{"referrer": text, "referrer_host": host_of(text)} for text in referrers]


# ---------------------------------------------------------------------- docs/query.md#daily-figures


def by_day(rows: list[Row], column: str, zone: ZoneInfo) -> dict[date, list[Row]]:
    """Rows by the day of a time in a time zone; those without one belong to no day."""
    days: dict[date, list[Row]] = defaultdict(list)
    for row in rows:
        if row[column] is not None:
            days[row[column].replace(tzinfo=UTC).astimezone(zone).date()].append(row)
    return days


def total(rows: list[Row], column: str) -> Decimal:
    """The sum of a duration, 0 where nothing is known."""
    return sum(known(rows, column), start=Decimal("0.000"))


def daily_activity_rows(rows: Rows, zone: ZoneInfo) -> list[Row]:
    """rep_ai__daily_activity."""
    sessions = by_day(rows["session"], "started_at", zone)
    groups = by_day(rows["group"], "started_at", zone)
    actions = by_day(rows["action"], "occurred_at", zone)
    interactions = by_day(rows["interaction"], "started_at", zone)
    activity: list[Row] = []
    for day in {*sessions, *groups, *actions, *interactions}:
        acceptances = Counter(known(interactions[day], "acceptance"))
        activity.append(
            {
                "activity_date": day,
                "session_count": len(sessions[day]),
                "session_group_count": len(groups[day]),
                "visitor_count": len(set(known(sessions[day], "visitor_id"))),
                "action_count": len(actions[day]),
                "interaction_count": len(interactions[day]),
                "accepted_interaction_count": len(where(interactions[day], "is_accepted", True)),
                "handled_interaction_count": acceptances["accepted"],
                "automatic_interaction_count": acceptances["automatic"],
                "pending_interaction_count": acceptances["pending"],
                "not_accepted_interaction_count": acceptances["not_accepted"],
                "unknown_acceptance_interaction_count": acceptances["unknown"],
                "active_seconds": total(groups[day], "active_seconds"),
            }
        )
    return activity


def deciles(values: list[Decimal]) -> list[Decimal | None]:
    """Continuous percentiles, rounded half away from zero to three digits; NULL of nothing."""
    if not values:
        return [None] * 9
    # of one value the module makes none
    cuts = quantiles(values * 2 if len(values) == 1 else values, n=10, method="inclusive")
    return [cut.quantize(Decimal("0.001"), ROUND_HALF_UP) for cut in cuts]


def user_daily_performance_rows(rows: Rows, zone: ZoneInfo) -> list[Row]:
    """rep_ai__user_daily_performance: also of users that the dimension does not know."""
    performance: list[Row] = []
    for day, interactions in by_day(rows["interaction"], "started_at", zone).items():
        for user_id in set(known(interactions, "user_id")):
            own = where(interactions, "user_id", user_id)
            accepted = where(own, "is_accepted", True)
            waits = deciles(known(own, "seconds_to_accept"))
            performance.append(
                {
                    "user_id": user_id,
                    "activity_date": day,
                    "interaction_count": len(own),
                    "accepted_interaction_count": len(accepted),
                    "median_seconds_to_accept": waits[4],
                    "p90_seconds_to_accept": waits[8],
                    "talk_seconds": total(accepted, "duration_seconds"),
                }
            )
    return performance


# ------------------------------------------------------------------ docs/query.md#the-dump-calendar

# of the collections, in their order; all but that of users are measured by what is usual
COUNTS = ("user_count", "visitor_count", "session_count", "action_count", "interaction_count")
MEASURED = COUNTS[1:]


def record_counts(dump: Dump) -> Row:
    """How many records each collection has; NULL where it is absent or null."""
    pairs = zip(COUNTS, dump.collections.values(), strict=True)
    return {column: None if records is None else len(records) for column, records in pairs}


def usual_counts(dump: Dump, dumps: list[Dump]) -> Row:
    """docs/query.md: medians over the windows that start in the four weeks before and are as long.

    As long, but for an hour. Working days and weekends are apart where three of the kind are known.
    """
    before: list[Row] = []
    for other in dumps:
        (start, end), (other_start, other_end) = dump.window, other.window
        is_recent = timedelta() < start - other_start <= timedelta(days=28)
        is_as_long = abs((other_end - other_start) - (end - start)) <= timedelta(hours=1)
        if is_recent and is_as_long:
            # by their noons: a day may begin an hour before midnight
            noons = (window_start + timedelta(hours=12) for window_start in (start, other_start))
            is_weekend, is_other_weekend = (noon.weekday() >= 5 for noon in noons)
            before.append({**record_counts(other), "is_alike": is_weekend == is_other_weekend})
    usual: Row = {}
    for column in MEASURED:
        counts = known(where(before, "is_alike", True), column)
        counts = counts if len(counts) >= 3 else known(before, column)
        middle = Decimal(median(counts)).quantize(Decimal("0.1")) if len(counts) >= 3 else None
        usual[f"usual_{column}"] = middle
    return usual


def dump_calendar_rows(facts: Facts) -> list[Row]:
    """rep_ai__dump_calendar: every current window, and the gaps between them."""
    rows: list[Row] = []
    windows = [dump.window for dump in facts.dumps]
    for versions in facts.versions:
        dump = versions[-1]
        start, end = dump.window
        reached = max((window[1] for window in windows if window < dump.window), default=start)
        if reached + ADJOINING < start:
            gap = {"window_start_at": reached, "window_end_at": start, "status": "missing"}
            gap |= {"delivery_count": 0, "version": None, "has_few_actions": False}
            gap |= dict.fromkeys((*COUNTS, *(f"usual_{column}" for column in MEASURED)))
            rows.append(gap)
        others = [window for window in windows if window != dump.window]
        overlaps = any(other[0] < end and start < other[1] for other in others)
        status = "overlapping" if overlaps else "delivered"
        counts = {**record_counts(dump), **usual_counts(dump, facts.dumps)}
        few = (counts["action_count"] or 0) * 5 < (counts["usual_action_count"] or 0)
        row = {"window_start_at": start, "window_end_at": end, "status": status}
        row |= {"delivery_count": len(versions), "version": dump.version, "has_few_actions": few}
        rows.append(row | counts)
    return rows
