"""Chunks of a collection's entries into columns of text, exactly as the document has them.

The quick way decodes a whole chunk into structs whose field types follow the shape that earlier
entries had. A chunk that does not fit its shape is read the careful way, entry by entry, and
teaches the shape for the chunks after it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import Annotated, Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Meta, Raw

from rep_ai.dump.format import Collection
from rep_ai.dump.json_text import (
    UnreadableError,
    flaw,
    json_object,
    members,
    offset,
    quoted,
    storable,
    value_text,
)

MAX_EXTRA_FIELDS = 100

# no JSON text can hold this character
SEPARATOR = b"\x1e"
ABSENT = Raw(b"")
NULL = Raw(b"null")

_FIELD_TYPES: dict[str, Any] = {
    "text": str | None,
    # the text of these integers follows from their value; not so for -0 or beyond 64 bits
    "integer": Annotated[int, Meta(gt=0, lt=1 << 62)] | None,
    "boolean": bool | None,
    "raw": Raw,
}
_INTEGER = re.compile(rb"[1-9][0-9]{0,17}")
# msgspec cannot name a field with one of these
_AWKWARD_NAME = re.compile(r'[\x00-\x1f"\\\ud800-\udfff]')
_entry_decoder = msgspec.json.Decoder(dict[str, Raw])


class Rejected(NamedTuple):
    """An entry that is no record: its place, key, collection and JSON text, and why."""

    position: int
    key: str | None
    collection: str
    record: str
    reason: str


class Entry(NamedTuple):
    """One entry of a collection: its key, if it has one, and its JSON text."""

    key: str | None
    text: bytes


@dataclass(frozen=True)
class Chunk:
    """Whole entries of one collection, in the collection's own brackets.

    Attributes:
        parsed: the entries as JSON that msgspec reads.
        text: the same bytes as the document has them.
    """

    parsed: bytes
    text: bytes

    @property
    def is_object(self) -> bool:
        """Whether entries have keys."""
        return self.parsed.startswith(b"{")

    @property
    def is_delicate(self) -> bool:
        """Whether a text may hold what no table can: a lone surrogate or a NUL character."""
        # one byte is found sooner than six
        has_nul = b"\\" in self.parsed and b"\\u0000" in self.parsed
        return self.text is not self.parsed or has_nul

    def entries(self) -> Iterator[Entry]:
        """Yield the entries in order; of equal keys the last."""
        if not self.is_object:
            for raw in msgspec.json.decode(self.parsed, type=list[Raw]):
                start = offset(raw, self.parsed)
                yield Entry(None, self.text[start : start + len(raw)])
        elif self.text is self.parsed:
            for key, raw in msgspec.json.decode(self.parsed, type=dict[str, Raw]).items():
                yield Entry(key, bytes(raw))
        else:
            for key, value in members(self.text, 0, len(self.text)).items():
                yield Entry(key, self.text[value])


@dataclass
class Shape:
    """What the entries of a collection have looked like so far."""

    # listed field -> kinds of values seen
    kinds: dict[str, set[str]]
    extra: set[str] = field(default_factory=set)

    @property
    def is_plain(self) -> bool:
        """Whether the quick way can read it."""
        return (
            any(self.kinds.values())
            and len(self.extra) <= MAX_EXTRA_FIELDS
            and not any(map(_AWKWARD_NAME.search, self.extra))
        )

    @property
    def signature(self) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
        """(listed field, type) pairs and the names of the other fields."""
        listed = tuple(
            (name, seen.copy().pop() if len(seen) == 1 else "raw" if seen else "text")
            for name, seen in self.kinds.items()
        )
        return listed, tuple(sorted(self.extra))


class Rows(NamedTuple):
    """What a chunk holds: columns of its records, the other entries, its keys and its length."""

    columns: dict[str, pa.Array]
    rejected: list[Rejected]
    keys: list[str]
    length: int


def read(collection: Collection, shape: Shape, chunk: Chunk) -> Rows:
    """Read a chunk.

    Args:
        collection: whose entries they are.
        shape: what earlier entries have looked like; a chunk that does not fit adds to it.
        chunk: the entries.

    Returns:
        What it holds; positions count from its first entry.

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
    listed, extra = shape.signature
    decoded = _struct_decoder(listed, extra, collection.is_object).decode(chunk.parsed)
    keys, records = (list(decoded), decoded.values()) if collection.is_object else ([], decoded)
    columns = {
        name: _column(kind, list(map(attrgetter(f"listed_{i}"), records)))
        for i, (name, kind) in enumerate(listed)
    }
    columns["_extra"] = _extra_column(
        {
            name: _joined(list(map(attrgetter(f"extra_{i}"), records)))
            for i, name in enumerate(extra)
        },
        len(decoded),
    )
    columns["_position"] = pa.arange(0, len(decoded))
    columns["_key"] = _key_column(keys, columns["id"])
    return Rows(columns, [], keys, len(decoded))


@lru_cache
def _struct_decoder(
    listed: tuple[tuple[str, str], ...], extra: tuple[str, ...], is_object: bool
) -> "msgspec.json.Decoder[Any]":
    fields: list[tuple[str, Any, Any]] = [
        (f"listed_{i}", _FIELD_TYPES[kind], NULL if kind == "raw" else None)
        for i, (_, kind) in enumerate(listed)
    ]
    fields += [(f"extra_{i}", Raw, ABSENT) for i in range(len(extra))]
    names = [name for name, _ in listed] + list(extra)
    struct = msgspec.defstruct(
        "Record",
        fields,
        rename={f[0]: name for f, name in zip(fields, names, strict=True)},
        forbid_unknown_fields=True,
        gc=False,
    )
    return msgspec.json.Decoder(dict[str, struct] if is_object else list[struct])  # type: ignore[valid-type]


def _column(kind: str, values: list[Any]) -> pa.Array:
    match kind:
        case "text":
            return pa.array(values, pa.string())
        case "integer":
            return pc.cast(pa.array(values, pa.int64()), pa.string())
        case "boolean":
            return pc.cast(pa.array(values, pa.bool_()), pa.string())
    texts = _joined(values)
    if pc.any(pc.starts_with(texts, '"')).as_py():
        return pa.array(map(value_text, values), pa.string())
    return pc.if_else(pc.equal(texts, "null"), pa.scalar(None, pa.string()), texts)


def _joined(values: list[Raw]) -> pa.Array:
    """The values' JSON text, without a Python object for each."""
    joined = SEPARATOR.join(values)
    scalar = pa.LargeStringArray.from_buffers(
        1, pa.array([0, len(joined)], pa.int64()).buffers()[1], pa.py_buffer(joined)
    )
    return pc.cast(pc.split_pattern(scalar, SEPARATOR.decode()).values, pa.string())


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
    return pc.if_else(pc.equal(objects, "{}"), pa.scalar(None, pa.string()), objects)


def _key_column(keys: list[str], ids: pa.Array) -> pa.Array:
    if not keys:
        return pa.nulls(len(ids), pa.string())
    texts = pa.array(keys, pa.string())
    same = pc.fill_null(pc.equal(texts, ids), False)
    return pc.if_else(same, pa.scalar(None, pa.string()), texts)


def _read_carefully(collection: Collection, shape: Shape, chunk: Chunk) -> Rows:
    rows: dict[str, list[Any]] = {
        name: [] for name in ("_position", "_key", *collection.fields, "_extra")
    }
    rejected: list[Rejected] = []
    keys: list[str] = []
    count = 0
    for position, entry in enumerate(chunk.entries()):
        count += 1
        if entry.key is not None:
            keys.append(entry.key)
        try:
            values = _values(entry)
            record = {
                name: value_text(values.get(name, b"null"), name) for name in collection.fields
            }
        except UnreadableError as error:
            where = position, storable(entry.key), collection.name
            rejected.append(Rejected(*where, entry.text.decode(), str(error)))
            continue
        extra = {name: value for name, value in values.items() if name not in record}
        rows["_position"].append(position)
        rows["_key"].append(None if entry.key == record["id"] else entry.key)
        rows["_extra"].append(json_object(extra))
        for name, text in record.items():
            rows[name].append(text)
            if text is not None:
                shape.kinds[name].add(_kind(values[name]))
        if len(shape.extra) <= MAX_EXTRA_FIELDS:
            shape.extra |= extra.keys()
    columns = {
        name: pa.array(values, pa.int64() if name == "_position" else pa.string())
        for name, values in rows.items()
    }
    return Rows(columns, rejected, keys, count)


def _values(entry: Entry) -> dict[str, bytes]:
    """The fields of an entry with the JSON text of their values; of equal keys the last.

    Raises:
        UnreadableError: the entry is no object, or no table can hold its key.
    """
    if reason := flaw("the key", entry.key):
        raise UnreadableError(reason)
    if not entry.text.startswith(b"{"):
        raise UnreadableError("the entry is not an object")
    try:
        return {name: bytes(raw) for name, raw in _entry_decoder.decode(entry.text).items()}
    except msgspec.DecodeError:
        spans = members(entry.text, 0, len(entry.text))
        return {name: entry.text[value] for name, value in spans.items()}


def _kind(value: bytes) -> str:
    if value.startswith(b'"'):
        return "text"
    if value in (b"true", b"false"):
        return "boolean"
    return "integer" if _INTEGER.fullmatch(value) else "raw"


def row_columns(rows: Iterable[tuple[Any, ...]]) -> dict[str, pa.Array]:
    """Columns of `other_entries` or, with a reason, of `rejected_records`."""
    names = ("_position", "_key", "collection", "record", "reason")
    return {
        name: pa.array(values, pa.int64() if name == "_position" else pa.string())
        for name, values in zip(names, zip(*rows, strict=True), strict=False)
    }
