"""Whether the data is as expected: the windows of the dumps, and what in them is not as promised.

Times are UTC without zone.
"""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any, NamedTuple

from rep_ai.warehouse.database import Database
from rep_ai.warehouse.names import DUMP_CALENDAR, MARTS_SCHEMA, UNKNOWN_TYPES, VIOLATIONS
from rep_ai.words import many

# how many of the last windows are shown and watched
LAST_WINDOWS = 14
COUNTED = ("visitors", "sessions", "actions", "interactions")
# rules that `rep-ai run` says in words
FIRST_CONTACT = ("field_missing", "collection_missing")


class Window(NamedTuple):
    """A row of the dump calendar.

    Attributes:
        start: its first moment.
        end: the moment behind its last.
        status: `delivered`, `missing` or `overlapping`.
        deliveries: how many dumps of it are loaded.
        version: of the dump that holds.
        counts: records by `COUNTED`; None where the dump lacks the collection, or there is none.
        usual: what is usual by `COUNTED`; None where that is not known.
        has_few_actions: whether it has far fewer than usual.
    """

    start: datetime
    end: datetime
    status: str
    deliveries: int
    version: str | None
    counts: dict[str, int | None]
    usual: dict[str, float | None]
    has_few_actions: bool

    @property
    def length(self) -> timedelta:
        """From its start to its end."""
        return self.end - self.start

    @property
    def span(self) -> dict[str, datetime]:
        """Where it lies, by the keys of `rep-ai status --json`."""
        return {"from": self.start, "until": self.end}


class UnknownType(NamedTuple):
    """A type that no seed lists; `type` is None or empty where records have none."""

    kind: str
    type: str | None
    records: int
    first_seen_at: datetime | None
    last_seen_at: datetime | None


class Violation(NamedTuple):
    """A broken promise of the vendor: how often, and the id of a record that breaks it."""

    severity: str
    rule: str
    entity: str
    rows: int
    example: str | None


def windows(database: Database) -> list[Window]:
    """All windows and the gaps between them, in order."""
    rows = database.records(DUMP_CALENDAR, "window_start_at, window_end_at")
    return [
        Window(
            row["window_start_at"],
            row["window_end_at"],
            row["status"],
            row["delivery_count"],
            row["version"],
            {name: row[f"{name[:-1]}_count"] for name in COUNTED},
            {name: _number(row.get(f"usual_{name[:-1]}_count")) for name in COUNTED},
            bool(row.get("has_few_actions")),
        )
        for row in rows
    ]


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def gaps(found: list[Window]) -> list[dict[str, Any]]:
    """The stretches without a dump, and how many usual windows (`nights`) long each is."""
    lengths = [window.length for window in found if window.status != "missing"]
    return [
        {**window.span, "nights": windows_in(window.length, lengths)}
        for window in found
        if window.status == "missing"
    ]


def windows_in(gap: timedelta, lengths: list[timedelta]) -> int:
    """How many windows of usual length a gap is long; at least one."""
    usual = median(length.total_seconds() for length in lengths)
    return max(1, round(gap.total_seconds() / usual))


def unknown_types(database: Database) -> list[UnknownType]:
    """Types that no seed lists, the most frequent first."""
    return [
        UnknownType(
            row["kind"],
            row["type"],
            row["record_count"],
            row.get("first_seen_at"),
            row.get("last_seen_at"),
        )
        for row in database.records(UNKNOWN_TYPES, "record_count desc, kind, type")
    ]


def violations(database: Database) -> list[Violation]:
    """The broken promises by rule, the most frequent of each severity first."""
    rows = database.mart(
        VIOLATIONS,
        "select severity, rule, entity, count(*), min(record_id) from {table} "
        "group by severity, rule, entity order by severity, count(*) desc, rule, entity",
    )
    return [Violation(*row) for row in rows]


def missing_fields(database: Database) -> list[tuple[Any, ...]]:
    """Rule, collection, field and number of dumps where dumps lack what the vendor's page lists."""
    return database.mart(
        VIOLATIONS,
        "select rule, entity, record_id, count(*) from {table} "
        f"where rule in {FIRST_CONTACT} "
        "group by rule, entity, record_id order by rule, entity, record_id",
    )


def unlisted_fields(database: Database, raw_schema: str, collection: str) -> Counter[str]:
    """Fields that no list has, as far as some records of a collection carry them."""
    rows = database.rows(
        raw_schema, collection, "select _extra from {table} where _extra is not null limit 1000"
    )
    names: Counter[str] = Counter()
    for (extra,) in rows:
        names.update(json.loads(extra).keys())
    return names


def unfinished_line(models: Sequence[str]) -> str:
    """That some models are older than the others."""
    verb = "is" if len(models) == 1 else "are"
    return f"the last build did not finish, {', '.join(models)} {verb} as before"


def window_warnings(database: Database) -> list[str]:
    """What is wrong with the windows, one line each."""
    found = windows(database)
    missing = gaps(found)
    return [*([missing_line(missing)] if missing else []), *small_lines(found)]


def missing_line(missing: list[dict[str, Any]]) -> str:
    """How many windows are missing, and the last gap; there is one."""
    said = many(sum(gap["nights"] for gap in missing), "night is", "nights are")
    last = missing[-1]
    only = "" if len(missing) == 1 else f"the last in {len(missing):,} gaps "
    window = f"from {last['from']:%Y-%m-%d %H:%M} to {last['until']:%Y-%m-%d %H:%M} UTC"
    return f"{said} missing: {only}{window}"


def small_lines(found: list[Window]) -> list[str]:
    """A line for each of the last windows that has far fewer actions than usual."""
    return [
        f"the night from {window.start:%Y-%m-%d %H:%M} UTC has "
        f"{many(window.counts['actions'] or 0, 'action', 'actions')}; the nights before it had "
        f"{window.usual['actions']:,.0f}"
        for window in found[-LAST_WINDOWS:]
        if window.has_few_actions
    ]


def data_warnings(database: Database) -> list[str]:
    """What in the records is not as expected, one line each."""
    lines = []
    unknown = unknown_types(database)
    if unknown:
        lines.append(
            f"{many(len(unknown), 'type is', 'types are')} not known yet "
            f"({sum(row.records for row in unknown):,} records): rep-ai types lists them"
        )
    severities = database.mart(
        VIOLATIONS, "select severity, count(*) from {table} group by severity order by severity"
    )
    lines += [
        f"{many(count, 'contract violation', 'contract violations')} of severity {severity}: "
        f"{MARTS_SCHEMA}.{VIOLATIONS}"
        for severity, count in severities
    ]
    return lines
