"""Sections 2, 3, 4.1 and 4.2 of the design: what a dump is, how values are read, which count."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TypeAlias

from oracle.json_text import (
    Json,
    as_text,
    canonical_json,
    object_text,
    parse_json,
    shown_key,
    storable,
)

Value: TypeAlias = str | int | bool | datetime | date | Decimal | None
Row: TypeAlias = dict[str, Value]
Window: TypeAlias = tuple[int, int]

# -------------------------------------------------------------------------------------- 2: the dump

USERS = "users"
VISITORS = "unique_visitors"
SESSIONS = "unique_visitor_sessions"
ACTIONS = "unique_visitor_session_actions"
INTERACTIONS = "unique_visitor_session_interactions"
KIND = {USERS: dict, VISITORS: dict, SESSIONS: dict, ACTIONS: list, INTERACTIONS: list}
FIELDS: dict[str, tuple[str, ...]] = {
    USERS: ("id", "email_address", "display_name", "title", "active"),
    VISITORS: ("id", "custom_id", "custom_metadata"),
    SESSIONS: (
        *("id", "session_group", "unique_visitor_id", "referrer", "user_agent"),
        *("start_time", "end_time"),
    ),
    ACTIONS: ("id", "action", "session_id", "timestamp"),
    INTERACTIONS: (
        *("id", "interaction", "session_id", "user_id"),
        *("start_time", "end_time", "accept", "accept_time"),
    ),
}
TIME_FIELDS = ("start_time", "end_time", "accept_time", "timestamp")
JSON_COLUMNS = frozenset({"properties"})  # whose spelling is not promised
SUPPORTED_MAJOR = 1
FIRST_TIME = 946_684_800_000  # 2000-01-01
AFTER_LAST_TIME = 4_102_444_800_000  # 2100-01-01
MOST_AHEAD = timedelta(hours=48)  # a window ends at most so long after the file was modified
ADJOINING = 1_000  # windows adjoin where the next starts at most so long after the last one ends
HOUR = 3_600_000
DAY = 24 * HOUR

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


def is_too_early(delivery: Delivery, window_end: int) -> bool:
    """Section 3: whether a file was modified, or else this run takes place, before its window."""
    ends_at = timestamp(window_end)
    assert ends_at is not None
    known = datetime.now(UTC) if delivery.modified_at is None else delivery.modified_at
    return ends_at > modified(known) + MOST_AHEAD


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
    if start is None or end is None or start >= end or is_too_early(delivery, end):
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

    The time of a content is the earliest among all files that hold it, those included that were
    modified too early to be accepted themselves.
    """
    earliest: dict[bytes, datetime] = {}
    accepted: dict[bytes, Dump] = {}
    for delivery in deliveries:
        content, moment = delivery.content, modified(delivery.modified_at)
        earliest[content] = min(earliest.get(content, moment), moment)
        if content not in accepted and (dump := read_dump(delivery)) is not None:
            accepted[content] = dump
    windows: dict[Window, list[Dump]] = defaultdict(list)
    for content, dump in accepted.items():
        windows[dump.window].append(replace(dump, modified_at=earliest[content]))
    for versions in windows.values():
        versions.sort(key=precedence)
    return dict(windows)
