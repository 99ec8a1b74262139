"""What happens on each day of a sample: who comes, when, and what they are offered.

Each day has random generators of its own, only `random()` and `randbytes()` are asked of them, and
no function of the C library whose last digit may differ (logarithm, exponential) is used: heavy
tails come from `u / (1 - u)`.
"""

from bisect import bisect
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from hashlib import blake2b
from itertools import accumulate
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

from rep_ai.sample import texts
from rep_ai.sample.texts import POOL

MINUTE = 60_000
HOUR = 60 * MINUTE
# random UUIDs drawn at once
BATCH = 4096

# Visits by local hour, on a working day and on a weekend
WEEKDAY = (2, 1, 1, 1, 1, 2, 5, 12, 30, 48, 56, 54, 44, 50, 58, 57, 52, 40, 24, 17, 14, 11, 7, 4)
WEEKEND = (4, 3, 2, 1, 1, 1, 2, 4, 8, 13, 18, 20, 20, 20, 19, 18, 17, 16, 16, 17, 16, 13, 9, 6)


class Visitor(NamedTuple):
    """Someone who comes once or often."""

    id: str
    number: int
    bits: int  # what makes this visitor differ from others, the same on every day


class Session(NamedTuple):
    """A page load; times are epoch milliseconds."""

    id: str
    group: str
    visitor: Visitor
    referrer: str  # JSON text
    start: int
    end: int | None  # None: never closed


class Interaction(NamedTuple):
    """An offer or call; times are epoch milliseconds."""

    id: str
    type: str
    session: str
    user: str
    start: int
    end: int | None  # None: never closed
    accepted: int | None  # None: never


class Window(NamedTuple):
    """A local day from midnight to midnight, in epoch milliseconds."""

    day: int  # from 0
    start: int
    end: int
    buckets: list[float]  # cumulated share of visits, by half hours
    level: int  # minor version: 1 brings keys, 2 brings types and a collection


class Day(NamedTuple):
    """A day, and all that its dump tells of."""

    window: Window
    sessions: list[Session]
    interactions: list[Interaction]
    active: list[bool]  # by number of the agent


def days_of(
    first_day: date, days: int, sessions_per_day: int, seed: int, zone: ZoneInfo
) -> Iterator[Day]:
    """Yield the days in order; the arguments are those of `write_sample`."""
    dates = [first_day + timedelta(index) for index in range(days)]
    weights = [5 if day.weekday() >= 5 else 12 for day in dates]
    agents = 9 + min(sessions_per_day // 1000, 200)
    population = 10 + sessions_per_day // 4  # visitors known before the first day
    sessions: list[Session] = []
    interactions: list[Interaction] = []
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
        active = [_is_active(agent, index, days) for agent in range(agents)]
        staff = [agent for agent in range(agents) if active[agent]]
        interactions += _interactions(rng, window, present, staff)
        yield Day(window, present, interactions, active)


def _window(index: int, day: date, zone: ZoneInfo, level: int) -> Window:
    start, end = (
        int(datetime(d.year, d.month, d.day, tzinfo=zone).timestamp()) * 1000
        for d in (day, day + timedelta(days=1))
    )
    curve = WEEKEND if day.weekday() >= 5 else WEEKDAY
    # half hours, because there are zones whose daylight saving time is one
    hours = [
        curve[datetime.fromtimestamp(ms / 1000, zone).hour] for ms in range(start, end, HOUR // 2)
    ]
    return Window(index, start, end, [x / sum(hours) for x in accumulate(hours)], level)


def _uuid(h: str) -> str:
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"


def uuids(rng: Random) -> Iterator[str]:
    """Endless random UUIDs, drawn by the batch."""
    while True:
        h = rng.randbytes(16 * BATCH).hex()
        for i in range(0, len(h), 32):
            yield _uuid(h[i : i + 32])


def _visitor(seed: int, number: int) -> Visitor:
    h = blake2b(f"{seed}/visitor/{number}".encode(), digest_size=16).hexdigest()
    return Visitor(_uuid(h), number, int(h[:12], 16))


def _sessions(
    rng: Random, window: Window, count: int, population: int, seed: int
) -> tuple[list[Session], int]:
    """The sessions of the groups that begin on this day, and how many visitors are known then."""
    random, ids = rng.random, uuids(rng)
    known: dict[int, Visitor] = {}
    sessions: list[Session] = []
    while len(sessions) < count:
        if random() < 0.4:
            number = int(population * random() * random() * random())  # low numbers come often
        else:
            number, population = population, population + 1
        visitor = known.get(number) or known.setdefault(number, _visitor(seed, number))
        bucket = min(bisect(window.buckets, random()), len(window.buckets) - 1)
        start = min(window.start + int((bucket + random()) * HOUR / 2), window.end - 1)
        referrer = texts.REFERRERS[int(random() * POOL)]
        group = ""
        loads = min(texts.SESSIONS_IN_GROUP[int(random() * POOL)], count - len(sessions))
        for _ in range(loads):
            u = random()
            # one tab in a hundred stays open over night or longer
            length = int(random() * 34 * HOUR) if u > 0.99 else 400 + int(35_000 * u / (1 - u))
            end = None if random() < 0.004 else start + length
            session_id = next(ids)
            group = group or session_id
            sessions.append(Session(session_id, group, visitor, referrer, start, end))
            # the next page load: after this one, or in a second tab while this one is open
            share = random() if random() < 0.25 else 1.0
            start += min(int(length * share), 30 * MINUTE) + 150 + int(random() * 8000)
            referrer = texts.INNER_REFERRERS[int(random() * POOL)]
    return sessions, population


def _interactions(
    rng: Random, window: Window, sessions: Sequence[Session], staff: list[int]
) -> Iterator[Interaction]:
    """The interactions that begin on this day, in sessions that begin on it."""
    random, ids = rng.random, uuids(rng)
    types = ["TAKEOVER", "PROACTIVE_CALL", "PROACTIVE_CALL"]
    types += ["CO_BROWSE"] * (window.level >= 2)
    for session in sessions:
        if session.start < window.start:
            continue
        for _ in range(texts.INTERACTIONS_IN_SESSION[int(random() * POOL)]):
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
            user = user_id(agent)
            yield Interaction(next(ids), kind, session.id, user, start, closed, accepted)


def _is_active(user: int, day: int, days: int) -> bool:
    """Whether this agent works: one in seven left long ago, one in nine leaves halfway."""
    return user % 7 != 5 and not (user % 9 == 4 and 2 * day >= days)


def user_id(user: int) -> str:
    """The id of an agent, by number."""
    # identifiers are text: no reader may strip zeros or round thirty digits
    special = {2: "0042", 3: "900719925474099312345678901234"}
    return special.get(user, str(10482 + 37 * user))
