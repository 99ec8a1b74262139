"""Hypothesis strategies for delivery histories that look for trouble.

`histories()` makes what a bucket may see over some nights: windows in a row, with gaps and
overlaps, re-deliveries, broken files, and records drawn from small pools, so that ids meet again in
other dumps and in other collections. The simplest choice stands first: failures shrink to plain
dumps.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias, TypeVar

from hypothesis import strategies as st

from dumps import HOUR
from oracle import Delivery

T = TypeVar("T")


# --------------------------------------------------------------------------- documents, spelled out


@dataclass(frozen=True)
class Num:
    """A JSON number by its text."""

    text: str


@dataclass(frozen=True)
class Obj:
    """A JSON object by its members, equal keys allowed."""

    members: tuple[tuple[str, Node], ...]


@dataclass(frozen=True)
class Arr:
    """A JSON array."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Verbatim:
    """Text to write as it is, JSON or not."""

    text: str


@dataclass(frozen=True)
class Absent:
    """A member to leave out."""


Node: TypeAlias = "bool | str | Num | Obj | Arr | Verbatim | Absent | None"
Members: TypeAlias = tuple[tuple[str, Node], ...]
Window: TypeAlias = tuple[int, int]

ABSENT = Absent()


@dataclass(frozen=True)
class Style:
    """How a document is written."""

    comma: str = ","
    colon: str = ":"
    pad: str = ""  # inside brackets, where there is something inside
    strings: str = "ascii"  # ascii, unicode, or escaped (every character)
    head: str = ""
    tail: str = ""


STYLES = (
    Style(),
    Style(comma=", ", colon=": ", strings="unicode"),
    Style(comma=",\n\t", colon=" :\r\n ", pad="\n", tail="\n"),
    Style(strings="escaped", head=" \n", tail=" "),
    Style(strings="unicode", head="\ufeff"),
)


def spell(text: str, how: str) -> str:
    """A JSON string; lone surrogates are always escaped, since UTF-8 cannot hold them."""
    if how == "ascii":
        return json.dumps(text)
    if how == "unicode":
        plain = json.dumps(text, ensure_ascii=False)
        return "".join(f"\\u{ord(c):04X}" if "\ud800" <= c <= "\udfff" else c for c in plain)
    units = text.encode("utf-16-be", "surrogatepass")
    codes = (units[i : i + 2].hex() for i in range(0, len(units), 2))
    return '"' + "".join(f"\\u{code}" for code in codes) + '"'


def serialise(node: Node, style: Style = STYLES[0]) -> str:
    """A node as JSON text."""

    def bracket(opening: str, inside: list[str], closing: str) -> str:
        pad = style.pad if inside else ""
        return opening + pad + style.comma.join(inside) + pad + closing

    match node:
        case None:
            return "null"
        case bool():
            return "true" if node else "false"
        case str():
            return spell(node, style.strings)
        case Num(text) | Verbatim(text):
            return text
        case Arr(items):
            return bracket("[", [serialise(item, style) for item in items], "]")
        case Obj(members):
            inside = [
                spell(key, style.strings) + style.colon + serialise(value, style)
                for key, value in members
                if not isinstance(value, Absent)
            ]
            return bracket("{", inside, "}")
        case _:
            message = f"cannot write {node!r}"
            raise TypeError(message)


def document_bytes(node: Node, style: Style = STYLES[0]) -> bytes:
    """A whole document."""
    return (style.head + serialise(node, style) + style.tail).encode()


# ---------------------------------------------------------------------------------- pools of values


def weighted(*choices: tuple[int, T]) -> list[T]:
    """A list to sample from, in which a choice stands as often as its weight says."""
    return [value for weight, value in choices for _ in range(weight)]


def sample(draw: st.DrawFn, choices: Sequence[T]) -> T:
    """One of the choices; the first is the simplest."""
    return draw(st.sampled_from(choices))


IDS = (
    "a",
    "b",
    "B",
    "7",
    "007",
    "123456789012345678901234567890",
    "123456789012345678901234567891",
    "9007199254740993",
    "1e2",
    "true",
    "null",
    'it\'s "quoted" \\ and, more',
    "\U0001f600",  # by code point above U+FFFF, by UTF-16 unit below it
    "\uffff",
    "é",
    "e\u0301",
    "a ",
    " a",
    "a\tb\nc",
    "%_*{}[]",
    "--",
)
NOWHERE = "nowhere"
BAD_TEXTS = ("nul \0", "\ud800", "low \udc00 alone", "\udc00\ud800")

TEXTS: list[Node] = weighted(
    (6, "https://example.com/?q=1"),
    (4, "other"),
    (3, None),
    (3, ABSENT),
    (2, ""),
    (1, " "),
    (1, "null"),
    (1, "\\N"),
    (1, "naïve 😀 \"'\\ \x01\x7f\u2028"),
    (1, Num("1.10")),
    (1, Num("1e2")),
    (1, Num("-0")),
    (1, Num("123456789012345678901234567890")),
    (1, True),
    (1, Obj((("nested", Arr((Num("1.0"), "\0\ud800"))),))),
    (1, Arr(())),
)
CUSTOM_IDS: tuple[Node, ...] = (
    *("crm-1", "", None, Num("7"), "007"),
    # of nobody
    *("undefined", "null", "[object Object]", "0", Num("0"), " \u2003\n"),
)
REFERRERS: list[Node] = [*TEXTS, *TEXTS, *BAD_TEXTS]

ODD_TIMES: tuple[Node, ...] = (
    Num("946684799999"),
    Num("946684800000"),
    Num("4102444799999"),
    Num("4102444800000"),
    Num("0"),
    Num("-1"),
    Num("1.7e12"),
    Num("1700000000000.0"),
    Num("1e2"),
    Num("1.10"),
    Num("123456789012345678901234567890"),
    "2025-03-08T06:00:00Z",
    "",
    " 1741500000000",
    "1741500000000\n",
    "+1741500000000",
    "0001741500000000",
    "١٧٤١٥٠٠٠٠٠٠٠٠",
    False,
    Obj(()),
)

ACCEPTS: list[Node] = weighted(
    (8, True),
    (6, False),
    (1, None),
    (1, ABSENT),
    (1, "true"),
    (1, "false"),
    (1, "True"),
    (1, ""),
    (1, Num("1")),
    (1, Num("0")),
)
ACTIVES: list[Node] = [True, False, None, ABSENT, "true", "yes", Num("1")]

UNLISTED: list[Members] = weighted(
    (10, ()),
    (2, (("page", "/home"),)),
    (1, (("page", None),)),
    (1, (("a.b", Obj((("x", Arr((None, True, Num("1.0"), Num("1E+2")))),))),)),
    (1, (("näme 😀", "\0 \ud800"), ("big", Num("123456789012345678901234567890")))),
    (1, (("ID", "upper"), ("Session_Id", "x"), ("_extra", "y"), ("_position", Num("5")))),
    (1, (("", ""), ("quote\"'", "\\"), ("$[0]", Num("0.1000")))),
    (1, (("\ud800\0", "\\ud800"), ("x\udc00", Arr(("\U0001f600",))))),
    (1, (("twice", Num("1")), ("twice", Obj((("k", Num("1")), ("k", Num("2"))))))),
    (1, (("referrer", "early, to be overwritten"), ("accept", Num("5")), ("id", "early"))),
)


def nested(depth: int) -> Node:
    """Arrays and objects inside one another."""
    node: Node = "deep"
    for level in range(depth):
        node = Obj((("email", node),)) if level % 2 else Arr((node,))
    return node


METADATA: list[Node] = weighted(
    (3, Obj((("display_name", "Ann"), ("email", "ann@example.com")))),
    (2, ABSENT),
    (2, None),
    (1, Obj(())),
    (1, Obj((("displayName", "Bob"),))),
    (1, Obj((("display_name", ""), ("displayName", "Cy"), ("email", "")))),
    (1, Obj((("display_name", Num("7")), ("displayName", None), ("email", Arr(("x",)))))),
    (1, Obj((("display_name", "first"), ("display_name", "last")))),
    (1, Obj((("Display_Name", "no"), ("nested", Obj((("email", "no"),)))))),
    (1, Obj((("email", " "), ("big", Num("123456789012345678901234567890")), ("f", Num("1.10"))))),
    (1, Obj((("email", "😀 \"'\\\n"), ("note", "\0 \ud800"), ("null", None)))),
    (1, Obj((("display_name", "null"), ("email", "true")))),
    (1, Arr((Obj((("display_name", "no"),)),))),
    (1, "text"),
    (1, ""),
    (1, '{"email": "in@text"}'),
    (1, '{"email": '),
    (1, '{"email": "escaped \\ud83d\\ude00 \\\\ud800 \\u0041"}'),
    (1, '{"display_name": "\\ud83d", "email": "\\ude00\\ud83d"}'),
    (1, '{"email": "comma",}'),
    (1, '{"email": "x", "n": NaN}'),
    (1, '{"email": "twice"} {"email": "twice"}'),
    (1, ' {"email" : "spaced"}\n'),
    (1, Obj((("display_name", "\\ud800 \\u0000 \\"), ("email", "\\\\u0041 \U0001f600")))),
    (1, Obj((("email", "half \udc00"), ("display_name", "\0"), ("displayName", "Di")))),
    (1, Obj((("\ud800", ""), ("email", "beside half a name"), ("e\0", None)))),
    (1, Obj((("deep", nested(100)), ("email", "above the deep")))),
    (1, "null"),
    (1, Num("1e2")),
    (1, False),
)

ACTION_NAMES: list[Node] = weighted(
    (5, "PAGE_VIEW"),
    (3, "REQUESTED_HELP"),
    (2, "ALERT"),
    (2, "SCROLLED"),
    (1, "page_view"),
    (1, "PAGE_VIEW "),
    (1, "TAKEOVER"),
    (1, ""),
    (1, None),
    (1, ABSENT),
    (1, Num("7")),
)
INTERACTION_NAMES: list[Node] = weighted(
    (5, "PROACTIVE_CALL"),
    (4, "TAKEOVER"),
    (2, "VIDEO"),
    (1, "takeover"),
    (1, "ALERT"),
    (1, ""),
    (1, None),
    (1, ABSENT),
)

VERSIONS = (
    "1.0.0",
    "1.0.0",
    "1.0.1",
    "1.9.3",
    "1.10.0",
    "1.10.0+build.2",
    "1.10.0+build.10",
    "1.10.0-rc.2",
    "1.10.0-rc.10",
    "1.10.0-RC",
    "1.10.0--",
    "1.99999999999999999999.0",
    "1.100000000000000000000.0",
)
MODIFIED: tuple[datetime | None, ...] = (
    datetime(2026, 1, 1),
    datetime(2026, 1, 1, 0, 0, 0, 1000),
    datetime(2026, 1, 2),
    None,
)
TOO_EARLY = datetime(2000, 1, 1)  # before any window ends: such a file is rejected


# ------------------------------------------------------------------------------------------ windows


def epoch(*when: int) -> int:
    """Epoch milliseconds of a UTC time."""
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 1000  # type: ignore[misc,arg-type]


STARTS = (
    epoch(2024, 12, 31),
    epoch(2025, 3, 8, 6),  # midnight in US/Central; the next day there has 23 hours
    epoch(2025, 11, 1, 5),  # the next day there has 25 hours
    epoch(2025, 6, 1, 13, 37) + 123,
)
LENGTHS = (24 * HOUR, 24 * HOUR, 23 * HOUR, 25 * HOUR, HOUR)


@st.composite
def window_lists(draw: st.DrawFn, max_windows: int) -> list[Window]:
    """Windows in the order of their nights; a window that stands twice is a re-delivery."""
    start = sample(draw, STARTS)
    windows = [(start, start + sample(draw, LENGTHS))]
    for _ in range(draw(st.integers(0, max_windows - 1))):
        start, end = windows[-1]
        step = sample(
            draw,
            (
                *("next", "next", "next", "same", "gap", "gap"),
                *("overlap", "longer", "before", "half", "around"),
            ),
        )
        length = sample(draw, LENGTHS)
        windows.append(
            {
                "next": (end, end + length),
                "same": (start, end),
                "gap": (end + 24 * HOUR, end + 24 * HOUR + length),
                "overlap": (end - HOUR // 2, end + length),
                "longer": (start, end + HOUR),
                "before": (start - 25 * HOUR, start - 25 * HOUR + length),
                "half": ((start + end) // 2, end),
                "around": (start - HOUR, end + HOUR),
            }[step]
        )
    return windows


def time_nodes(window: Window, windows: Sequence[Window]) -> list[Node]:
    """Times of a dump: its own bounds and what lies about them, other windows', and odd ones."""
    start, end = window
    noon = (start + end) // 2
    own = (start + HOUR // 4, noon, noon + 1, noon + 1500, noon + HOUR // 6, end - HOUR // 4)
    bounds = (start, end - 1, end, start - 1)
    others = sorted({moment for other in windows for moment in other} - {start, end})
    nodes: list[Node] = [Num(str(moment)) for moment in (*own, *bounds, *own, *bounds, *others)]
    return [*nodes, *nodes, str(noon), *ODD_TIMES]


# ------------------------------------------------------------------------------------------ records


@dataclass(frozen=True)
class Pool:
    """What the records of one dump are drawn from."""

    ids: Sequence[str]
    times: Sequence[Node]

    def references(self) -> list[Node]:
        """Values of a field that names another record."""
        held: list[Node] = [*self.ids, *self.ids, *self.ids]
        return [*held, None, ABSENT, "", NOWHERE, *(Num(i) for i in self.ids if plain_number(i))]

    def ends(self) -> list[Node]:
        """Ends: as often unset as not."""
        unset: list[Node] = [None, ABSENT]
        return [*self.times, *unset * (len(self.times) // 2)]


def plain_number(text: str) -> bool:
    """Whether a text is an integer as JSON writes it."""
    return text.isascii() and text.isdigit() and (text == "0" or not text.startswith("0"))


@st.composite
def fields_of(draw: st.DrawFn, entity: str, pool: Pool) -> Members:
    """The listed fields of a record but for its id, and unlisted ones before them."""
    unlisted = sample(draw, UNLISTED)
    times = [*pool.times, *[None, ABSENT] * 2]
    listed: dict[str, Node]
    if entity == "users":
        listed = {
            "email_address": sample(draw, REFERRERS),
            "display_name": sample(draw, TEXTS),
            "title": sample(draw, TEXTS),
            "active": sample(draw, ACTIVES),
        }
    elif entity == "unique_visitors":
        own: st.SearchStrategy[Node] = st.sampled_from(METADATA)
        listed = {
            "custom_id": sample(draw, [ABSENT, *CUSTOM_IDS]),
            "custom_metadata": draw(own | own | own | json_nodes()),
        }
    elif entity == "unique_visitor_sessions":
        listed = {
            "session_group": sample(draw, pool.references()),
            "unique_visitor_id": sample(draw, pool.references()),
            "referrer": sample(draw, REFERRERS),
            "user_agent": sample(draw, TEXTS),
            "start_time": sample(draw, times),
            "end_time": sample(draw, pool.ends()),
        }
    elif entity == "unique_visitor_session_actions":
        listed = {
            "action": sample(draw, ACTION_NAMES),
            "session_id": sample(draw, pool.references()),
            "timestamp": sample(draw, times),
        }
    else:
        start = sample(draw, times)
        listed = {
            "interaction": sample(draw, INTERACTION_NAMES),
            "session_id": sample(draw, pool.references()),
            "user_id": sample(draw, pool.references()),
            "start_time": start,
            "end_time": sample(draw, pool.ends()),
            "accept": sample(draw, ACCEPTS),
            "accept_time": sample(draw, [start] * (len(times) // 2) + times),
        }
    return (*unlisted, *listed.items())


NOT_RECORDS: tuple[Node, ...] = (None, "text", Num("1e2"), True, Arr((Obj(()),)), Arr(()))
ID_FORMS = weighted(
    (12, "own"),
    (2, "number"),
    (1, "absent"),
    (1, "null"),
    (1, "empty"),
    (1, "other"),
    (1, "unstorable"),
)


def id_node(form: str, own: str, other: str) -> Node:
    """An id as a record may spell it."""
    nodes: dict[str, Node] = {
        "own": own,
        "number": Num(own) if plain_number(own) else own,
        "absent": ABSENT,
        "null": None,
        "empty": "",
        "other": other,
        "unstorable": BAD_TEXTS[0],
    }
    return nodes[form]


@st.composite
def collections(draw: st.DrawFn, entity: str, pool: Pool, max_size: int) -> Node:
    """A known collection, or ABSENT."""
    form = sample(draw, weighted((30, "full"), (1, "empty"), (1, "absent"), (1, "null")))
    if form in ("absent", "null"):
        return ABSENT if form == "absent" else None
    entries: list[tuple[str, Node]] = []
    used: set[str] = set()
    for _ in range(draw(st.integers(0, max_size)) if form == "full" else 0):
        fresh = [i for i in pool.ids if i not in used]
        own, other = sample(draw, [*fresh * 4, *pool.ids]), sample(draw, pool.ids)
        used.add(own)
        entry: Node
        if sample(draw, weighted((24, "record"), (1, "other"))) == "record":
            spelled = id_node(sample(draw, ID_FORMS), own, other)
            fields = draw(fields_of(entity, pool))
            unlisted = sum(1 for name, _ in fields if name == "id")  # an early id is overwritten
            members = (*fields, ("id", spelled)) if unlisted else (("id", spelled), *fields)
            entry = Obj(members)
        else:
            entry = sample(draw, NOT_RECORDS)
        keys = [own] * 16 + ["", other, "k" + own, BAD_TEXTS[1]]
        entries.append((sample(draw, keys), entry))
    if entity in ("unique_visitor_session_actions", "unique_visitor_session_interactions"):
        return Arr(tuple(entry for _, entry in entries))
    return Obj(tuple(entries))


def json_nodes() -> st.SearchStrategy[Node]:
    """Any JSON."""
    texts = st.text(max_size=4) | st.sampled_from(["display_name", "email", "\0", "\ud800"])
    numbers = st.sampled_from([Num(t) for t in ("0", "-0.0", "1e2", "0.1000", "1E-400", "9" * 30)])
    scalars: st.SearchStrategy[Node] = st.none() | st.booleans() | numbers | texts
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=3).map(lambda items: Arr(tuple(items)))
            | st.lists(st.tuples(texts, inner), max_size=3).map(lambda items: Obj(tuple(items)))
        ),
        max_leaves=5,
    )


# ---------------------------------------------------------------------------------------- documents

MAX_SIZES = {
    "users": 2,
    "unique_visitors": 3,
    "unique_visitor_sessions": 6,
    "unique_visitor_session_actions": 4,
    "unique_visitor_session_interactions": 5,
}
UNKNOWN_MEMBERS: list[Members] = weighted(
    (8, ()),
    (1, (("page_scores", Obj((("a", Obj((("id", "a"), ("n", Num("1.10"))))), ("b", Num("1"))))),)),
    (1, (("chat_messages", Arr((Obj((("id", "a"),)), None, "text"))), ("generator", "v2"))),
    (1, (("Users", Obj(())), ("empty", Arr(())), ("nothing", None))),
    # Written first, so that the ones that follow hold.
    (1, (("users", Obj((("ghost", Obj((("id", "ghost"),))),))), ("version", "9.9.9"))),
)


@st.composite
def dumps(
    draw: st.DrawFn,
    window: Window,
    windows: Sequence[Window],
    ids: Sequence[str],
    scale: int = 1,
) -> Obj:
    """A good document for a window, with up to `scale` times the usual number of records."""
    times = time_nodes(window, windows)
    if sample(draw, weighted((5, "any"), (1, "few"))) == "few":  # ties everywhere
        times = [sample(draw, times), sample(draw, times)]
    pool = Pool(ids=ids, times=times)
    start, end = (str(bound) for bound in window)
    quoted = sample(draw, weighted((7, False), (1, True)))
    members: list[tuple[str, Node]] = [
        ("version", sample(draw, VERSIONS)),
        ("start_time", start if quoted else Num(start)),
        ("end_time", end if quoted else Num(end)),
    ]
    for entity, max_size in MAX_SIZES.items():
        members.append((entity, draw(collections(entity, pool, scale * max_size))))
    turn = sample(draw, (0, 0, 3, 5))  # the head need not come first
    return Obj((*sample(draw, UNKNOWN_MEMBERS), *members[turn:], *members[:turn]))


@st.composite
def revisions(
    draw: st.DrawFn, document: Obj, window: Window, windows: Sequence[Window], ids: Sequence[str]
) -> Obj:
    """A document with some records dropped, some drawn anew under their ids, the rest as it was."""
    pool = Pool(ids=ids, times=time_nodes(window, windows))

    def revise(entity: str, entry: Node) -> Node:
        fate = sample(draw, weighted((2, "keep"), (1, "drop"), (1, "change")))
        if fate == "drop":
            return ABSENT
        if fate == "keep" or not isinstance(entry, Obj):
            return entry
        fields = draw(fields_of(entity, pool))
        return Obj((*fields, *(member for member in entry.members if member[0] == "id")))

    members: list[tuple[str, Node]] = []
    for name, value in document.members:
        revised = value
        if name in MAX_SIZES and isinstance(value, Obj):
            revised = Obj(tuple((key, revise(name, entry)) for key, entry in value.members))
        elif name in MAX_SIZES and isinstance(value, Arr):
            entries = (revise(name, entry) for entry in value.items)
            revised = Arr(tuple(entry for entry in entries if entry != ABSENT))
        members.append((name, revised))
    return Obj(tuple(members))


def with_member(document: Obj, name: str, value: Node) -> Obj:
    """A document with one more member; of equal names it is the last."""
    return Obj((*document.members, (name, value)))


BREAKAGES = (
    "major",
    "version",
    "no_version",
    "reversed",
    "unreadable_window",
    "kind",
    "truncated",
    "nan",
    "trailing_comma",
    "two_documents",
    "future",
    "not_utf8",
    "array",
    "empty",
)


def broken(document: Obj, how: str) -> bytes:
    """A document that is rejected (docs/operate.md#what-is-rejected), made of a good one."""
    good = document_bytes(document)
    early = Num("946684800000")
    by_member: dict[str, tuple[str, Node]] = {
        "major": ("version", "2.0.0"),
        "version": ("version", "1.0"),
        "no_version": ("version", None),
        "reversed": ("end_time", early),
        "future": ("end_time", Num("4102444799999")),
        "unreadable_window": ("start_time", "yesterday"),
        "kind": ("unique_visitor_sessions", Arr(())),
        "nan": ("score", Verbatim("NaN")),
        "trailing_comma": ("list", Verbatim("[1,]")),
    }
    if how in by_member:
        return document_bytes(with_member(document, *by_member[how]))
    return {
        "truncated": good[:-1],
        "two_documents": good + good,
        "not_utf8": good[:-1] + b',"text":"\xed\xa0\x80\xff"}',
        "array": b"[" + good + b"]",
        "empty": b"",
    }[how]


# ---------------------------------------------------------------------------------------- histories


@st.composite
def histories(draw: st.DrawFn, max_windows: int = 5) -> list[Delivery]:
    """Deliveries in the order of arrival; modification times are naive UTC, or unknown."""
    windows = draw(window_lists(max_windows))
    ids = draw(st.lists(st.sampled_from(IDS), min_size=1, max_size=6, unique=True))
    deliveries: list[Delivery] = []
    for window in windows:
        document = draw(dumps(window, windows, ids))
        modified_at = sample(draw, MODIFIED)
        content = document_bytes(document, sample(draw, STYLES))
        deliveries.append(Delivery(content, modified_at))
        match sample(draw, weighted((7, "once"), (1, "again"), (1, "broken"), (1, "early"))):
            case "again":  # the same content as another file
                deliveries.append(Delivery(content, sample(draw, MODIFIED)))
            case "early":  # rejected on its own, whether the other one came before or after
                deliveries.append(Delivery(content, TOO_EARLY))
            case "broken":  # mostly a failed re-delivery of the same window
                content = broken(document, sample(draw, BREAKAGES))
                deliveries.append(Delivery(content, modified_at))
            case _:
                pass
    return draw(st.permutations(deliveries))


@st.composite
def label_histories(draw: st.DrawFn) -> list[Delivery]:
    """Two nights of many sessions whose labels form chains, trees and cycles."""
    count = draw(st.integers(2, 40))
    ids = draw(st.permutations([f"{number:02}" for number in range(count)]))
    start = STARTS[0]
    windows = [(start, start + LENGTHS[0]), (start + LENGTHS[0], start + 2 * LENGTHS[0])]
    labels: list[Node] = [*ids, *ids, NOWHERE, None]
    sessions: list[list[tuple[str, Node]]] = [[], []]
    for place, own in enumerate(ids):
        # mostly one long way: next to next, or back and forth
        near = ids[(place + sample(draw, (1, 1, 1, -1, 2))) % count]
        label = sample(draw, [*[near] * 3, sample(draw, labels)])
        began = sample(draw, (Num(str(start)), Num(str(start + 1)), None))
        members: Members = (("session_group", label), ("start_time", began))
        sessions[sample(draw, (0, 0, 0, 1))].append((own, Obj(members)))
    return [
        Delivery(
            document_bytes(
                Obj(
                    (
                        ("version", "1.0.0"),
                        ("start_time", Num(str(window[0]))),
                        ("end_time", Num(str(window[1]))),
                        ("unique_visitor_sessions", Obj(tuple(night))),
                    )
                )
            ),
            None,
        )
        for window, night in zip(windows, sessions, strict=True)
    ]
