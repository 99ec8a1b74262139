"""User agents: what they are parsed into, each once, whatever happens to the runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from dumps import dump, write
from loads import Place
from marts import RAW_SCHEMA
from rep_ai.commands.ingest import ingest as land_files
from rep_ai.landing import user_agents
from rep_ai.landing.destinations import DuckDB
from rep_ai.landing.errors import LoadError
from rep_ai.landing.results import Observer

TABLE = f"{RAW_SCHEMA}.user_agents"
BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"
WINDOWS = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {BLINK} Chrome/133.0.0.0 Safari/537.36"
PHONE = f"Mozilla/5.0 (Linux; Android 10; K) {BLINK} Chrome/133.0.0.0 Mobile Safari/537.36"
IPAD = (
    "Mozilla/5.0 (iPad; CPU OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.4 Mobile/15E148 Safari/604.1"
)
CRAWLER = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


# -------------------------------------------------------------------------------- what they are


@pytest.mark.parametrize(
    ("text", "browser", "system", "device"),
    [
        (WINDOWS, "Chrome 133.0.0.0", "Windows 10", "desktop"),
        (f"{WINDOWS} Edg/133.0.0.0", "Edge 133.0.0.0", "Windows 10", "desktop"),
        (
            "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; Tablet PC 2.0; rv:11.0) like Gecko",
            "IE 11.0",
            "Windows 10",
            "desktop",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 "
            "(KHTML, like Gecko) Version/17.4 Safari/605.1.15",
            "Safari 17.4",
            "Mac OS X 10.15.7",
            "desktop",
        ),
        (
            "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:136.0) Gecko/20100101 Firefox/136.0",
            "Firefox 136.0",
            "Ubuntu",
            "desktop",
        ),
        (
            f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {BLINK} Chrome/133.0.0.0 Safari/537.36",
            "Chrome 133.0.0.0",
            "Chrome OS 14541.0.0",
            "desktop",
        ),
        (PHONE, "Chrome Mobile 133.0.0.0", "Android 10", "phone"),
        (PHONE.replace(" Mobile", ""), "Chrome 133.0.0.0", "Android 10", "tablet"),
        (
            "Mozilla/5.0 (Android 14; Tablet; rv:109.0) Gecko/115.0 Firefox/115.0",
            "Firefox Mobile 115.0",
            "Android 14",
            "tablet",
        ),
        (IPAD, "Mobile Safari 17.4", "iOS 17.4", "tablet"),
        (
            IPAD.replace("iPad; CPU OS", "iPhone; CPU iPhone OS"),
            "Mobile Safari 17.4",
            "iOS 17.4",
            "phone",
        ),
        (
            "Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 950) "
            f"{BLINK} Chrome/52.0.2743.116 Mobile Safari/537.36 Edge/15.15063",
            "Edge Mobile 15.15063",
            "Windows Phone 10.0",
            "phone",
        ),
        (
            f"Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) {BLINK} SamsungBrowser/4.0 Chrome/76.0 TV "
            "Safari/537.36",
            "Samsung Internet 4.0",
            "Tizen 6.0",
            "tv",
        ),
        (
            "Mozilla/5.0 (PlayStation; PlayStation 5/2.26) AppleWebKit/605.1.15 "
            "(KHTML, like Gecko) Version/13.0 Safari/605.1.15",
            "Safari 13.0",
            None,
            "console",
        ),
        ("", None, None, None),
        ("-", None, None, None),
        ("Mozilla/5.0", None, None, None),
        ("ß\U0001f600 '; drop table users; --\n\t%s", None, None, None),
    ],
)
def test_people(text: str, browser: str | None, system: str | None, device: str | None) -> None:
    """Browser and system with their versions, as far as they are told, and the device."""
    (row,) = user_agents.parse([text]).to_pylist()
    assert row["user_agent"] == text
    assert said(row["browser"], row["browser_version"]) == browser
    assert said(row["operating_system"], row["operating_system_version"]) == system
    assert (row["device_class"], row["is_bot"]) == (device, False)


def said(name: str | None, version: str | None) -> str | None:
    """A name with its version; no version without a name."""
    assert name or not version
    return " ".join(filter(None, (name, version))) or None


@pytest.mark.parametrize(
    "text",
    [
        CRAWLER,
        PHONE + " (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        f"Mozilla/5.0 (X11; Linux x86_64) {BLINK} HeadlessChrome/133.0.6943.53 Safari/537.36",
        f"Mozilla/5.0 {BLINK}; compatible; GPTBot/1.2; +https://openai.com/gptbot",
        "curl/8.5.0",
        "python-requests/2.32.3",
    ],
)
def test_bots(text: str) -> None:
    """Bots are told, and are no device, whatever phone they play."""
    (row,) = user_agents.parse([text]).to_pylist()
    assert (row["device_class"], row["is_bot"]) == (None, True)


def test_the_version_says_what_parsed_it() -> None:
    """Both data sets and our rules, each number padded, so that text has their order."""
    data, crawlers, rules = user_agents.version().split("-")
    assert data.isdecimal() and len(data) == 6
    assert [len(number) for number in crawlers.split(".")] == [3, 3, 3]
    assert rules == f"{user_agents._RULES:03}"


# ------------------------------------------------------------------------------------- each once


@pytest.fixture(params=["duckdb", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A database of its own."""
    server = request.getfixturevalue("postgres") if request.param == "postgres" else {}
    place = Place(tmp_path, server)
    if server:
        place.query(f"begin; drop schema if exists {RAW_SCHEMA} cascade; commit; select 1")
    return place


def night(number: int, texts: Iterable[str | None]) -> bytes:
    """A dump of sessions with these user agents."""
    sessions = {f"{number}-{n}": {"user_agent": text} for n, text in enumerate(texts)}
    return dump(number, unique_visitor_sessions=sessions)


def mapped(place: Place) -> dict[str, int]:
    """The user agents that are mapped, and how often."""
    return dict(place.query(f"select user_agent, count(*) from {TABLE} group by user_agent"))


def ingest(place: Place, *sources: Path) -> None:
    """Land the dumps."""
    done = place.run("ingest", "--quiet", *sources)
    assert (done.returncode, done.stderr) == (0, "")


def test_each_text_is_mapped_once(place: Place) -> None:
    """However many sessions have it, in however many runs; NULL and texts beyond reason never."""
    long = "x" * user_agents.MAX_LENGTH
    first = night(0, [WINDOWS, WINDOWS, None, "", long, long + "x", "é\U0001f600'\\"])
    ingest(place, write(place.folder / "0.json", first))
    wanted = dict.fromkeys([WINDOWS, "", long, "é\U0001f600'\\"], 1)
    assert mapped(place) == wanted
    row = place.query(f"select * from {TABLE} where user_agent like 'Mozilla%'")
    assert row == [tuple(user_agents.parse([WINDOWS]).to_pylist()[0].values())]
    ingest(place, write(place.folder / "1.json", night(1, [WINDOWS, PHONE, ""])))
    assert mapped(place) == {**wanted, PHONE: 1}
    ingest(place, write(place.folder / "2.json", dump(2)))
    assert mapped(place) == {**wanted, PHONE: 1}


def test_a_run_killed_before_it_has_parsed_all_is_made_good(place: Place) -> None:
    """The loads count; the next run parses what they brought, even if it finds no new file."""
    killer = Place(
        place.folder,
        place.server,
        "import os, signal; from rep_ai.landing import user_agents; add = user_agents._add; "
        "user_agents._add = lambda *of: add(*of) and os.kill(os.getpid(), signal.SIGKILL)",
    )
    file = write(place.folder / "0.json", night(0, [WINDOWS, PHONE]))
    killed = killer.run("ingest", "--quiet", file)
    assert killed.returncode == -9
    assert place.query(f"select count(*) from {RAW_SCHEMA}.unique_visitor_sessions") == [(2,)]
    assert mapped(place) == {}
    ingest(place, file)
    assert mapped(place) == {WINDOWS: 1, PHONE: 1}


def test_raw_tables_of_an_older_version_get_it(place: Place) -> None:
    """The next run makes the table, of all that is landed."""
    file = write(place.folder / "0.json", night(0, [WINDOWS, PHONE]))
    ingest(place, file)
    dropped = f"drop table {TABLE}; drop table {RAW_SCHEMA}._user_agent_loads"
    place.query(f"begin; {dropped}; commit; select 1")
    ingest(place, file)
    assert mapped(place) == {WINDOWS: 1, PHONE: 1}


# ------------------------------------------------------------------------- what is parsed, and when


@pytest.fixture
def database(tmp_path: Path) -> DuckDB:
    """A database with a night in it."""
    return landed(DuckDB(tmp_path / "x.duckdb"), tmp_path / "0.json", night(0, [WINDOWS, PHONE]))


def landed(database: DuckDB, path: Path, content: bytes) -> DuckDB:
    """The database, with one dump more."""
    land_files([str(write(path, content))], database, schema=RAW_SCHEMA)
    return database


def rows(database: DuckDB, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a query."""
    with database.connect() as connection:
        found: list[tuple[Any, ...]] = connection.execute(sql).fetchall()
        return found


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that are parsed."""
    texts: list[str] = []
    parse: Callable[[list[str]], Any] = user_agents.parse

    def spied(batch: list[str]) -> Any:
        texts.extend(batch)
        return parse(batch)

    monkeypatch.setattr(user_agents, "parse", spied)
    return texts


def test_nothing_is_parsed_again(database: DuckDB, parsed: list[str], tmp_path: Path) -> None:
    """Not even where a night brings what is known."""
    landed(database, tmp_path / "1.json", night(1, [PHONE, WINDOWS, IPAD]))
    assert parsed == [IPAD]
    assert user_agents.complete(database, RAW_SCHEMA, Observer()) == 0
    assert parsed == [IPAD]


def test_a_new_version_parses_all_again_beside_the_old(
    database: DuckDB, parsed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the old one said stays, to tell what has changed."""
    old = user_agents.version()
    monkeypatch.setattr(user_agents, "version", lambda: "999999-001.000.000-001")
    assert user_agents.complete(database, RAW_SCHEMA, Observer()) == 2
    assert sorted(parsed) == sorted([WINDOWS, PHONE])
    found = f"select parser_version, count(*) from {TABLE} group by all order by all"
    assert rows(database, found) == [(old, 2), ("999999-001.000.000-001", 2)]
    assert user_agents.complete(database, RAW_SCHEMA, Observer()) == 0


def test_rows_that_no_completed_load_shows_are_left_out(database: DuckDB) -> None:
    """A load that never completed has brought nothing."""
    rows(
        database,
        f"insert into {RAW_SCHEMA}.unique_visitor_sessions by name "
        "select 'never seen' as user_agent, '1.5' as _dlt_load_id",
    )
    assert user_agents.complete(database, RAW_SCHEMA, Observer()) == 0
    assert rows(database, f"select count(*) from {TABLE}") == [(2,)]


def test_all_of_many_or_none(
    database: DuckDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than are held at once, in one transaction: what fails halfway has added nothing."""
    monkeypatch.setattr(user_agents, "BATCH", 10)
    texts = [f"agent {n}" for n in range(45)]
    parse = user_agents.parse

    def failing(batch: list[str]) -> Any:
        if len(batch) < 10:
            raise ValueError("the disk is full")
        return parse(batch)

    monkeypatch.setattr(user_agents, "parse", failing)
    with pytest.raises(LoadError, match="the disk is full"):
        landed(database, tmp_path / "1.json", night(1, texts))
    assert rows(database, f"select count(*) from {TABLE}") == [(2,)]
    monkeypatch.setattr(user_agents, "parse", parse)
    assert user_agents.complete(database, RAW_SCHEMA, Observer()) == 45
    assert rows(database, f"select count(*), count(distinct user_agent) from {TABLE}") == [(47, 47)]


def test_nothing_landed_yet(tmp_path: Path) -> None:
    """A database without loads is left as it is."""
    database = DuckDB(tmp_path / "x.duckdb")
    assert user_agents.complete(database, RAW_SCHEMA, Observer()) == 0
    assert rows(database, "select count(*) from information_schema.tables") == [(0,)]


def test_json_says_no_word_of_it(tmp_path: Path) -> None:
    """The run's document is one document."""
    file = write(tmp_path / "0.json", night(0, [WINDOWS]))
    done = Place(tmp_path, {}).run("ingest", "--json", file)
    assert json.loads(done.stdout)["files"]["loaded"] == 1
