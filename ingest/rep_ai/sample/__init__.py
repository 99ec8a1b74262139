"""Synthetic nightly dumps in the vendor's format, for first runs, demos and benchmarks.

The same arguments give the same documents on every machine: each day has random generators of its
own, only `random()` and `randbytes()` are asked of them, and no function of the C library whose
last digit may differ (logarithm, exponential) is used: heavy tails come from `u / (1 - u)`.
"""

from __future__ import annotations

import gzip
import json
import os
from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import blake2b
from itertools import accumulate, islice
from pathlib import Path
from random import Random
from typing import IO, Literal, NamedTuple, TypeVar, cast
from zoneinfo import ZoneInfo

import zstandard

Compression = Literal["none", "gzip", "zstd"]
T = TypeVar("T")

SUFFIXES: dict[Compression, str] = {"none": "", "gzip": ".gz", "zstd": ".zst"}
MINUTE = 60_000
HOUR = 60 * MINUTE
BATCH = 4096
"""Records joined and written at once: what bounds memory beside a day's sessions."""
POOL = 1024
"""Length of the lists from which one `random()` draws a weighted choice."""


@dataclass(frozen=True)
class SampleReport:
    """What `write_sample` wrote.

    Attributes:
        files: Number of files, the re-delivery included.
        bytes: Their size on disk, in bytes.
        records: Records of each collection over all files.
        paths: The files, in the order in which they would have arrived.
    """

    files: int
    bytes: int
    records: dict[str, int]
    paths: tuple[Path, ...]


class _Visitor(NamedTuple):
    id: str
    number: int
    bits: int  # what makes this visitor differ from others, the same on every day


class _Session(NamedTuple):
    id: str
    group: str
    visitor: _Visitor
    referrer: str  # JSON text
    start: int
    end: int | None  # None: never closed


class _Interaction(NamedTuple):
    id: str
    type: str
    session: str
    user: str
    start: int
    end: int | None  # None: never closed
    accepted: int | None  # None: never


class _Window(NamedTuple):
    day: int  # from 0
    start: int
    end: int
    buckets: list[float]  # cumulated share of visits, by half hours
    level: int  # minor version: 1 brings keys, 2 brings types and a collection


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _pool(weights: dict[T, int]) -> list[T]:
    """Repeats each value by its weight, to `POOL` values in all; the first value takes the rest."""
    values = [value for value, weight in weights.items() for _ in range(weight)]
    return [next(iter(weights))] * (POOL - len(values)) + values


def _tail(scale: float, most: int) -> list[int]:
    """The quantiles of a heavy-tailed count from 1 to `most`, its median near 1 + `scale`."""
    return [
        1 + min(int(scale * u / (1 - u)), most - 1) for u in ((i + 0.5) / POOL for i in range(POOL))
    ]


SESSIONS_IN_GROUP = _tail(0.9, 40)
ACTIONS_IN_SESSION = _tail(1.7, 150)
# 5,000 interactions for 10,000 sessions
INTERACTIONS_IN_SESSION = _pool({0: 0, 1: 260, 2: 80, 3: 26, 5: 3})

# Visits by local hour, on a working day and on a weekend
WEEKDAY = (2, 1, 1, 1, 1, 2, 5, 12, 30, 48, 56, 54, 44, 50, 58, 57, 52, 40, 24, 17, 14, 11, 7, 4)
WEEKEND = (4, 3, 2, 1, 1, 1, 2, 4, 8, 13, 18, 20, 20, 20, 19, 18, 17, 16, 16, 17, 16, 13, 9, 6)

SITE = "https://www.example.com"
PAGES = {
    ("/", "Example Inc. — Conversations that close"): 240,
    ("/pricing", "Pricing | Example Inc."): 150,
    ("/product/live-video", 'Live video: say "hello" to your visitors'): 110,
    ("/customers", "Customers ⭐ | Example Inc."): 70,
    ("/blog/what-is-pipeline", "What is pipeline, really? | Blog"): 60,
    ("/docs/install?platform=webflow", "Install: Webflow | Docs"): 60,
    ("/docs/api#sessions", "API reference | Docs"): 50,
    ("/demo?utm_source=mail&utm_campaign=q1%20launch", "Book a demo 🚀 | Example Inc."): 60,
    ("/de/preise", "Preise für große und kleine Teams | Example Inc."): 30,
    ("/ja/", "会話から商談へ | Example Inc."): 15,
    ("/login", "Log in"): 40,
    ("/search?q=%22salesforce%22", "Search: \\ salesforce \\"): 12,
}
REFERRERS = _pool(
    {
        "null": 330,
        _json("https://www.google.com/"): 290,
        _json("https://www.bing.com/"): 50,
        _json("https://duckduckgo.com/"): 25,
        _json("https://www.linkedin.com/feed/"): 90,
        _json("https://t.co/Qx3vJ8LmPz"): 30,
        _json("android-app://com.google.android.gm/"): 20,
        _json("https://news.ycombinator.com/item?id=40911022"): 12,
        _json("https://partner.example.org/tools?category=sales&sort=rating"): 60,
        _json("https://chatgpt.com/"): 45,
        _json("https://mail.example.org/campaign/2026-03?u=a1b2c3&n=1"): 40,
        '""': 12,
    }
)
INNER_REFERRERS = _pool({_json(SITE + path): weight for (path, _), weight in PAGES.items()})

_WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64"
_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) "
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3_1 like Mac OS X) "
_BLINK = "AppleWebKit/537.36 (KHTML, like Gecko) "
_APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 "
_CHROME = _BLINK + "Chrome/134.0.0.0 "
USER_AGENTS = _pool(
    {
        f'"{_WINDOWS}) {_CHROME}Safari/537.36"': 330,
        f'"{_MAC}{_CHROME}Safari/537.36"': 220,
        f'"{_MAC}{_APPLE}Safari/605.1.15"': 90,
        f'"{_IPHONE}{_APPLE}Mobile/15E148 Safari/604.1"': 120,
        f'"Mozilla/5.0 (Linux; Android 10; K) {_CHROME}Mobile Safari/537.36"': 90,
        f'"{_WINDOWS}) {_CHROME}Safari/537.36 Edg/134.0.0.0"': 70,
        f'"{_WINDOWS}; rv:136.0) Gecko/20100101 Firefox/136.0"': 45,
        '"Mozilla/5.0 (X11; Linux x86_64; rv:136.0) Gecko/20100101 Firefox/136.0"': 14,
        '"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"': 14,
        '"Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)"': 8,
        '"Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)"': 6,
        f'"Mozilla/5.0 (X11; Linux x86_64) {_BLINK}HeadlessChrome/133.0.6943.53"': 5,
        '"curl/8.5.0"': 2,
    }
)

FIRST_NAMES = ["Ana", "Ben", "Dmitri", "Emeka", "Fatima", "Grace", "Hiro", "Jamal", "Lena", "Priya"]
LAST_NAMES = ["Brøndum", "Chen", "D'Angelo", "García Márquez", "Müller", "Nguyễn", "Patel", "王"]
COMPANIES = ["Acme", 'Bolt & "Sons"', "Café Zoë", "Delta\\West", "株式会社エコー", "Foo <Bar> GmbH"]
TITLES = ["Account Executive", "SDR", "Sales Engineer", "Support Lead", None, "VP, Sales ✨"]
TEAMS = ["Inbound", "Enterprise", "EMEA", None]
TAGS = ["vip", "🚀", "trial", 'needs "SSO"', "churn-risk", "👩\u200d💻"]
NOTE = 'Asked about SSO, "seat" limits and the DPA.\n\tFollow up 📞 next week. '
COMMENTS = ["Great help!", "", "too slow 😒", 'She said: "one minute"… and kept her word.']


def write_sample(
    directory: Path,
    *,
    days: int = 14,
    sessions_per_day: int = 400,
    seed: int = 1,
    timezone: str = "America/Chicago",
    first_day: date = date(2026, 3, 1),
    compression: Compression = "none",
    redelivery: bool = True,
) -> SampleReport:
    """Writes one dump for each day, and one day of the last third a second time, corrected.

    Existing files of the same names are replaced. The documents depend on the arguments alone; the
    bytes of compressed files also on the version of the compressor.

    Args:
        directory: Where the files go; made if missing.
        days: Number of days, 1 or more.
        sessions_per_day: Sessions that start on an average day; weekends have fewer.
        seed: Another seed, other data.
        timezone: IANA name of the organisation's time zone; days go from midnight to midnight.
        first_day: The first local day.
        compression: Of every file; names end accordingly.
        redelivery: Whether one day comes twice, first with faults.

    Returns:
        What was written.

    Raises:
        ValueError: An argument is out of range; the message is a sentence for the user.
        OSError: A file cannot be written.
    """
    if days < 1 or sessions_per_day < 1:
        raise ValueError("A sample needs at least one day and one session a day.")
    if compression not in SUFFIXES:
        raise ValueError(f"Unknown compression {compression!r}: take none, gzip or zstd.")
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"{directory} is a file: name a folder for the sample.")
    try:
        zone = ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:  # OSError: the name of a folder of zones
        raise ValueError(f"Unknown time zone {timezone!r}: take an IANA name.") from error
    if first_day.year < 2001 or (date(2099, 12, 31) - first_day).days < days:
        raise ValueError("The days of a sample lie between 2001 and 2099.")

    directory.mkdir(parents=True, exist_ok=True)
    dates = [first_day + timedelta(days=index) for index in range(days)]
    weights = [5 if day.weekday() >= 5 else 12 for day in dates]
    repeated = days * 2 // 3 if redelivery else None
    records: Counter[str] = Counter()
    written: list[tuple[int, Path]] = []
    agents = 9 + min(sessions_per_day // 1000, 200)
    population = 10 + sessions_per_day // 4  # visitors known before the first day
    sessions: list[_Session] = []
    interactions: list[_Interaction] = []

    for index, day in enumerate(dates):
        level = (2 * index >= days) + (4 * index >= 3 * days) if index else 0
        window = _window(index, day, zone, level)
        rng = Random(f"{seed}/{index}")  # noqa: S311 (data, no secret)
        count = round(sessions_per_day * days * weights[index] / sum(weights))
        # what began earlier and is still open, or begins on a later day, is carried from day to day
        sessions = [s for s in sessions if s.start >= window.start or (s.end or 0) >= window.start]
        started, population = _sessions(rng, window, count, population, seed)
        sessions += started
        sessions.sort(key=lambda s: s.start)
        present = sessions[: bisect(sessions, window.end - 1, key=lambda s: s.start)]
        interactions = [i for i in interactions if (i.end or 0) >= window.start]
        staff = [user for user in range(agents) if _is_active(user, index, days)]
        interactions += _interactions(rng, window, present, staff)
        users = [_user(user, level, _is_active(user, index, days)) for user in range(agents)]

        for faulty in (True, False) if index == repeated else (False,):
            again = index == repeated and not faulty
            actions = Random(f"{seed}/{index}/actions")  # noqa: S311
            collections: dict[str, Iterator[str]] = {
                "users": iter(users),
                "unique_visitors": _visitors(window, present),
                "unique_visitor_sessions": _session_records(window, present, faulty),
                "unique_visitor_session_actions": _actions(actions, window, present),
                "unique_visitor_session_interactions": _interaction_records(
                    window, interactions, faulty
                ),
            }
            if level >= 2:
                collections["session_surveys"] = _surveys(window, present)
            head = f'{{"version":"1.{level}.{int(again)}",'
            head += f'"start_time":{window.start},"end_time":{window.end}'
            name = f"rep_ai_{day}{'_redelivered' if again else ''}.json{SUFFIXES[compression]}"
            # in the night after the day, the correction some nights later
            arrival = window.end // 1000 + 3 * 3600 + index * 7 % 60 + 72 * 3600 * again
            path = directory / name
            _write(path, _document(head, collections, records), compression, arrival)
            written.append((arrival, path))

    paths = tuple(path for _, path in sorted(written))
    size = sum(path.stat().st_size for path in paths)
    return SampleReport(len(paths), size, dict(records), paths)


def _window(index: int, day: date, zone: ZoneInfo, level: int) -> _Window:
    start, end = (
        int(datetime(d.year, d.month, d.day, tzinfo=zone).timestamp()) * 1000
        for d in (day, day + timedelta(days=1))
    )
    curve = WEEKEND if day.weekday() >= 5 else WEEKDAY
    # half hours, because there are zones whose daylight saving time is one
    hours = [
        curve[datetime.fromtimestamp(ms / 1000, zone).hour] for ms in range(start, end, HOUR // 2)
    ]
    return _Window(index, start, end, [x / sum(hours) for x in accumulate(hours)], level)


def _uuid(h: str) -> str:
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"


def _uuids(rng: Random) -> Iterator[str]:
    """Endless random UUIDs, drawn by the batch."""
    while True:
        h = rng.randbytes(16 * BATCH).hex()
        for i in range(0, len(h), 32):
            yield _uuid(h[i : i + 32])


def _visitor(seed: int, number: int) -> _Visitor:
    h = blake2b(f"{seed}/visitor/{number}".encode(), digest_size=16).hexdigest()
    return _Visitor(_uuid(h), number, int(h[:12], 16))


def _sessions(
    rng: Random, window: _Window, count: int, population: int, seed: int
) -> tuple[list[_Session], int]:
    """The sessions of the groups that begin on this day; the number of visitors known after it."""
    random, ids = rng.random, _uuids(rng)
    known: dict[int, _Visitor] = {}
    sessions: list[_Session] = []
    while len(sessions) < count:
        if random() < 0.4:
            number = int(population * random() * random() * random())  # low numbers come often
        else:
            number, population = population, population + 1
        visitor = known.get(number) or known.setdefault(number, _visitor(seed, number))
        bucket = min(bisect(window.buckets, random()), len(window.buckets) - 1)
        start = min(window.start + int((bucket + random()) * HOUR / 2), window.end - 1)
        referrer = REFERRERS[int(random() * POOL)]
        group = ""
        loads = min(SESSIONS_IN_GROUP[int(random() * POOL)], count - len(sessions))
        for _ in range(loads):
            u = random()
            # one tab in a hundred stays open over night or longer
            length = int(random() * 34 * HOUR) if u > 0.99 else 400 + int(35_000 * u / (1 - u))
            end = None if random() < 0.004 else start + length
            session_id = next(ids)
            group = group or session_id
            sessions.append(_Session(session_id, group, visitor, referrer, start, end))
            # the next page load: after this one, or in a second tab while this one is open
            share = random() if random() < 0.25 else 1.0
            start += min(int(length * share), 30 * MINUTE) + 150 + int(random() * 8000)
            referrer = INNER_REFERRERS[int(random() * POOL)]
    return sessions, population


def _interactions(
    rng: Random, window: _Window, sessions: Sequence[_Session], staff: list[int]
) -> Iterator[_Interaction]:
    """The interactions that begin on this day, in sessions that begin on it."""
    random, ids = rng.random, _uuids(rng)
    types = ["TAKEOVER", "PROACTIVE_CALL", "PROACTIVE_CALL"]
    types += ["CO_BROWSE"] * (window.level >= 2)
    for session in sessions:
        if session.start < window.start:
            continue
        for _ in range(INTERACTIONS_IN_SESSION[int(random() * POOL)]):
            agent = staff[int(len(staff) * random() * random())]  # some work more than others
            lifetime = min(session.end or session.start + 10 * MINUTE, window.end) - session.start
            start = session.start + int(lifetime * random())
            kind = types[int(len(types) * random())]
            u = random()
            accepted: int | None = start
            end = start + 5000 + int(min(120_000 * u / (1 - u), 3 * HOUR))
            if kind == "PROACTIVE_CALL":
                u = random()
                wait = 900 + int(min((3 + agent * 7 % 19) * 1000 * u / (1 - u), 20 * MINUTE))
                if random() < 0.03:
                    wait = int(random() * 8 * HOUR)  # left ringing in a tab nobody looks at
                if random() < 0.45:
                    accepted, end = start + wait, end + wait
                else:
                    accepted, end = None, start + wait + 20_000
            closed = None if random() < 0.004 else end
            user = _user_id(agent)
            yield _Interaction(next(ids), kind, session.id, user, start, closed, accepted)


def _is_active(user: int, day: int, days: int) -> bool:
    """Whether this agent works: one in seven left long ago, one in nine leaves halfway."""
    return user % 7 != 5 and not (user % 9 == 4 and 2 * day >= days)


def _user_id(user: int) -> str:
    # identifiers are text: no reader may strip zeros or round thirty digits
    special = {2: "0042", 3: "900719925474099312345678901234"}
    return special.get(user, str(10482 + 37 * user))


def _user(user: int, level: int, active: bool) -> str:
    first, last = FIRST_NAMES[user % 10], LAST_NAMES[user * 3 % 8]
    record: dict[str, object] = {
        "id": _user_id(user),
        "email_address": f"{first.lower()}.{user}@example.com",
        "display_name": f"{first} {last}",
        "title": TITLES[user % 6],
        "active": active,
    }
    if level >= 1:
        record["team"] = TEAMS[user % 4]
    return f'"{_user_id(user)}":{_json(record)}'


def _visitors(window: _Window, sessions: Sequence[_Session]) -> Iterator[str]:
    for visitor in dict.fromkeys(session.visitor for session in sessions):
        vid, number, bits = visitor
        custom, metadata = "null", "{}" if bits % 3 else "null"
        # one in five is identified, some of them only from the fourth day on
        if bits % 5 == 0 and (bits % 4 or window.day >= 3):
            custom = f'"{number:08d}"' if bits % 2 else f'"crm-{number}"'
            metadata = _metadata(number, bits // 5)
        yield f'"{vid}":{{"id":"{vid}","custom_id":{custom},"custom_metadata":{metadata}}}'


def _metadata(number: int, bits: int) -> str:
    first, last = FIRST_NAMES[bits % 10], LAST_NAMES[bits // 10 % 8]
    metadata: dict[str, object] = {
        "displayName" if bits % 4 == 3 else "display_name": f"{first} {last}",
        "email": f"{first.lower()}.{number}@example.{'org' if bits % 3 else 'com'}",
        "account": {
            "name": COMPANIES[bits % 6],
            "seats": bits % 500,
            "crm": {"id": 10**29 + bits * 7919, "synced": bits % 2 == 0, "score": bits % 1000 / 10},
        },
        "tags": TAGS[: bits % 7],
    }
    if bits % 97 == 0:
        metadata["notes"] = NOTE * (1 + bits % 300)
    return _json(metadata)


def _unset(key: str, salt: str) -> str:
    """Both ways of the vendor to say unset: null, or no key at all; `salt` (an id) decides."""
    return f',"{key}":null' if salt[0] < "8" else ""


def _session_records(window: _Window, sessions: Sequence[_Session], faulty: bool) -> Iterator[str]:
    for position, (sid, group, visitor, referrer, start, end) in enumerate(sessions):
        # the fault: every tenth end is lost
        known = end is not None and end < window.end and not (faulty and position % 10 == 3)
        closing = f',"end_time":{end}' if known else _unset("end_time", sid)
        yield (
            f'"{sid}":{{"id":"{sid}","session_group":"{group}","unique_visitor_id":"{visitor.id}",'
            f'"referrer":{referrer},"user_agent":{USER_AGENTS[visitor.bits % POOL]},'
            f'"start_time":{start}{closing}}}'
        )


def _actions(rng: Random, window: _Window, sessions: Sequence[_Session]) -> Iterator[str]:
    random, ids = rng.random, _uuids(rng)
    # what follows the id, and what follows the time; page views first
    kinds = [
        (
            '","action":"PAGE_VIEW","session_id":"',
            f',"url":{_json(SITE + path)},"title":{_json(title)}' if window.level >= 1 else "",
        )
        for (path, title), weight in PAGES.items()
        for _ in range(weight)
    ]
    views = len(kinds)
    others = {"ALERT": 90, "REQUESTED_HELP": 30, "SCREEN_SHARE": 12 if window.level >= 2 else 0}
    for kind, weight in others.items():
        kinds += [(f'","action":"{kind}","session_id":"', "")] * weight
    width = len(kinds)
    for session in sessions:
        sid, start, end = session.id, session.start, session.end
        count = ACTIONS_IN_SESSION[int(random() * POOL)]
        first = max(start, window.start)
        lifetime = min(end or start + 10 * MINUTE, window.end) - first
        if first == start:
            moments = [0, *sorted([int(lifetime * random()) for _ in range(count - 1)])]
            choices = views  # a session begins with a page
        else:
            moments = sorted([int(lifetime * random()) for _ in range(count // 4)])
            choices = width
        for moment in moments:
            kind, extra = kinds[int(random() * choices)]
            choices = width
            yield f'{{"id":"{next(ids)}{kind}{sid}","timestamp":{first + moment}{extra}}}'


def _interaction_records(
    window: _Window, interactions: Sequence[_Interaction], faulty: bool
) -> Iterator[str]:
    for position, (iid, kind, session, user, start, end, accepted) in enumerate(interactions):
        closing = f',"end_time":{end}' if end and end < window.end else _unset("end_time", iid)
        # the fault: some late acceptances are not reported
        lost = faulty and position % 5 == 2 and accepted != start
        if accepted is not None and accepted < window.end and not lost:
            acceptance = f'"accept":true,"accept_time":{accepted}'
        else:
            acceptance = '"accept":false' + _unset("accept_time", iid[1:])
        yield (
            f'{{"id":"{iid}","interaction":"{kind}","session_id":"{session}","user_id":"{user}",'
            f'"start_time":{start}{closing},{acceptance}}}'
        )


def _surveys(window: _Window, sessions: Sequence[_Session]) -> Iterator[str]:
    for number, session in enumerate(sessions[::40]):
        record = {
            "id": f"survey-{window.day}-{number}",
            "session_id": session.id,
            "score": number * 7 % 11,
            "comment": COMMENTS[number % 4],
        }
        yield _json(record)


def _document(
    head: str, collections: dict[str, Iterator[str]], counts: Counter[str]
) -> Iterator[str]:
    """The text of a dump in pieces of bounded size; counts the records as they pass."""
    yield head
    for name, entries in collections.items():
        keyed = name in ("users", "unique_visitors", "unique_visitor_sessions")
        separator = f',"{name}":{"{" if keyed else "["}'
        while batch := list(islice(entries, BATCH)):
            counts[name] += len(batch)
            yield separator + ",".join(batch)
            separator = ","
        yield ("" if separator == "," else separator) + ("}" if keyed else "]")
    yield "}\n"


def _write(path: Path, pieces: Iterator[str], compression: Compression, arrival: int) -> None:
    """Writes a file under a temporary name, sets its time (epoch seconds), gives it its name."""
    part = path.with_name(f".{path.name}.part")
    try:
        with ExitStack() as stack:
            out: IO[bytes] = stack.enter_context(part.open("wb"))
            if compression == "gzip":
                zipped = gzip.GzipFile("", "wb", compresslevel=6, fileobj=out, mtime=0)
                out = cast(IO[bytes], stack.enter_context(zipped))
            elif compression == "zstd":
                packer = zstandard.ZstdCompressor().stream_writer(out, closefd=False)
                out = cast(IO[bytes], stack.enter_context(packer))
            for piece in pieces:
                out.write(piece.encode())
        os.utime(part, (arrival, arrival))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
