"""The design's sections 3 to 5 in plain Python, to compare the dbt marts with row for row.

Written from the design alone, without a look at the models; the section numbers are the design's.
Everything is computed from the set of deliveries in one go; nothing here is meant to be fast.
Inside, times are epoch milliseconds (int); rows carry datetimes, Decimals, ints, bools, text, None.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import partial
from json import decoder, scanner
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

Json: TypeAlias = "bool | str | list[Json] | dict[str, Json] | None"  # but see Decoder
Value: TypeAlias = str | int | bool | datetime | date | Decimal | None
Row: TypeAlias = dict[str, Value]
Window: TypeAlias = tuple[int, int]

USERS = "users"
VISITORS = "unique_visitors"
SESSIONS = "unique_visitor_sessions"
ACTIONS = "unique_visitor_session_actions"
INTERACTIONS = "unique_visitor_session_interactions"

# Section 2: the known collections, their kind and their fields.
KIND: dict[str, type] = {
    USERS: dict,
    VISITORS: dict,
    SESSIONS: dict,
    ACTIONS: list,
    INTERACTIONS: list,
}
FIELDS: dict[str, tuple[str, ...]] = {
    USERS: ("id", "email_address", "display_name", "title", "active"),
    VISITORS: ("id", "custom_id", "custom_metadata"),
    SESSIONS: (
        "id",
        "session_group",
        "unique_visitor_id",
        "referrer",
        "user_agent",
        "start_time",
        "end_time",
    ),
    ACTIONS: ("id", "action", "session_id", "timestamp"),
    INTERACTIONS: (
        "id",
        "interaction",
        "session_id",
        "user_id",
        "start_time",
        "end_time",
        "accept",
        "accept_time",
    ),
}
TIME_FIELDS: dict[str, tuple[str, ...]] = {
    USERS: (),
    VISITORS: (),
    SESSIONS: ("start_time", "end_time"),
    ACTIONS: ("timestamp",),
    INTERACTIONS: ("start_time", "end_time", "accept_time"),
}
JSON_COLUMNS = frozenset({"properties"})  # whose spelling is not promised
SUPPORTED_MAJOR = 1
FIRST_TIME = 946_684_800_000  # 2000-01-01
AFTER_LAST_TIME = 4_102_444_800_000  # 2100-01-01
ADJOINING = 1_000  # windows adjoin where the next starts at most so long after the last one ends

SEMVER = re.compile(
    r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(?:-((?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
    r"(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?"
)


@dataclass(frozen=True)
class Delivery:
    """A file as it arrived: its decompressed bytes and its modification time."""

    content: bytes
    modified_at: datetime | None


# --------------------------------------------------------------------------------------------- JSON


class Number(str):
    """A JSON number as the text that stood in the document."""

    __slots__ = ()


class Text(str):
    """A JSON string, which remembers how it was written."""

    spelling: str


class Object(dict[str, Json]):
    """A JSON object, which remembers how it was written."""

    spelling: str


class Array(list[Json]):
    """A JSON array, which remembers how it was written."""

    spelling: str


class Decoder(json.JSONDecoder):
    """RFC 8259: no NaN, no Infinity; of equal keys the last value holds, at the first one's place.

    Numbers are Number, and strings, objects and arrays are Text, Object and Array.
    """

    def __init__(self) -> None:
        """Take Python's own decoder apart, and let its parts tell where they end."""

        def refuse(name: str) -> Json:
            message = f"{name} is not JSON"
            raise ValueError(message)

        super().__init__(parse_float=Number, parse_int=Number, parse_constant=refuse)
        parts: dict[str, tuple[Callable[..., Any], type[Text | Object | Array]]] = {
            "parse_string": (decoder.scanstring, Text),  # type: ignore[attr-defined]
            "parse_object": (decoder.JSONObject, Object),  # type: ignore[attr-defined]
            "parse_array": (decoder.JSONArray, Array),  # type: ignore[attr-defined]
        }
        for name, (parse, kind) in parts.items():
            setattr(self, name, partial(self._spelled, parse, kind))
        self.scan_once = scanner.py_make_scanner(self)  # type: ignore[attr-defined]

    @staticmethod
    def _spelled(
        parse: Callable[..., Any], kind: type[Text | Object | Array], *arguments: Any
    ) -> tuple[Json, int]:
        text, start = arguments[:2] if kind is Text else arguments[0]
        parsed, end = parse(*arguments)
        value = kind(parsed)
        value.spelling = text[start - 1 : end]
        return value, end


def parse_json(text: str) -> Json:
    """A JSON text as Decoder reads it.

    Raises:
        ValueError: if the text is not JSON.
    """
    parsed: Json = Decoder().decode(text)
    return parsed


def spelling(value: Json) -> str:
    """A JSON value as it was written."""
    if isinstance(value, Text | Object | Array):
        return value.spelling
    return str(value) if isinstance(value, Number) else json.dumps(value)


def canonical(value: Json) -> str:
    """JSON text with sorted keys, no white space, ASCII only and numbers as they were written."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        inside = (f"{json.dumps(key)}:{canonical(value[key])}" for key in sorted(value))
        return "{" + ",".join(inside) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    return json.dumps(value)


def canonical_json(text: str) -> str:
    """The canonical spelling of a JSON text; a text that is not JSON comes back as it is."""
    try:
        return canonical(parse_json(text))
    except ValueError:
        return text


def engines_may_differ(text: str) -> bool:
    """Whether a JSON object is one of which 4.2 lets engines read other members.

    It has equal keys, or an escape that no text type holds.
    """
    try:
        value = parse_json(text)
    except (ValueError, RecursionError):
        return False
    keys = re.findall(r'"((?:[^"\\]|\\.)*)"\s*:', text)
    names = [json.loads(f'"{key}"', strict=False) for key in keys]
    return isinstance(value, dict) and (
        len(set(names)) < len(names)
        or not storable(json.dumps(value, ensure_ascii=False))
        or "\\u0000" in text
    )


def as_text(value: Json) -> str | None:
    """Section 3: every vendor field is text, exactly as the document has it."""
    if value is None:
        return None
    if isinstance(value, str):
        return str(value)
    return spelling(value)  # true, false and nested values


def object_text(members: dict[str, Json]) -> str | None:
    """The JSON text of some members, in the order of their names; None for none at all."""
    if not members:
        return None
    inside = (f"{json.dumps(name)}:{spelling(members[name])}" for name in sorted(members))
    return "{" + ",".join(inside) + "}"


def storable(text: str) -> bool:
    """No NUL and no lone surrogate: what a text column can hold."""
    return not any(char == "\0" or "\ud800" <= char <= "\udfff" for char in text)


# ------------------------------------------------------------------------------ 4.2: reading values


def read_time(text: str | None) -> int | None:
    """Epoch milliseconds written as digits alone, from 2000 up to 2100, else NULL."""
    if text is None or not re.fullmatch("[0-9]+", text):
        return None
    digits = text.lstrip("0")
    if len(digits) > len(str(AFTER_LAST_TIME)):
        return None
    moment = int(digits or "0")
    return moment if FIRST_TIME <= moment < AFTER_LAST_TIME else None


def read_flag(text: str | None) -> bool | None:
    """`true` and `false`, else NULL."""
    return {"true": True, "false": False}.get(text or "")


def is_id_field(field: str) -> bool:
    """Fields in which the empty text reads as NULL."""
    return field in ("id", "session_group") or field.endswith("_id")


def timestamp(moment: int | None) -> datetime | None:
    """Epoch milliseconds as a naive UTC datetime."""
    if moment is None:
        return None
    return datetime(1970, 1, 1) + timedelta(milliseconds=moment)


def seconds(milliseconds: int) -> Decimal:
    """Exact decimal seconds with three digits."""
    return Decimal(milliseconds).scaleb(-3)


def ordered_seconds(start: int | None, end: int | None) -> Decimal | None:
    """The length of an interval, NULL unless both ends are known and in order."""
    if start is None or end is None or end < start:
        return None
    return seconds(end - start)


# ------------------------------------------------------------------ 3: deliveries and their records


@dataclass(frozen=True)
class Record:
    """An entry of a known collection; `raw` holds the listed fields as text."""

    entity: str
    id: str | None
    key: str | None  # the object key, whether or not it differs
    raw: dict[str, str | None]
    extra: str | None

    def text(self, field: str) -> str | None:
        """A field as read: in id fields the empty text is NULL."""
        value = self.raw[field]
        return None if value == "" and is_id_field(field) else value

    @property
    def properties(self) -> str | None:
        """The unlisted fields in a canonical spelling."""
        return None if self.extra is None else canonical_json(self.extra)

    def time(self, field: str) -> int | None:
        """A time field as read."""
        return read_time(self.raw[field])

    def flag(self, field: str) -> bool | None:
        """A true/false field as read."""
        return read_flag(self.raw[field])


@dataclass(frozen=True)
class Dump:
    """An accepted delivery."""

    delivery_id: str
    modified_at: datetime | None
    version: str
    window: Window
    collections: dict[str, list[Record] | None]  # in document order; None: absent or null
    rejected: list[tuple[str, str | None]]  # collection and key of the entries that are no records

    def records(self, entity: str) -> list[Record]:
        """The raw rows of a collection, those without an id included."""
        return self.collections[entity] or []

    def held(self, entity: str) -> dict[str, Record]:
        """4.2: of the records with one id the one at the later position holds, whole."""
        return {record.id: record for record in self.records(entity) if record.id is not None}


def read_record(entity: str, key: str | None, entry: Json) -> Record | None:
    """Section 3: an entry as a raw row, or None where it belongs to rejected_records."""
    if not isinstance(entry, dict):
        return None
    if key is not None and not storable(key):
        return None
    for field in FIELDS[entity]:
        value = entry.get(field)
        if isinstance(value, str) and not storable(value):
            return None
    raw = {field: as_text(entry.get(field)) for field in FIELDS[entity]}
    unlisted = {name: value for name, value in entry.items() if name not in FIELDS[entity]}
    return Record(
        entity=entity,
        id=raw["id"] or key or None,  # 4.2: the key stands in for a missing id; '' is missing
        key=key,
        raw=raw,
        extra=object_text(unlisted),
    )


def entries_of(collection: Json) -> list[tuple[str | None, Json]]:
    """The entries of a collection with their keys, in document order."""
    if isinstance(collection, dict):
        return list(collection.items())
    return [(None, entry) for entry in collection] if isinstance(collection, list) else []


def shown_key(key: str | None) -> str | None:
    """The key of a rejected entry; one that is not storable as JSON spells it."""
    if key is None or storable(key):
        return key
    spelled = json.dumps(key, ensure_ascii=False)[1:-1]
    return spelled.encode(errors="backslashreplace").decode()


def read_dump(delivery: Delivery) -> Dump | None:
    """An accepted delivery, or None for one that section 3 rejects."""
    try:
        document = parse_json(delivery.content.removeprefix(b"\xef\xbb\xbf").decode("utf-8"))
    except ValueError:  # not UTF-8, not JSON
        return None
    if not isinstance(document, dict):
        return None
    version = document.get("version")
    parts = SEMVER.fullmatch(version) if isinstance(version, str) else None
    if parts is None or parts[1] != str(SUPPORTED_MAJOR):
        return None
    start = read_time(as_text(document.get("start_time")))
    end = read_time(as_text(document.get("end_time")))
    if start is None or end is None or start >= end:
        return None
    for entity, kind in KIND.items():
        collection = document.get(entity)
        if collection is not None and not isinstance(collection, kind):
            return None
    collections: dict[str, list[Record] | None] = {}
    rejected: list[tuple[str, str | None]] = []
    for entity in KIND:
        records: list[Record] = []
        for key, entry in entries_of(document.get(entity)):
            record = read_record(entity, key, entry)
            if record is None:
                rejected.append((entity, shown_key(key)))
            else:
                records.append(record)
        collections[entity] = None if document.get(entity) is None else records
    return Dump(
        delivery_id=hashlib.sha256(delivery.content).hexdigest(),
        modified_at=delivery.modified_at,
        version=str(version),
        window=(start, end),
        collections=collections,
        rejected=rejected,
    )


# -------------------------------------------------------------------------- 4.1: current deliveries


def modified(at: datetime | None) -> datetime:
    """A modification time to compare by; unknown counts as oldest."""
    if at is None:
        return datetime.min
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at


def version_key(version: str) -> tuple[tuple[int, str], ...]:
    """Semver precedence: build metadata ignored, pre-releases below, among themselves by text.

    A number of any length is compared by its length, then by its digits.
    """
    parts = SEMVER.fullmatch(version)
    assert parts is not None
    numbers = tuple((len(digits), digits) for digits in parts.group(1, 2, 3))
    prerelease: str | None = parts[4]
    return (*numbers, (1, "") if prerelease is None else (0, prerelease))


def precedence(dump: Dump) -> tuple[tuple[tuple[int, str], ...], datetime, str]:
    """What makes a version of a dump the current one: the greatest of these."""
    return version_key(dump.version), modified(dump.modified_at), dump.delivery_id


def dumps_by_window(deliveries: Iterable[Delivery]) -> dict[Window, list[Dump]]:
    """Accepted deliveries, one per content, by window; the current one of each window is last.

    The time of a content is the earliest among all files that hold it.
    """
    earliest: dict[bytes, Delivery] = {}
    for delivery in deliveries:
        known = earliest.get(delivery.content)
        if known is None or modified(delivery.modified_at) < modified(known.modified_at):
            earliest[delivery.content] = delivery
    windows: dict[Window, list[Dump]] = defaultdict(list)
    for delivery in earliest.values():
        dump = read_dump(delivery)
        if dump is not None:
            windows[dump.window].append(dump)
    for versions in windows.values():
        versions.sort(key=precedence)
    return dict(windows)


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


# ----------------------------------------------------------------- everything the marts are made of


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


# --------------------------------------------------------------------------------- section 5: facts


def session_context(world: World, session_id: str | None) -> tuple[str | None, str | None]:
    """Group and visitor of a fact's session; both NULL where the session is unknown."""
    session = world.sessions.get(session_id) if session_id is not None else None
    if session is None:
        return None, None
    return world.group_of[session.id], session.last("unique_visitor_id")


def action_rows(world: World, known: Callable[[str | None], bool]) -> list[Row]:
    """fct_rep_ai__actions: the whole record of the last window."""
    rows: list[Row] = []
    for action in world.actions.values():
        record = action.last_record
        if not known(record.text("action")):
            continue
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


def interaction_rows(world: World, known: Callable[[str | None], bool]) -> list[Row]:
    """fct_rep_ai__interactions."""
    rows: list[Row] = []
    for interaction in world.interactions.values():
        if not known(interaction.last("interaction")):
            continue
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


def session_rows(world: World, actions: list[Row], interactions: list[Row]) -> list[Row]:
    """fct_rep_ai__sessions."""
    action_count = count(actions, "session_id")
    interaction_count = count(interactions, "session_id")
    accepted_count = count(accepted(interactions), "session_id")
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
                    "action_count": action_count[session.id],
                    "interaction_count": interaction_count[session.id],
                    "accepted_interaction_count": accepted_count[session.id],
                }
            )
    return rows


def session_group_rows(world: World, actions: list[Row], interactions: list[Row]) -> list[Row]:
    """fct_rep_ai__session_groups."""
    action_count = count(actions, "session_group_id")
    interaction_count = count(interactions, "session_group_id")
    accepted_count = count(accepted(interactions), "session_group_id")
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
            "action_count": action_count[group.id],
            "interaction_count": interaction_count[group.id],
            "accepted_interaction_count": accepted_count[group.id],
        }
        for group in world.groups.values()
    ]


def event_rows(sessions: list[Row], actions: list[Row], interactions: list[Row]) -> list[Row]:
    """fct_rep_ai__events; those without a time are left out."""
    rows: list[Row] = []

    def add(kind: str, row: Row, id_column: str, type_column: str | None, time: str) -> None:
        if row[time] is None:
            return
        rows.append(
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
        )

    for row in sessions:
        add("session_started", row, "session_id", None, "started_at")
        add("session_ended", row, "session_id", None, "ended_at")
    for row in actions:
        add("action", row, "action_id", "action_type", "occurred_at")
    for row in interactions:
        add("interaction_started", row, "interaction_id", "interaction_type", "started_at")
        if row["acceptance"] == "accepted":
            add("interaction_accepted", row, "interaction_id", "interaction_type", "accepted_at")
        add("interaction_ended", row, "interaction_id", "interaction_type", "ended_at")
    return rows


# ---------------------------------------------------------------------------- section 5: dimensions


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
        rows.append(
            {
                "visitor_id": visitor.id,
                "person_id": visitor.last("custom_id") or visitor.id,
                "custom_id": visitor.last("custom_id"),
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


# ----------------------------------------------------------------------------- section 5: referrers

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


# ------------------------------------------------------------------------- section 5: daily reports


def local_day(moment: Value, zone: ZoneInfo) -> date | None:
    """The day of a naive UTC time in a time zone."""
    if not isinstance(moment, datetime):
        return None
    return moment.replace(tzinfo=UTC).astimezone(zone).date()


def by_day(rows: Iterable[Row], column: str, zone: ZoneInfo) -> dict[date, list[Row]]:
    """Rows by the day of a time; those without one belong to no day."""
    days: dict[date, list[Row]] = defaultdict(list)
    for row in rows:
        day = local_day(row[column], zone)
        if day is not None:
            days[day].append(row)
    return days


def total(rows: Iterable[Row], column: str) -> Decimal:
    """The sum of a decimal column, 0 where nothing is known."""
    values = (row[column] for row in rows)
    return sum((v for v in values if isinstance(v, Decimal)), start=Decimal("0.000"))


def daily_activity_rows(
    sessions: list[Row],
    groups: list[Row],
    actions: list[Row],
    interactions: list[Row],
    zone: ZoneInfo,
) -> list[Row]:
    """rep_ai__daily_activity."""
    sessions_on = by_day(sessions, "started_at", zone)
    groups_on = by_day(groups, "started_at", zone)
    actions_on = by_day(actions, "occurred_at", zone)
    interactions_on = by_day(interactions, "started_at", zone)
    rows: list[Row] = []
    for day in sorted({*sessions_on, *groups_on, *actions_on, *interactions_on}):
        day_interactions = interactions_on.get(day, [])
        acceptances = count(day_interactions, "acceptance")
        visitors = {row["visitor_id"] for row in sessions_on.get(day, [])} - {None}
        rows.append(
            {
                "activity_date": day,
                "session_count": len(sessions_on.get(day, [])),
                "session_group_count": len(groups_on.get(day, [])),
                "visitor_count": len(visitors),
                "action_count": len(actions_on.get(day, [])),
                "interaction_count": len(day_interactions),
                "accepted_interaction_count": len(accepted(day_interactions)),
                "handled_interaction_count": acceptances["accepted"],
                "automatic_interaction_count": acceptances["automatic"],
                "pending_interaction_count": acceptances["pending"],
                "not_accepted_interaction_count": acceptances["not_accepted"],
                "unknown_acceptance_interaction_count": acceptances["unknown"],
                "active_seconds": total(groups_on.get(day, []), "active_seconds"),
            }
        )
    return rows


def percentile(values: list[Decimal], share: Fraction) -> Decimal | None:
    """The continuous percentile, rounded half away from zero to three digits."""
    if not values:
        return None
    ordered = [Fraction(value) for value in sorted(values)]
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    exact = ordered[below] + (place - below) * (ordered[above] - ordered[below])
    # Times in milliseconds and shares in tenths: four digits hold the exact value.
    exact_decimal = Decimal(exact.numerator) / Decimal(exact.denominator)
    return exact_decimal.quantize(Decimal("0.001"), rounding=ROUND_HALF_UP)


def user_daily_performance_rows(interactions: list[Row], zone: ZoneInfo) -> list[Row]:
    """rep_ai__user_daily_performance: also for users that the dimension does not know."""
    cells: dict[tuple[str, date], list[Row]] = defaultdict(list)
    for day, day_rows in by_day(interactions, "started_at", zone).items():
        for row in day_rows:
            if row["user_id"] is not None:
                cells[str(row["user_id"]), day].append(row)
    rows: list[Row] = []
    for user_id, day in sorted(cells):
        cell = cells[user_id, day]
        waits = [w for w in (row["seconds_to_accept"] for row in cell) if isinstance(w, Decimal)]
        rows.append(
            {
                "user_id": user_id,
                "activity_date": day,
                "interaction_count": len(cell),
                "accepted_interaction_count": len(accepted(cell)),
                "median_seconds_to_accept": percentile(waits, Fraction(1, 2)),
                "p90_seconds_to_accept": percentile(waits, Fraction(9, 10)),
                "talk_seconds": total(accepted(cell), "duration_seconds"),
            }
        )
    return rows


# --------------------------------------------------------------------- section 5: the dump calendar

CALENDAR_COUNTS = {
    "user_count": USERS,
    "visitor_count": VISITORS,
    "session_count": SESSIONS,
    "action_count": ACTIONS,
    "interaction_count": INTERACTIONS,
}


# Counts that are measured by what is usual.
MEASURED = ("visitor_count", "session_count", "action_count", "interaction_count")


def usual_count(world: World, dump: Dump, column: str) -> Decimal | None:
    """The median over the four weeks before, of windows as long, and of one kind if enough are."""
    half_day, hour, day = 43_200_000, 3_600_000, 86_400_000

    def is_weekend(window: Window) -> bool:
        # 1970-01-01 was a Thursday
        return (window[0] + half_day) // day % 7 in (2, 3)

    start, end = dump.window
    comparable = [
        (is_weekend(other.window) == is_weekend(dump.window), len(records))
        for other in world.dumps
        if 0 < start - other.window[0] <= 28 * day
        and abs((other.window[1] - other.window[0]) - (end - start)) <= hour
        and (records := other.collections[CALENDAR_COUNTS[column]]) is not None
    ]
    counts = sorted(count for is_alike, count in comparable if is_alike)
    if len(counts) < 3:
        counts = sorted(count for _, count in comparable)
    if len(counts) < 3:
        return None
    middle = len(counts) // 2
    twice = 2 * counts[middle] if len(counts) % 2 else counts[middle - 1] + counts[middle]
    return (Decimal(twice) / 2).quantize(Decimal("0.1"))


def dump_calendar_rows(world: World) -> list[Row]:
    """rep_ai__dump_calendar: every current window, and the gaps between them."""
    rows: list[Row] = []
    reached: int | None = None
    for dump in world.dumps:
        start, end = dump.window
        if reached is not None and reached + ADJOINING < start:
            gap: Row = {
                "window_start_at": timestamp(reached),
                "window_end_at": timestamp(start),
                "status": "missing",
                "delivery_count": 0,
                "version": None,
            }
            unknown = dict.fromkeys((*CALENDAR_COUNTS, *(f"usual_{name}" for name in MEASURED)))
            rows.append(gap | unknown | {"has_few_actions": False})
        overlaps = any(
            other != dump.window and other[0] < end and start < other[1] for other in world.windows
        )
        row: Row = {
            "window_start_at": timestamp(start),
            "window_end_at": timestamp(end),
            "status": "overlapping" if overlaps else "delivered",
            "delivery_count": len(world.versions[dump.window]),
            "version": dump.version,
        }
        for column, entity in CALENDAR_COUNTS.items():
            records = dump.collections[entity]
            row[column] = None if records is None else len(records)
        for column in MEASURED:
            row[f"usual_{column}"] = usual_count(world, dump, column)
        usual = usual_count(world, dump, "action_count")
        actions = dump.collections[ACTIONS] or []
        row["has_few_actions"] = usual is not None and len(actions) * 5 < usual
        rows.append(row)
        reached = end if reached is None else max(reached, end)
    return rows


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


# ---------------------------------------------------------------------------------- 4.7: violations
# Rules about what a document says look at every record of the current dumps that has an id (the one
# about ids excepted); rules about what it means look at the records that hold. Types play no part.


def violation(rule: str, entity: str, record_id: str | None, dump: Dump) -> Row:
    """A row of rep_ai__contract_violations without its severity and detail."""
    return {
        "rule": rule,
        "entity": entity,
        "record_id": record_id,
        "dump_start_at": timestamp(dump.window[0]),
    }


def all_records(world: World) -> Iterator[tuple[Dump, Record]]:
    """Every record of every current dump."""
    for dump in world.dumps:
        for entity in KIND:
            for record in dump.records(entity):
                yield dump, record


def missing_id(world: World) -> Iterator[Row]:
    """A record with neither id nor key."""
    for dump, record in all_records(world):
        if record.id is None:
            yield violation("missing_id", record.entity, None, dump)


def key_differs_from_id(world: World) -> Iterator[Row]:
    """A record whose key is not its id, both there."""
    for dump, record in all_records(world):
        own_id = record.text("id")
        if own_id is not None and record.key is not None and record.key != own_id:
            yield violation("key_differs_from_id", record.entity, record.id, dump)


def duplicate_id(world: World) -> Iterator[Row]:
    """An id twice in one dump with other content, values as read: one row per id and dump."""
    for dump in world.dumps:
        for entity in KIND:
            contents: dict[str, set[tuple[str | None, ...]]] = defaultdict(set)
            for record in dump.records(entity):
                if record.id is not None:
                    listed = (record.text(field) for field in FIELDS[entity] if field != "id")
                    contents[record.id].add((*listed, record.extra))
            for record_id, different in contents.items():
                if len(different) > 1:
                    yield violation("duplicate_id", entity, record_id, dump)


def rejected_record(world: World) -> Iterator[Row]:
    """An entry that is no record, or cannot be stored: one row each."""
    for dump in world.dumps:
        for entity, key in dump.rejected:
            yield violation("rejected_record", entity, key, dump)


def unreadable_time(world: World) -> Iterator[Row]:
    """A time that is there but cannot be read: one row per record and field."""
    for dump, record in all_records(world):
        for field in TIME_FIELDS[record.entity]:
            unreadable = record.raw[field] is not None and record.time(field) is None
            if unreadable and record.id is not None:
                yield violation("unreadable_time", record.entity, record.id, dump)


def sessions_and_interactions(world: World) -> Iterator[tuple[str, Merged]]:
    """Everything that lasts, merged."""
    for entity, merged in ((SESSIONS, world.sessions), (INTERACTIONS, world.interactions)):
        for item in merged.values():
            yield entity, item


def end_before_start(world: World) -> Iterator[Row]:
    """A merged session or interaction that ends before it starts."""
    for entity, item in sessions_and_interactions(world):
        if item.started is not None and item.ended is not None and item.ended < item.started:
            yield violation("end_before_start", entity, item.id, item.last_dump)


def unknown_session(world: World) -> Iterator[Row]:
    """An action or interaction whose session no current dump holds."""
    for action in world.actions.values():
        session_id = action.last_record.text("session_id")
        if session_id is not None and session_id not in world.sessions:
            yield violation("unknown_session", ACTIONS, action.id, action.last_dump)
    for interaction in world.interactions.values():
        session_id = interaction.last("session_id")
        if session_id is not None and session_id not in world.sessions:
            yield violation("unknown_session", INTERACTIONS, interaction.id, interaction.last_dump)


def unknown_visitor(world: World) -> Iterator[Row]:
    """A session whose visitor no current dump holds."""
    for session in world.sessions.values():
        visitor_id = session.last("unique_visitor_id")
        if visitor_id is not None and visitor_id not in world.visitors:
            yield violation("unknown_visitor", SESSIONS, session.id, session.last_dump)


def unknown_user(world: World) -> Iterator[Row]:
    """An interaction whose user no current dump holds."""
    for interaction in world.interactions.values():
        user_id = interaction.last("user_id")
        if user_id is not None and user_id not in world.users:
            yield violation("unknown_user", INTERACTIONS, interaction.id, interaction.last_dump)


def group_violation(rule: str, group: Group) -> Row:
    """A violation of a group, dated by the last window that any of its sessions was seen in."""
    last = max((s.last_dump for s in group.sessions), key=lambda dump: dump.window)
    return violation(rule, "session_groups", group.id, last)


def anchor_missing(world: World) -> Iterator[Row]:
    """A group whose naming session no current dump holds."""
    for group in world.groups.values():
        if group.id not in world.sessions:
            yield group_violation("anchor_missing", group)


def anchor_not_earliest(world: World) -> Iterator[Row]:
    """A group whose naming session is delivered but is not its earliest."""
    for group in world.groups.values():
        if group.id in world.sessions and group.sessions[0].id != group.id:
            yield group_violation("anchor_not_earliest", group)


def several_visitors(world: World) -> Iterator[Row]:
    """A group whose sessions have more than one visitor."""
    for group in world.groups.values():
        visitors = {session.last("unique_visitor_id") for session in group.sessions} - {None}
        if len(visitors) > 1:
            yield group_violation("several_visitors", group)


def accept_missing(world: World) -> Iterator[Row]:
    """A record of an interaction without a readable `accept`."""
    for interaction in world.interactions.values():
        for dump, record in interaction.seen:
            if record.flag("accept") is None:
                yield violation("accept_missing", INTERACTIONS, interaction.id, dump)


def accepted_without_time(world: World) -> Iterator[Row]:
    """An accepted interaction whose accept time is unknown."""
    for interaction in world.interactions.values():
        acceptance = world.acceptances[interaction.id]
        if acceptance.is_accepted and acceptance.accepted_at is None:
            yield violation(
                "accepted_without_time", INTERACTIONS, interaction.id, interaction.last_dump
            )


def accepted_before_start(world: World) -> Iterator[Row]:
    """An interaction accepted before the start that the same record gives."""
    for interaction in world.interactions.values():
        acceptance = world.acceptances[interaction.id]
        start, accepted_at = acceptance.start, acceptance.accepted_at
        if start is not None and accepted_at is not None and accepted_at < start:
            yield violation(
                "accepted_before_start", INTERACTIONS, interaction.id, interaction.last_dump
            )


def outside_window(world: World) -> Iterator[Row]:
    """Times outside the dump's own window: one row per record.

    A start counts in the first window of its id only, since what began in an earlier window may
    go on in this one. An end at the very end of the window is inside.
    """
    for entity, item in sessions_and_interactions(world):
        for number, (dump, record) in enumerate(item.seen):
            first, after = dump.window
            start, end = record.time("start_time"), record.time("end_time")
            start_outside = number == 0 and start is not None and not first <= start < after
            end_outside = end is not None and not first <= end <= after
            if start_outside or end_outside:
                yield violation("outside_window", entity, item.id, dump)
    for action in world.actions.values():
        for dump, record in action.seen:
            first, after = dump.window
            moment = record.time("timestamp")
            if moment is not None and not first <= moment < after:
                yield violation("outside_window", ACTIONS, action.id, dump)


def end_changed(world: World) -> Iterator[Row]:
    """A record whose end is not the end known from the windows before it."""
    for entity, item in sessions_and_interactions(world):
        known: int | None = None
        for dump, record in item.seen:
            end = record.time("end_time")
            if known is not None and end != known:
                yield violation("end_changed", entity, item.id, dump)
            known = known if end is None else end


def collection_missing(world: World) -> Iterator[Row]:
    """A known collection that is absent or null."""
    for dump in world.dumps:
        for entity in KIND:
            if dump.collections[entity] is None:
                yield violation("collection_missing", entity, None, dump)


def field_missing(world: World) -> Iterator[Row]:
    """A listed field that no record carries, in a collection that has records."""
    for dump in world.dumps:
        for entity, fields in FIELDS.items():
            records = dump.records(entity)
            for field in fields:
                if records and all(record.text(field) is None for record in records):
                    yield violation("field_missing", entity, field, dump)


RULES: tuple[Callable[[World], Iterator[Row]], ...] = (
    missing_id,
    key_differs_from_id,
    duplicate_id,
    rejected_record,
    unreadable_time,
    end_before_start,
    unknown_session,
    unknown_visitor,
    unknown_user,
    anchor_missing,
    anchor_not_earliest,
    several_visitors,
    accept_missing,
    accepted_without_time,
    accepted_before_start,
    outside_window,
    end_changed,
    collection_missing,
    field_missing,
)


# -------------------------------------------------------------------------------------------- marts


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
    all_actions = action_rows(world, lambda _: True)
    all_interactions = interaction_rows(world, lambda _: True)
    if include_unknown_types:
        actions, interactions = all_actions, all_interactions
    else:
        actions = action_rows(world, lambda name: name in known_actions)
        interactions = interaction_rows(world, lambda name: name in known_talks)

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
        "rep_ai__contract_violations": [row for rule in RULES for row in rule(world)],
    }
