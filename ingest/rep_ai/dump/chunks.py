"""A collection cut into chunks of whole entries, without reading it twice."""

import mmap
import re
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec
from msgspec import Raw

from rep_ai.dump.json_text import separators
from rep_ai.dump.records import Chunk
from rep_ai.dump.text import RejectedError, Span, Text

CHUNK_BYTES = 16 << 20
# the first chunk teaches the shape of the entries
FIRST_CHUNK_BYTES = 64 << 10
# where no cut could be guessed
FOUND_CHUNK_BYTES = 1 << 20
# so many guesses cost about as much as to count the brackets
GUESSES = 8
# a value is held some ten times over on its way, and PostgreSQL takes rows below 1 GB only
MAX_ENTRY_BYTES = 256 << 20
# an Arrow string column and a Parquet page hold no more
MAX_CHUNK_BYTES = (1 << 31) - (1 << 20)
TOO_LARGE = (
    "an entry or the unknown values are larger than 256 MB, or a collection with equal keys than "
    "2 GB; ask for the night again"
)

_END_OF_OBJECT = re.compile(rb"\}[ \t\r\n]*,")

T = TypeVar("T")


class Chunks:
    """Chunks of the collections of one document.

    Attributes:
        careful: keep each object collection in one piece, at the cost of memory.
        bytes_read: how much was cut so far.
    """

    def __init__(self, text: Text) -> None:
        """Cut nothing yet."""
        self._text = text
        self.careful = False
        self.bytes_read = 0

    def each(self, span: Span, read: Callable[[Chunk], T]) -> Iterator[T]:
        """Cut a collection into chunks of whole entries and give what `read` makes of each.

        A cut is a guess that reading proves: what stands between the start of an entry and the
        cut is JSON with the closing bracket behind it only if the cut ends an entry.

        Raises:
            RejectedError: an entry is too large.
        """
        parsed = self._text.parsed
        brackets = parsed[span.start : span.start + 1], parsed[span.end - 1 : span.end]
        start, end = span.start + 1, span.end - 1
        size, guess = FIRST_CHUNK_BYTES, True
        if self._text.is_empty(span):
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
            raise RejectedError(TOO_LARGE)
        parsed = _framed(self._text.parsed, start, cut, brackets)
        if not self._text.damage_within(Span(start, cut)):
            return Chunk(parsed, parsed)
        # what is damaged is not read as JSON
        msgspec.json.decode(parsed, type=Raw)
        return Chunk(parsed, _framed(self._text.raw, start, cut, brackets))

    def _guesses(self, start: int, end: int, size: int) -> Iterator[int]:
        """Commas that may be behind an entry that ends after about so many bytes."""
        search = start + size
        for _ in range(GUESSES):
            found = _END_OF_OBJECT.search(self._text.parsed, search, min(end, search + CHUNK_BYTES))
            if found is None:
                if end - search <= FOUND_CHUNK_BYTES:
                    yield end
                return
            yield found.end() - 1
            search = found.end()

    def _found(self, start: int, end: int, size: int) -> int:
        """The first comma between entries after so many bytes, by counting all brackets."""
        commas = separators(self._text.parsed, start, end)
        return next((at for at in commas if at >= start + size), end)


def _framed(text: mmap.mmap, start: int, end: int, brackets: tuple[bytes, bytes]) -> bytes:
    with memoryview(text) as view:
        return b"".join((brackets[0], view[start:end], brackets[1]))
