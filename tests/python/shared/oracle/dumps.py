"""What a dump is, how values are read, which files are rejected, which dumps are current."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

from oracle.json_text import as_text, entries_of, members, object_text, read_json, storable

Value: TypeAlias = Any  # str, int, bool, datetime, date, Decimal or None
Row: TypeAlias = dict[str, Value]
Window: TypeAlias = tuple[datetime, datetime]

# ------------------------------------------------------------- models/staging/_staging__sources.yml

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


@dataclass(frozen=True)
class Delivery:
    """A file as it arrived: its decompressed bytes and its modification time in UTC."""

    content: bytes
    modified_at: datetime | None


# ---------------------------------------------------------------- docs/query.md#how-values-are-read

FIRST_TIME = 946_684_800_000  # 2000-01-01
AFTER_LAST_TIME = 4_102_444_800_000  # 2100-01-01
TIME_FIELDS = ("start_time", "end_time", "accept_time", "timestamp")
FLAG_FIELDS = ("accept", "active")


def timestamp(milliseconds: int) -> datetime:
    """Epoch milliseconds as a time in UTC, without its zone."""
    return datetime(1970, 1, 1) + timedelta(milliseconds=milliseconds)


def seconds(length: timedelta) -> Decimal:
    """Exact decimal seconds with three digits."""
    return Decimal(length // timedelta(milliseconds=1)).scaleb(-3)


def duration(start: datetime | None, end: datetime | None) -> Decimal | None:
    """From start to end in seconds; NULL unless both are known and in order."""
    return seconds(end - start) if start and end and start <= end else None


def read_time(text: str | None) -> datetime | None:
    """Epoch milliseconds written as digits alone, from 2000 up to 2100, else NULL."""
    digits = re.fullmatch("0*([0-9]{12,13})", text or "")
    if digits is None or not FIRST_TIME <= int(digits[1]) < AFTER_LAST_TIME:
        return None
    return timestamp(int(digits[1]))


def read_value(field: str, text: str | None) -> Value:
    """The value of a field; an unreadable one is NULL."""
    if field in TIME_FIELDS:
        return read_time(text)
    return {"true": True, "false": False}.get(text or "") if field in FLAG_FIELDS else text


# ----------------------------------------------------------------- docs/operate.md#what-is-rejected

# The values of the listed fields, and `_texts` that they were read from; `_key` and `_extra` as in
# the raw tables; `_id`, for which the key may stand in; and the `_window` of the dump.
Record: TypeAlias = dict[str, Any]

SUPPORTED_MAJOR = "1"
MOST_AHEAD = timedelta(hours=48)  # a window ends at most so long after its file was modified
SEMVER = re.compile(
    r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(?:-((?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
    r"(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?"
)


@dataclass(frozen=True)
class Dump:
    """A delivery that was loaded."""

    delivery_id: str
    modified_at: datetime
    version: str
    window: Window
    collections: dict[str, list[Record] | None]  # in the order of positions; None: absent or null
    rejected: list[tuple[str, str | None]]  # collection and key of the entries that are no records

    def held(self, collection: str) -> dict[str, Record]:
        """Of the records with one id, the one at the later position, whole."""
        records = self.collections[collection] or []
        return {record["_id"]: record for record in records if record["_id"] is not None}


def read_record(collection: str, key: str | None, entry: str, window: Window) -> Record | None:
    """An entry as a record, or None where it is one of `rejected_records`."""
    fields = members(entry)
    texts = {name: as_text(fields.pop(name, None)) for name in FIELDS[collection]}
    if entry[0] != "{" or not all(map(storable, (key, *texts.values()))):
        return None
    own_key = key if key != texts["id"] else None
    # in id fields the empty text reads as NULL
    ids = [name for name in texts if name in ("id", "session_group") or name.endswith("_id")]
    texts |= {name: texts[name] or None for name in ids}
    return {
        **{name: read_value(name, text) for name, text in texts.items()},
        "_id": texts["id"] or key or None,
        "_key": own_key,
        "_extra": object_text(fields),
        "_texts": texts,
        "_window": window,
    }


def read_dump(delivery: Delivery) -> Dump | None:
    """A delivery that is loaded, or None for one that is rejected."""
    try:
        text = delivery.content.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError:
        return None
    document = members(read_json(text))
    version, *window = (as_text(document.get(n)) for n in ("version", "start_time", "end_time"))
    parts = SEMVER.fullmatch(version or "")
    start, end = map(read_time, window)
    known_at = delivery.modified_at or datetime.now(UTC).replace(tzinfo=None)
    if parts is None or parts[1] != SUPPORTED_MAJOR:
        return None
    if start is None or end is None or start >= end or end > known_at + MOST_AHEAD:
        return None
    collections: dict[str, list[Record] | None] = dict.fromkeys(KIND)
    rejected: list[tuple[str, str | None]] = []
    for name, kind in KIND.items():
        collection = document.get(name, "null")
        if collection == "null":
            continue
        if collection[0] != ("{" if kind is dict else "["):
            return None
        records = collections[name] = list[Record]()
        for key, entry in entries_of(collection):
            record = read_record(name, key, entry, (start, end))
            if record is None:
                rejected.append((name, shown_key(key)))
            else:
                records.append(record)
    return Dump(
        delivery_id=hashlib.sha256(delivery.content).hexdigest(),
        modified_at=delivery.modified_at or UNKNOWN,
        version=str(version),
        window=(start, end),
        collections=collections,
        rejected=rejected,
    )


def shown_key(key: str | None) -> str | None:
    """The key of a rejected entry; one that no text type holds as JSON spells it."""
    if key is None or storable(key):
        return key
    return json.dumps(key, ensure_ascii=False)[1:-1].encode(errors="backslashreplace").decode()


# ----------------------------------------------------------------- docs/query.md#current-deliveries

UNKNOWN = datetime.min  # an unknown modification time counts as oldest
ADJOINING = timedelta(seconds=1)  # the next window starts at most so long after the last one ends


def version_key(version: str) -> tuple[tuple[int, str], ...]:
    """Semver precedence; a pre-release stands below its release, among themselves they go by text.

    A number of any length goes by its length, then by its digits.
    """
    parts = SEMVER.fullmatch(version)
    assert parts is not None
    numbers = tuple((len(digits), digits) for digits in parts.group(1, 2, 3))
    return (*numbers, (1, "") if parts[4] is None else (0, parts[4]))


def read_dumps(deliveries: Iterable[Delivery]) -> list[list[Dump]]:
    """The versions of each dump, in window order; the last one of each is the current one.

    A content counts once, with the earliest time of all files that hold it: those included that
    were modified too early to be loaded themselves.
    """
    files: dict[bytes, list[Delivery]] = defaultdict(list)
    for delivery in deliveries:
        files[delivery.content].append(delivery)
    windows: dict[Window, list[Dump]] = defaultdict(list)
    for copies in files.values():
        loaded = [dump for dump in map(read_dump, copies) if dump is not None]
        earliest = min(copy.modified_at or UNKNOWN for copy in copies)
        for dump in loaded[:1]:
            windows[dump.window].append(replace(dump, modified_at=earliest))
    for versions in windows.values():
        versions.sort(key=lambda d: (version_key(d.version), d.modified_at, d.delivery_id))
    return [windows[window] for window in sorted(windows)]
