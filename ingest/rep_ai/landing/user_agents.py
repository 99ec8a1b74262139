"""Parse each user agent once per version of the parser, into the raw table `user_agents`.

The parser is two data sets with versions of their own, and the rules of device_classes.yml. What a
version says of a text never changes, so that rows are only ever added.
"""

import re
from collections.abc import Iterable
from contextlib import nullcontext
from functools import cache
from importlib.metadata import version as installed
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import yaml

from rep_ai.dump.format import RAW_TABLES
from rep_ai.landing.destinations import Destination, cursor_of
from rep_ai.landing.results import Observer
from rep_ai.landing.upkeep import PARSED_LOADS

if TYPE_CHECKING:
    from ua_parser import Parser, Result

# longer than the header that any usual server takes
MAX_LENGTH = 8192
# user agents that are parsed at once
BATCH = 10_000

# one more with every change of device_classes.yml
_RULES = 1


@cache
def version() -> str:
    """The versions of both data sets and of our rules, such that the newest is last by text."""
    numbers = re.findall(r"\d+", installed("crawler-user-agents"))[:3]
    crawlers = ".".join(number.zfill(3) for number in numbers)
    return f"{installed('ua-parser-builtins')}-{crawlers}-{_RULES:03}"


def parse(texts: Iterable[str]) -> pa.Table:
    """A row of `user_agents` for each text."""
    return pa.Table.from_pylist([_row(text) for text in texts], RAW_TABLES["user_agents"])


@cache
def _parser() -> "Parser":
    from ua_parser import Parser, load_lazy_builtins
    from ua_parser.regex import Resolver

    # its time grows with the length of any text; that of Python's own expressions may explode
    return Parser(Resolver(load_lazy_builtins()))


def _row(text: str) -> dict[str, Any]:
    from crawleruseragents import is_crawler

    found = _parser().parse(text)
    browser, system, device = found.user_agent, found.os, found.device
    is_bot = is_crawler(text) or (device is not None and device.brand == "Spider")
    return {
        "user_agent": text,
        "parser_version": version(),
        "browser": browser and browser.family,
        "browser_version": browser and _dotted(browser),
        "operating_system": system and system.family,
        "operating_system_version": system and _dotted(system),
        "device_class": None if is_bot else _device_class(text, found),
        "is_bot": is_bot,
    }


def _dotted(found: Any) -> str | None:
    """The parts of a version up to the first that is not known."""
    parts = (found.major, found.minor, found.patch, found.patch_minor)
    return ".".join(takewhile(bool, parts)) or None


@cache
def _device_rules() -> list[tuple[str, dict[str, re.Pattern[str]]]]:
    text = Path(__file__).with_name("device_classes.yml").read_text(encoding="utf-8")
    return [
        (rule.pop("class"), {name: re.compile(pattern) for name, pattern in rule.items()})
        for rule in yaml.safe_load(text)
    ]


def _device_class(text: str, found: "Result") -> str | None:
    """What kind of thing it runs on, by the first rule that fits."""
    system = found.os.family if found.os else ""
    device = f"{found.device.family} {found.device.brand}" if found.device else ""
    told = {"text": text, "system": system, "device": device}
    for name, patterns in _device_rules():
        if all(pattern.search(told[part]) for part, pattern in patterns.items()):
            return name
    return None


def complete(destination: Destination, schema: str, observer: Observer) -> int:
    """Add the user agents of completed loads that this parser version has not parsed yet.

    The caller holds the lock. It is one transaction where the destination has any; what a kill
    leaves undone, the next run does. In a schema without raw tables nothing is done.

    Returns:
        How many were added.
    """
    with cursor_of(destination, schema) as cursor:
        if not destination.columns(cursor, schema, ["_user_agent_loads"]):
            return 0
        completed, seen, deliveries = (
            destination.place(cursor, schema, name)
            for name in ("_dlt_loads", "_user_agent_loads", "deliveries")
        )
        # adding rows here may be a load of its own
        unseen = (
            f"select distinct load_id from {completed} as loads where status = 0 and "
            f"load_id in (select _dlt_load_id from {deliveries}) and "
            f"not exists (select 1 from {seen} as seen "
            f"where seen.load_id = loads.load_id and seen.parser_version = '{version()}')"
        )
        cursor.execute(unseen)
        loads = [load_id for (load_id,) in cursor.fetchall()]
        if not loads:
            return 0
        with destination.transaction(cursor):
            added = _add(destination, cursor, schema, unseen, observer)
            rows = pa.table([loads, [version()] * len(loads)], schema=PARSED_LOADS)
            destination.append(cursor, schema, "_user_agent_loads", rows)
    return added


def _add(
    destination: Destination, cursor: Any, schema: str, unseen: str, observer: Observer
) -> int:
    sessions, known = (
        destination.place(cursor, schema, name)
        for name in ("unique_visitor_sessions", "user_agents")
    )
    next_batch = (
        f"select distinct user_agent from {sessions} as sessions "
        f"where _dlt_load_id in ({unseen}) and length(user_agent) <= {MAX_LENGTH} and "
        f"not exists (select 1 from {known} as known where "
        f"known.user_agent = sessions.user_agent and known.parser_version = '{version()}') "
        f"limit {BATCH}"
    )
    added, last = 0, BATCH
    while last == BATCH:
        with observer.step(f"parsing user agents, {added:,} so far") if added else nullcontext():
            cursor.execute(next_batch)
        texts = [text for (text,) in cursor.fetchall()]
        if texts:
            destination.append(cursor, schema, "user_agents", parse(texts))
        last = len(texts)
        added += last
    return added
