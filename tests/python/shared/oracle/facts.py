"""Sessions, their groups, actions and interactions: one row per id over all windows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from oracle.dumps import (
    ACTIONS,
    ADJOINING,
    INTERACTIONS,
    KIND,
    SESSIONS,
    USERS,
    VISITORS,
    Delivery,
    Dump,
    Record,
    Row,
    Value,
    Window,
    duration,
    read_dumps,
    seconds,
)

# ----------------------------------------------------------- docs/query.md#sessions-across-midnight

# columns that are the last non-null value of a field, each on its own; of an action, which is a
# point, that of the last record
COLUMNS = {
    SESSIONS: {"visitor_id": "unique_visitor_id", "user_agent": "user_agent"},
    ACTIONS: {"action_type": "action", "session_id": "session_id", "occurred_at": "timestamp"},
    INTERACTIONS: {
        "interaction_type": "interaction",
        "session_id": "session_id",
        "user_id": "user_id",
    },
    USERS: {
        "email_address": "email_address",
        "display_name": "display_name",
        "title": "title",
        "is_active": "active",
    },
    VISITORS: {"custom_id": "custom_id", "custom_metadata": "custom_metadata"},
}


def known(rows: Iterable[Row], column: str) -> list[Value]:
    """The non-null values of a field or a column."""
    return [row[column] for row in rows if row[column] is not None]


def first(rows: list[Row], column: str) -> Value:
    """The first non-null value."""
    return next(iter(known(rows, column)), None)


def last(rows: list[Row], column: str) -> Value:
    """The last non-null value."""
    return next(reversed(known(rows, column)), None)


def last_known(collection: str, seen: list[Record]) -> Row:
    """The columns that are the last non-null value of a field."""
    return {column: last(seen, field) for column, field in COLUMNS[collection].items()}


def lasting(seen: list[Record], windows: list[Window]) -> Row:
    """What sessions and interactions have alike."""
    started_at = min(known(seen, "start_time"), default=None)
    ended_at = last(seen, "end_time")
    return {
        "started_at": started_at,
        "ended_at": ended_at,
        "end_status": "ended" if ended_at else unended(seen[-1]["_window"], windows),
        "duration_seconds": duration(started_at, ended_at),
        "crossed_midnight": len(seen) >= 2 or seen[-1]["end_time"] is None,
    }


def unended(last_window: Window, windows: list[Window]) -> str:
    """Why no end is known of what was last seen in a window."""
    last_start, last_end = last_window
    if not any(start > last_start for start, _ in windows):
        return "ongoing"
    if any(start <= last_end + ADJOINING and end > last_end for start, end in windows):
        return "never_closed"
    return "awaiting_dump"


def of_session(session_id: str | None, sessions: dict[str, Row]) -> Row:
    """Group and visitor of a fact's session; both NULL where the session is unknown."""
    session = sessions.get(session_id or "", {})
    return {column: session.get(column) for column in ("session_group_id", "visitor_id")}


# --------------------------------------------------------------------- docs/query.md#session-groups


def earliest_first(session: Row) -> tuple[bool, datetime, str]:
    """By start (unknown ones last), then by id, by code point."""
    started_at = session["started_at"]
    return started_at is None, started_at or datetime.max, session["session_id"]


def group_id_of(session_id: str, labels: dict[str, str], sessions: dict[str, Row]) -> str:
    """Follow labels to a session that names itself, to an unknown id, or round a cycle."""
    way = [session_id]
    while (label := labels[way[-1]]) in sessions:
        if label in way:
            # a session that names itself is a cycle of one
            cycle = way[way.index(label) :]
            return min(cycle, key=lambda name: earliest_first(sessions[name]))
        way.append(label)
    return label


def group_row(group_id: str, members: list[Row], sessions: dict[str, Row]) -> Row:
    """fct_rep_ai__session_groups without counts of facts, of sessions that stand earliest first."""
    started_at = min(known(members, "started_at"), default=None)
    statuses = {session["end_status"] for session in members}
    in_order = ("ongoing", "awaiting_dump", "ended", "never_closed")
    end_status = next(status for status in in_order if status in statuses)
    ended_at = max(known(members, "ended_at")) if end_status == "ended" else None
    return {
        "session_group_id": group_id,
        "visitor_id": members[0]["visitor_id"],
        "referrer": members[0]["referrer"],
        "started_at": started_at,
        "ended_at": ended_at,
        "end_status": end_status,
        "elapsed_seconds": duration(started_at, ended_at),
        "active_seconds": active_seconds(members),
        "session_count": len(members),
        "crossed_midnight": any(session["crossed_midnight"] for session in members),
        "anchor_delivered": group_id in sessions,
    }


def active_seconds(sessions: list[Row]) -> Decimal:
    """The length of the union of the sessions' known, ordered intervals."""
    intervals = [
        (session["started_at"], session["ended_at"])
        for session in sessions
        if session["duration_seconds"] is not None
    ]
    total, reached = timedelta(), datetime.min
    for start, end in sorted(intervals):
        total += max(end - max(start, reached), timedelta())
        reached = max(reached, end)
    return seconds(total)


# ------------------------------------------------------------------------- docs/query.md#acceptance


def accept_record(seen: list[Record]) -> Record:
    """The last record whose `accept` is readable."""
    unknown = {"accept": None, "accept_time": None, "start_time": None}
    return next((record for record in reversed(seen) if record["accept"] is not None), unknown)


def acceptance_of(seen: list[Record], end_status: str) -> Row:
    """Acceptance, read from that one record."""
    record = accept_record(seen)
    start, accept_time = record["start_time"], record["accept_time"]
    if record["accept"] is None:
        acceptance = "unknown"
    elif not record["accept"]:
        is_open = end_status in ("ongoing", "awaiting_dump")
        acceptance = "pending" if is_open else "not_accepted"
    else:
        is_automatic = start is not None and accept_time == start
        acceptance = "automatic" if is_automatic else "accepted"
    is_accepted = record["accept"] is True
    return {
        "acceptance": acceptance,
        "is_accepted": is_accepted,
        "accepted_at": accept_time if is_accepted else None,
        "seconds_to_accept": duration(start, accept_time) if acceptance == "accepted" else None,
    }


# ------------------------------------------------------------------ all facts, whatever their types


@dataclass(frozen=True)
class Facts:
    """What the current dumps say."""

    versions: list[list[Dump]]  # of each window, in window order; the last one is current
    dumps: list[Dump]  # the current ones
    seen: dict[str, dict[str, list[Record]]]  # by collection and id
    rows: dict[str, dict[str, Row]]  # of sessions, actions and interactions, without counts
    groups: dict[str, list[Row]]  # the sessions of each group, earliest first


def read_facts(deliveries: Iterable[Delivery]) -> Facts:
    """Stitch the records of all current dumps."""
    versions = read_dumps(deliveries)
    dumps = [current for *_, current in versions]
    windows = [dump.window for dump in dumps]
    seen: dict[str, dict[str, list[Record]]] = {name: defaultdict(list) for name in KIND}
    for dump in dumps:
        for collection in KIND:
            for name, record in dump.held(collection).items():
                seen[collection][name].append(record)

    sessions: dict[str, Row] = {}
    labels: dict[str, str] = {}
    for name, records in seen[SESSIONS].items():
        labels[name] = first(records, "session_group") or name
        sessions[name] = {
            "session_id": name,
            "referrer": first(records, "referrer"),
            **last_known(SESSIONS, records),
            **lasting(records, windows),
            "dump_count": len(records),
        }
    groups: dict[str, list[Row]] = defaultdict(list)
    for session in sorted(sessions.values(), key=earliest_first):
        session["session_group_id"] = group_id_of(session["session_id"], labels, sessions)
        members = groups[session["session_group_id"]]
        members.append(session)
        session["session_number_in_group"] = len(members)

    actions: dict[str, Row] = {}
    for name, records in seen[ACTIONS].items():
        row = {"action_id": name, **last_known(ACTIONS, records[-1:])}
        row |= of_session(row["session_id"], sessions)
        actions[name] = {**row, "properties": records[-1]["_extra"]}
    interactions: dict[str, Row] = {}
    for name, records in seen[INTERACTIONS].items():
        row = {"interaction_id": name, **last_known(INTERACTIONS, records)}
        row |= of_session(row["session_id"], sessions) | lasting(records, windows)
        row |= acceptance_of(records, row["end_status"])
        interactions[name] = {**row, "properties": records[-1]["_extra"]}
    rows = {SESSIONS: sessions, ACTIONS: actions, INTERACTIONS: interactions}
    return Facts(versions, dumps, seen, rows, groups)
