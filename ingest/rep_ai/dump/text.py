"""The bytes of one dump, mapped: their encoding, their grammar, and where the values lie.

Reading JSON is done by hand around `msgspec`, because no library known here reads a document that
is larger than memory, keeps numbers digit for digit, and takes the lone surrogates of RFC 8259.
"""

import mmap
import os
import re
from array import array
from bisect import bisect_left

import msgspec
import pyarrow as pa
from msgspec import Raw

from rep_ai.dump import diagnosis
from rep_ai.dump.json_text import members, offset

TOO_DEEP = "values are nested deeper than can be read, some 900 levels; tell the vendor"

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BLANK = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*")
# what JSON has no words for, and some libraries write
_NO_NUMBER = re.compile(rb"-?(NaN|Infinity)")
# the beginning of a character of several bytes
_CUT = re.compile(rb"([\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z")
_SPACE = re.compile(rb"[ \t\r\n]*")
# an escape; group 1 where it is a surrogate without its other half
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|\\(u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


class RejectedError(Exception):
    """The document cannot be loaded; the message says what is wrong and what to do."""


class Text:
    """The text of a document whose encoding and grammar are sound.

    Args:
        fileno: descriptor of the open file, which stays mapped.

    Attributes:
        raw: the bytes as the file has them.
        parsed: the same, as JSON that msgspec reads: a copy only where `raw` holds surrogates
            without their other half.
        members: name -> span of each value of the document; of equal names the last.
    """

    def __init__(self, fileno: int) -> None:
        """Map the file; `check` is to be called before anything else is asked."""
        self._fileno = fileno
        is_empty = os.fstat(fileno).st_size == 0
        self.raw = b"" if is_empty else mmap.mmap(fileno, 0, access=mmap.ACCESS_READ)
        self.parsed: mmap.mmap | bytes = self.raw
        self.members: dict[str, slice] = {}
        self._start = len(_BYTE_ORDER_MARK) if self.raw[:3] == _BYTE_ORDER_MARK else 0
        # offsets of the surrogates that lack their other half, in order
        self._damage = array("q")

    def check(self) -> None:
        """Check the whole document and find its members.

        Raises:
            RejectedError: the document cannot be read.
        """
        self._check_encoding()
        try:
            self.members = self._found_members()
        except msgspec.ValidationError:
            head = self.raw[self._start : self._start + diagnosis.LOOK_BYTES]
            raise RejectedError(diagnosis.of_value(head)) from None
        except msgspec.DecodeError as error:
            raise RejectedError(self._why(error)) from None
        except RecursionError:
            raise RejectedError(TOO_DEEP) from None

    def _check_encoding(self) -> None:
        start = self.raw[: diagnosis.LOOK_BYTES]
        if reason := diagnosis.by_bytes(start):
            raise RejectedError(reason)
        blank = _BLANK.match(self.raw)
        if blank and blank.end() == len(self.raw):
            raise RejectedError("the file is empty; ask for the dump again")
        whole = pa.array([0, len(self.raw)], pa.int64()).buffers()[1]
        try:
            pa.LargeStringArray.from_buffers(1, whole, pa.py_buffer(self.raw)).validate(full=True)
        except pa.ArrowInvalid:
            raise RejectedError(
                "the text ends within a character; ask for the dump again"
                if _CUT.search(self.raw[-3:])
                else "the text is not UTF-8, as a dump is: ask for it in UTF-8"
            ) from None

    def _found_members(self) -> dict[str, slice]:
        try:
            return self._decoded()
        except msgspec.DecodeError:
            self._damage.extend(m.start() for m in _ESCAPE.finditer(self.raw) if m[1])
            if not self._damage:
                raise
        # RFC 8259 lets them stand, msgspec does not; only the pages that change are copied
        self.parsed = mended = mmap.mmap(self._fileno, 0, access=mmap.ACCESS_COPY)
        for at in self._damage:
            mended[at : at + 6] = b"\\ufffd"
        found = self._decoded()
        if sum(len(self.damage_within(span)) for span in found.values()) == len(self._damage):
            return found
        # names are not whole: read them from what they are cut of
        return dict(members(self.raw, self.raw.find(b"{"), self.raw.rfind(b"}") + 1))

    def _why(self, error: msgspec.DecodeError) -> str:
        """What is wrong with the grammar, and where, or what it is instead; and what to do."""
        why = str(error).removeprefix("JSON is malformed: ")
        why = why[:1].lower() + why[1:]
        place = re.search(r"byte (\d+)", why)
        at = int(place[1]) + self._start if place else 0
        if place and (found := _NO_NUMBER.search(self.raw, max(at - 1, 0), at + 10)):
            why = f"{found[0].decode()} is no number of JSON ({place[0]})"
            return f"not JSON: {why}; ask for the dump again, with null in its place"
        is_whole = why.startswith("trailing characters")
        # the byte is counted from 1
        if reason := diagnosis.of_text(self.raw, self._start, at - 1 if is_whole else None):
            return reason
        return f"not JSON: {why}; ask for the dump again"

    def _decoded(self) -> dict[str, slice]:
        text = memoryview(self.parsed)[self._start :]
        decoded = msgspec.json.decode(text, type=dict[str, Raw])
        starts = {name: offset(raw, self.parsed) for name, raw in decoded.items()}
        return {name: slice(at, at + len(decoded[name])) for name, at in starts.items()}

    def is_empty(self, span: slice) -> bool:
        """Whether a collection holds nothing."""
        inner = _SPACE.match(self.raw, span.start + 1)
        return inner is not None and inner.end() == span.stop - 1

    def damage_within(self, span: slice) -> "array[int]":
        """Offsets of the lone surrogates in a span."""
        low, high = (bisect_left(self._damage, at) for at in (span.start, span.stop))
        return self._damage[low:high]
