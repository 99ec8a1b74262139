"""Histories written from docs/query.md alone, to make a build that keeps what it has go wrong.

`hostile_plan(seed)` makes the same steps for the same seed. Each history turns a few themes loud
and leaves the others quiet, and has few ids, so that records collide and themes meet. Nothing here
knows a model, or the other generator.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias, TypeVar

from dumps import DAY, HOUR
from replay import HARMS, Change, Deliver, File, Harm, Retire, Step

T = TypeVar("T")
SECOND = 1000
INCLUDE_UNKNOWN = "rep_ai_include_unknown_types"
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
# a landing is killed as part of its Deliver
KINDS_OF_HARM = [kind for kind in HARMS if kind != "landing killed"]
LEAST, MOST = 946_684_800_000, 4_102_444_800_000  # the bounds of readable times


@dataclass(frozen=True)
class Raw:
    """JSON text that is written as it stands."""

    text: str


Node: TypeAlias = Raw | str | int | bool | None
Record: TypeAlias = dict[str, Node]
Entry: TypeAlias = tuple[str, Record | Raw]  # with the key it has where its collection is an object
Window: TypeAlias = tuple[int, int]
Life: TypeAlias = tuple[int, int, int]  # the start and end of a record, and what it is like
Chance: TypeAlias = tuple[str, Sequence[T]]  # a theme, and what it takes instead
ABSENT = Raw("")  # a field with this value is not written


@dataclass
class Dump:
    """A document before it is written."""

    window: Window
    parts: dict[str, list[Entry] | Raw]
    rung: int = 0  # of its version
    version: str = ""


# fmt: off
USERS, VISITORS, SESSIONS = "users", "unique_visitors", "unique_visitor_sessions"
ACTIONS, INTERACTIONS = "unique_visitor_session_actions", "unique_visitor_session_interactions"
ARRAYS = (ACTIONS, INTERACTIONS)
FIELDS = {
    USERS: "email_address display_name title active",
    VISITORS: "custom_id custom_metadata",
    SESSIONS: "session_group unique_visitor_id referrer user_agent start_time end_time",
    ACTIONS: "action session_id timestamp",
    INTERACTIONS: "interaction session_id user_id start_time end_time accept accept_time"}
# How likely a theme takes each chance where it is quiet, and where it is loud.
LEVELS = {
    (0.005, 0.06): "equal keys in a collection; no id at all; entries that are no objects",
    (0.02, 0.2): "fields missing; ends before starts; key and id differ; odd times; twice equal; "
                 "key is the id of another; id empty or missing; twice with other content; "
                 "equal keys in a record; collections null or absent; times outside the window; "
                 "labels to ids of other kinds; facts without a session; no sessions; "
                 "facts of unknown sessions; equal keys in the document",
    (0.05, 0.4): "ids shared by kinds; ids that differ by case or space; labels at random; "
                 "labels missing; facts move between sessions; visitors change; starts move; "
                 "ends change; accept time odd; unlisted fields; odd types; landing killed before; "
                 "deliveries retired",
    (0.1, 0.6): "odd ids; ids written as numbers; labels change; visitors not described; "
                "equal starts; ends unset; accept odd; accept absent in later windows; name taken; "
                "accept at the start; unknown collections; odd custom ids; odd versions; odd users",
    (0.25, 0.9): "anchors held back; odd metadata; windows that overlap; windows of odd length; "
                 "gaps between windows; nights in any order; first night last; setting put back; "
                 "members in any order; sessions in many windows; facts in many windows"}
THEMES = {theme: level for level, themes in LEVELS.items() for theme in themes.split("; ")}

# By precedence (docs/query.md#current-deliveries): pre-releases of one release go by text.
LADDER = (
    "1.0.0-0", "1.0.0-RC.2", "1.0.0-rc.10", "1.0.0-rc.9", "1.0.0", "1.0.1", "1.0.2", "1.0.10",
    "1.1.0-alpha", "1.1.0", "1.2.0-b.10", "1.2.0-b.2", "1.2.0", "1.9.0", "1.10.0-a", "1.10.0",
    "1.11.0", "1.99.0", "1.100.0", "1.101.0", "1.99999999999999999999.0")
RELEASE = LADDER.index("1.0.0")
# Zones whose rules for these years are old enough to be alike in every zone database.
ZONES = (
    "UTC", "US/Central", "America/St_Johns", "America/Santiago", "America/Havana", "Pacific/Apia",
    "Asia/Kathmandu", "Australia/Lord_Howe", "Australia/Eucla", "Pacific/Chatham", "Etc/GMT+12",
    "Pacific/Kiritimati", "Pacific/Marquesas", "Antarctica/Troll", "Atlantic/Azores")
# Days shortly before a clock change somewhere, a leap day, or a new year.
DAYS = ("2024-02-27", "2024-03-08", "2024-03-29", "2024-04-05", "2024-09-06", "2024-09-27",
        "2024-10-04", "2024-10-25", "2024-11-01", "2024-12-29", "2025-03-07", "2025-10-24")
LENGTHS = (23 * HOUR, 25 * HOUR, DAY - 1, DAY - 1, DAY - SECOND, HOUR, DAY + 1)
GAPS = (1, 1, 999, SECOND, 1001, HOUR, 23 * HOUR, DAY, 25 * HOUR, 2 * DAY)
SHIFTS = (DAY, -DAY, HOUR, -HOUR, 1, -1, -2 * DAY, 12 * HOUR)
ODD_IDS = (
    "o'clock", 'say "hi"', "100%", "%s", "{{ this }}", "back\\slash", "C:\\new", "\U0001f642", "7",
    "\uff5e", "007", "123456789012345678901234567890", "1e2", "1.10", "null", "-0", "SS", "\u00df",
    "NULL", "true", "[]", "{}", "a b", "tab\there", "line\nbreak", "\u00e9", "e\u0301", "--", ";",
    "$1", "0", "a:b", "session_started:s0", "\u2028", "_", "a|b", "undefined", "'", "\\N",
    "x" * 200 + "1", "x" * 200 + "2")
TYPES: dict[str, tuple[str, ...]] = {
    "action": ("ALERT", "REQUESTED_HELP", "PAGE_VIEW", "alert", "NEW_TYPE", "Chat, live", "a 'b'"),
    "interaction": ("PROACTIVE_CALL", "TAKEOVER", "CALL", "call", "NEW_TYPE", "ALERT", "Za\u00ef")}
UNSET: Sequence[Node] = (None, ABSENT)
NO_ID: Sequence[Node] = ("", *UNSET)
MISSING: Chance[Node] = ("fields missing", NO_ID)
TYPE: Chance[Node] = (
    "odd types", (*NO_ID, "ALERT ", " CALL", "Alert", "null", 5, "alert", "CALL", "a 'b'"))
ACCEPT: Chance[Node] = (
    "accept odd", (True, False, *UNSET, "yes", "true", "false", "TRUE", 1, 0, "", Raw("[]")))
ACTIVE: Chance[Node] = ("odd users", (True, False, *NO_ID, "true", "yes", "FALSE", 1, 0))
TITLE: Chance[Node] = ("odd users", (*NO_ID, " ", 5, "Chief % 'O' \U0001f642"))
CUSTOM_ID: Chance[Node] = ("odd custom ids", (
    *NO_ID, "undefined", "null", "[object Object]", " ", "  ", "0", 0, Raw("1.1"), "v0", "00"))
AGENTS: Sequence[Node] = ("Mozilla", "Mozilla", "curl % 'x'", Raw("[1]"), 5)
METADATA = (
    "null", "[]", "{}", '"plain text"', "5", "1e2", "true", "false", '""', '"{\\"email\\": \\""',
    '"{\\"email\\": \\"in@text\\"}"', '[{"email": "in@array"}]', '{"displayName": "Camel"}',
    '{"display_name": "Snake", "displayName": "Camel", "email": "both@x"}', '{"display_name": ""}',
    '{"display_name": "", "displayName": "Camel"}', '{"display_name": null, "displayName": "A"}',
    '{"display_name": 5, "displayName": ["no"], "email": {"a": "b"}}', '{"email": 12}',
    '{"email": "Quote\\"d \\ud83d\\ude42 \\/ \\u00e9@x"}', '{"email": true, "displayName": "O\'N"}',
    '{"n": 123456789012345678901234567890, "f": 1.10, "e": 1E2, "deep": {"a": [[], {}, null]}}',
    '{"Email": "case@x", "DISPLAY_NAME": "Case"}', '{"user": {"email": "deep@x"}}', '{"email": ""}',
    '{"": 1, "a.b": 2}', '{"email": "a@x", "display_name": "Same"}')
EXTRA_FIELDS = ("device", "ID", "Id", "SESSION_ID", "sessionId", "_key", "_extra", "_position", "",
                "_delivery_id", "properties", "start time", "a.b", "o'k", 'q"q', "\u00e9", "value")
EXTRA_VALUES: Sequence[Node] = (
    "text", "", None, 5, True, Raw("1.10"), Raw("1e2"), Raw("123456789012345678901234567890"),
    Raw('{"a": {"b": [1, "x", null]}}'), Raw("[]"), Raw("{}"), Raw('"\\u00e9\\/\\ud83d\\ude42"'))
UNKNOWN_MEMBERS = (
    ("Users", '{"u0": {"id": "u0"}}'), ("unique_visitor", "{}"), ("_extra", "1e2"), ("by", '"me"'),
    ("deliveries", '[{"_delivery_id": "x"}]'), ("_dlt_loads", '{"a": {}}'), ("known_types", "[]"),
    ("surveys", '[{"id": "s0"}, 5, null]'), ("total", "null"), ("unique_visitors ", '{"v0": 1}'))
NONSENSE = (Raw("5"), Raw("null"), Raw('"s0"'), Raw("[]"), Raw("true"), Raw('[{"id": "s0"}]'))
SHAPES = ("star", "chain", "ring", "rings", "tails", "ghosts", "own", "mix")
EDITS = "drop drop empty relabel owners retell retell reverse anew same users"
MOVES = ("higher", "higher", "higher", "equal, later", "equal, later", "equal, earlier", "lower",
         "lower", "copied later", "copied earlier", "copied earlier", "as before", "as before",
         "as before", "moved", "moved", "rejected", "copied to another window")
FAULTS = ("truncated", "other major", "no length", "backwards", "of the future")
SETTINGS = ("zone", "zone", "zone", "unknown types", "types", "types", "all")
# D delivers, C changes settings, H does harm.
RECIPES = "D D D DD DDD DH HD DHD DHD DHDH HDHD DHHD C CD DC CHC CDC CHDC DCHD DHC CH H DDDD CDHD"
STYLES = ((",", ":"), (", ", ": "), (",\n", ": "), (" ,\t", " :\r\n"))
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
# fmt: on


class _Author:
    """Writes one history."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.pick = self.rng.choice
        self.loud = self.rng.sample(list(THEMES), self.rng.randint(4, 9))
        self.clock = 8 * 86_400  # seconds in January, with room for files that are older
        self.used: set[int] = set()
        self.names: list[str] = []
        self.sent: dict[Window, list[tuple[Dump, File]]] = {}
        counts = zip(FIELDS, "uvsai", ((2, 3), (3, 5), (6, 14), (10, 20), (6, 10)), strict=True)
        self.cast = {kind: self.ids(letter, self.rng.randint(*few)) for kind, letter, few in counts}
        self.sessions, self.visitors = self.cast[SESSIONS], self.cast[VISITORS]
        self.chain = self.nights()
        self.pending, self.ties = self.order_of_nights(), [self.moment(self.chain[0])]
        self.lives = {(kind, one): self.life() for kind, ids in self.cast.items() for one in ids}
        self.links: dict[str, str] = {}
        self.turn = 0  # facts are of other sessions after each
        self.relabel()
        self.held = self.rng.sample(self.sessions, 3) if self.on("anchors held back") else []

    def on(self, theme: str) -> bool:
        """Whether a theme takes its chance here."""
        return self.rng.random() < THEMES[theme][theme in self.loud]

    def vary(self, value: T, *chances: Chance[T]) -> T:
        """A value, or what the first theme that takes its chance has instead."""
        return next((self.rng.choice(others) for theme, others in chances if self.on(theme)), value)

    def ids(self, letter: str, count: int) -> list[str]:
        found: list[str] = []
        while len(found) < count:
            near = self.pick(found or ["s0"])
            like = (near.upper(), near.lower(), near + " ", " " + near, near + "\u00a0")
            odd, differ = ("odd ids", ODD_IDS), ("ids that differ by case or space", like)
            shared = ("ids shared by kinds", [f"x{n}" for n in range(12)])
            one = self.vary(f"{letter}{len(found)}", shared, odd, differ)
            found += [one] if one not in found else []
        return found

    def nights(self) -> list[Window]:
        first = datetime.fromisoformat(self.pick(DAYS)).replace(tzinfo=UTC)
        at = int(first.timestamp()) * 1000 + self.pick((0, 0, 5, 6, -14)) * HOUR
        found = []
        for _ in range(self.rng.randint(4, 7)):
            end = at + self.vary(DAY, ("windows of odd length", LENGTHS))
            found.append((at, end))
            at = end + self.vary(0, ("gaps between windows", GAPS))
        return found

    def order_of_nights(self) -> list[Window]:
        found = list(self.chain)
        low, high = found[0][0], found[-1][1]
        for start, end in self.chain:
            if self.on("windows that overlap"):
                found.append(self.pick((
                    (start, end + DAY), (start - 12 * HOUR, end - 12 * HOUR), (start, start + 1),
                    (end - 1, end), (start + 1, end), (start, end - 1), (start, end + SECOND),
                    (low, high), (start + 1, end + HOUR), (end - HOUR, end + 1), (start - DAY, end),
                    (low - DAY, low - 1), (low - DAY, low), (start + 60_000, end - 60_000),
                )))  # fmt: skip
        found = list(dict.fromkeys(found))
        if self.on("nights in any order"):
            self.rng.shuffle(found)
        if self.on("first night last"):
            found.sort(key=min(found).__eq__)
        return found

    def moment(self, window: Window) -> int:
        start, end = window
        midnight = -(-start // DAY) * DAY
        inside = (start + self.rng.randrange(end - start) for _ in range(7))
        return self.pick((start, start + 1, end - 1, end, midnight, midnight - 1, *inside))

    def life(self) -> Life:
        start = self.vary(self.moment(self.pick(self.chain)), ("equal starts", self.ties))
        length = self.pick((0, 1, 90_000, 90_000, 20 * 60_000, HOUR, DAY, 2 * DAY))
        return start, start + length, self.rng.randrange(1000)

    def relabel(self) -> None:
        """Sessions are grouped in another way from now on."""
        ids = self.rng.sample(self.sessions, len(self.sessions))
        half = len(ids) // 2
        ring = dict(zip(ids, ids[1:] + ids[:1], strict=True))
        self.links = {
            "star": dict.fromkeys(ids, ids[0]),
            "chain": ring | {ids[-1]: self.pick((ids[-1], "ghost0"))},
            "ring": ring,
            "rings": ring | {ids[half - 1]: ids[0], ids[-1]: ids[half]},
            "tails": ring | {ids[half - 1]: ids[0], ids[-1]: self.pick(ids[:half])},
            "ghosts": {one: self.pick(("ghost0", "ghost1", ids[0])) for one in ids},
            "own": dict(zip(ids, ids, strict=True)),
            "mix": {one: self.pick([*ids, "ghost0"]) for one in ids},
        }[self.pick(SHAPES)]

    def ident(self, one: str) -> Node:
        return Raw(one) if NUMBER.fullmatch(one) and self.on("ids written as numbers") else one

    def time(self, near: int) -> Node:
        odd: Sequence[Node] = (
            "", "soon", Raw(f"{near}.5"), Raw(f"{near}.0"), Raw("1.7e12"), "9" * 40, Raw("-1"),
            LEAST, LEAST - 1, MOST, MOST - 1, MOST + 1, *UNSET, str(near), f" {near}", f"{near}\n",
            f"0{near}", f"+{near}", 10**29, True, near // 1000, near * 1000, "2024-03-10",
        )  # fmt: skip
        days = [near + n * DAY + m for n in (-400, -3, -1, 1, 2, 400) for m in (-1, 0, 1)]
        return self.vary(near, ("odd times", odd), ("times outside the window", days))

    def label(self, one: str) -> Node:
        foreign = [*self.visitors, *self.cast[ACTIONS], *self.cast[USERS]]
        other = self.pick(self.sessions)
        others = (one, other, other, "ghost0", other + " ", other.upper())
        return self.vary(
            self.ident(self.links[one]), ("labels missing", NO_ID), ("labels at random", others),
            ("labels to ids of other kinds", foreign))  # fmt: skip

    def owner(self, nature: int) -> Node:
        one = self.sessions[(nature + self.turn) % len(self.sessions)]
        unknown = ("nobody", one + " ", one.upper(), *self.visitors)
        return self.vary(
            self.ident(one), ("facts without a session", NO_ID),
            ("facts of unknown sessions", unknown), ("facts move between sessions", self.sessions),
        )  # fmt: skip

    def ending(self, end: int, window: Window, start: int) -> Node:
        usual = self.time(end) if end <= window[1] else self.pick(UNSET)  # the night ends first
        changed = (*UNSET, start, end + 1, end + DAY, end - 1, window[1])
        before = ("ends before starts", (start - 1, start - 60_000, start - DAY))
        return self.vary(usual, before, ("ends change", changed), ("ends unset", UNSET))

    def values(self, name: str, one: str, window: Window) -> list[Node]:
        begin, end, nature = self.lives[name, one]
        if name == USERS:
            found: list[Node] = [f"{nature % 3}@x.example", self.pick(("Ann", "Bo", "Ann "))]
            found = [self.vary(value, MISSING) for value in found]
            return [*found, self.vary("Agent", TITLE), self.vary(True, ACTIVE)]
        if name == VISITORS:
            metadata = Raw(self.vary(METADATA[-1], ("odd metadata", METADATA)))
            return [self.vary(f"person {nature % 3}", CUSTOM_ID), self.vary(metadata, MISSING)]
        start = begin + self.vary(0, ("starts move", SHIFTS))
        if name == SESSIONS:
            visitor = self.visitors[nature % len(self.visitors)]
            whose = self.ident(self.vary(visitor, ("visitors change", self.visitors)))
            referrer = self.pick((f"https://x.example/{nature}", "https://other.example", ""))
            found = [self.vary(one, MISSING) for one in (whose, referrer, self.pick(AGENTS))]
            return [self.label(one), *found, self.time(start), self.ending(end, window, start)]
        kind = "action" if name == ACTIONS else "interaction"
        found = [self.vary(TYPES[kind][nature % 5], TYPE), self.owner(nature)]
        if name == ACTIONS:
            return [*found, self.time(self.pick((start, self.moment(window), begin)))]
        user = self.pick((*[self.cast[USERS][nature % 2]] * 3, "unknown user", *self.cast[USERS]))
        found += [self.vary(user, MISSING), self.time(start), self.ending(end, window, start)]
        accept: Node = self.vary(nature % 3 > 0, ACCEPT)
        if window > min(self.sent, default=window):
            accept = self.vary(accept, ("accept absent in later windows", (*UNSET, "no")))
        odd = (*UNSET, start - 1, start + 1, start + DAY, begin, self.time(start))
        usual = self.vary(start + nature * 77, ("accept at the start", (start,)))
        return [*found, accept, self.vary(usual, ("accept time odd", odd))]

    def record(self, name: str, one: str, window: Window) -> Record:
        values = [self.ident(one), *self.values(name, one, window)]
        return dict(zip(["id", *FIELDS[name].split()], values, strict=True))

    def entries(self, name: str, present: Sequence[str], window: Window) -> list[Entry]:
        found: list[Entry] = []

        def put(key: str, record: Record | Raw) -> None:
            found.insert(self.rng.randint(0, len(found)), (key, record))

        for one in present:
            record = self.record(name, one, window)
            if self.on("unlisted fields"):
                record[self.pick(EXTRA_FIELDS)] = self.pick(EXTRA_VALUES)
            differ = ("key and id differ", ("", " ", one + " ", one.upper(), "other key"))
            key = self.vary(one, ("key is the id of another", present), differ)
            record["id"] = self.vary(record["id"], ("id empty or missing", NO_ID))
            if self.on("no id at all"):
                key, record["id"] = "", self.pick(NO_ID)
            put(key, record)
            if self.on("twice equal"):
                put(f"{key} again", dict(record))
            if self.on("twice with other content"):
                other = self.record(name, self.pick(present), window)
                put(f"{key} otherwise", other | {"id": record["id"]})
        if self.on("entries that are no objects"):
            put(self.pick(("nonsense", *present)), self.pick(NONSENSE))
        return found

    def dump(self, window: Window) -> Dump:
        if self.on("labels change"):
            self.relabel()
        likely = {USERS: 0.6, VISITORS: 0.1 if self.on("visitors not described") else 0.8}
        lost: Chance[list[Entry] | Raw] = ("collections null or absent", (ABSENT, Raw("null")))
        hidden = self.sessions if self.on("no sessions") else self.held
        new = Dump(window, {})
        for name, ids in self.cast.items():
            theme = "sessions in many windows" if name == SESSIONS else "facts in many windows"
            kept = [one for one in ids if name != SESSIONS or one not in hidden]
            present: list[str] = []
            for one in self.rng.sample(kept, len(kept)):
                start, end, _ = self.lives[name, one]
                here = (start < window[1] and end >= window[0]) or self.on(theme)
                present += [one] if self.rng.random() < likely.get(name, 0.8 * here) else []
            new.parts[name] = self.vary(self.entries(name, present, window), lost)
        if self.on("unknown collections"):
            new.parts |= {name: Raw(text) for name, text in self.rng.sample(UNKNOWN_MEMBERS, 2)}
        return new

    def written(self, dump: Dump) -> bytes:
        """The document, in bytes that no other document of this history has."""
        (comma, colon), plain = self.pick(STYLES), self.pick((True, False))

        def text(node: Node) -> str:
            return node.text if isinstance(node, Raw) else json.dumps(node, ensure_ascii=plain)

        def mapping(pairs: list[tuple[str, str]]) -> str:
            return "{" + comma.join(text(name) + colon + value for name, value in pairs) + "}"

        def fields(record: Record | Raw) -> str:
            if isinstance(record, Raw):
                return record.text
            pairs = [(name, text(value)) for name, value in record.items() if value != ABSENT]
            if pairs and self.on("equal keys in a record"):  # the last holds, this is a decoy
                pairs.insert(0, (self.pick(pairs)[0], self.pick(('"decoy"', "null", "5", "[]"))))
            return mapping(pairs)

        def collection(name: str, entries: list[Entry] | Raw) -> str:
            if isinstance(entries, Raw):
                return entries.text
            if name in ARRAYS:
                return "[" + comma.join(fields(record) for _, record in entries) + "]"
            pairs = list({key: fields(record) for key, record in entries}.items())
            if pairs and self.on("equal keys in a collection"):
                pairs.insert(0, (self.pick(pairs)[0], fields({"id": "s0", "title": "decoy"})))
            return mapping(pairs)

        pairs = zip(("start_time", "end_time"), map(str, dump.window), strict=True)
        members = [("version", text(dump.version)), *pairs]
        parts = dump.parts.items()
        members += [(name, collection(name, part)) for name, part in parts if part != ABSENT]
        if self.on("members in any order"):
            self.rng.shuffle(members)
        if self.on("equal keys in the document"):
            name = self.pick(members)[0]
            decoys = {"version": '"2.0.0"', "start_time": "5", "end_time": "null"}
            decoys |= dict.fromkeys(ARRAYS, '[{"id": "decoy"}]')
            members.insert(0, (name, decoys.get(name, '{"decoy": {"id": "decoy"}}')))
        return (mapping(members) + " " * len(self.used)).encode()

    def file(self, content: bytes, before: File | None = None) -> File:
        """A file, modified now or before another one, under a new name or one that is there."""
        past = before and round((before.modified_at - JANUARY).total_seconds())
        at = past - 1 if past else self.clock + self.pick((1, 1, 60, 3600, 20_000))
        while at in self.used:
            at += -1 if past else 1
        self.used.add(at)
        self.clock = max(self.clock, at)
        new = f"night-{len(self.names)}.json"
        name = self.vary(new, ("name taken", self.names or [new]))
        self.names += [name] if name == new else []
        return File(name, content, JANUARY + timedelta(seconds=at))

    def send(self, dump: Dump, rung: int, before: File | None = None) -> File:
        dump.rung = max(0, min(rung, len(LADDER) - 1))
        dump.version = LADDER[dump.rung]
        dump.version += self.vary("", ("odd versions", ("+a", "+b.7", "+001", "+Z")))
        file = self.file(self.written(dump), before)
        self.sent.setdefault(dump.window, []).append((dump, file))
        return file

    def edited(self, old: Dump) -> Dump:
        """What a night may look like when it is told again."""
        new = copy.deepcopy(old)
        for _ in range(self.pick((1, 1, 2, 3))):
            edit = self.pick(EDITS.split())
            if edit == "anew":
                new = self.dump(old.window)
            elif edit == "empty":
                new.parts = {name: self.pick(([], [], Raw("null"))) for name in FIELDS}
            elif edit == "relabel":
                self.relabel()
            elif edit == "users":
                new.parts[USERS] = self.entries(USERS, self.cast[USERS][:1], new.window)
            elif edit == "owners":
                self.turn += 1
            for name, entries in new.parts.items():
                if isinstance(entries, Raw):
                    continue
                if edit == "drop" and self.pick((True, False)):
                    new.parts[name] = [entry for entry in entries if self.rng.random() < 0.6]
                elif edit == "reverse":  # of two records with one id the other holds
                    entries.reverse()
                elif edit in ("relabel", "owners", "retell"):
                    self.retell(name, entries, edit, new.window)
        return new

    def retell(self, name: str, entries: list[Entry], edit: str, window: Window) -> None:
        field = {"relabel": "session_group", "owners": "session_id"}.get(edit)
        for record in (record for _, record in entries if isinstance(record, dict)):
            one = record.get("id")
            chosen = field or self.rng.random() < 0.4
            if chosen and isinstance(one, str) and (name, one) in self.lives:
                fresh = self.record(name, one, window)
                told = field or self.pick(FIELDS[name].split())
                record.update({told: fresh[told]} if told in fresh else {})

    def moves(self, new: float) -> list[File]:
        if self.pending and self.rng.random() < (new if self.sent else 1):
            rung = RELEASE + self.pick((0, 0, 0, 0, 1, 2, -1, -2))
            return [self.send(self.dump(self.pending.pop(0)), rung)]
        told, others = (self.sent[self.pick(list(self.sent))] for _ in range(2))
        last, last_file = max(told, key=lambda sent: sent[0].rung)
        (old, old_file), (other, _) = self.pick(told), self.pick(others)
        above, below = last.rung + self.pick((1, 1, 2, 3)), last.rung - self.pick((1, 2, 4))
        start, end = old.window
        beside = self.pick(((start, end + 1), (start - DAY, end), (start + 1, end + SECOND)))
        another = Dump(beside, copy.deepcopy(old.parts))
        # Of the times of one content the earliest counts: an older copy may become the current one.
        make: dict[str, Callable[[], list[File]]] = {
            "higher": lambda: [self.send(self.edited(last), above)],
            "equal, later": lambda: [self.send(self.edited(last), last.rung)],
            "equal, earlier": lambda: [self.send(self.edited(last), last.rung, last_file)],
            "lower": lambda: [self.send(self.edited(old), below)],
            "copied later": lambda: [self.file(old_file.content)],
            "copied earlier": lambda: [self.file(old_file.content, self.pick(told)[1])],
            "as before": lambda: [self.send(copy.deepcopy(old), self.pick((above, last.rung)))],
            "rejected": lambda: [self.rejectable(old)],
            "moved": lambda: self.moved(last, other),
            "copied to another window": lambda: [self.send(another, RELEASE)],
        }
        return make[self.pick(MOVES)]()

    def moved(self, source: Dump, target: Dump) -> list[File]:
        """Records go from one night to another; one half of it may be missing."""
        left, right = copy.deepcopy(source), copy.deepcopy(target)
        for name in FIELDS:
            here, there = left.parts[name], right.parts[name]
            if isinstance(here, list) and isinstance(there, list) and left.window != right.window:
                going = [entry for entry in here if self.pick((True, False))]
                left.parts[name] = [entry for entry in here if entry not in going]
                right.parts[name] = there + copy.deepcopy(going)
        both = ((right, target.rung + 1), (left, source.rung + 1))
        return [self.send(*one) for one in both[: self.pick((1, 2, 2))]]

    def rejectable(self, old: Dump) -> File:
        bad, fault, (start, end) = self.edited(old), self.pick(FAULTS), old.window
        bad.version = self.pick(("2.0.0", "0.9.0")) if fault == "other major" else "1.0.0"
        windows = {"no length": (start, start), "backwards": (end, start)}
        windows["of the future"] = (start, end + 3 * 365 * DAY)  # files are of January 2026
        bad.window = windows.get(fault, bad.window)
        content = self.written(bad).rstrip()
        content = content[: -self.rng.randint(1, 40)] if fault == "truncated" else content
        return self.file(content)

    def deliver(self, count: int, new: float = 0.4) -> Deliver:
        found: dict[str, File] = {}
        for file in (file for _ in range(count) for file in self.moves(new)):
            name = file.name if file.name not in found else f"beside-{len(found)}-{file.name}"
            found[name] = File(name, file.content, file.modified_at)
        killed = self.rng.randrange(50, 3000) if self.on("landing killed before") else None
        return Deliver(tuple(found.values()), killed)

    def change(self) -> Change:
        what = self.pick(SETTINGS)
        zone: dict[str, object] = {"rep_ai_timezone": self.pick(ZONES)}
        unknown: dict[str, object] = {INCLUDE_UNKNOWN: self.pick((True, False))}
        few = self.pick((1, 2, 5))
        types = {kind: tuple(self.rng.sample(some, few)) for kind, some in TYPES.items()}
        variables = {"zone": zone, "unknown types": unknown, "all": zone | unknown}.get(what, {})
        return Change(variables, types if what in ("types", "all") else {})

    def plan(self) -> list[Step]:
        steps = [Step("hostile 0: first files", (self.deliver(self.pick((1, 2, 3)), 1),))]
        variables: dict[str, object] = {"rep_ai_timezone": "UTC", INCLUDE_UNKNOWN: False}
        types: dict[str, Sequence[str]] = {kind: known[:3] for kind, known in TYPES.items()}
        count = self.rng.randint(8, 12)
        for number in range(1, count + 1):
            hold = self.on("anchors held back") and self.pick((True, False))
            self.held = self.rng.sample(self.sessions, 2) if hold else self.held[1:]
            recipe = self.pick(RECIPES.split())
            before = Change(dict(variables), dict(types))
            done: list[Deliver | Change | Harm | Retire] = []
            for letter in recipe:
                if letter == "D":
                    done.append(self.deliver(self.pick((1, 1, 1, 2, 2, 3))))
                elif letter == "H":
                    delay = self.rng.randrange(3000)
                    done.append(Harm(self.pick(KINDS_OF_HARM), self.rng.random(), delay))
                else:
                    again = any(isinstance(one, Change) for one in done)
                    change = before if again and self.on("setting put back") else self.change()
                    variables |= change.variables
                    types |= change.types
                    done.append(change)
            if self.on("deliveries retired"):
                done.append(Retire(self.rng.random()))
            if number == count and self.pending:  # nights that were held back so long still come
                done = [*done[:3], self.deliver(len(self.pending), 1)]
            steps.append(Step(f"hostile {number}: {recipe}", tuple(done)))
        return steps


def hostile_plan(seed: int) -> list[Step]:
    """The steps of a history: the first delivers some files, and 8 to 12 others follow."""
    return _Author(seed).plan()
