"""Dumps of a day in the vendor's format, as text, and how they are written."""

import gzip
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from random import Random
from typing import IO, Any, Literal

import zstandard

from rep_ai.sample.life import MINUTE, Day, Interaction, Session, Window, user_id, uuids
from rep_ai.sample.texts import ACTIONS_IN_SESSION, PAGES, POOL, TEXTS, USER_AGENTS, as_json, text

Compression = Literal["none", "gzip", "zstd"]

SUFFIXES: dict[Compression, str] = {"none": "", "gzip": ".gz", "zstd": ".zst"}
_PACKED: dict[Compression, Callable[[IO[bytes]], AbstractContextManager[Any]]] = {
    "none": nullcontext,
    "gzip": lambda file: gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0),
    "zstd": lambda file: zstandard.ZstdCompressor().stream_writer(file, closefd=False),
}


def document(day: Day, seed: int, *, faulty: bool, patch: int) -> Iterator[str]:
    """The text of a dump, record by record.

    In a faulty one some ends and acceptances are lost; `patch` is the last number of its version.
    """
    window, sessions = day.window, day.sessions
    actions = Random(f"{seed}/{window.day}/actions")  # noqa: S311 (data, no secret)
    users = (_user(user, window.level, active) for user, active in enumerate(day.active))
    collections = [
        ("users", "{}", users),
        ("unique_visitors", "{}", _visitors(window, sessions)),
        ("unique_visitor_sessions", "{}", _sessions(window, sessions, faulty)),
        ("unique_visitor_session_actions", "[]", _actions(actions, window, sessions)),
        (
            "unique_visitor_session_interactions",
            "[]",
            _interactions(window, day.interactions, faulty),
        ),
    ]
    if window.level >= 2:
        collections.append(("session_surveys", "[]", _surveys(window, sessions)))
    yield f'{{"version":"1.{window.level}.{patch}",'
    yield f'"start_time":{window.start},"end_time":{window.end}'
    for name, brackets, entries in collections:
        yield f',"{name}":{brackets[0]}'
        for number, entry in enumerate(entries):
            yield f",{entry}" if number else entry
        yield brackets[1]
    yield "}\n"


def _user(user: int, level: int, active: bool) -> str:
    first = text("first_names", user)
    record: dict[str, object] = {
        "id": user_id(user),
        "email_address": f"{first.lower()}.{user}@example.com",
        "display_name": f"{first} {text('last_names', user * 3)}",
        "title": text("titles", user),
        "active": active,
    }
    if level >= 1:
        record["team"] = text("teams", user)
    return f'"{user_id(user)}":{as_json(record)}'


def _visitors(window: Window, sessions: Sequence[Session]) -> Iterator[str]:
    for vid, number, bits in dict.fromkeys(session.visitor for session in sessions):
        custom, metadata = "null", "{}" if bits % 3 else "null"
        # one in five is identified, some of them only from the fourth day on
        if bits % 5 == 0 and (bits % 4 or window.day >= 3):
            custom = f'"{number:08d}"' if bits % 2 else f'"crm-{number}"'
            metadata = _metadata(number, bits // 5)
        yield f'"{vid}":{{"id":"{vid}","custom_id":{custom},"custom_metadata":{metadata}}}'


def _metadata(number: int, bits: int) -> str:
    first, last = text("first_names", bits), text("last_names", bits // 10)
    metadata: dict[str, object] = {
        "displayName" if bits % 4 == 3 else "display_name": f"{first} {last}",
        "email": f"{first.lower()}.{number}@example.{'org' if bits % 3 else 'com'}",
        "account": {
            "name": text("companies", bits),
            "seats": bits % 500,
            "crm": {"id": 10**29 + bits * 7919, "synced": bits % 2 == 0, "score": bits % 1000 / 10},
        },
        "tags": TEXTS["tags"][: bits % 7],
    }
    if bits % 97 == 0:
        metadata["notes"] = TEXTS["note"] * (1 + bits % 300)
    return as_json(metadata)


def _unset(key: str, salt: str) -> str:
    """Both ways of the vendor to say unset: null, or no key at all; `salt` (an id) decides."""
    return f',"{key}":null' if salt[0] < "8" else ""


def _sessions(window: Window, sessions: Sequence[Session], faulty: bool) -> Iterator[str]:
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
    # each as often as it is likely: the type, and what follows the time; page views first
    kinds = [
        ("PAGE_VIEW", f',"url":{as_json(url)},"title":{as_json(title)}' * (window.level >= 1))
        for url, title, weight in PAGES
        for _ in range(weight)
    ]
    views = len(kinds)
    kinds += [("ALERT", "")] * 90 + [("REQUESTED_HELP", "")] * 30
    kinds += [("SCREEN_SHARE", "")] * (12 if window.level >= 2 else 0)
    for sid, _, _, _, start, end in sessions:
        count = ACTIONS_IN_SESSION[int(random() * POOL)]
        first = max(start, window.start)
        lifetime = min(end or start + 10 * MINUTE, window.end) - first
        is_new = first == start
        drawn = count - 1 if is_new else count // 4
        moments = sorted([int(lifetime * random()) for _ in range(drawn)])
        # a session begins with a page
        for position, moment in enumerate([0, *moments] if is_new else moments):
            choices = views if is_new and position == 0 else len(kinds)
            kind, extra = kinds[int(random() * choices)]
            yield (
                f'{{"id":"{next(ids)}","action":"{kind}","session_id":"{sid}",'
                f'"timestamp":{first + moment}{extra}}}'
            )


def _interactions(
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
        yield as_json(
            {
                "id": f"survey-{window.day}-{number}",
                "session_id": session.id,
                "score": number * 7 % 11,
                "comment": text("comments", number),
            }
        )


def write(path: Path, pieces: Iterator[str], compression: Compression, arrival: int) -> None:
    """Write a file under a temporary name, set its time (epoch seconds), give it its name."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file, _PACKED[compression](file) as out:
            for piece in pieces:
                out.write(piece.encode())
        os.utime(part, (arrival, arrival))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
