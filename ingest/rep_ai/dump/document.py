"""One dump, read in place: a JSON document of any size in, Arrow batches of text columns out.

The document is mapped, never built as Python objects: `msgspec` skips over it to check the grammar
and to find the collections, which are then cut into chunks of whole entries.
"""

import hashlib
import re
from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rep_ai.dump import chunks
from rep_ai.dump.diagnosis import TIME_RANGE_MS, has_version, time_meant, version_meant
from rep_ai.dump.format import COLLECTIONS, HEADER_FIELDS, RECORD_TABLES, Collection
from rep_ai.dump.json_text import UnreadableError, flaw, json_object, storable, value_text
from rep_ai.dump.records import Shape, read
from rep_ai.dump.text import TOO_DEEP, RejectedError, Text

# other entries that are held at once
MAX_ROWS = 100_000

_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)


class EqualKeysError(Exception):
    """Chunks share a key: the last must win, but earlier rows are already yielded."""


@dataclass
class Header:
    """The scalars of a document, as text, and the raw rows it holds."""

    version: str | None = None
    start_time: str | None = None
    end_time: str | None = None
    extra: str | None = None
    # raw table -> rows; None where the collection is absent or null
    counts: dict[str, int | None] = field(default_factory=dict)


class Document:
    """A dump whose grammar, version and window are sound.

    Args:
        path: the decompressed document; it stays mapped.
        supported_major: the only major version that is loaded.

    Attributes:
        delivery_id: SHA-256 of the file's bytes, in hexadecimal.
        header: the scalars; `counts` is whole once `batches` has ended.
        rejection: why the document cannot be loaded, and what to do; else None.
        careful: `batches` keeps each object collection in one piece, at the cost of memory.
    """

    def __init__(self, path: Path, supported_major: int = 1) -> None:
        """Map the document, check it and find its collections."""
        self.header = Header()
        self.rejection: str | None = None
        self.careful = False
        self._collections: list[tuple[Collection, slice]] = []
        self._others: list[tuple[str, slice]] = []
        with path.open("rb") as file, ThreadPoolExecutor(1) as pool:
            self._text = Text(file.fileno())
            self._chunks = chunks.Chunks(self._text)
            digest = pool.submit(hashlib.sha256, self._text.raw)
            try:
                self._text.check()
                self._find_collections()
                self._check_header(supported_major)
            except RejectedError as error:
                self.rejection = str(error)
            self.delivery_id = digest.result().hexdigest()

    @property
    def bytes_read(self) -> int:
        """How much of it `batches` has cut into chunks so far."""
        return self._chunks.bytes_read

    def _find_collections(self) -> None:
        """Tell known collections, unknown ones and scalars apart."""
        known = {c.name: c for c in COLLECTIONS}
        self.header.counts = {**dict.fromkeys(known), "other_entries": 0, "rejected_records": 0}
        scalars: dict[str, bytes] = {}
        size = 0
        for name, span in self._text.members.items():
            first = self._text.raw[span.start : span.start + 1]
            if name in known:
                opening, wanted = (b"{", "object") if known[name].is_object else (b"[", "array")
                if first == opening:
                    self._collections.append((known[name], span))
                    self.header.counts[name] = 0
                elif first != b"n":
                    raise RejectedError(
                        f"`{name}` is not an {wanted}: the shape is not a dump's; check the source"
                    )
            elif first in (b"{", b"[") and not self._text.is_empty(span):
                self._others.append((name, span))
            else:
                size += len(name) + span.stop - span.start
                if size > chunks.MAX_ENTRY_BYTES:
                    raise RejectedError(chunks.TOO_LARGE)
                scalars[name] = self._text.raw[span]
        try:
            for name in HEADER_FIELDS:
                setattr(self.header, name, value_text(scalars.pop(name, b"null"), name))
        except UnreadableError as error:
            raise RejectedError(f"{error}; ask for the dump again") from None
        self.header.extra = json_object(scalars)

    def _check_header(self, supported_major: int) -> None:
        header = self.header
        version = _SEMVER.fullmatch(header.version or "")
        if version is None:
            raise RejectedError(self._no_version())
        if version[1] != str(supported_major):
            raise RejectedError(
                f"version {_shown(header.version)} is not {supported_major}.x, and another major "
                "version may mean something else by its fields; upgrade, then --retry-rejected"
            )
        start, end = read_time(header.start_time), read_time(header.end_time)
        if start is None or end is None or start >= end:
            times = {"start_time": header.start_time, "end_time": header.end_time}
            wrong = {name: time_meant(text) for name, text in times.items() if not read_time(text)}
            told = ", ".join(f"`{name}` is {_shown(text)}" for name, text in times.items())
            to_do = "two epoch milliseconds in order are needed; ask for the dump again"
            if wrong and None not in wrong.values():
                spelled = ", ".join(f"`{name}` as {moment}" for name, moment in wrong.items())
                to_do = f"epoch milliseconds are needed: ask for it with {spelled}"
            raise RejectedError(f"no readable window: {told}, and {to_do}")

    def _no_version(self) -> str:
        """What a document without a semantic version has instead, and what to do."""
        version = self.header.version
        if (meant := version_meant(version, _SEMVER.fullmatch)) is not None:
            return (
                f"`version` is {_shown(version)}, not a semantic version: it can only mean "
                f'{meant}, so ask for the dump with "version": "{meant}"'
            )
        if not self._collections and not self._text.members.keys() & set(HEADER_FIELDS):
            for name, span in self._text.members.items():
                if has_version(self._text.raw, span):
                    return (
                        f"`version` is missing: the dump is within {_shown(name)}, and has to be "
                        "the document itself; take it out"
                    )
            if names := ", ".join(map(_shown, [*self._text.members][:3])):
                return f"`version` is missing, this is no dump: it has {names}; check the source"
        return (
            f"`version` is {_shown(version)}, not a semantic version such as 1.0.0; "
            "ask for the dump again"
        )

    def batches(self) -> Iterator[tuple[str, pa.Table]]:
        """Yield (raw table, rows) for all entries, collection after collection.

        Raises:
            EqualKeysError: set `careful` and start again; what was yielded does not hold.
            RejectedError: likewise, but the document cannot be loaded at all.
        """
        self._chunks.careful = self.careful
        try:
            for collection, span in self._collections:
                yield from self._known(collection, span)
            yield from self._unknown()
        except RecursionError:
            raise RejectedError(TOO_DEEP) from None

    def _known(self, collection: Collection, span: slice) -> Iterator[tuple[str, pa.Table]]:
        hashes, position = array("q"), 0
        for rows in self._chunks.each(span, partial(read, collection, Shape())):
            hashes.extend(map(hash, rows.keys))
            for name, table in rows.tables.items():
                yield from self._whole(name, table, position)
            position += rows.length
        self._check_keys(hashes)

    def _check_keys(self, hashes: "array[int]") -> None:
        """See that no key stands twice in a collection, at eight bytes a key."""
        # in one piece the decoder keeps the last of equal keys
        if not self.careful:
            distinct = pc.count_distinct(pa.array(hashes, pa.int64()))
            if distinct.as_py() < len(hashes):
                raise EqualKeysError

    def _unknown(self) -> Iterator[tuple[str, pa.Table]]:
        """Read the collections that are not known, small ones together."""
        tables: dict[str, list[dict[str, Any]]] = {"other_entries": [], "rejected_records": []}
        size = 0
        for name, span in self._others:
            hashes, position = array("q"), 0
            for entries in self._chunks.each(span, chunks.Chunk.entries):
                hashes.extend(hash(key) for key, _ in entries if key is not None)
                for at, (key, text) in enumerate(entries, position):
                    flaws = flaw("the name of the collection", name), flaw("the key", key)
                    row = {"_position": at, "_key": storable(key), "record": text.decode()}
                    row |= {"collection": storable(name), "reason": "; ".join(filter(None, flaws))}
                    tables["rejected_records" if any(flaws) else "other_entries"].append(row)
                position += len(entries)
                size += sum(len(text) for _, text in entries)
                if size >= chunks.CHUNK_BYTES or len(tables["other_entries"]) >= MAX_ROWS:
                    yield from self._made(tables)
                    size = 0
            self._check_keys(hashes)
        yield from self._made(tables)

    def _made(self, rows: dict[str, list[dict[str, Any]]]) -> Iterator[tuple[str, pa.Table]]:
        """Make tables of the rows, and forget the rows."""
        for name, found in rows.items():
            yield from self._whole(name, pa.Table.from_pylist(found, RECORD_TABLES[name]))
            found.clear()

    def _whole(
        self, name: str, rows: pa.Table, position: int = 0
    ) -> Iterator[tuple[str, pa.Table]]:
        """The rows, if there are any, with their delivery; positions count from this one."""
        if rows:
            self.header.counts[name] = (self.header.counts[name] or 0) + len(rows)
            positions = pc.add(rows["_position"], position)
            delivered = rows.set_column(0, "_delivery_id", pa.repeat(self.delivery_id, len(rows)))
            yield name, delivered.set_column(1, "_position", positions)


def read_time(text: str | None) -> int | None:
    """Epoch milliseconds written as digits alone, from 2000 up to 2100; else None."""
    if text is None or not text.isascii() or not text.isdigit():
        return None
    digits = text.lstrip("0").rjust(1, "0")
    return int(digits) if len(digits) < 14 and int(digits) in TIME_RANGE_MS else None


def _shown(text: str | None) -> str:
    return "missing" if text is None else repr(text if len(text) <= 40 else text[:37] + "...")
