"""A collection cut into chunks of whole entries, without reading it twice."""

import mmap
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from msgspec import Raw

from rep_ai.dump.json_text import members, separators
from rep_ai.dump.text import RejectedError, Text

CHUNK_BYTES = 16 << 20
# the first chunk teaches the shape of the entries
FIRST_CHUNK_BYTES = 64 << 10
# size of a chunk where no cut could be guessed
FOUND_CHUNK_BYTES = 1 << 20
# so many guesses cost about as much as to count the brackets
GUESSES = 8
# a value is held some ten times over on its way, and PostgreSQL takes rows below 1 GB only
MAX_ENTRY_BYTES = 256 << 20
# an Arrow string column and a Parquet page hold no more
MAX_CHUNK_BYTES = (1 << 31) - (1 << 20)
TOO_LARGE = (
    "an entry or the unknown values are larger than 256 MB, or a collection with equal keys than "
    "2 GB; ask for the dump again"
)

_END_OF_OBJECT = re.compile(rb"\}[ \t\r\n]*,")

T = TypeVar("T")


@dataclass(frozen=True)
class Chunk:
    """Whole entries of one collection, in the collection's own brackets."""

    text: bytes
    is_damaged: bool  # msgspec does not read it, as it holds surrogates without their other half

    @property
    def is_delicate(self) -> bool:
        """Whether a text may hold what no table can: a lone surrogate or a NUL character."""
        # one byte is found sooner than six
        return self.is_damaged or (b"\\" in self.text and b"\\u0000" in self.text)

    def entries(self) -> list[tuple[str | None, bytes]]:
        """Key, if there are keys, and JSON text of each entry; of equal keys the last."""
        has_keys = self.text.startswith(b"{")
        if self.is_damaged:
            found = [(key, self.text[at]) for key, at in members(self.text, 0, len(self.text))]
            return [*dict(found).items()] if has_keys else [(None, text) for _, text in found]
        if has_keys:
            values = msgspec.json.decode(self.text, type=dict[str, Raw])
            return [(key, bytes(raw)) for key, raw in values.items()]
        return [(None, bytes(raw)) for raw in msgspec.json.decode(self.text, type=list[Raw])]


@dataclass
class Chunks:
    """Chunks of the collections of one document."""

    text: Text
    careful: bool = False  # keep each object collection in one piece, at the cost of memory
    bytes_read: int = 0  # how much was cut so far

    def each(self, span: slice, read: Callable[[Chunk], T]) -> Iterator[T]:
        """Cut a collection into chunks of whole entries and give what `read` makes of each.

        A cut is a guess that reading proves: what stands between the start of an entry and the
        cut is JSON with the closing bracket behind it only if the cut ends an entry.

        Raises:
            RejectedError: an entry is too large.
        """
        if self.text.is_empty(span):
            return
        raw = self.text.raw
        brackets = raw[span.start : span.start + 1], raw[span.stop - 1 : span.stop]
        start, end = span.start + 1, span.stop - 1
        size, guess = FIRST_CHUNK_BYTES, True
        while start < end:
            is_whole = end - start <= size or (self.careful and brackets[0] == b"{")
            for cut in () if is_whole or not guess else self._guesses(start, end, size):
                try:
                    found = read(self._chunk(slice(start, cut), brackets))
                except msgspec.DecodeError:
                    continue
                break
            else:
                guess = is_whole
                cut = end if is_whole else self._found(start, end, min(size, FOUND_CHUNK_BYTES))
                found = read(self._chunk(slice(start, cut), brackets))
            self.bytes_read += cut - start
            yield found
            # behind the comma
            start, size = cut + 1, CHUNK_BYTES

    def _chunk(self, span: slice, brackets: tuple[bytes, bytes]) -> Chunk:
        # the careful reading follows one that has measured each entry
        if span.stop - span.start > (MAX_CHUNK_BYTES if self.careful else MAX_ENTRY_BYTES):
            raise RejectedError(TOO_LARGE)

        def framed(text: mmap.mmap | bytes) -> bytes:
            with memoryview(text) as view:
                return b"".join((brackets[0], view[span], brackets[1]))

        is_damaged = bool(self.text.damage_within(span))
        if is_damaged:
            # without this nobody checks that it is JSON
            msgspec.json.decode(framed(self.text.parsed), type=Raw)
        return Chunk(framed(self.text.raw), is_damaged)

    def _guesses(self, start: int, end: int, size: int) -> Iterator[int]:
        """Commas that may be behind an entry that ends after about so many bytes."""
        search = start + size
        for _ in range(GUESSES):
            found = _END_OF_OBJECT.search(self.text.raw, search, min(end, search + CHUNK_BYTES))
            if found is None:
                if end - search <= FOUND_CHUNK_BYTES:
                    yield end
                return
            yield found.end() - 1
            search = found.end()

    def _found(self, start: int, end: int, size: int) -> int:
        """The first comma between entries after so many bytes, by counting all brackets."""
        commas = separators(self.text.raw, start, end)
        return next((at for at in commas if at >= start + size), end)
