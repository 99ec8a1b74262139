"""The report page in a real browser: what it shows is what the marts hold."""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from click.testing import CliRunner
from playwright import sync_api

import processes
from marts import RAW_SCHEMA, environment, rows_of
from processes import PROJECT
from rep_ai import cli, report_page
from rep_ai.commands.ingest import ingest
from rep_ai.landing.destinations import DuckDB, of_target
from rep_ai.landing.errors import DestinationError
from rep_ai.sample import write_sample
from rep_ai.words import many

WANTED = "the page is tested in a browser: "
Row = dict[str, Any]

ZONE = "America/Chicago"
VARIABLES = f"{{rep_ai_timezone: {ZONE}}}"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
WIDE, NARROW = 1280, 360
ISOLATES = "\u2068\u2069"
HOSTILE = (
    """</script><script>window.harmed = 1</script><img src=x onerror="window.harmed=1"> {{ 7*7 }}"""
)


class Marts:
    """A DuckDB file with marts in it, and its rows."""

    def __init__(self, path: Path) -> None:
        """Name the file."""
        self.path = path

    def rows(self, mart: str) -> list[Row]:
        """All rows of a mart."""
        with duckdb.connect(str(self.path), read_only=True) as connection:
            return rows_of(connection, f'"{self.path.stem}".rep_ai.{mart}')

    def changed(self, path: Path, *statements: str) -> Marts:
        """A copy on which some statements ran; {marts} stands for the schema."""
        shutil.copy(self.path, path)
        with duckdb.connect(str(path)) as connection:
            # some marts are views, which nothing can be changed in
            views = "select view_name from duckdb_views() where schema_name = 'rep_ai'"
            for (view,) in connection.execute(views).fetchall():
                name = f'"{path.stem}".rep_ai.{view}'
                connection.execute(f"create table {name}_rows as from {name}")
            for (view,) in connection.execute(views).fetchall():
                name = f'"{path.stem}".rep_ai.{view}'
                connection.execute(f"drop view {name}")
                connection.execute(f"alter table {name}_rows rename to {view}")
            for statement in statements:
                connection.execute(statement.format(marts=f'"{path.stem}".rep_ai'))
        return Marts(path)

    def html(self, timezone: str = ZONE) -> str:
        """The page."""
        return report_page.render(DuckDB(self.path), timezone)


@pytest.fixture(scope="module")
def marts(tmp_path_factory: pytest.TempPathFactory) -> Marts:
    """Ten days of a sample, of which two are missing and one came twice."""
    folder = tmp_path_factory.mktemp("page")
    write_sample(folder / "dumps", days=12, sessions_per_day=60)
    dumps = sorted((folder / "dumps").glob("*.json"))
    for missing in dumps[3:5]:
        missing.unlink()
    database = DuckDB(Path(environment(folder)["REP_AI_DUCKDB"]))
    assert ingest([str(folder / "dumps")], database, schema=RAW_SCHEMA).loaded
    ran = processes.run(
        *("dbt", "build", "--resource-type", "model", "--resource-type", "seed"),
        *("--vars", VARIABLES, "--target", "dev"),
        *("--project-dir", PROJECT, "--profiles-dir", PROJECT),
        variables=environment(folder),
    )
    assert ran.returncode == 0, ran.stdout
    return Marts(database.path)


@pytest.fixture(autouse=True)
def names_of_the_build(marts: Marts, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is called without a process of its own finds dbt's manifest too."""
    monkeypatch.setenv("DBT_TARGET_PATH", str(marts.path.parent / "target"))


@pytest.fixture(scope="module")
def empty(marts: Marts, tmp_path_factory: pytest.TempPathFactory) -> Marts:
    folder = tmp_path_factory.mktemp("empty")
    return marts.changed(
        folder / "empty.duckdb", *(f"delete from {{marts}}.{name}" for name in report_page.MARTS)
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        pytest.skip(WANTED + "install chromium (Debian, Ubuntu: apt install chromium)")
    with sync_api.sync_playwright() as playwright:
        # root has no sandbox
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=found, args=options)
        yield browser
        browser.close()


@contextmanager
def shown(
    browser: Any, html: str, folder: Path, *, width: int = WIDE, scheme: str = "light"
) -> Iterator[Any]:
    """The page from disk, all charts drawn, on a computer in another time zone.

    At the end nothing was said on the console, and nothing but the file was asked for.
    """
    file = folder / "report.html"
    report_page.write(file, html)
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
        timezone_id="Pacific/Auckland",
    )
    said: list[str] = []
    asked: list[str] = []
    tab = context.new_page()
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(file.as_uri())
    tab.wait_for_function(
        "document.querySelectorAll('.chart svg').length"
        " === document.querySelectorAll('.chart').length"
    )
    try:
        yield tab
    finally:
        context.close()
    assert said == []
    assert asked == [file.as_uri()]


def local(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(ZONE))


def table(tab: Any, name: str) -> list[list[str]]:
    """The cells of a table's body and foot."""
    rows: list[list[str]] = tab.evaluate(
        "name => [...document.querySelectorAll(`#${name} tbody tr, #${name} tfoot tr`)]"
        ".map(row => [...row.cells].map(cell => cell.textContent.trim()))",
        name,
    )
    return rows


def drawn(tab: Any, chart: str, kind: str) -> list[dict[str, str]]:
    """What each mark of a chart stands for, as it tells those who cannot see it."""
    labels: list[str] = tab.evaluate(
        "([chart, kind]) => [...document.querySelectorAll("
        "`#${chart} [aria-roledescription='${kind}']`)].map(mark => mark.ariaLabel)",
        [chart, kind],
    )
    return [dict(part.split(": ", 1) for part in label.split("; ")) for label in labels]


def bots_of(marts: Marts) -> tuple[set[str], set[str]]:
    """Ids of the sessions of bots, and of the visits that hold no other session."""
    agents = {row["user_agent"] for row in marts.rows("dim_rep_ai__user_agents") if row["is_bot"]}
    sessions = marts.rows("fct_rep_ai__sessions")
    bots = {row["session_id"] for row in sessions if row["user_agent"] in agents}
    people = {row["session_group_id"] for row in sessions if row["session_id"] not in bots}
    return bots, {row["session_group_id"] for row in sessions} - people


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    below = ordered[int(place)]
    above = ordered[min(int(place) + 1, len(ordered) - 1)]
    return below + (above - below) * (place - int(place))


def judged(rows: Iterable[Row]) -> list[str]:
    """The cells that a table of acceptance should have for some interactions."""
    rows = list(rows)
    acceptance = Counter(row["acceptance"] for row in rows)
    offers = acceptance["accepted"] + acceptance["not_accepted"]
    waits = [float(r["seconds_to_accept"]) for r in rows if r["seconds_to_accept"] is not None]
    return [
        f"{len(rows):,}",
        f"{acceptance['accepted']:,}",
        f"{acceptance['not_accepted']:,}",
        f"{acceptance['accepted'] / offers:.1%}" if offers else "\N{EN DASH}",
        f"{median(waits):,.1f}" if waits else "\N{EN DASH}",
        f"{quantile(waits, 0.9):,.1f}" if waits else "\N{EN DASH}",
        f"{acceptance['automatic']:,}",
        f"{acceptance['pending']:,}",
        f"{acceptance['unknown']:,}",
    ]


# ---------------------------------------------------------------------------------------- numbers


def test_numbers_are_those_of_the_marts(browser: Any, marts: Marts, tmp_path: Path) -> None:
    every = marts.rows("fct_rep_ai__sessions")
    bots, bot_groups = bots_of(marts)
    sessions = [row for row in every if row["session_id"] not in bots]
    groups = [
        row
        for row in marts.rows("fct_rep_ai__session_groups")
        if row["session_group_id"] not in bot_groups
    ]
    interactions = marts.rows("fct_rep_ai__interactions")
    calendar = marts.rows("rep_ai__dump_calendar")
    users = {row["user_id"]: row["display_name"] for row in marts.rows("dim_rep_ai__users")}
    totals = judged(interactions)
    crossed = [row for row in every if row["crossed_midnight"]]
    assert crossed
    assert 0 < len(sessions) < len(every)
    with shown(browser, marts.html(), tmp_path) as tab:
        figures = dict(
            tab.evaluate(
                "[...document.querySelectorAll('[id^=figure-]')].map(f => [f.id, f.textContent])"
            )
        )
        assert figures == {
            "figure-groups": f"{len(groups):,}",
            "figure-sessions": f"{len(sessions):,}",
            "figure-visitors": f"{len({row['visitor_id'] for row in sessions} - {None}):,}",
            "figure-interactions": totals[0],
            "figure-rate": totals[3],
            "figure-median": f"{totals[4]} s",
            "figure-bots": f"{len(every) - len(sessions):,}",
            "figure-missing": "2",
        }
        newest = max(row["window_end_at"] for row in calendar)
        assert f"{local(newest):%-d %B %Y, %H:%M}" in tab.inner_text("header")
        assert ZONE in tab.inner_text("header")

        daily = {row["activity_date"]: row for row in marts.rows("rep_ai__daily_activity")}
        on_day = [
            Counter(local(row["started_at"]).date() for row in rows)
            for rows in (
                groups,
                sessions,
                {(local(r["started_at"]).date(), r["visitor_id"]): r for r in sessions}.values(),
                [row for row in every if row["session_id"] in bots],
                crossed,
            )
        ]
        covered = dict.fromkeys((date(2026, 3, 4), date(2026, 3, 5)), "0 of 24")
        first, last = min(daily), max(daily)
        days = [first + timedelta(n) for n in range((last - first).days + 1)]
        assert table(tab, "days") == [
            [
                str(day),
                covered.get(day, "all"),
                *(f"{counter[day]:,}" for counter in on_day),
                *(f"{daily.get(day, {}).get(f'{name}_count', 0):,}" for name in COUNTED),
            ]
            for day in reversed(days)
        ]

        types = {row["interaction_type"] for row in interactions}
        assert sorted(table(tab, "types")[:-1]) == sorted(
            [name, *judged(row for row in interactions if row["interaction_type"] == name)]
            for name in types
        )
        assert table(tab, "types")[-1] == ["all", *totals]
        assert sorted(table(tab, "agents")) == sorted(
            [users[user], *judged(row for row in interactions if row["user_id"] == user)]
            for user in {row["user_id"] for row in interactions}
        )
        by_both = {(row["user_id"], row["interaction_type"]) for row in interactions}
        assert sorted(table(tab, "agents-types")) == sorted(
            [
                users[user],
                name,
                *judged(
                    row
                    for row in interactions
                    if (row["user_id"], row["interaction_type"]) == (user, name)
                ),
            ]
            for user, name in by_both
        )

        dumps = Counter(row["dump_count"] for row in every)
        assert [cells[:2] for cells in table(tab, "dumps")] == [
            [str(number), f"{count:,}"] for number, count in sorted(dumps.items())
        ]
        ends = Counter(row["end_status"] for row in every)
        assert [cells[1] for cells in table(tab, "ends")] == [
            f"{count:,}" for _, count in ends.most_common()
        ]
        violations = Counter(
            (row["rule"], row["severity"], row["entity"].replace("_", " "))
            for row in marts.rows("rep_ai__contract_violations")
        )
        assert sorted(table(tab, "violations")) == sorted(
            [*key, f"{count:,}"] for key, count in violations.items()
        )
        unknown = marts.rows("rep_ai__unknown_types")
        assert unknown
        assert sorted(cells[:3] for cells in table(tab, "unknown")) == sorted(
            [row["type"], row["kind"], f"{row['record_count']:,}"] for row in unknown
        )
        gaps = [row for row in calendar if row["status"] == "missing"]
        assert table(tab, "gaps") == [
            [
                f"{local(row['window_start_at']):%Y-%m-%d %H:%M}",
                f"{local(row['window_end_at']):%Y-%m-%d %H:%M}",
                "2",
            ]
            for row in gaps
        ]


# the last columns of the table of days, in order
COUNTED = (
    *("interaction", "handled_interaction", "automatic_interaction", "not_accepted_interaction"),
    *("pending_interaction", "unknown_acceptance_interaction"),
)


def test_marks_are_those_of_the_marts(browser: Any, marts: Marts, tmp_path: Path) -> None:
    bots, bot_groups = bots_of(marts)
    sessions = Counter(
        local(row["started_at"]).date()
        for row in marts.rows("fct_rep_ai__sessions")
        if row["session_id"] not in bots
    )
    interactions = marts.rows("fct_rep_ai__interactions")
    starts = [
        local(row["started_at"])
        for row in marts.rows("fct_rep_ai__session_groups")
        if row["session_group_id"] not in bot_groups
    ]
    visits = Counter(start.date() for start in starts)
    with shown(browser, marts.html(), tmp_path) as tab:
        hours = Counter(start.hour for start in starts)
        bars = drawn(tab, "hours", "bar")
        assert {int(b["Hour from"]): int(b["Visits"]) for b in bars} == {
            hour: hours[hour] for hour in range(24)
        }
        week = Counter((f"{start:%a}", start.hour) for start in starts)
        cells = drawn(tab, "week", "rect mark")
        assert len(cells) == 7 * 24
        assert {
            (c["Weekday"], int(c["Hour from"])): int(c["Visits"])
            for c in cells
            if c["Visits"] != "0"
        } == week

        days = [
            min(sessions) + timedelta(n) for n in range((max(sessions) - min(sessions)).days + 1)
        ]
        # bars are one thing and the line another, so nobody takes one for a part of the other
        for kind in ("bar", "point"):
            marks = drawn(tab, "activity", kind)
            assert [(day_of(m), int(m["Visits"]), int(m["Sessions"])) for m in marks] == [
                (day, visits[day], sessions[day]) for day in days
            ]
        seen = Counter(row["acceptance"].replace("_", " ") for row in interactions)
        drawn_counts: Counter[str] = Counter()
        for bar in drawn(tab, "acceptance", "bar"):
            drawn_counts[bar["Acceptance"]] += int(bar["Interactions"])
        assert drawn_counts == seen
        assert sum(int(b["Crossed midnight"]) for b in drawn(tab, "midnight", "bar")) == sum(
            row["crossed_midnight"] for row in marts.rows("fct_rep_ai__sessions")
        )

        calendar = marts.rows("rep_ai__dump_calendar")
        nights = drawn(tab, "calendar", "rect mark")
        statuses = Counter(night["Status"] for night in nights)
        assert statuses == {"delivered": 9, "delivered again": 1, "missing": 2}
        assert {day_of(n) for n in nights} == {date(2026, 3, 1) + timedelta(n) for n in range(12)}
        assert sum(int(n["Actions"].replace(",", "")) for n in nights) == sum(
            row["action_count"] or 0 for row in calendar
        )

        users = {row["user_id"]: row["display_name"] for row in marts.rows("dim_rep_ai__users")}
        dots = [
            {key: value.strip(ISOLATES) for key, value in dot.items()}
            for dot in drawn(tab, "waits", "point")
        ]
        accepted = [row for row in interactions if row["seconds_to_accept"] is not None]
        for_each = {(users[row["user_id"]], row["interaction_type"]) for row in accepted}
        assert {(dot["Agent"], dot["Type"]): dot["Median seconds"] for dot in dots} == {
            (agent, kind): judged(
                row
                for row in interactions
                if (users[row["user_id"]], row["interaction_type"]) == (agent, kind)
            )[4]
            for agent, kind in for_each
        }


def day_of(mark: dict[str, str]) -> date:
    return datetime.strptime(mark["Day"], "%a %d %b %Y").replace(tzinfo=UTC).date()


def test_postgres_gives_the_same_page(
    marts: Marts, postgres: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg2
    from psycopg2.extras import execute_values

    for name, value in {**postgres, "PGDATABASE": "page"}.items():
        monkeypatch.setenv(name, value)
    server = psycopg2.connect(dbname="postgres")
    server.autocommit = True
    server.cursor().execute("create database page")
    server.close()
    with (
        duckdb.connect(str(marts.path), read_only=True) as source,
        psycopg2.connect(dbname="page") as target,
        target.cursor() as cursor,
    ):
        cursor.execute("create schema rep_ai")
        for mart in report_page.MARTS:
            relation = f'"{marts.path.stem}".rep_ai.{mart}'
            columns = source.execute(f"describe {relation}").fetchall()
            listed = ", ".join(f"{name} {kind}" for name, kind, *_ in columns)
            cursor.execute(f"create table rep_ai.{mart} ({listed})")
            rows = source.execute(f"from {relation}").fetchall()
            if rows:
                execute_values(cursor, f"insert into rep_ai.{mart} values %s", rows)
    target.close()
    server = of_target("postgres")
    # whose manifest is there, with the same names
    server.target = "dev"
    assert report_page.render(server, ZONE) == marts.html()


def test_many_days_become_weeks(browser: Any, marts: Marts, tmp_path: Path) -> None:
    long = marts.changed(
        tmp_path / "long.duckdb",
        *(
            f"insert into {{marts}}.{mart} select * replace ({column} - interval 300 day as "
            f"{column}, '0' || {key} as {key}) from {{marts}}.{mart}"
            for mart, column, key in (
                ("fct_rep_ai__sessions", "started_at", "session_id"),
                ("fct_rep_ai__session_groups", "started_at", "session_group_id"),
            )
        ),
        "insert into {marts}.rep_ai__daily_activity select * replace "
        "(cast(activity_date - interval 300 day as date) as activity_date) "
        "from {marts}.rep_ai__daily_activity",
        "update {marts}.rep_ai__dump_calendar "
        "set window_start_at = window_start_at - interval 300 day "
        "where window_start_at = (select min(window_start_at) from {marts}.rep_ai__dump_calendar)",
    )
    with shown(browser, long.html(), tmp_path) as tab:
        weeks = drawn(tab, "activity", "bar")
        assert len(weeks) < 54
        counted = sum(int(week["Sessions"]) + int(week["Sessions of bots"]) for week in weeks)
        assert counted == len(long.rows("fct_rep_ai__sessions"))
        # a week that is not whole is behind its bar
        assert labels_under_marks(tab, "activity", "bar") > 3
        assert "covered in part" in legend(tab)


def test_a_stray_time_is_said_and_not_drawn(browser: Any, marts: Marts, tmp_path: Path) -> None:
    stray = marts.changed(
        tmp_path / "stray.duckdb",
        *(
            f"insert into {{marts}}.{mart} select * replace "
            f"(timestamp '{time}' as started_at, '{time}' as {key}) from {{marts}}.{mart} limit 1"
            for time in ("2000-01-01 12:00", "2099-12-31 12:00")
            for mart, key in (
                ("fct_rep_ai__sessions", "session_id"),
                ("fct_rep_ai__interactions", "interaction_id"),
            )
        ),
        *(
            "insert into {marts}.rep_ai__daily_activity select * replace "
            f"(date '{day}' as activity_date, {count} as session_count, 0 as session_group_count, "
            f"{count} as interaction_count) from {{marts}}.rep_ai__daily_activity limit 1"
            for day, count in (("2000-01-01", 1), ("2099-12-31", 1), ("2050-01-01", 0))
        ),
    )
    with shown(browser, marts.html(), tmp_path) as tab:
        days = table(tab, "days")
        assert tab.locator("#strays").count() == 0
    with shown(browser, stray.html(), tmp_path) as tab:
        assert table(tab, "days") == days
        assert len(drawn(tab, "activity", "bar")) == len(days)
        assert "2 sessions, 2 interactions whose start" in tab.inner_text("#strays")
        total = len(
            {row["session_id"] for row in stray.rows("fct_rep_ai__sessions")} - bots_of(stray)[0]
        )
        assert tab.inner_text("#figure-sessions") == f"{total:,}"


# ------------------------------------------------------------------------------------------ looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_fits_every_screen(
    browser: Any, marts: Marts, tmp_path: Path, width: int, scheme: str
) -> None:
    with shown(browser, marts.html(), tmp_path, width=width, scheme=scheme) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth") == width
        charts = tab.locator(".chart svg").evaluate_all(
            "charts => charts.map(c => [c.getBoundingClientRect().width,"
            " c.closest('.chart').getBoundingClientRect().width])"
        )
        for chart, room in charts:
            assert 0.8 * room < chart <= room + 1
        assert cut_off(tab) == []
        back, front, label = (
            luminance(tab.evaluate(f"getComputedStyle(document.querySelector('{where}')).{what}"))
            for where, what in (
                ("body", "backgroundColor"),
                ("body", "color"),
                ("#hours .role-axis-label text", "fill"),
            )
        )
        for text in (front, label):
            assert contrast(back, text) > 4.5
        assert (back < front) == (scheme == "dark")


def cut_off(tab: Any) -> list[str]:
    """Texts of charts that do not fit into them."""
    texts: list[str] = tab.evaluate(
        """[...document.querySelectorAll('.chart svg text:not([opacity="0"])')].filter(text => {
            const inner = text.getBoundingClientRect();
            const outer = text.ownerSVGElement.getBoundingClientRect();
            return inner.left < outer.left - 1 || inner.right > outer.right + 1
                || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
        }).map(text => text.textContent)"""
    )
    return texts


def luminance(color: str) -> float:
    channels = [int(number) / 255 for number in re.findall(r"\d+", color)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def test_a_mark_tells_its_numbers(browser: Any, marts: Marts, tmp_path: Path) -> None:
    with shown(browser, marts.html(), tmp_path) as tab:
        bar = tab.locator("#hours [aria-roledescription=bar]").nth(10)
        visits = re.search(r"Visits: (\d+)", bar.get_attribute("aria-label"))
        assert visits
        bar.hover()
        tip = tab.locator("#vg-tooltip-element.visible")
        tip.wait_for()
        assert re.search(rf"Visits:?\s*{visits[1]}\b", tip.inner_text())


@pytest.fixture(scope="module")
def gapless(marts: Marts, tmp_path_factory: pytest.TempPathFactory) -> Marts:
    """The same without the missing nights."""
    return marts.changed(
        tmp_path_factory.mktemp("gapless") / "gapless.duckdb",
        "delete from {marts}.rep_ai__dump_calendar where status = 'missing'",
    )


def test_no_gap_is_shown_where_none_is(
    browser: Any, marts: Marts, gapless: Marts, tmp_path: Path
) -> None:
    drawn_as = ["sessions: bars", "visits: line"]
    for each, behind in ((marts, ["no dump"]), (gapless, [])):
        with shown(browser, each.html(), tmp_path) as tab:
            assert legend(tab) == [*drawn_as, *behind]
            days = {day_of(mark): mark for mark in drawn(tab, "activity", "rect mark")}
            assert [*days] == [date(2026, 3, 4), date(2026, 3, 5)][: 2 * len(behind)]


def legend(tab: Any) -> list[str]:
    texts: list[str] = tab.locator("#activity .role-legend-label text").all_text_contents()
    return texts


def test_days_that_the_dumps_cover_in_part_are_marked(
    browser: Any, gapless: Marts, tmp_path: Path
) -> None:
    # 12 days from midnight to midnight, of which one has 23 hours, but for a second at the end
    moved = gapless.changed(
        tmp_path / "moved.duckdb",
        "update {marts}.rep_ai__dump_calendar "
        "set window_end_at = window_end_at - interval 1 second",
    )
    with shown(browser, moved.html(), tmp_path) as tab:
        assert legend(tab) == ["sessions: bars", "visits: line"]
        assert {cells[1] for cells in table(tab, "days")} == {"all"}
    moved = gapless.changed(
        tmp_path / "moved.duckdb",
        "update {marts}.rep_ai__dump_calendar set window_end_at = window_end_at - interval 13 hour "
        "where window_end_at = (select max(window_end_at) from {marts}.rep_ai__dump_calendar)",
        "update {marts}.rep_ai__dump_calendar set window_start_at = window_start_at "
        "+ interval 90 minute where window_start_at = "
        "(select min(window_start_at) from {marts}.rep_ai__dump_calendar)",
        "update {marts}.rep_ai__dump_calendar set status = 'missing', "
        "window_start_at = window_start_at + interval 6 hour "
        "where window_start_at = timestamp '2026-03-08 06:00'",
    )
    covered = {date(2026, 3, 1): "22.5", date(2026, 3, 8): "6", date(2026, 3, 12): "11"}
    with shown(browser, moved.html(), tmp_path) as tab:
        assert legend(tab) == ["sessions: bars", "visits: line", "covered in part"]
        for chart in ("activity", "acceptance", "midnight"):
            marks = drawn(tab, chart, "rect mark")
            assert {day_of(m): m["Hours that dumps cover"] for m in marks} == covered
            assert (
                "On grey the dumps cover a part"
                in tab.locator(f"figure:has(#{chart}) figcaption").inner_text()
            )
        said = {date.fromisoformat(cells[0]): cells[1] for cells in table(tab, "days")}
        assert {day: text for day, text in said.items() if text != "all"} == {
            day: f"{hours} of {23 if day.day == 8 else 24}" for day, hours in covered.items()
        }


def test_bots_are_counted_apart_and_it_is_said(browser: Any, marts: Marts, tmp_path: Path) -> None:
    marts = marts.changed(
        tmp_path / "marts.duckdb",
        "update {marts}.dim_rep_ai__user_agents set is_bot = true "
        "where user_agent = (select min(user_agent) "
        "from {marts}.fct_rep_ai__sessions where interaction_count > 0)",
    )
    bots, bot_groups = bots_of(marts)
    asked = sum(row["session_id"] in bots for row in marts.rows("fct_rep_ai__interactions"))
    assert len(bots) > len(bot_groups) > 0 < asked
    mixed = marts.changed(
        tmp_path / "mixed.duckdb",
        # a person in every visit of a bot: these visits are people's
        "insert into {marts}.fct_rep_ai__sessions select * replace "
        "('person of ' || session_id as session_id, null as user_agent) "
        "from {marts}.fct_rep_ai__sessions where user_agent in "
        "(select user_agent from {marts}.dim_rep_ai__user_agents where is_bot)",
        "update {marts}.rep_ai__daily_activity as daily set session_count = (select count(*) "
        "from {marts}.fct_rep_ai__sessions where activity_date = "
        f"cast(timezone('{ZONE}', timezone('UTC', started_at)) as date))",
    )
    unknown = marts.changed(tmp_path / "u.duckdb", "delete from {marts}.dim_rep_ai__user_agents")
    for each, counted, said in (
        (
            marts,
            str(len(bots)),
            f"{len(bots)} sessions in {many(len(bot_groups), 'visit', 'visits')}.",
        ),
        (mixed, str(len(bots)), f"{len(bots)} sessions in 0 visits."),
        (unknown, "\N{EN DASH}", "Bots are not told from people"),
    ):
        with shown(browser, each.html(), tmp_path) as tab:
            assert tab.inner_text("#figure-bots") == counted
            assert said in tab.inner_text("#bots")
            note = f"{asked} of them with bots"
            assert (note in tab.inner_text("main")) == (each is not unknown)


def test_midnight_is_a_matter_of_health(browser: Any, marts: Marts, tmp_path: Path) -> None:
    crossed = sum(row["crossed_midnight"] for row in marts.rows("fct_rep_ai__sessions"))
    with shown(browser, marts.html(), tmp_path) as tab:
        assert "midnight" not in tab.inner_text(".figures").lower()
        health = tab.locator("section:has(#health)")
        assert health.locator("#midnight").count() == health.locator("#dumps").count() == 1
        assert f"{crossed} sessions, " in health.locator("figure:has(#midnight)").inner_text()


def test_waits_are_on_a_logarithmic_axis(browser: Any, marts: Marts, tmp_path: Path) -> None:
    waits = marts.changed(
        tmp_path / "waits.duckdb",
        "update {marts}.fct_rep_ai__interactions set seconds_to_accept = case "
        "when interaction_id < '8' then 0 else 7200 end where seconds_to_accept is not null",
    )
    for width in (NARROW, WIDE):
        with shown(browser, waits.html(), tmp_path, width=width) as tab:
            texts = tab.locator("#waits .role-axis-label text").evaluate_all(
                "texts => texts.filter(each => each.getAttribute('opacity') !== '0')"
                ".map(each => [each.textContent, each.getBoundingClientRect().left])"
            )
            places = {name: place for name, place in texts if re.match(r"[\d.]+ (s|min|h)$", name)}
            # nothing at all is at the left end, and a factor of ten is as wide anywhere
            assert next(iter(places)) == "0.1 s"
            if width == WIDE:
                tens = (
                    [places[name] for name in ("1 s", "10 s")],
                    [places[name] for name in ("1 min", "10 min")],
                )
                assert abs((tens[0][1] - tens[0][0]) - (tens[1][1] - tens[1][0])) < 12
            assert cut_off(tab) == []


def labels_under_marks(tab: Any, chart: str, kind: str) -> int:
    """The number of labels of days, each of which has its middle under that of its mark."""
    found: list[Any] = tab.evaluate(
        """([chart, kind]) => {
            const middle = each => {
                const box = each.getBoundingClientRect();
                return box.left + box.width / 2;
            };
            const marks = [...document.querySelectorAll(
                `#${chart} [aria-roledescription='${kind}']`)].map(
                    mark => [mark.ariaLabel.match(/(?:Day|Week of): ([^;]+)/)[1], middle(mark)]);
            return [...document.querySelectorAll(`#${chart} .role-axis-label text`)]
                .filter(text => /[A-Z][a-z]{2}/.test(text.textContent)
                    && text.getAttribute("opacity") !== "0")
                .map(text => [text.textContent, middle(text), marks]);
        }""",
        [chart, kind],
    )
    # a day may have no mark
    found = [
        (text, middle, {round(p) for day, p in marks if f"{day[4:]} ".startswith(f"{text} ")})
        for text, middle, marks in found
    ]
    found = [each for each in found if each[2]]
    for text, middle, (place,) in found:
        assert abs(place - middle) < 2, text
    return len(found)


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_labels_stand_under_their_bars(
    browser: Any, marts: Marts, tmp_path: Path, width: int
) -> None:
    with shown(browser, marts.html(), tmp_path, width=width) as tab:
        for chart in ("activity", "acceptance", "midnight", "records"):
            assert labels_under_marks(tab, chart, "bar") >= (2 if width == NARROW else 4)


def test_no_table_is_cut_on_a_narrow_screen(browser: Any, marts: Marts, tmp_path: Path) -> None:
    with shown(browser, marts.html(), tmp_path, width=NARROW) as tab:
        tab.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        cells = tab.locator("table :is(th, td):visible").evaluate_all(
            "cells => cells.map(cell => [cell.textContent, cell.scrollWidth - cell.clientWidth,"
            " cell.getBoundingClientRect().right - cell.closest('.card').getBoundingClientRect()"
            ".right])"
        )
        assert len(cells) > 100
        assert [cell for cell in cells if cell[1] > 1 or cell[2] > 0] == []
        # each number has the name of its column
        names = (
            tab.locator("#agents tbody tr")
            .first.locator("td")
            .evaluate_all(
                "cells => cells.map(c => getComputedStyle(c, '::before').content.slice(1, -1))"
            )
        )
        assert names[:2] == ["interactions", "accepted"]
        assert len({*names}) == len(names) == 9


def test_empty_marts_are_said_in_words(browser: Any, empty: Marts, tmp_path: Path) -> None:
    with shown(browser, empty.html(), tmp_path, width=NARROW) as tab:
        assert tab.locator(".chart").count() == 0
        assert tab.evaluate("document.documentElement.scrollWidth") == NARROW
        said = tab.locator(".empty").all_inner_texts()
        for mart in (
            *("rep_ai__daily_activity", "fct_rep_ai__session_groups", "fct_rep_ai__interactions"),
            *("fct_rep_ai__sessions", "rep_ai__dump_calendar", "rep_ai__contract_violations"),
            "rep_ai__unknown_types",
        ):
            assert sum(f"rep_ai.{mart} is empty" in text for text in said) == 1, mart
        assert "No dump is loaded yet" in tab.inner_text("header")
        assert "None" not in tab.inner_text("body")


@pytest.mark.parametrize("cleared", report_page.MARTS)
def test_one_empty_mart_is_no_error(
    browser: Any, marts: Marts, tmp_path: Path, cleared: str
) -> None:
    # the days of these two are compared
    days = ("rep_ai__daily_activity", "fct_rep_ai__sessions")
    gone = [f"delete from {{marts}}.{n}" for n in (days if cleared in days else (cleared,))]
    changed = marts.changed(tmp_path / "changed.duckdb", *gone)
    html = changed.html()
    assert f"rep_ai.{cleared} is empty" in html or cleared == "dim_rep_ai__users"
    with shown(browser, html, tmp_path) as tab:
        assert tab.locator(".chart").count() >= 5


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("acceptance = 'automatic', seconds_to_accept = null", (0, 0, ["No offer", "No time"])),
        ("seconds_to_accept = null", (1, 0, ["No time"])),
    ],
)
def test_what_nobody_decided_is_said_in_words(
    browser: Any, marts: Marts, tmp_path: Path, change: str, wanted: tuple[int, int, list[str]]
) -> None:
    changed = marts.changed(
        tmp_path / "changed.duckdb", f"update {{marts}}.fct_rep_ai__interactions set {change}"
    )
    with shown(browser, changed.html(), tmp_path) as tab:
        texts = tab.locator("main .grid > .empty").all_inner_texts()
        said = [" ".join(text.split()[:2]) for text in texts]
        assert (tab.locator("#rates").count(), tab.locator("#waits").count(), said) == wanted


# ------------------------------------------------------------------------------ what must not be


def test_nothing_of_a_visitor_is_shown(marts: Marts) -> None:
    html = marts.html()
    _, _, after = html.rpartition("<body>")
    visitors = marts.rows("dim_rep_ai__visitors")
    personal = {
        str(row[column])
        for row in visitors
        for column in ("visitor_id", "person_id", "custom_id", "display_name", "email")
        if row[column]
    }
    personal |= {row["email_address"] for row in marts.rows("dim_rep_ai__users")} - {None}
    for mart in ("sessions", "session_groups", "interactions", "actions"):
        personal |= {row[f"{mart[:-1]}_id"] for row in marts.rows(f"fct_rep_ai__{mart}")}
    assert len(personal) > 500
    # a name may be a word of the page's own, or a part of an agent's
    agents = {row["display_name"] for row in marts.rows("dim_rep_ai__users")}
    assert not [p for p in personal - agents if len(p) > 3 and p in after]
    assert "@" not in re.sub(r"<(script|style)>.*?</\1>", "", html, flags=re.DOTALL)


def test_text_of_others_is_only_text(browser: Any, marts: Marts, tmp_path: Path) -> None:
    hostile = HOSTILE.replace("'", "''").replace("{", "{{").replace("}", "}}")
    harmful = marts.changed(
        tmp_path / "harmful.duckdb",
        f"update {{marts}}.dim_rep_ai__users set display_name = '{hostile}'",
        f"update {{marts}}.rep_ai__unknown_types set type = type || '{hostile}'",
        f"update {{marts}}.fct_rep_ai__interactions set interaction_type = '{hostile}' "
        "where interaction_type = 'PROACTIVE_CALL'",
        "update {marts}.fct_rep_ai__interactions set acceptance = 'not_accepted' "
        "where interaction_type = 'TAKEOVER'",
    )
    with shown(browser, harmful.html(), tmp_path, width=NARROW) as tab:
        assert cut_off(tab) == []
        assert tab.evaluate("window.harmed") is None
        assert tab.locator("img").count() == 0
        # agents of one name are told apart
        agents = [cells[0] for cells in table(tab, "agents")]
        assert all(agent.startswith(f"\u2068{HOSTILE}\u2069 (") for agent in agents)
        assert len({*agents}) == len(agents) > 1
        assert HOSTILE in [cells[0] for cells in table(tab, "types")]
        dot = tab.locator("#rates [aria-roledescription=point]").first
        dot.hover()
        tab.locator("#vg-tooltip-element.visible").wait_for()
        assert tab.locator("img").count() == 0
        assert tab.evaluate("window.harmed") is None


def test_long_names_leave_room_for_the_numbers(browser: Any, marts: Marts, tmp_path: Path) -> None:
    long = marts.changed(
        tmp_path / "long.duckdb",
        "update {marts}.dim_rep_ai__users set display_name = repeat('x', 5000)",
        "update {marts}.fct_rep_ai__interactions set interaction_type = repeat('T', 4000) "
        "where interaction_type = 'TAKEOVER'",
        "update {marts}.rep_ai__unknown_types set type = repeat('T', 4000)",
    )
    with shown(browser, long.html(), tmp_path) as tab:
        tab.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        for name in ("types", "agents", "agents-types", "unknown"):
            assert tab.evaluate(f"document.querySelector('#{name}').scrollWidth") <= tab.evaluate(
                f"document.querySelector('#{name}').parentElement.clientWidth"
            )
            heights = tab.locator(f"#{name} tbody tr").evaluate_all(
                "rows => rows.map(row => row.offsetHeight)"
            )
            assert max(heights) < 120


def test_names_are_no_words_of_the_charts(browser: Any, marts: Marts, tmp_path: Path) -> None:
    names = ("__proto__", "constructor", "toString", "hasOwnProperty")
    named = marts.changed(
        tmp_path / "named.duckdb",
        *(
            f"update {{marts}}.dim_rep_ai__users set display_name = '{name}' where user_id = "
            "(select user_id from {marts}.fct_rep_ai__interactions where acceptance = 'accepted' "
            f"group by user_id order by user_id limit 1 offset {number})"
            for number, name in enumerate(names)
        ),
        "update {marts}.fct_rep_ai__interactions set interaction_type = 'constructor' "
        "where interaction_type = 'PROACTIVE_CALL'",
        "update {marts}.fct_rep_ai__interactions set interaction_type = '__proto__' "
        "where interaction_type = 'TAKEOVER'",
    )
    with shown(browser, named.html(), tmp_path) as tab:
        for chart in ("rates", "waits"):
            dots = drawn(tab, chart, "point")
            assert {dot["Agent"].strip(ISOLATES) for dot in dots} >= {*names}
            assert {dot["Type"].strip(ISOLATES) for dot in dots} <= {"constructor", "__proto__"}


def test_no_other_script_runs(browser: Any, marts: Marts, tmp_path: Path) -> None:
    spoiled = marts.html().replace("<main>", "<main><script>window.harmed = 1</script>")
    with pytest.raises(AssertionError, match="Content Security Policy"):  # noqa: SIM117
        with shown(browser, spoiled, tmp_path) as tab:
            harmed = tab.evaluate("window.harmed")
    assert harmed is None


def test_agents_without_a_name_have_their_id(marts: Marts, tmp_path: Path) -> None:
    unnamed = marts.changed(
        tmp_path / "unnamed.duckdb",
        "update {marts}.dim_rep_ai__users set display_name = null",
        "update {marts}.fct_rep_ai__interactions set user_id = null "
        "where interaction_id = (select min(interaction_id) from {marts}.fct_rep_ai__interactions)",
    )
    html = unnamed.html()
    users = {row["user_id"] for row in unnamed.rows("fct_rep_ai__interactions")} - {None}
    for name in (*users, "(no agent)"):
        assert f'<th scope="row"><bdi>{name}</bdi></th>' in html


# ---------------------------------------------------------------------------------------- command


def report(marts: Marts, *arguments: object) -> tuple[int, str]:
    """Exit code and output of the command."""
    variables = {**environment(marts.path.parent), "REP_AI_DUCKDB": str(marts.path)}
    ran = CliRunner().invoke(cli.main, ["report", *map(str, arguments)], env=variables)
    return ran.exit_code, ran.output


def test_the_command_writes_one_file(marts: Marts, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    code, said = report(marts, file, "--vars", VARIABLES)
    assert (code, said) == (0, f"{file}, {file.stat().st_size / 1e6:.1f} MB\n")
    assert [*tmp_path.iterdir()] == [file]
    # the same marts give the same page
    assert file.read_text(encoding="utf-8") == marts.html()
    code, said = report(marts, "--vars", VARIABLES)
    assert (code, said.split(",")[0]) == (0, str(marts.path.parent / "target" / "report.html"))


def test_a_page_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    report_page.write(file, "old")
    with pytest.raises(UnicodeEncodeError):
        report_page.write(file, "new \ud800")
    assert file.read_text(encoding="utf-8") == "old"
    assert [*tmp_path.iterdir()] == [file]


def test_what_goes_wrong_is_said_in_one_line(marts: Marts, tmp_path: Path) -> None:
    none = Marts(tmp_path / "none.duckdb")
    code, said = report(none, tmp_path / "page.html")
    assert code == 1
    assert said == (
        f"rep-ai: {none.path} has no dim_rep_ai__user_agents: build the marts by rep-ai run "
        "SOURCE, or dbt build\n"
    )
    assert not none.path.exists()
    code, said = report(marts, tmp_path / "no" / "page.html", "--vars", VARIABLES)
    assert code == 1
    assert re.fullmatch(r"rep-ai: \S+/no/page.html: No such file or directory\n", said)


def test_days_of_another_time_zone_are_refused(marts: Marts) -> None:
    with pytest.raises(DestinationError, match=r"in Asia/Tokyo: give --vars as at the last dbt"):
        marts.html("Asia/Tokyo")


def test_a_missing_library_is_said_with_what_installs_it(
    marts: Marts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(DestinationError, match=r"^jinja2 is missing: pip install --editable '\.\["):
        marts.html()
