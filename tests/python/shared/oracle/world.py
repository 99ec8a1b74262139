"""Sections 4.3 to 4.5 of the design: what all current dumps say, merged by id."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from oracle.dumps import (
    ACTIONS,
    ADJOINING,
    INTERACTIONS,
    SESSIONS,
    USERS,
    VISITORS,
    Delivery,
    Dump,
    Record,
    Window,
    dumps_by_window,
    ordered_seconds,
)

# ------------------------------------------------------------- 4.3: one row per id over all windows


@dataclass(frozen=True)
class Merged:
    """What all current dumps say about one id, in window order; at most one record per window."""

    id: str
    seen: list[tuple[Dump, Record]]

    @property
    def last_record(self) -> Record:
        """The record of the last window the id was seen in."""
        return self.seen[-1][1]

    @property
    def last_dump(self) -> Dump:
        """The last window the id was seen in."""
        return self.seen[-1][0]

    def texts(self, field: str) -> list[str]:
        """The non-null values of a field, in window order."""
        values = (record.text(field) for _, record in self.seen)
        return [value for value in values if value is not None]

    def first(self, field: str) -> str | None:
        """The first non-null value."""
        return next(iter(self.texts(field)), None)

    def last(self, field: str) -> str | None:
        """The last non-null value."""
        return next(reversed(self.texts(field)), None)

    def times(self, field: str) -> list[int]:
        """The known times of a field, in window order."""
        values = (record.time(field) for _, record in self.seen)
        return [value for value in values if value is not None]

    @property
    def started(self) -> int | None:
        """The least non-null start."""
        return min(self.times("start_time"), default=None)

    @property
    def ended(self) -> int | None:
        """The last non-null end."""
        return next(reversed(self.times("end_time")), None)

    @property
    def crossed_midnight(self) -> bool:
        """Seen in two or more windows, or seen in one with end unset."""
        return len(self.seen) >= 2 or self.last_record.time("end_time") is None

    def end_status(self, windows: list[Window]) -> str:
        """How the end is known, or why it is not."""
        if self.ended is not None:
            return "ended"
        last_start, last_end = self.last_dump.window
        if not any(start > last_start for start, _ in windows):
            return "ongoing"
        if any(start <= last_end + ADJOINING and last_end < end for start, end in windows):
            return "never_closed"
        return "awaiting_dump"


def merge(dumps: list[Dump], entity: str) -> dict[str, Merged]:
    """The records of an entity by id, over the current dumps in window order."""
    seen: dict[str, list[tuple[Dump, Record]]] = defaultdict(list)
    for dump in dumps:
        for record_id, record in dump.held(entity).items():
            seen[record_id].append((dump, record))
    return {record_id: Merged(record_id, seen[record_id]) for record_id in sorted(seen)}


# ------------------------------------------------------------------------------ 4.4: session groups


def earliest_first(session: Merged) -> tuple[bool, int, str]:
    """By start (unknown ones last), then by id, by code point."""
    return (session.started is None, session.started or 0, session.id)


def label(session: Merged) -> str:
    """The `session_group` of the first window that has one, else the own id."""
    return session.first("session_group") or session.id


def group_id_of(session: Merged, sessions: dict[str, Merged]) -> str:
    """Follow labels to a session that names itself, to an unknown id, or round a cycle."""
    path = {session.id: 0}  # with the steps it takes to get there
    name = label(session)
    while name in sessions and name not in path:
        path[name] = len(path)
        name = label(sessions[name])
    if name not in sessions:
        return name
    # A session that names itself is the cycle of one.
    cycle = [sessions[member] for member, steps in path.items() if steps >= path[name]]
    return min(cycle, key=earliest_first).id


@dataclass(frozen=True)
class Group:
    """A session group; its sessions stand earliest first."""

    id: str
    sessions: list[Merged]

    @property
    def started(self) -> int | None:
        """The least start of its sessions."""
        return min((s.started for s in self.sessions if s.started is not None), default=None)

    def end_status(self, windows: list[Window]) -> str:
        """Ongoing if any session is; else awaiting if any is; else ended if any is."""
        statuses = {session.end_status(windows) for session in self.sessions}
        for status in ("ongoing", "awaiting_dump", "ended"):
            if status in statuses:
                return status
        return "never_closed"

    def ended(self, windows: list[Window]) -> int | None:
        """The greatest end, where the group has ended."""
        if self.end_status(windows) != "ended":
            return None
        return max(s.ended for s in self.sessions if s.ended is not None)

    @property
    def active_milliseconds(self) -> int:
        """The length of the union of the known, ordered intervals of its sessions."""
        intervals = sorted(
            (s.started, s.ended)
            for s in self.sessions
            if s.started is not None and s.ended is not None and s.started <= s.ended
        )
        total = 0
        covered_to: int | None = None
        for start, end in intervals:
            begin = start if covered_to is None else max(start, covered_to)
            total += max(end - begin, 0)
            covered_to = end if covered_to is None else max(end, covered_to)
        return total


def group_sessions(sessions: dict[str, Merged]) -> dict[str, Group]:
    """All session groups."""
    members: dict[str, list[Merged]] = defaultdict(list)
    for session in sessions.values():
        members[group_id_of(session, sessions)].append(session)
    return {
        name: Group(name, sorted(members[name], key=earliest_first)) for name in sorted(members)
    }


# ---------------------------------------------------------------------------------- 4.5: acceptance


@dataclass(frozen=True)
class Acceptance:
    """The acceptance of an interaction, read from one of its records."""

    acceptance: str
    start: int | None  # the record's own start
    accept_time: int | None  # the record's own accept time

    @property
    def is_accepted(self) -> bool:
        """`accept` is true, the automatic ones included."""
        return self.acceptance in ("automatic", "accepted")

    @property
    def accepted_at(self) -> int | None:
        """The accept time of an accepted one."""
        return self.accept_time if self.is_accepted else None

    @property
    def seconds_to_accept(self) -> Decimal | None:
        """From start to acceptance, only for `accepted`; NULL when unknown or negative."""
        if self.acceptance != "accepted":
            return None
        return ordered_seconds(self.start, self.accept_time)


def accept_of(interaction: Merged, windows: list[Window]) -> Acceptance:
    """Acceptance by the last record whose `accept` is readable."""
    readable = [r for _, r in interaction.seen if r.flag("accept") is not None]
    if not readable:
        return Acceptance("unknown", None, None)
    record = readable[-1]
    start, accept_time = record.time("start_time"), record.time("accept_time")
    if record.flag("accept") is False:
        open_end = interaction.end_status(windows) in ("ongoing", "awaiting_dump")
        return Acceptance("pending" if open_end else "not_accepted", start, accept_time)
    automatic = accept_time is not None and accept_time == start
    return Acceptance("automatic" if automatic else "accepted", start, accept_time)


# -------------------------------------------------------------- 4: everything the marts are made of


@dataclass(frozen=True)
class World:
    """The current dumps and what they say, before known types are sifted out."""

    versions: dict[Window, list[Dump]]
    dumps: list[Dump]  # current ones, in window order
    windows: list[Window]
    users: dict[str, Merged]
    visitors: dict[str, Merged]
    sessions: dict[str, Merged]
    actions: dict[str, Merged]  # points: only the last record counts
    interactions: dict[str, Merged]
    groups: dict[str, Group]
    group_of: dict[str, str]  # session id -> group id
    acceptances: dict[str, Acceptance]


def read_world(deliveries: Iterable[Delivery]) -> World:
    """Merge all current dumps."""
    versions = dumps_by_window(deliveries)
    windows = sorted(versions)
    dumps = [versions[window][-1] for window in windows]
    sessions = merge(dumps, SESSIONS)
    interactions = merge(dumps, INTERACTIONS)
    groups = group_sessions(sessions)
    return World(
        versions=versions,
        dumps=dumps,
        windows=windows,
        users=merge(dumps, USERS),
        visitors=merge(dumps, VISITORS),
        sessions=sessions,
        actions=merge(dumps, ACTIONS),
        interactions=interactions,
        groups=groups,
        group_of={s.id: group.id for group in groups.values() for s in group.sessions},
        acceptances={i.id: accept_of(i, windows) for i in interactions.values()},
    )
