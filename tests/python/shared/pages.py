"""The pages that people read: what they link to, which files they name, and their examples."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from dumps import EMPTY
from processes import PROJECT

# in the order in which their commands are run, in one copy
NAMES = (
    "README.md",
    "docs/install.md",
    "docs/operate.md",
    "docs/upgrade.md",
    "docs/query.md",
    "docs/incremental.md",
    "docs/engines.md",
    "docs/package.md",
    "docs/schedule.md",
    "docs/performance.md",
    "docs/decisions.md",
    "docs/extend.md",
    "docs/glossary.md",
    "CONTRIBUTING.md",
)
CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
# a file of the project, as text names it; the last part may be a pattern
FILE = re.compile(r"`((?:analyses|docs|ingest|macros|models|seeds|tests)/[\w./*]*)`")
# examples are tables: `In, `collection`:` and `Out, `mart`:`
EXAMPLE = re.compile(r"(In|Out), `(\w+)`:\n\n((?:\|.*\|\n)+)")
MOMENT = re.compile(r"(\d+) (February|March)(?: (\d+):(\d+)(?::(\d+(?:\.\d+)?))?)?")
DUMP = re.compile(r"(\d+ \w+)(?:, version (\S+))?")
MONTHS = {"February": 2, "March": 3}
# what records of the examples have where a table does not show it
UNSHOWN: dict[str, dict[str, Any]] = {
    "unique_visitors": {},
    "unique_visitor_sessions": {
        "unique_visitor_id": "v0",
        "referrer": "https://www.example.com/",
        "user_agent": "Mozilla/5.0",
    },
    "unique_visitor_session_actions": {"session_id": "g1"},
    "unique_visitor_session_interactions": {
        "interaction": "PROACTIVE_CALL",
        "session_id": "g1",
        "user_id": "u1",
    },
}
USERS = ("u1", "u2")

Row = dict[str, Any]


def text(name: str) -> str:
    """A page, by its path in the project."""
    return (PROJECT / name).read_text(encoding="utf-8")


def anchors(page: str) -> set[str]:
    """The headings of a page, as links name them."""
    headings = HEADING.findall(CODE.sub("", page))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


def links(name: str) -> Iterator[tuple[Path, str]]:
    """The files and headings of this project that a page leads to."""
    page = INLINE.sub("", CODE.sub("", text(name)))
    for target in LINK.findall(page):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield (PROJECT / name).parent / path if path else PROJECT / name, anchor


# ---------------------------------------------------------------------------------------- examples


def examples(name: str, direction: str) -> Iterator[tuple[str, list[Row]]]:
    """The tables of a page that are landed (`In`) or looked for (`Out`), each with its relation."""
    for found, relation, table in EXAMPLE.findall(text(name)):
        if found == direction:
            lines = table.splitlines()
            header, _, *rows = ([c.strip() for c in line.split("|")[1:-1]] for line in lines)
            yield relation, [dict(zip(header, row, strict=True)) for row in rows]


def dumps(name: str) -> list[Row]:
    """The dumps that the examples of a page are records of."""
    found: dict[tuple[str, str], Row] = {}
    for collection, rows in examples(name, "In"):
        for row in rows:
            day, version = DUMP.fullmatch(row["dump"]).groups("1.0.0")  # type: ignore[union-attr]
            dump = found.setdefault((day, version), _empty(day, version))
            values = {field: value for field, value in row.items() if field != "dump" and value}
            record = UNSHOWN[collection] | {f: _delivered(value) for f, value in values.items()}
            if collection == "unique_visitor_sessions":
                record.setdefault("session_group", record["id"])
            if isinstance(entries := dump[collection], dict):
                assert record["id"] not in entries
                entries[record["id"]] = record
            else:
                entries.append(record)
    return list(found.values())


def _empty(day: str, version: str) -> Row:
    start = _moment(day)
    dump: Row = {
        "version": version,
        "start_time": _milliseconds(start),
        "end_time": _milliseconds(start + timedelta(days=1)),
        **deepcopy(EMPTY),
    }
    dump["users"] = {
        user: {
            "id": user,
            "email_address": f"{user}@example.com",
            "display_name": user,
            "title": "Agent",
            "active": True,
        }
        for user in USERS
    }
    dump["unique_visitors"] = {"v0": {"id": "v0", "custom_id": "user_0", "custom_metadata": {}}}
    return dump


def _delivered(value: str) -> Any:
    if MOMENT.fullmatch(value):
        return _milliseconds(_moment(value))
    return json.loads(value) if value.startswith("{") or value in ("true", "false") else value


def _moment(value: str) -> datetime:
    day, month, hour, minute, second = MOMENT.fullmatch(value).groups("0")  # type: ignore[union-attr]
    midnight = datetime(2026, MONTHS[month], int(day), tzinfo=UTC)
    return midnight + timedelta(hours=int(hour), minutes=int(minute), seconds=float(second))


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def shown(value: Any) -> str:
    """A value of the database as the tables of examples show it."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case datetime():
            seconds = f"{value.second + value.microsecond / 1e6:06.3f}".rstrip("0").rstrip(".")
            tail = "" if seconds == "00" else f":{seconds}"
            return f"{value.day} {value:%B} {value:%H:%M}{tail}"
        case date():
            return f"{value.day} {value:%B}"
        case Decimal():
            return f"{value.normalize():f}"
    return str(value)
