"""JSON as it was written: numbers digit for digit, and every value with its spelling."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from json import decoder, scanner
from typing import Any, TypeAlias

Json: TypeAlias = "bool | str | list[Json] | dict[str, Json] | None"  # but see Decoder


class Number(str):
    """A JSON number as the text that stood in the document."""

    __slots__ = ()


class Text(str):
    """A JSON string, which remembers how it was written."""

    spelling: str


class Object(dict[str, Json]):
    """A JSON object, which remembers how it was written."""

    spelling: str


class Array(list[Json]):
    """A JSON array, which remembers how it was written."""

    spelling: str


class Decoder(json.JSONDecoder):
    """RFC 8259: no NaN, no Infinity; of equal keys the last value holds, at the first one's place.

    Numbers are Number, and strings, objects and arrays are Text, Object and Array.
    """

    def __init__(self) -> None:
        """Take Python's own decoder apart, and let its parts tell where they end."""

        def refuse(name: str) -> Json:
            message = f"{name} is not JSON"
            raise ValueError(message)

        super().__init__(parse_float=Number, parse_int=Number, parse_constant=refuse)
        parts: dict[str, tuple[Callable[..., Any], type[Text | Object | Array]]] = {
            "parse_string": (decoder.scanstring, Text),  # type: ignore[attr-defined]
            "parse_object": (decoder.JSONObject, Object),  # type: ignore[attr-defined]
            "parse_array": (decoder.JSONArray, Array),  # type: ignore[attr-defined]
        }
        for name, (parse, kind) in parts.items():
            setattr(self, name, partial(self._spelled, parse, kind))
        self.scan_once = scanner.py_make_scanner(self)  # type: ignore[attr-defined]

    @staticmethod
    def _spelled(
        parse: Callable[..., Any], kind: type[Text | Object | Array], *arguments: Any
    ) -> tuple[Json, int]:
        text, start = arguments[:2] if kind is Text else arguments[0]
        parsed, end = parse(*arguments)
        value = kind(parsed)
        value.spelling = text[start - 1 : end]
        return value, end


def parse_json(text: str) -> Json:
    """A JSON text as Decoder reads it.

    Raises:
        ValueError: if the text is not JSON.
    """
    parsed: Json = Decoder().decode(text)
    return parsed


def spelling(value: Json) -> str:
    """A JSON value as it was written."""
    if isinstance(value, Text | Object | Array):
        return value.spelling
    return str(value) if isinstance(value, Number) else json.dumps(value)


def canonical(value: Json) -> str:
    """JSON text with sorted keys, no white space, ASCII only and numbers as they were written."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        inside = (f"{json.dumps(key)}:{canonical(value[key])}" for key in sorted(value))
        return "{" + ",".join(inside) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    return json.dumps(value)


def canonical_json(text: str) -> str:
    """The canonical spelling of a JSON text; a text that is not JSON comes back as it is."""
    try:
        return canonical(parse_json(text))
    except ValueError:
        return text


def engines_may_differ(text: str) -> bool:
    """Whether a JSON object is one of which 4.2 lets engines read other members.

    It has equal keys, or an escape that no text type holds.
    """
    try:
        value = parse_json(text)
    except (ValueError, RecursionError):
        return False
    keys = re.findall(r'"((?:[^"\\]|\\.)*)"\s*:', text)
    names = [json.loads(f'"{key}"', strict=False) for key in keys]
    return isinstance(value, dict) and (
        len(set(names)) < len(names)
        or not storable(json.dumps(value, ensure_ascii=False))
        or "\\u0000" in text
    )


def as_text(value: Json) -> str | None:
    """Section 3: every vendor field is text, exactly as the document has it."""
    if value is None:
        return None
    if isinstance(value, str):
        return str(value)
    return spelling(value)  # true, false and nested values


def object_text(members: dict[str, Json]) -> str | None:
    """The JSON text of some members, in the order of their names; None for none at all."""
    if not members:
        return None
    inside = (f"{json.dumps(name)}:{spelling(members[name])}" for name in sorted(members))
    return "{" + ",".join(inside) + "}"


def storable(text: str) -> bool:
    """No NUL and no lone surrogate: what a text column can hold."""
    return not any(char == "\0" or "\ud800" <= char <= "\udfff" for char in text)


def shown_key(key: str | None) -> str | None:
    """The key of a rejected entry; one that is not storable as JSON spells it."""
    if key is None or storable(key):
        return key
    spelled = json.dumps(key, ensure_ascii=False)[1:-1]
    return spelled.encode(errors="backslashreplace").decode()
