"""A document from the raw tables alone, and by Python's own JSON reader."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from oracle.dumps import FIELDS, KIND
from oracle.json_text import as_text, entries_of, members, read_json, storable

HEADER = ("version", "start_time", "end_time")


def json_members(text: str | None) -> dict[str, str]:
    """The members of a JSON object with the spelling of their values."""
    if text is None:
        return {}
    value = read_json(text)
    found = members(value)
    assert value is not None and value[0] == "{" and list(found) == sorted(found)
    return found


def raw_text(text: str | None, reason: str, what: str) -> str | None:
    """A name as the document has it."""
    return json.loads(f'"{text}"') if what in reason else text


def rebuilt(delivery_id: str, header: Any, tables: Mapping[str, pa.Table]) -> dict[str, Any]:
    """What the raw tables say of a document.

    Args:
        delivery_id: which every row bears.
        header: has the attributes of `document.Header`.
        tables: the rows of this document in all tables of records.
    """
    entries: dict[str, dict[int, tuple[Any, ...]]] = defaultdict(dict)

    def add(collection: str, row: dict[str, Any], *entry: Any) -> None:
        assert row["_delivery_id"] == delivery_id
        assert row["_position"] not in entries[collection]
        entries[collection][row["_position"]] = entry

    for collection, fields in FIELDS.items():
        if header.counts[collection] is not None:
            entries[collection] = {}
        for row in tables[collection].to_pylist():
            assert row["_key"] is None or row["_key"] != row["id"]
            key = row["_key"] if row["_key"] is not None else row["id"]
            assert KIND[collection] is dict or row["_key"] is None
            listed = {name: row[name] for name in fields if row[name] is not None}
            key = key if KIND[collection] is dict else None
            add(collection, row, key, listed, json_members(row["_extra"]))
    for row in tables["other_entries"].to_pylist():
        assert row["collection"] not in FIELDS
        add(row["collection"], row, row["_key"], row["record"])
    for row in tables["rejected_records"].to_pylist():
        name = raw_text(row["collection"], row["reason"], "the name of the collection")
        assert name is not None and row["reason"]
        add(name, row, raw_text(row["_key"], row["reason"], "the key"), row["record"])
    for collection, rows in entries.items():
        assert set(rows) == set(range(len(rows))), collection
    return {
        "header": {name: getattr(header, name) for name in HEADER},
        "extra": json_members(header.extra),
        "collections": {
            name: [rows[position] for position in sorted(rows)] for name, rows in entries.items()
        },
    }


def read_plainly(content: bytes) -> dict[str, Any]:
    """The same by Python's own JSON reader."""
    found = members(read_json(content.decode("utf-8-sig")))
    assert found
    said: dict[str, Any] = {
        "header": {name: as_text(found.pop(name, None)) for name in HEADER},
        "extra": {},
        "collections": {},
    }
    for name, value in found.items():
        entries = entries_of(value) if value[0] in "{[" else []
        if name in FIELDS:
            if value != "null":
                said["collections"][name] = [plain_entry(name, *entry) for entry in entries]
        elif entries:
            said["collections"][name] = entries
        else:
            said["extra"][name] = value
    return said


def plain_entry(collection: str, key: str | None, entry: str) -> tuple[Any, ...]:
    """An entry of a known collection: its fields, or its text where no table can hold it."""
    fields = members(entry)
    texts = {name: as_text(fields.pop(name, None)) for name in FIELDS[collection]}
    if entry[0] != "{" or not all(map(storable, (key, *texts.values()))):
        return key, entry
    return key, {name: text for name, text in texts.items() if text is not None}, fields
