"""Chunks of a collection's entries into columns of text, exactly as the document has them.

The quick way decodes a whole chunk into structs whose field types follow the shape that earlier
entries had. A chunk that does not fit its shape is read the careful way, entry by entry, and
teaches the shape for the chunks after it.
"""

import json
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

from rep_ai.vendor import Collection

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
_AWKWARD_NAME = re.compile(r'[\x00-\x1f"\\]')

_entry_decoder = msgspec.json.Decoder(dict[str, Raw])
_text_decoder = msgspec.json.Decoder(str)


class UnreadableError(ValueError):
    """A text that no table can hold."""


class Rejected(NamedTuple):
    """An entry that is no record: its place, key and JSON text, and why."""

    position: int
    key: str | None
    record: str
    reason: str


class Entry(NamedTuple):
    """One entry of a collection; `text` differs from `parsed` in lone surrogates alone."""

    key: str | None
    parsed: bytes
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
        return self.text is not self.parsed or b"\\u0000" in self.parsed

    def entries(self) -> Iterator[Entry]:
        """Yield the entries in order; of equal keys the last."""
        decoded = msgspec.json.decode(self.parsed, type=dict[str, Raw] if self.is_object else list[Raw])
        pairs = decoded.items() if self.is_object else ((None, raw) for raw in decoded)
        for key, raw in pairs:
            parsed = bytes(raw)
            if self.text is self.parsed:
                yield Entry(key, parsed, parsed)
            else:
                start = offset(raw, self.parsed)
                yield Entry(key, parsed, self.text[start : start + len(parsed)])


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
    count: int


def read(collection: Collection, shape: Shape, chunk: Chunk) -> Rows:
    """Read a chunk; positions count from its first entry."""
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
    columns["_position"] = pa.array(range(len(decoded)), pa.int64())
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
            pc.equal(texts, ""), "", pc.binary_join_element_wise(f",{_quoted(name)}:", texts, "")
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
    same = pc.fill_null(pc.equal(texts, ids), False)  # noqa: FBT003
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
            values = _members(entry)
            record = {name: value_text(values.get(name, b"null")) for name in collection.fields}
            if entry.key is not None and "\0" in entry.key:
                raise UnreadableError("the key holds a NUL character")
        except UnreadableError as error:
            rejected.append(
                Rejected(position, storable(entry.key), entry.text.decode(), str(error))
            )
            continue
        extra = {name: value for name, value in values.items() if name not in record}
        rows["_position"].append(position)
        rows["_key"].append(None if entry.key == record["id"] else entry.key)
        rows["_extra"].append(json_object(extra))
        for name, text in record.items():
            rows[name].append(text)
            if text is not None:
                shape.kinds[name].add(_kind(values[name]))
        shape.extra |= extra.keys()
    columns = {
        name: pa.array(values, pa.int64() if name == "_position" else pa.string())
        for name, values in rows.items()
    }
    return Rows(columns, rejected, keys, count)


def _members(entry: Entry) -> dict[str, bytes]:
    """The fields of an entry with the JSON text of their values; of equal keys the last.

    Raises:
        UnreadableError: the entry is no object, or a field's name holds half a surrogate pair.
    """
    try:
        members = _entry_decoder.decode(entry.parsed)
    except msgspec.ValidationError:
        raise UnreadableError("the entry is not an object") from None
    if entry.text == entry.parsed:
        return {name: bytes(raw) for name, raw in members.items()}
    values, names = {}, bytearray(entry.text)
    for name, raw in members.items():
        span = slice(offset(raw, entry.parsed), offset(raw, entry.parsed) + len(raw))
        values[name] = entry.text[span]
        names[span] = entry.parsed[span]
    if names != entry.parsed:
        raise UnreadableError("the name of a field holds half of a surrogate pair")
    return values


def _kind(value: bytes) -> str:
    if value.startswith(b'"'):
        return "text"
    if value in (b"true", b"false"):
        return "boolean"
    return "integer" if _INTEGER.fullmatch(value) else "raw"


def value_text(value: bytes | Raw) -> str | None:
    """A JSON value as raw tables hold it: text as it reads, null as None, all else as written.

    Raises:
        UnreadableError: a text holds a NUL character or half of a surrogate pair.
    """
    value = bytes(value)
    if value == b"null":
        return None
    if not value.startswith(b'"'):
        return value.decode()
    try:
        text = _text_decoder.decode(value)
    except msgspec.DecodeError:
        raise UnreadableError("a text holds half of a surrogate pair") from None
    if "\0" in text:
        raise UnreadableError("a text holds a NUL character")
    return text


def json_object(members: dict[str, bytes]) -> str | None:
    """The JSON text of an object, in the order of its names; None for none at all."""
    if not members:
        return None
    return (
        "{" + ",".join(f"{_quoted(name)}:{members[name].decode()}" for name in sorted(members)) + "}"
    )


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def storable(key: str | None) -> str | None:
    """A key that any database can hold."""
    return key.replace("\0", "\\u0000") if key is not None else None


def offset(part: Raw, whole: Any) -> int:
    """Where a raw value lies in the buffer that it was decoded from."""
    return int(pa.py_buffer(part).address - pa.py_buffer(whole).address)


def rejected_columns(collection: str, rejected: Iterable[Rejected]) -> dict[str, pa.Array]:
    """Columns of the raw table `rejected_records`."""
    rows = list(rejected)
    return {
        "_position": pa.array([r.position for r in rows], pa.int64()),
        "_key": pa.array([r.key for r in rows], pa.string()),
        "collection": pa.array([collection] * len(rows), pa.string()),
        "record": pa.array([r.record for r in rows], pa.string()),
        "reason": pa.array([r.reason for r in rows], pa.string()),
    }
