"""Parse each user agent once per version of the parser, into the raw table `user_agents`.

The parser is two data sets with versions of their own, and the rules of `_device_class`. What a
version says of a text never changes, so that rows are only ever added.
"""

import re
from collections.abc import Iterable
from contextlib import closing
from functools import cache
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from rep_ai.landing.destinations import Destination, qualified, tables
from rep_ai.landing.errors import DestinationError, LoadError, root_cause
from rep_ai.landing.observer import Observer

if TYPE_CHECKING:
    from ua_parser import Parser, Result

USER_AGENTS = pa.schema(
    [
        ("user_agent", pa.string()),
        ("parser_version", pa.string()),
        ("browser", pa.string()),
        ("browser_version", pa.string()),
        ("operating_system", pa.string()),
        ("operating_system_version", pa.string()),
        ("device_class", pa.string()),
        ("is_bot", pa.bool_()),
    ]
)
# which loads a version of the parser has seen through
LOADS = pa.schema([("load_id", pa.string()), ("parser_version", pa.string())])
TABLES = {"user_agents": USER_AGENTS, "_user_agent_loads": LOADS}

# longer than the header that any usual server takes
MAX_LENGTH = 8192
# user agents that are parsed at once
BATCH = 10_000

# to be counted up with every change of the rules below
_RULES = 1
_TV = re.compile(r"TV\b|BRAVIA|\bAFT[A-Z0-9]")
_TV_SYSTEMS = {"ATV OS X", "FireHbbTV", "tvOS", "webOS", "Chromecast Android", "Chromecast Linux"}
_CONSOLE = re.compile("PlayStation|Xbox|Nintendo")
_TABLET = re.compile("iPad|Tablet|Kindle|PlayBook", re.IGNORECASE)
_PHONE = re.compile("iPhone|iPod|Generic Smartphone|Generic Feature Phone")
_PHONE_SYSTEMS = re.compile(
    "BlackBerry OS|Brew MP|Firefox OS|KaiOS|Nokia|Symbian|Windows Mobile|Windows Phone|bada"
)
_DESKTOP_SYSTEMS = re.compile(
    "Windows|Mac OS|Linux|Chrome OS|Solaris|.*BSD|Debian|Ubuntu|Kubuntu|Fedora|Red Hat|Gentoo|"
    "SUSE|openSUSE|CentOS|Mandriva|Mint|Arch Linux|Slackware|Mageia|Puppy"
)


@cache
def version() -> str:
    """The versions of both data sets and of our rules, such that the newest is last by text."""
    numbers = re.findall(r"\d+", installed("crawler-user-agents"))[:3]
    crawlers = ".".join(number.zfill(3) for number in numbers)
    return f"{installed('ua-parser-builtins')}-{crawlers}-{_RULES:03}"


def parse(texts: Iterable[str]) -> pa.Table:
    """A row of `user_agents` for each text."""
    return pa.Table.from_pylist([_row(text) for text in texts], schema=USER_AGENTS)


@cache
def _parser() -> "Parser":
    from ua_parser import Parser, load_lazy_builtins
    from ua_parser.regex import Resolver

    # takes time in proportion to the text, whatever that is; Python's own expressions do not
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
    parts: list[str] = []
    for part in (found.major, found.minor, found.patch, found.patch_minor):
        if not part:
            break
        parts.append(part)
    return ".".join(parts) or None


def _device_class(text: str, found: "Result") -> str | None:
    """What kind of thing it runs on; the data set knows models only. The first rule that fits."""
    system = found.os.family if found.os else ""
    device = f"{found.device.family} {found.device.brand}" if found.device else ""
    rules = (
        ("tv", system in _TV_SYSTEMS or _TV.search(text)),
        ("console", _CONSOLE.search(device)),
        ("tablet", _TABLET.search(device) or system == "BlackBerry Tablet OS"),
        ("phone", _PHONE.search(device) or _PHONE_SYSTEMS.match(system) or system == "iOS"),
        # the mark that Google asks of phones, and of phones alone
        ("phone", system == "Android" and "Mobile" in text),
        ("tablet", system == "Android"),
        ("desktop", _DESKTOP_SYSTEMS.match(system)),
    )
    return next((name for name, fits in rules if fits), None)


def complete(destination: Destination, schema: str, observer: Observer) -> int:
    """Add what completed loads have brought and this version of the parser has not seen.

    The caller holds the lock. One transaction: what a kill leaves undone, the next run does. The
    tables are made where they are not there yet.

    Args:
        destination: the database.
        schema: schema of the raw tables; without loads there, nothing is done.
        observer: told where it takes long.

    Returns:
        How many user agents were added.

    Raises:
        DestinationError, LoadError: the database cannot be used.
    """
    with closing(destination.connect()) as connection:
        try:
            return _complete(destination, connection.cursor(), schema, observer)
        except DestinationError:
            raise
        except Exception as error:
            raise LoadError(root_cause(error)) from error


def _complete(destination: Destination, cursor: Any, schema: str, observer: Observer) -> int:
    present = {table for in_schema, table in tables(cursor) if in_schema == schema}
    if "_dlt_loads" not in present:
        return 0
    schema = qualified(cursor, schema)
    for table, columns in TABLES.items():
        if table not in present:
            names = ", ".join(
                f"{field.name} {'boolean' if field.type == pa.bool_() else 'text'}"
                for field in columns
            )
            cursor.execute(f"create table {schema}.{table} ({names})")
    unseen = (
        f"select distinct load_id from {schema}._dlt_loads as loads where status = 0 and "
        f"not exists (select 1 from {schema}._user_agent_loads as seen "
        f"where seen.load_id = loads.load_id and seen.parser_version = '{version()}')"
    )
    cursor.execute(f"select count(*) from ({unseen}) as unseen")
    if cursor.fetchone() == (0,):
        return 0
    cursor.execute("begin")
    added = _add(destination, cursor, schema, unseen, observer)
    cursor.execute(
        f"insert into {schema}._user_agent_loads select load_id, '{version()}' "
        f"from ({unseen}) as unseen"
    )
    cursor.execute("commit")
    return added


def _add(
    destination: Destination, cursor: Any, schema: str, unseen: str, observer: Observer
) -> int:
    def next_batch() -> list[str]:
        cursor.execute(
            f"select distinct user_agent from {schema}.unique_visitor_sessions as sessions "
            f"where _dlt_load_id in ({unseen}) and length(user_agent) <= {MAX_LENGTH} and "
            f"not exists (select 1 from {schema}.user_agents as known where "
            f"known.user_agent = sessions.user_agent and known.parser_version = '{version()}') "
            f"limit {BATCH}"
        )
        return [text for (text,) in cursor.fetchall()]

    added = 0
    texts = next_batch()
    while texts:
        destination.append(cursor, f"{schema}.user_agents", parse(texts))
        added += len(texts)
        if len(texts) < BATCH:
            break
        with observer.step(f"parsing user agents, {added:,} so far"):
            texts = next_batch()
    return added
