"""Sections 4.6 and 5 of the design: facts, dimensions and unknown types."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime

from oracle.dumps import (
    Row,
    Value,
    ordered_seconds,
    seconds,
    timestamp,
)
from oracle.json_text import (
    Number,
    parse_json,
    storable,
)
from oracle.world import World

# ----------------------------------------------------------------------------------------- 5: facts


def session_context(world: World, session_id: str | None) -> tuple[str | None, str | None]:
    """Group and visitor of a fact's session; both NULL where the session is unknown."""
    session = world.sessions.get(session_id) if session_id is not None else None
    if session is None:
        return None, None
    return world.group_of[session.id], session.last("unique_visitor_id")


def action_rows(world: World) -> list[Row]:
    """fct_rep_ai__actions: the whole record of the last window."""
    rows: list[Row] = []
    for action in world.actions.values():
        record = action.last_record
        group_id, visitor_id = session_context(world, record.text("session_id"))
        rows.append(
            {
                "action_id": action.id,
                "action_type": record.text("action"),
                "session_id": record.text("session_id"),
                "session_group_id": group_id,
                "visitor_id": visitor_id,
                "occurred_at": timestamp(record.time("timestamp")),
                "properties": record.properties,
            }
        )
    return rows


def interaction_rows(world: World) -> list[Row]:
    """fct_rep_ai__interactions."""
    rows: list[Row] = []
    for interaction in world.interactions.values():
        group_id, visitor_id = session_context(world, interaction.last("session_id"))
        acceptance = world.acceptances[interaction.id]
        rows.append(
            {
                "interaction_id": interaction.id,
                "interaction_type": interaction.last("interaction"),
                "session_id": interaction.last("session_id"),
                "session_group_id": group_id,
                "visitor_id": visitor_id,
                "user_id": interaction.last("user_id"),
                "started_at": timestamp(interaction.started),
                "ended_at": timestamp(interaction.ended),
                "end_status": interaction.end_status(world.windows),
                "duration_seconds": ordered_seconds(interaction.started, interaction.ended),
                "crossed_midnight": interaction.crossed_midnight,
                "acceptance": acceptance.acceptance,
                "is_accepted": acceptance.is_accepted,
                "accepted_at": timestamp(acceptance.accepted_at),
                "seconds_to_accept": acceptance.seconds_to_accept,
                "properties": interaction.last_record.properties,
            }
        )
    return rows


def count(rows: Iterable[Row], column: str) -> Counter[Value]:
    """How many rows each value of a column has."""
    return Counter(row[column] for row in rows)


def accepted(rows: Iterable[Row]) -> list[Row]:
    """The accepted interactions, automatic ones included."""
    return [row for row in rows if row["is_accepted"]]


def fact_counts(column: str, actions: list[Row], interactions: list[Row]) -> Callable[[str], Row]:
    """How many actions, interactions and accepted ones have a value in a column."""
    counts = {
        "action_count": count(actions, column),
        "interaction_count": count(interactions, column),
        "accepted_interaction_count": count(accepted(interactions), column),
    }
    return lambda value: {name: counter[value] for name, counter in counts.items()}


def session_rows(world: World, actions: list[Row], interactions: list[Row]) -> list[Row]:
    """fct_rep_ai__sessions."""
    counts = fact_counts("session_id", actions, interactions)
    rows: list[Row] = []
    for group in world.groups.values():
        for number, session in enumerate(group.sessions, start=1):
            rows.append(
                {
                    "session_id": session.id,
                    "session_group_id": group.id,
                    "visitor_id": session.last("unique_visitor_id"),
                    "referrer": session.first("referrer"),
                    "user_agent": session.last("user_agent"),
                    "started_at": timestamp(session.started),
                    "ended_at": timestamp(session.ended),
                    "end_status": session.end_status(world.windows),
                    "duration_seconds": ordered_seconds(session.started, session.ended),
                    "crossed_midnight": session.crossed_midnight,
                    "dump_count": len(session.seen),
                    "session_number_in_group": number,
                    **counts(session.id),
                }
            )
    return rows


def session_group_rows(world: World, actions: list[Row], interactions: list[Row]) -> list[Row]:
    """fct_rep_ai__session_groups."""
    counts = fact_counts("session_group_id", actions, interactions)
    return [
        {
            "session_group_id": group.id,
            "visitor_id": group.sessions[0].last("unique_visitor_id"),
            "referrer": group.sessions[0].first("referrer"),
            "started_at": timestamp(group.started),
            "ended_at": timestamp(group.ended(world.windows)),
            "end_status": group.end_status(world.windows),
            "elapsed_seconds": ordered_seconds(group.started, group.ended(world.windows)),
            "active_seconds": seconds(group.active_milliseconds),
            "session_count": len(group.sessions),
            "crossed_midnight": any(session.crossed_midnight for session in group.sessions),
            "anchor_delivered": group.id in world.sessions,
            **counts(group.id),
        }
        for group in world.groups.values()
    ]


EVENTS = {  # kind: the fact it is of, the columns of its id, type and time
    "session_started": ("session", "session_id", None, "started_at"),
    "session_ended": ("session", "session_id", None, "ended_at"),
    "action": ("action", "action_id", "action_type", "occurred_at"),
    "interaction_started": ("interaction", "interaction_id", "interaction_type", "started_at"),
    "interaction_accepted": ("interaction", "interaction_id", "interaction_type", "accepted_at"),
    "interaction_ended": ("interaction", "interaction_id", "interaction_type", "ended_at"),
}


def event_rows(sessions: list[Row], actions: list[Row], interactions: list[Row]) -> list[Row]:
    """fct_rep_ai__events; those without a time are left out, and the automatic acceptances."""
    facts = {"session": sessions, "action": actions, "interaction": interactions}
    return [
        {
            "event_id": f"{kind}:{row[id_column]}",
            "event_kind": kind,
            "event_type": row[type_column] if type_column else None,
            "occurred_at": row[time],
            "session_id": row["session_id"],
            "session_group_id": row["session_group_id"],
            "visitor_id": row["visitor_id"],
            "user_id": row.get("user_id"),
        }
        for kind, (fact, id_column, type_column, time) in EVENTS.items()
        for row in facts[fact]
        if row[time] is not None
        and not (kind == "interaction_accepted" and row["acceptance"] == "automatic")
    ]


# ------------------------------------------------------------------------------------ 5: dimensions


def from_metadata(metadata: str | None, *names: str) -> str | None:
    """The first of the named members of the custom metadata that is non-empty text."""
    if metadata is None:
        return None
    try:
        value = parse_json(metadata)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    for name in names:
        member = value.get(name)
        is_text = isinstance(member, str) and not isinstance(member, Number)
        if is_text and member and storable(str(member)):
            return str(member)
    return None


def is_nobody(custom_id: str | None) -> bool:
    """4.7: no custom id, or one that stands for nobody."""
    nobody = ("undefined", "null", "[object Object]", "0")
    return custom_id is None or custom_id in nobody or not custom_id.strip()


def visitor_rows(world: World, interactions: list[Row]) -> list[Row]:
    """dim_rep_ai__visitors."""
    interaction_count = count(interactions, "visitor_id")
    rows: list[Row] = []
    for visitor in world.visitors.values():
        sessions = [
            session
            for session in world.sessions.values()
            if session.last("unique_visitor_id") == visitor.id
        ]
        starts = [s.started for s in sessions if s.started is not None]
        ends = [s.ended for s in sessions if s.ended is not None]
        metadata = visitor.last("custom_metadata")
        custom_id = visitor.last("custom_id")
        rows.append(
            {
                "visitor_id": visitor.id,
                "person_id": visitor.id if is_nobody(custom_id) else custom_id,
                "custom_id": custom_id,
                "display_name": from_metadata(metadata, "display_name", "displayName"),
                "email": from_metadata(metadata, "email"),
                "custom_metadata": metadata,
                "first_seen_at": timestamp(min(starts, default=None)),
                "last_seen_at": timestamp(max(starts + ends, default=None)),
                "session_count": len(sessions),
                "session_group_count": len({world.group_of[session.id] for session in sessions}),
                "interaction_count": interaction_count[visitor.id],
            }
        )
    return rows


def user_rows(world: World, interactions: list[Row]) -> list[Row]:
    """dim_rep_ai__users."""
    interaction_count = count(interactions, "user_id")
    accepted_count = count(accepted(interactions), "user_id")
    rows: list[Row] = []
    for user in world.users.values():
        flags = [record.flag("active") for _, record in user.seen]
        rows.append(
            {
                "user_id": user.id,
                "email_address": user.last("email_address"),
                "display_name": user.last("display_name"),
                "title": user.last("title"),
                "is_active": next((f for f in reversed(flags) if f is not None), None),
                "interaction_count": interaction_count[user.id],
                "accepted_interaction_count": accepted_count[user.id],
            }
        )
    return rows


# ------------------------------------------------------------------------------------- 5: referrers

FOLDED = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
SCHEME = set("abcdefghijklmnopqrstuvwxyz0123456789+-.")
NO_HOST = set("]:@/?#[\\<>^|% \t\n\r\f\v")


def host_of(address: str) -> str | None:
    """The host of an address, in lower case as far as it is ASCII."""
    scheme, mark, rest = address.partition("://")
    folded = scheme.translate(FOLDED)
    if not mark or not folded or set(folded) - SCHEME or not "a" <= folded[0] <= "z":
        return None
    for end in "/?#\\":
        rest = rest.partition(end)[0]
    host = rest.rpartition("@")[2]
    if host.startswith("["):
        inside, closed, port = host[1:].partition("]")
        if not closed or not inside or set(inside) - set("0123456789abcdefABCDEF:."):
            return None
        name = f"[{inside}]"
    else:
        name, colon, port = host.partition(":")
        port = colon + port
        if not name or set(name) & NO_HOST:
            return None
    if port and (port[0] != ":" or set(port[1:]) - set("0123456789")):
        return None
    return name.translate(FOLDED)


def referrer_rows(sessions: list[Row]) -> list[Row]:
    """dim_rep_ai__referrers."""
    referrers = {str(row["referrer"]) for row in sessions if row["referrer"] is not None}
    return [{"referrer": text, "referrer_host": host_of(text)} for text in sorted(referrers)]


# ------------------------------------------------------------------------------- 4.6: unknown types


def unknown_type_rows(
    actions: list[Row], interactions: list[Row], known_actions: set[str], known_talks: set[str]
) -> list[Row]:
    """rep_ai__unknown_types, from the facts of all types."""
    found: dict[tuple[str, Value], list[tuple[str, datetime | None]]] = defaultdict(list)

    def look(kind: str, rows: list[Row], known: set[str], time: str) -> None:
        for row in rows:
            if row[f"{kind}_type"] not in known:
                moment = row[time]
                assert moment is None or isinstance(moment, datetime)
                found[kind, row[f"{kind}_type"]].append((str(row[f"{kind}_id"]), moment))

    look("action", actions, known_actions, "occurred_at")
    look("interaction", interactions, known_talks, "started_at")
    rows: list[Row] = []
    for (kind, name), facts in found.items():
        times = [moment for _, moment in facts if moment is not None]
        rows.append(
            {
                "kind": kind,
                "type": name,
                "record_count": len(facts),
                "first_seen_at": min(times, default=None),
                "last_seen_at": max(times, default=None),
                "example_id": min(fact_id for fact_id, _ in facts),
            }
        )
    return rows
