"""JSON text as it is written, where a library would read it as something else, or not at all."""

import json
import re
from collections.abc import Iterator
from mmap import mmap
from typing import Any

import pyarrow as pa
from msgspec import Raw

_SPACE = re.compile(rb"[ \t\r\n]*")
# strings are passed over whole
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[][{},]')
_NAME = re.compile(rb'[ \t\r\n]*("[^"\\]*+(?:\\.[^"\\]*+)*+")[ \t\r\n]*:[ \t\r\n]*')
_FLAW = re.compile("[\0\ud800-\udfff]")


class UnreadableError(ValueError):
    """What no table can hold; the message says of the text or entry what it is."""


def value_text(value: bytes | Raw, name: str = "") -> str | None:
    """A JSON value as raw tables hold it: text as it reads, null as None, all else as written.

    Raises:
        UnreadableError: a text holds a NUL character or half a surrogate pair.
    """
    value = bytes(value)
    if value == b"null":
        return None
    if not value.startswith(b'"'):
        return value.decode()
    text: str = json.loads(value)
    if reason := flaw(f"`{name}`", text):
        raise UnreadableError(reason)
    return text


def json_object(members: dict[str, bytes]) -> str | None:
    """The JSON text of an object, in the order of its names; None for none at all."""
    if not members:
        return None
    return (
        "{" + ",".join(f"{quoted(name)}:{members[name].decode()}" for name in sorted(members)) + "}"
    )


def quoted(text: str) -> str:
    """A text as JSON spells it."""
    # a lone surrogate stays an escape
    return json.dumps(text, ensure_ascii=False).encode(errors="backslashreplace").decode()


def flaw(what: str, text: str | None) -> str | None:
    """Why some databases cannot hold a text, or None."""
    if text is None or (match := _FLAW.search(text)) is None:
        return None
    return f"{what} holds {'a NUL character' if match[0] == chr(0) else 'half a surrogate pair'}"


def storable(text: str | None) -> str | None:
    """A text that any database can hold: one with a flaw as JSON spells it."""
    return quoted(text)[1:-1] if text is not None and flaw("", text) else text


def separators(text: bytes | mmap, start: int, end: int) -> Iterator[int]:
    """Offsets of the commas between entries; `start` and `end` leave out the brackets."""
    depth = 0
    for token in _TOKEN.finditer(text, start, end):
        match text[token.start()]:
            case 0x2C if depth == 0:  # a comma
                yield token.start()
            case 0x5B | 0x7B:
                depth += 1
            case 0x5D | 0x7D:
                depth -= 1


def members(text: bytes | mmap, start: int, end: int) -> Iterator[tuple[str, slice]]:
    """Name ("" in an array) and place of each value of the object or array that lies there.

    Unlike msgspec it takes names with half of a surrogate pair, and it is slow.
    """
    head = _NAME if text[start] == 0x7B else _SPACE
    at = start + 1
    for stop in (*separators(text, at, end - 1), end - 1):
        before = head.match(text, at, stop)
        if before and (value := text[before.end() : stop].rstrip(b" \t\r\n")):
            name = json.loads(before[1].decode()) if head is _NAME else ""
            yield name, slice(before.end(), before.end() + len(value))
        at = stop + 1


def offset(part: Raw, whole: Any) -> int:
    """Where a raw value lies in the buffer that it was decoded from."""
    return int(pa.py_buffer(part).address - pa.py_buffer(whole).address)
