"""What a document that is no dump may be, so that its rejection names it and says what helps."""

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import cache
from mmap import mmap
from pathlib import Path

import yaml

# 2000-01-01 to 2100-01-01 UTC
TIME_RANGE_MS = range(946_684_800_000, 4_102_444_800_000)

# so much of a document shows what it is
LOOK_BYTES = 4096
_AGAIN = "ask for the dump again"
_CHECK = "a dump is one JSON document: check the source"
_RULES = Path(__file__).with_name("diagnosis.yml")
_VERSION = re.compile(rb'"version"\s*:')
_STORE_CODE = re.compile(rb"<Code>\s*(\w{1,40})\s*</Code>", re.IGNORECASE)


@cache
def _rules() -> dict[str, list[dict[str, str]]]:
    rules: dict[str, list[dict[str, str]]] = yaml.safe_load(_RULES.read_text(encoding="utf-8"))
    return rules


def _said(kind: str, sentence: str, start: str) -> str | None:
    """The sentence, with the words of the first rule of a kind that fits."""
    rules = (rule for rule in _rules()[kind] if re.match(rule["begins"], start))
    return next((sentence.format_map(rule) for rule in rules), None)


def by_bytes(start: bytes) -> str | None:
    """What a file is that begins so, and what to do; None if its bytes may be a document's."""
    return _said("bytes", "the document is {is}; {to_do}", start.decode("latin-1"))


def of_value(text: bytes) -> str | None:
    """What a JSON document is that is no object, and what to do."""
    head = text.lstrip().decode("utf-8", errors="replace")
    sentence = "the document is not a JSON object, but {is}; {to_do}"
    return of_text(text, 0, None) or _said("values", sentence, head)


def of_text(text: bytes | mmap, start: int, end: int | None) -> str | None:
    """What a text is that is no JSON, and what to do; None where that cannot be told.

    It begins at `start`; where something follows a whole JSON value, that ends at `end`.
    """
    if end is not None:
        return _followed(text, start, end)
    head = text[start : start + LOOK_BYTES].lstrip()
    code = _STORE_CODE.search(head)
    sentence = f"not JSON, but {{is}}{f' ({code[1].decode()})' if code else ''}; {{to_do}}"
    return _said("texts", sentence, head.decode("utf-8", errors="replace"))


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
