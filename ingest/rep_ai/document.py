"""One dump, read in place: a JSON document of any size in, Arrow batches of text columns out.

The document is mapped, never built as Python objects: `msgspec` skips over it to check the grammar
and to find the collections, which are then cut into chunks of whole entries.
"""

import hashlib
import mmap
import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw

from rep_ai.records import (
    Chunk,
    Shape,
    UnreadableError,
    flaw,
    json_object,
    members,
    offset,
    read,
    row_columns,
    separators,
    storable,
    value_text,
)
from rep_ai.vendor import COLLECTIONS, HEADER_FIELDS, Collection

CHUNK_BYTES = 16 << 20
# the first chunk teaches the shape of the entries
FIRST_CHUNK_BYTES = 64 << 10
# other entries that are held at once
MAX_ROWS = 100_000
# where no cut could be guessed
FOUND_CHUNK_BYTES = 1 << 20
# so many guesses cost about as much as to count the brackets
GUESSES = 8
# a value is held some ten times over on its way, and PostgreSQL takes rows below 1 GB only
MAX_ENTRY_BYTES = 256 << 20
# an Arrow string column and a Parquet page hold no more
MAX_CHUNK_BYTES = (1 << 31) - (1 << 20)

T = TypeVar("T")

# 2000-01-01 to 2100-01-01 UTC
TIME_RANGE_MS = range(946_684_800_000, 4_102_444_800_000)

_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_TOO_DEEP = "values are nested deeper than can be read, some 900 levels; tell the vendor"
_TOO_LARGE = (
    "an entry or the unknown values are larger than 256 MB, or a collection with equal keys than "
    "2 GB; ask for the night again"
)
# what a dump may be mistaken for, by its first bytes
_OTHER_KINDS = {
    "compressed twice": (b"\x1f\x8b", b"\x28\xb5\x2f\xfd"),
    "a zip archive": (b"PK\x03\x04",),
    "compressed by bzip2, not by gzip or zstd": (b"BZh",),
}
_BLANK = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*")
# what JSON has no words for, and some libraries write
_NO_NUMBER = re.compile(rb"-?(NaN|Infinity)")
_SPACE = re.compile(rb"[ \t\r\n]*")
_END_OF_OBJECT = re.compile(rb"\}[ \t\r\n]*,")
# an escape; group 1 where it is a surrogate without its other half
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|\\(u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)

_OWN = [("_delivery_id", pa.string()), ("_position", pa.int64()), ("_key", pa.string())]
RECORD_TABLES: dict[str, pa.Schema] = {
    **{
        c.name: pa.schema(
            [*_OWN, *((name, pa.string()) for name in c.fields), ("_extra", pa.string())]
        )
        for c in COLLECTIONS
    },
    "other_entries": pa.schema([*_OWN, ("collection", pa.string()), ("record", pa.string())]),
    "rejected_records": pa.schema(
        [*_OWN, ("collection", pa.string()), ("record", pa.string()), ("reason", pa.string())]
    ),
}


class RejectedError(Exception):
    """The document cannot be loaded; the message says what is wrong and what to do."""


class EqualKeysError(Exception):
    """Chunks of one collection share a key, so that the last one cannot be told in time."""


@dataclass
class Header:
    """The scalars of a document, as text, and the raw rows it holds."""

    version: str | None = None
    start_time: str | None = None
    end_time: str | None = None
    extra: str | None = None
    # raw table -> rows; None where the collection is absent or null
    counts: dict[str, int | None] = field(default_factory=dict)


class _Span(NamedTuple):
    start: int
    end: int


class Document:
    """A dump whose grammar, version and window are sound.

    Args:
        path: the decompressed document; it stays mapped.
        supported_major: the only major version that is loaded.

    Attributes:
        delivery_id: SHA-256 of the file's bytes, in hexadecimal.
        header: the scalars; `counts` is whole once `batches` has ended.
        rejection: why the document cannot be loaded, and what to do; else None.
        bytes_read: how much of it `batches` has cut into chunks so far.
    """

    def __init__(self, path: Path, supported_major: int = 1) -> None:
        """Map the document, check it and find its collections."""
        self.header = Header()
        self.rejection: str | None = None
        self.bytes_read = 0
        # keep each object collection in one piece, at the cost of memory
        self.careful = False
        self._collections: list[tuple[Collection, _Span]] = []
        self._others: list[tuple[str, _Span]] = []
        if path.stat().st_size == 0:
            self.delivery_id = hashlib.sha256(b"").hexdigest()
            self.rejection = "the file is empty; ask for the night again"
            return
        with path.open("rb") as file, ThreadPoolExecutor(1) as pool:
            self._text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            digest = pool.submit(hashlib.sha256, self._text)
            self._parsed = self._text
            # offsets of the surrogates that lack their other half, in order
            self._damage = array("q")
            try:
                self._check_encoding()
                self._check_grammar(file.fileno())
                self._find_collections()
                self._check_header(supported_major)
            except RejectedError as error:
                self.rejection = str(error)
            self.delivery_id = digest.result().hexdigest()

    def _check_encoding(self) -> None:
        start = self._text[:4]
        for kind, marks in _OTHER_KINDS.items():
            if start.startswith(marks):
                raise RejectedError(f"the document is {kind}; check the source")
        is_wide = b"\0" in (start[1:2], start[2:3])
        if is_wide or start[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise RejectedError(
                "the text is UTF-16 or UTF-32, and a dump is JSON in UTF-8; ask for the night again"
            )
        blank = _BLANK.match(self._text)
        if blank and blank.end() == len(self._text):
            raise RejectedError("the file is empty; ask for the night again")
        whole = pa.array([0, len(self._text)], pa.int64()).buffers()[1]
        try:
            pa.LargeStringArray.from_buffers(1, whole, pa.py_buffer(self._text)).validate(full=True)
        except pa.ArrowInvalid:
            raise RejectedError(
                "the text is not UTF-8, and a dump is JSON in UTF-8; ask for the night again"
            ) from None

    def _check_grammar(self, fileno: int) -> None:
        """Check the grammar of the whole document and find its members."""
        try:
            try:
                self._members = self._decoded()
            except msgspec.ValidationError:
                raise
            except msgspec.DecodeError:
                self._damage.extend(m.start() for m in _ESCAPE.finditer(self._text) if m[1])
                if not self._damage:
                    raise
                self._parsed = self._mended(fileno)
                self._members = self._decoded()
                # names are not whole: read them from what they are cut of
                if sum(map(len, map(self._damage_within, self._members.values()))) < len(
                    self._damage
                ):
                    spans = members(self._text, self._text.find(b"{"), self._text.rfind(b"}") + 1)
                    self._members = {name: _Span(s.start, s.stop) for name, s in spans.items()}
        except msgspec.ValidationError:
            raise RejectedError(
                "the document is not a JSON object: it is no dump; check the source"
            ) from None
        except msgspec.DecodeError as error:
            why = str(error).removeprefix("JSON is malformed: ")
            why = why[:1].lower() + why[1:]
            place = re.search(r"byte (\d+)", why)
            at = int(place[1]) + self._offset() if place else 0
            if place and (found := _NO_NUMBER.search(self._text, max(at - 1, 0), at + 10)):
                why = f"{found[0].decode()} is no number ({place[0]})"
            raise RejectedError(f"not JSON: {why}; ask for the night again") from None
        except RecursionError:
            raise RejectedError(_TOO_DEEP) from None

    def _offset(self) -> int:
        return len(_BYTE_ORDER_MARK) if self._text[:3] == _BYTE_ORDER_MARK else 0

    def _decoded(self) -> "dict[str, _Span]":
        start = self._offset()
        decoded = msgspec.json.decode(memoryview(self._parsed)[start:], type=dict[str, Raw])
        starts = {name: offset(raw, self._parsed) for name, raw in decoded.items()}
        return {name: _Span(at, at + len(decoded[name])) for name, at in starts.items()}

    def _mended(self, fileno: int) -> mmap.mmap:
        """A private copy whose lone surrogates are replacement characters, byte for byte.

        RFC 8259 lets them stand, msgspec does not. Only the pages that change are copied.
        """
        copy = mmap.mmap(fileno, 0, access=mmap.ACCESS_COPY)
        for at in self._damage:
            copy[at : at + 6] = b"\\ufffd"
        return copy

    def _find_collections(self) -> None:
        """Tell known collections, unknown ones and scalars apart."""
        known = {c.name: c for c in COLLECTIONS}
        self.header.counts = {**dict.fromkeys(known), "other_entries": 0, "rejected_records": 0}
        scalars: dict[str, bytes] = {}
        size = 0
        for name, span in self._members.items():
            first = self._text[span.start : span.start + 1]
            if name in known:
                if first == (b"{" if known[name].is_object else b"["):
                    self._collections.append((known[name], span))
                    self.header.counts[name] = 0
                elif first != b"n":
                    wanted = "an object" if known[name].is_object else "an array"
                    raise RejectedError(
                        f"`{name}` is not {wanted}: the shape is not a dump's; check the source"
                    )
            elif first in (b"{", b"[") and not self._is_empty(span):
                self._others.append((name, span))
            else:
                size += len(name) + span.end - span.start
                if size > MAX_ENTRY_BYTES:
                    raise RejectedError(_TOO_LARGE)
                scalars[name] = self._text[span.start : span.end]
        try:
            for name in HEADER_FIELDS:
                setattr(self.header, name, value_text(scalars.pop(name, b"null"), name))
        except UnreadableError as error:
            raise RejectedError(f"{error}; ask for the night again") from None
        self.header.extra = json_object(scalars)

    def _is_empty(self, span: _Span) -> bool:
        inner = _SPACE.match(self._parsed, span.start + 1)
        return inner is not None and inner.end() == span.end - 1

    def _damage_within(self, span: _Span) -> "array[int]":
        low, high = (bisect_left(self._damage, at) for at in span)
        return self._damage[low:high]

    def _check_header(self, supported_major: int) -> None:
        header = self.header
        version = _SEMVER.fullmatch(header.version or "")
        if version is None:
            raise RejectedError(
                f"`version` is {_shown(header.version)}, not a semantic version such as 1.0.0; "
                "ask for the night again"
            )
        if version[1] != str(supported_major):
            raise RejectedError(
                f"version {_shown(header.version)} is not {supported_major}.x, and another major "
                "version may mean something else by its fields; upgrade, then --retry-rejected"
            )
        start, end = read_time(header.start_time), read_time(header.end_time)
        if start is None or end is None or start >= end:
            raise RejectedError(
                f"no readable window: `start_time` is {_shown(header.start_time)}, `end_time` "
                f"{_shown(header.end_time)}, and two epoch milliseconds in order are needed; "
                "ask for the night again"
            )

    def batches(self) -> Iterator[tuple[str, pa.Table]]:
        """Yield (raw table, rows) for all entries, collection after collection.

        Raises:
            EqualKeysError: set `careful` and start again; what was yielded does not hold.
            RejectedError: likewise, but the document cannot be loaded at all.
        """
        try:
            for collection, span in self._collections:
                yield from self._known(collection, span)
            yield from self._unknown()
        except RecursionError:
            raise RejectedError(_TOO_DEEP) from None

    def _known(self, collection: Collection, span: _Span) -> Iterator[tuple[str, pa.Table]]:
        shape = Shape({name: set() for name in collection.fields})
        keys = _Keys()
        position = 0
        for rows in self._each_chunk(span, partial(read, collection, shape)):
            keys.add(rows.keys)
            if len(rows.columns["_position"]):
                yield collection.name, self._table(collection.name, rows.columns, position)
            if rows.rejected:
                columns = row_columns(rows.rejected)
                yield "rejected_records", self._table("rejected_records", columns, position)
            position += rows.length
        keys.check()

    def _unknown(self) -> Iterator[tuple[str, pa.Table]]:
        """Read the collections that are not known, small ones together."""
        others: list[tuple[Any, ...]] = []
        rejected: list[tuple[Any, ...]] = []
        size = 0
        for name, span in self._others:
            keys, position = _Keys(), 0
            for entries in self._each_chunk(span, lambda chunk: list(chunk.entries())):
                keys.add([entry.key for entry in entries if entry.key is not None])
                for entry in entries:
                    row = (position, storable(entry.key), storable(name), entry.text.decode())
                    flaws = flaw("the name of the collection", name), flaw("the key", entry.key)
                    if any(flaws):
                        rejected.append((*row, "; ".join(filter(None, flaws))))
                    else:
                        others.append(row)
                    position += 1
                size += sum(len(entry.text) for entry in entries)
                if size >= CHUNK_BYTES or len(others) >= MAX_ROWS:
                    yield from self._tables(others, rejected)
                    size = 0
            keys.check()
        yield from self._tables(others, rejected)

    def _tables(
        self, others: list[tuple[Any, ...]], rejected: list[tuple[Any, ...]]
    ) -> Iterator[tuple[str, pa.Table]]:
        """Make tables of the rows, and forget the rows."""
        for name, rows in (("other_entries", others), ("rejected_records", rejected)):
            if rows:
                yield name, self._table(name, row_columns(rows), 0)
                rows.clear()

    def _each_chunk(self, span: _Span, read: Callable[[Chunk], T]) -> Iterator[T]:
        """Cut a collection into chunks of whole entries and read each.

        A cut is a guess that reading proves: what stands between the start of an entry and the
        cut is JSON with the closing bracket behind it only if the cut ends an entry.
        """
        brackets = self._parsed[span.start : span.start + 1], self._parsed[span.end - 1 : span.end]
        start, end = span.start + 1, span.end - 1
        size, guess = FIRST_CHUNK_BYTES, True
        if self._is_empty(span):
            return
        while start < end:
            is_whole = end - start <= size or (self.careful and brackets[0] == b"{")
            for cut in () if is_whole or not guess else self._guesses(start, end, size):
                try:
                    found = read(self._chunk(start, cut, brackets))
                except msgspec.DecodeError:
                    continue
                break
            else:
                guess = is_whole
                cut = end if is_whole else self._found(start, end, min(size, FOUND_CHUNK_BYTES))
                found = read(self._chunk(start, cut, brackets))
            self.bytes_read += cut - start
            yield found
            # behind the comma
            start, size = cut + 1, CHUNK_BYTES

    def _chunk(self, start: int, cut: int, brackets: tuple[bytes, bytes]) -> Chunk:
        # careful reading comes after one that has seen each entry
        if cut - start > (MAX_CHUNK_BYTES if self.careful else MAX_ENTRY_BYTES):
            raise RejectedError(_TOO_LARGE)
        parsed = _framed(self._parsed, start, cut, brackets)
        if not self._damage_within(_Span(start, cut)):
            return Chunk(parsed, parsed)
        # what is damaged is not read as JSON
        msgspec.json.decode(parsed, type=Raw)
        return Chunk(parsed, _framed(self._text, start, cut, brackets))

    def _guesses(self, start: int, end: int, size: int) -> Iterator[int]:
        """Commas that may be behind an entry that ends after about so many bytes."""
        search = start + size
        for _ in range(GUESSES):
            found = _END_OF_OBJECT.search(self._parsed, search, min(end, search + CHUNK_BYTES))
            if found is None:
                if end - search <= FOUND_CHUNK_BYTES:
                    yield end
                return
            yield found.end() - 1
            search = found.end()

    def _found(self, start: int, end: int, size: int) -> int:
        """The first comma between entries after so many bytes, by counting all brackets."""
        return next((at for at in separators(self._parsed, start, end) if at >= start + size), end)

    def _table(self, name: str, columns: dict[str, pa.Array], position: int) -> pa.Table:
        count = len(columns["_position"])
        self.header.counts[name] = (self.header.counts[name] or 0) + count
        columns["_delivery_id"] = pa.repeat(self.delivery_id, count)
        columns["_position"] = pc.add(columns["_position"], position)
        schema = RECORD_TABLES[name]
        return pa.table([columns[column] for column in schema.names], schema=schema)


class _Keys:
    """Whether any key stands twice in a collection, at eight bytes a key."""

    def __init__(self) -> None:
        self._hashes = array("q")
        self._chunks = 0

    def add(self, keys: list[str]) -> None:
        self._chunks += 1
        self._hashes.extend(map(hash, keys))

    def check(self) -> None:
        # within one chunk the decoder has seen to it
        if self._chunks > 1 and len(self._hashes):
            hashes = pa.array(self._hashes, pa.int64())
            if pc.count_distinct(hashes).as_py() < len(hashes):
                raise EqualKeysError


def read_time(text: str | None) -> int | None:
    """Epoch milliseconds written as digits alone, from 2000 up to 2100; else None."""
    if text is None or not text.isascii() or not text.isdigit():
        return None
    digits = text.lstrip("0").rjust(1, "0")
    return int(digits) if len(digits) < 14 and int(digits) in TIME_RANGE_MS else None


def _framed(text: mmap.mmap, start: int, end: int, brackets: tuple[bytes, bytes]) -> bytes:
    with memoryview(text) as view:
        return b"".join((brackets[0], view[start:end], brackets[1]))


def _shown(text: str | None) -> str:
    return "missing" if text is None else repr(text if len(text) <= 40 else text[:37] + "...")
