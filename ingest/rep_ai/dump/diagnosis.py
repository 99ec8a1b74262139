"""What a document that is no dump may be, so that its rejection names it and says what helps."""

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from mmap import mmap

# 2000-01-01 to 2100-01-01 UTC
TIME_RANGE_MS = range(946_684_800_000, 4_102_444_800_000)

# so much of a document shows what it is
LOOK_BYTES = 4096
_AGAIN = "ask for the dump again"
_UNPACK = "unpack it: a dump is one JSON document, plain or compressed by gzip or zstd"
_CHECK = "a dump is one JSON document: check the source"
_FETCH = "a failed download left it: fetch the dump again"

# the first bytes of a file -> what it is, and what to do
_MARKS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "compressed twice", "unpack it once"),
    (b"\x28\xb5\x2f\xfd", "compressed twice", "unpack it once"),
    (b"PK\x03\x04", "a zip archive", _UNPACK),
    (b"PK\x05\x06", "an empty zip archive", _AGAIN),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a rar archive", _UNPACK),
    (b"BZh", "compressed by bzip2", _UNPACK),
    (b"\xfd7zXZ\0", "compressed by xz", _UNPACK),
    (b"\x5d\0\0", "compressed by lzma", _UNPACK),
    (b"\x04\x22\x4d\x18", "compressed by lz4", _UNPACK),
    (b"\xff\x06\0\0sNaPpY", "compressed by snappy", _UNPACK),
    (b"\x1f\x9d", "compressed by compress (.Z)", _UNPACK),
    (b"\0\x05\x16\x07", "what macOS keeps beside a file (AppleDouble)", "delete it: it is no dump"),
    (b"\0\x05\x16\0", "a file in an envelope of macOS (AppleSingle)", _CHECK),
    (b"PAR1", "a Parquet file", _CHECK),
    (b"Obj\x01", "an Avro file", _CHECK),
    (b"ORC", "an ORC file", _CHECK),
    (b"SQLite format 3\0", "a SQLite database", _CHECK),
    (b"%PDF-", "a PDF", _CHECK),
    (b"-----BEGIN PGP", "encrypted by PGP", "decrypt it"),
    (b"age-encryption.org/", "encrypted by age", "decrypt it"),
    (b"version https://git-lfs", "a pointer of Git LFS", "fetch the file that it stands for"),
    (b"eyJ", "JSON in base64", "decode it"),
    (b"H4sI", "a gzip file in base64", "decode it"),
)
# texts that are no JSON, by how they begin
_TEXTS: tuple[tuple[str, str, str], ...] = (
    (r"(?is)<.*<Code>", "an XML answer of a store that tells of an error", _FETCH),
    (r"(?is)<!doctype html|(<.*)?<html\b", "an HTML page, such as one to sign in", _FETCH),
    (r"<[?!a-zA-Z]", "XML", _CHECK),
    (r"[\w$.]+\(\s*[{\[]", "a call of a function (JSONP)", "keep what is in its brackets"),
    (r"\{\s*'", "an object as Python writes it, in single quotes", "write it as JSON"),
    (r"[^\r\n{}\[\],;\t]+[,;\t][^\r\n{}\[\]]*\r?\n", "CSV, text in columns", _CHECK),
)
_VERSION = re.compile(rb'"version"\s*:')
_STORE_CODE = re.compile(rb"<Code>\s*(\w{1,40})\s*</Code>", re.IGNORECASE)


def by_bytes(start: bytes) -> str | None:
    """What a file is that begins so, and what to do; None if its bytes may be a document's."""
    for mark, kind, to_do in _MARKS:
        if start.startswith(mark):
            return f"the document is {kind}; {to_do}"
    if start[257:262] == b"ustar" and b"\0" in start[:100]:
        return f"the document is a tar archive; {_UNPACK}"
    if start[:4] == bytes(4):
        return f"the file begins with NUL bytes: a copy of it failed; {_AGAIN}"
    return None


def of_text(text: bytes | mmap, start: int, end: int | None) -> str | None:
    """What a text is that is no JSON, and what to do; None where that cannot be told.

    Args:
        text: the document.
        start: where its text begins.
        end: where something follows a whole JSON value, if so.
    """
    if end is not None:
        return _followed(text, start, end)
    head = text[start : start + LOOK_BYTES].lstrip()
    shown = head.decode("utf-8", errors="replace")
    for pattern, kind, to_do in _TEXTS:
        if re.match(pattern, shown):
            code = _STORE_CODE.search(head)
            said = f"{kind} ({code[1].decode()})" if code else kind
            return f"not JSON, but {said}; {to_do}"
    return None


def _followed(text: bytes | mmap, start: int, end: int) -> str | None:
    """What it is where more follows a JSON value."""
    more = text[end : end + LOOK_BYTES]
    if not more.strip(b"\0 \t\r\n"):
        return f"NUL bytes follow the document: a copy of it failed; {_AGAIN}"
    if more[:1] not in (b"{", b"["):
        return None
    gap = text[max(start, end - LOOK_BYTES) : end]
    is_lines = b"\n" in gap[len(gap.rstrip()) :]
    kind = "several JSON documents, one a line (NDJSON)" if is_lines else "several JSON documents"
    if not has_version(text, slice(start, end)):
        return f"not one JSON document, but {kind}, and the first one is no dump; {_CHECK}"
    return (
        f"not one JSON document, but {kind}; a file is one dump: "
        f"{'write each line to a file of its own' if is_lines else 'split it into files'}"
    )


def has_version(text: bytes | mmap, span: slice) -> bool:
    """Whether an object seems to have a version, at its start or its end."""
    ends = min(span.stop, span.start + LOOK_BYTES), max(span.start, span.stop - LOOK_BYTES)
    return any(map(_VERSION.search, (text[span.start : ends[0]], text[ends[1] : span.stop])))


def of_value(text: bytes) -> str:
    """What a JSON document is that is no object, and what to do."""
    if reason := of_text(text, 0, None):
        return reason
    head = text.lstrip()
    if head.startswith(b"["):
        inside = "; take the dump out of it, or check the source"
        return f"the document is not a JSON object, but an array{inside}"
    if re.match(rb'"\s*\{', head):
        return "the document is not a JSON object, but a text with JSON in it; decode it once more"
    return "the document is not a JSON object: it is no dump; check the source"


def version_meant(text: str | None, is_version: Callable[[str], object]) -> str | None:
    """The semantic version that a text such as `v1.0` can only mean; None if there is none."""
    if text is None or len(text) > 40:
        return None
    plain = re.sub(r"(?i)^(version |v\.? ?)", "", text.strip())
    for meant in (plain, f"{plain}.0", f"{plain}.0.0"):
        if meant.isascii() and is_version(meant):
            return meant
    return None


def time_meant(text: str | None) -> int | None:
    """The epoch milliseconds that a text can only mean; None if there are none."""
    if text is None or len(text) > 40:
        return None
    text = text.strip()
    if text.isascii() and re.fullmatch(r"\+?\d+(\.\d+)?([eE]\+?\d{1,2})?", text):
        # the ranges of seconds to nanoseconds have nothing in common
        for factor in (Decimal(1), Decimal(1000), Decimal("1e-3"), Decimal("1e-6")):
            value = Decimal(text) * factor
            # all else than an int is looked for value by value
            if value == int(value) and int(value) in TIME_RANGE_MS:
                return int(value)
        return None
    try:
        moment = datetime.fromisoformat(text)
        milliseconds = round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    # without a zone there are many readings
    is_sure = moment.tzinfo is not None and milliseconds in TIME_RANGE_MS
    return milliseconds if is_sure else None
