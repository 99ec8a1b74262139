"""Dumps of a day in the vendor's format, as text, and how they are written."""

import gzip
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from random import Random
from typing import IO, Literal, cast

import zstandard

from rep_ai.sample.life import MINUTE, Day, Interaction, Session, Window, user_id, uuids
from rep_ai.sample.texts import (
    ACTIONS_IN_SESSION,
    COMMENTS,
    COMPANIES,
    FIRST_NAMES,
    LAST_NAMES,
    NOTE,
    PAGES,
    POOL,
    SITE,
    TAGS,
    TEAMS,
    TITLES,
    USER_AGENTS,
    as_json,
)

Compression = Literal["none", "gzip", "zstd"]

SUFFIXES: dict[Compression, str] = {"none": "", "gzip": ".gz", "zstd": ".zst"}
# records joined and written at once: what bounds memory beside a day's sessions
BATCH = 4096


def document(
    day: Day, seed: int, counts: Counter[str], *, faulty: bool, patch: int
) -> Iterator[str]:
    """The text of a dump in pieces of bounded size; counts the records as they pass.

    Args:
        day: what it tells of.
        seed: the sample's.
        counts: records by collection, to be added to.
        faulty: whether some ends and acceptances are lost.
        patch: the last number of its version.
    """
    window, sessions = day.window, day.sessions
    actions = Random(f"{seed}/{window.day}/actions")  # noqa: S311 (data, no secret)
    collections: dict[str, Iterator[str]] = {
        "users": (_user(user, window.level, active) for user, active in enumerate(day.active)),
        "unique_visitors": _visitors(window, sessions),
        "unique_visitor_sessions": _session_records(window, sessions, faulty),
        "unique_visitor_session_actions": _actions(actions, window, sessions),
        "unique_visitor_session_interactions": _interaction_records(
            window, day.interactions, faulty
        ),
    }
    if window.level >= 2:
        collections["session_surveys"] = _surveys(window, sessions)
    yield f'{{"version":"1.{window.level}.{patch}",'
    yield f'"start_time":{window.start},"end_time":{window.end}'
    for name, entries in collections.items():
        keyed = name in ("users", "unique_visitors", "unique_visitor_sessions")
        separator = f',"{name}":{"{" if keyed else "["}'
        while batch := list(islice(entries, BATCH)):
            counts[name] += len(batch)
            yield separator + ",".join(batch)
            separator = ","
        yield ("" if separator == "," else separator) + ("}" if keyed else "]")
    yield "}\n"


def _user(user: int, level: int, active: bool) -> str:
    first, last = FIRST_NAMES[user % 10], LAST_NAMES[user * 3 % 8]
    record: dict[str, object] = {
        "id": user_id(user),
        "email_address": f"{first.lower()}.{user}@example.com",
        "display_name": f"{first} {last}",
        "title": TITLES[user % 6],
        "active": active,
    }
    if level >= 1:
        record["team"] = TEAMS[user % 4]
    return f'"{user_id(user)}":{as_json(record)}'


def _visitors(window: Window, sessions: Sequence[Session]) -> Iterator[str]:
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
    return as_json(metadata)


def _unset(key: str, salt: str) -> str:
    """Both ways of the vendor to say unset: null, or no key at all; `salt` (an id) decides."""
    return f',"{key}":null' if salt[0] < "8" else ""


def _session_records(window: Window, sessions: Sequence[Session], faulty: bool) -> Iterator[str]:
    for position, (sid, group, visitor, referrer, start, end) in enumerate(sessions):
        # the fault: every tenth end is lost
        known = end is not None and end < window.end and not (faulty and position % 10 == 3)
        closing = f',"end_time":{end}' if known else _unset("end_time", sid)
        yield (
            f'"{sid}":{{"id":"{sid}","session_group":"{group}","unique_visitor_id":"{visitor.id}",'
            f'"referrer":{referrer},"user_agent":{USER_AGENTS[visitor.bits % POOL]},'
            f'"start_time":{start}{closing}}}'
        )


def _actions(rng: Random, window: Window, sessions: Sequence[Session]) -> Iterator[str]:
    random, ids = rng.random, uuids(rng)
    # what follows the id, and what follows the time; page views first
    kinds = [
        (
            '","action":"PAGE_VIEW","session_id":"',
            f',"url":{as_json(SITE + path)},"title":{as_json(title)}' if window.level >= 1 else "",
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
    window: Window, interactions: Sequence[Interaction], faulty: bool
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


def _surveys(window: Window, sessions: Sequence[Session]) -> Iterator[str]:
    for number, session in enumerate(sessions[::40]):
        record = {
            "id": f"survey-{window.day}-{number}",
            "session_id": session.id,
            "score": number * 7 % 11,
            "comment": COMMENTS[number % 4],
        }
        yield as_json(record)


def write(path: Path, pieces: Iterator[str], compression: Compression, arrival: int) -> None:
    """Write a file under a temporary name, set its time (epoch seconds), give it its name."""
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
