"""Chunks of a collection's entries into columns of text, exactly as the document has them.

The quick way decodes a whole chunk into structs whose field types follow the shape that earlier
entries had. A chunk that does not fit its shape is read the careful way, entry by entry, and
teaches the shape for the chunks after it.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw

from rep_ai.dump.chunks import Chunk
from rep_ai.dump.format import RECORD_TABLES, Collection
from rep_ai.dump.json_text import (
    UnreadableError,
    flaw,
    json_object,
    members,
    quoted,
    storable,
    value_text,
)

MAX_EXTRA_FIELDS = 100

_NO_TEXT = pa.scalar(None, pa.string())
# msgspec cannot name a field with one of these
_AWKWARD_NAME = re.compile(r'[\x00-\x1f"\\\ud800-\udfff]')
_entry_decoder = msgspec.json.Decoder(dict[str, Raw])


@dataclass
class Shape:
    """What the entries of a collection have looked like so far."""

    raw: set[str] = field(default_factory=set)  # listed fields that have held more than texts
    extra: set[str] = field(default_factory=set)  # fields that are not listed

    @property
    def is_plain(self) -> bool:
        """Whether the quick way can read it."""
        is_short = len(self.extra) <= MAX_EXTRA_FIELDS
        return is_short and not any(map(_AWKWARD_NAME.search, self.extra))


class Rows(NamedTuple):
    """What a chunk holds."""

    tables: dict[str, pa.Table]  # raw table -> rows, without their delivery
    keys: list[str]
    length: int  # how many entries it has


def read(collection: Collection, shape: Shape, chunk: Chunk) -> Rows:
    """Read a chunk of a collection; positions count from its first entry.

    The shape is that of earlier entries; a chunk that does not fit adds to it.

    Raises:
        msgspec.DecodeError: what the brackets hold is not JSON, so the chunk is cut wrong.
    """
    if shape.is_plain and not chunk.is_delicate:
        try:
            return _read_quickly(collection, shape, chunk)
        except msgspec.ValidationError:
            pass
    return _read_carefully(collection, shape, chunk)


def _read_quickly(collection: Collection, shape: Shape, chunk: Chunk) -> Rows:
    texts = tuple(name for name in collection.fields if name not in shape.raw)
    raw, extra = tuple(sorted(shape.raw)), tuple(sorted(shape.extra))
    decoded = _decoder(texts, raw, extra, collection.is_object).decode(chunk.text)
    keys, records = (list(decoded), decoded.values()) if collection.is_object else ([], decoded)
    attributes = {name: attrgetter(f"field_{i}") for i, name in enumerate(texts + raw + extra)}

    def values(name: str) -> list[Any]:
        return list(map(attributes[name], records))

    columns = {"_delivery_id": pa.nulls(len(decoded), pa.string())}
    columns |= {name: pa.array(values(name), pa.string()) for name in texts}
    columns |= {name: _raw_column(values(name)) for name in raw}
    columns["_extra"] = _extra_column({name: _texts(values(name)) for name in extra}, len(decoded))
    columns["_position"] = pa.arange(0, len(decoded))
    columns["_key"] = _key_column(keys, columns["id"])
    table = pa.table(columns, schema=RECORD_TABLES[collection.name])
    return Rows({collection.name: table}, keys, len(decoded))


@lru_cache
def _decoder(
    texts: tuple[str, ...], raw: tuple[str, ...], extra: tuple[str, ...], is_object: bool
) -> "msgspec.json.Decoder[Any]":
    """A decoder of chunks whose entries have these fields: texts, listed others, all others."""
    types: list[tuple[Any, Any]] = [(str | None, None)] * len(texts)
    types += [(Raw, Raw(b"null"))] * len(raw) + [(Raw, Raw(b""))] * len(extra)
    struct = msgspec.defstruct(
        "Record",
        [(f"field_{i}", *type_) for i, type_ in enumerate(types)],
        rename={f"field_{i}": name for i, name in enumerate(texts + raw + extra)},
        forbid_unknown_fields=True,
        gc=False,
    )
    return msgspec.json.Decoder(dict[str, struct] if is_object else list[struct])  # type: ignore[valid-type]


def _texts(values: list[Raw]) -> pa.Array:
    return pa.array(map(bytes, values), pa.string())


def _raw_column(values: list[Raw]) -> pa.Array:
    texts = _texts(values)
    if pc.any(pc.starts_with(texts, '"')).as_py():
        return pa.array(map(value_text, values), pa.string())
    return pc.if_else(pc.equal(texts, "null"), _NO_TEXT, texts)


def _extra_column(columns: dict[str, pa.Array], count: int) -> pa.Array:
    """The JSON text of the fields that are not listed, in the order of their names."""
    if not columns:
        return pa.nulls(count, pa.string())
    members = [
        pc.if_else(
            pc.equal(texts, ""), "", pc.binary_join_element_wise(f",{quoted(name)}:", texts, "")
        )
        for name, texts in columns.items()
    ]
    joined = pc.binary_join_element_wise("{", *members, "}", "")
    objects = pc.replace_substring(joined, "{,", "{", max_replacements=1)
    return pc.if_else(pc.equal(objects, "{}"), _NO_TEXT, objects)


def _key_column(keys: list[str], ids: pa.Array) -> pa.Array:
    if not keys:
        return pa.nulls(len(ids), pa.string())
    texts = pa.array(keys, pa.string())
    return pc.if_else(pc.fill_null(pc.equal(texts, ids), False), _NO_TEXT, texts)


def _read_carefully(collection: Collection, shape: Shape, chunk: Chunk) -> Rows:
    rows: dict[str, list[dict[str, Any]]] = {collection.name: [], "rejected_records": []}
    entries = chunk.entries()
    for position, (key, text) in enumerate(entries):
        try:
            values = _values(key, text)
            record = {
                name: value_text(values.get(name, b"null"), name) for name in collection.fields
            }
        except UnreadableError as error:
            row = {"_position": position, "_key": storable(key), "collection": collection.name}
            row |= {"record": text.decode(), "reason": str(error)}
            rows["rejected_records"].append(row)
            continue
        shape.raw |= {
            name
            for name, value in record.items()
            if value is not None and not values[name].startswith(b'"')
        }
        extra = {name: value for name, value in values.items() if name not in record}
        if len(shape.extra) <= MAX_EXTRA_FIELDS:
            shape.extra |= extra.keys()
        own = {"_position": position, "_key": None if key == record["id"] else key}
        rows[collection.name].append({**own, **record, "_extra": json_object(extra)})
    tables = {
        name: pa.Table.from_pylist(found, RECORD_TABLES[name]) for name, found in rows.items()
    }
    return Rows(tables, [key for key, _ in entries if key is not None], len(entries))


def _values(key: str | None, text: bytes) -> dict[str, bytes]:
    """The fields of an entry with the JSON text of their values; of equal keys the last.

    Raises:
        UnreadableError: the entry is no object, or no table can hold its key.
    """
    if reason := flaw("the key", key):
        raise UnreadableError(reason)
    if not text.startswith(b"{"):
        raise UnreadableError("the entry is not an object")
    try:
        return {name: bytes(raw) for name, raw in _entry_decoder.decode(text).items()}
    except msgspec.DecodeError:
        return {name: text[span] for name, span in members(text, 0, len(text))}
