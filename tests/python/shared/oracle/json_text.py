"""JSON as it was written: a value is the text that stands for it in the document.

So numbers stay digit for digit, and nested values keep their spelling.
"""

from __future__ import annotations

import json
import re


def _refuse(name: str) -> None:
    message = f"{name} is not JSON"
    raise ValueError(message)


# RFC 8259: no NaN, no Infinity, and numbers of any length
READER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse)


def read_json(text: str) -> str | None:
    """The value that a text holds, or None where it is not JSON."""
    try:
        READER.decode(text)
    except (ValueError, RecursionError):
        return None
    return text.strip(" \t\r\n")


def values_in(value: str) -> list[str]:
    """The values of an array, or the names and the values of an object in turn."""
    found: list[str] = []
    place = 1
    while True:
        while value[place] in " \t\r\n,:":
            place += 1
        if place == len(value) - 1:
            return found
        _, end = READER.raw_decode(value, place)
        found.append(value[place:end])
        place = end


def members(value: str | None) -> dict[str, str]:
    """The members of an object; of equal keys the last holds. None of what is no object."""
    parts = values_in(value) if value and value[0] == "{" else []
    return dict(zip(map(json.loads, parts[::2]), parts[1::2], strict=True))


def entries_of(value: str) -> list[tuple[str | None, str]]:
    """What stands in an object, with its keys, or in an array."""
    if value[0] == "{":
        return list(members(value).items())
    return [(None, entry) for entry in values_in(value)]


def as_text(value: str | None) -> str | None:
    """Every field of the vendor is text; null and absent are both NULL."""
    if value is None or value == "null":
        return None
    return str(json.loads(value)) if value[0] == '"' else value


def object_text(found: dict[str, str]) -> str | None:
    """The JSON text of some members, in the order of their names; None for none at all."""
    inside = (f"{json.dumps(name)}:{found[name]}" for name in sorted(found))
    return "{" + ",".join(inside) + "}" if found else None


def canonical_json(text: str) -> str:
    """A JSON text with sorted keys, no white space and ASCII only; other texts as they are."""
    value = read_json(text)
    if value is None:
        return text
    if value[0] == "{":
        inside = {name: canonical_json(member) for name, member in members(value).items()}
        return object_text(inside) or "{}"
    if value[0] == "[":
        return "[" + ",".join(map(canonical_json, values_in(value))) + "]"
    return json.dumps(json.loads(value)) if value[0] == '"' else value


def storable(text: str | None) -> bool:
    """Whether a text column can hold it: no NUL and no half of a surrogate pair."""
    return re.search("[\0\ud800-\udfff]", text or "") is None


def engines_may_differ(text: str) -> bool:
    """Whether engines may read other members of a JSON object: docs/query.md#how-values-are-read.

    It has equal keys, or an escape that no text type holds.
    """
    whole = read_json(text)
    values = [whole] if whole is not None and whole[0] == "{" else []
    # a loop, as values may be nested more deeply than Python calls functions
    while values:
        value = values.pop()
        inside = values_in(value) if value[0] in "{[" else []
        names = [json.loads(name) for name in inside[::2]] if value[0] == "{" else []
        texts = [json.loads(value)] if value[0] == '"' else []
        if len(set(names)) < len(names) or not all(map(storable, texts)):
            return True
        values += inside
    return False
