"""rep-ai status: what is loaded, missing, rejected and unusual, for a person or a pager."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import click

from rep_ai import project
from rep_ai.console.tables import show_table, show_unknown_types, show_violations
from rep_ai.landing.destinations import Destination
from rep_ai.landing.results import DUPLICATE, LOADED, REJECTED
from rep_ai.warehouse import health
from rep_ai.warehouse.database import Database, opened
from rep_ai.warehouse.health import COUNTED, LAST_WINDOWS, UnknownType, Violation, Window
from rep_ai.warehouse.names import DUMP_CALENDAR
from rep_ai.words import many, on_line


def collect(
    destination: Destination,
    schema: str,
    *,
    now: datetime,
    max_age: timedelta | None = None,
    within: timedelta | None = None,
) -> dict[str, Any]:
    """All that `rep-ai status` knows, under stable keys; times are UTC without zone.

    Args:
        destination: the database.
        schema: schema of the raw tables.
        now: the present, UTC without zone.
        max_age: it is a problem if the newest window ended longer ago.
        within: gaps and rejections that are older are no problem.

    Raises:
        DestinationError: the database cannot be read.
    """
    with opened(destination) as database:
        files = _files(database, schema)
        is_built = database.has_mart(DUMP_CALENDAR)
        unfinished = database.models_behind()
        windows = health.windows(database)
        unknown = health.unknown_types(database)
        broken = health.violations(database)
        data_lines = health.data_warnings(database)
    delivered = [window for window in windows if window.status != "missing"]
    newest = max((window.end for window in delivered), default=None)
    behind = files["contents"] - sum(window.deliveries for window in delivered)
    gaps = health.gaps(windows)
    since = datetime.min if within is None else now - within
    return {
        "database": destination.name,
        "checked_at": now,
        "error": None,
        "exit_code": 0,
        "problems": [
            *_build_problems(files["contents"], behind, unfinished, is_built=is_built),
            *_old_problems(gaps, files["rejected"], since),
            *_age_problems(newest, now, max_age),
        ],
        "warnings": [*health.small_lines(windows), *data_lines],
        "files": files["by_status"],
        "deliveries": files["contents"],
        "last_loaded_at": files["last_loaded_at"],
        "marts_built": is_built,
        "deliveries_not_in_marts": behind if is_built else files["contents"],
        "newest_window_end_at": newest,
        **_windows(windows, gaps),
        "rejected": files["rejected"],
        "unknown_types": [each._asdict() for each in unknown],
        "violations": [each._asdict() for each in broken],
    }


def _build_problems(
    loaded: int, behind: int, unfinished: Sequence[str], *, is_built: bool
) -> list[str]:
    """Where the marts do not show what is loaded."""
    if not loaded:
        return ["nothing is loaded yet: rep-ai run SOURCE"]
    if not is_built:
        return ["the marts are not built yet: rep-ai run SOURCE, or dbt build"]
    if behind:
        return [
            f"{many(behind, 'loaded dump is', 'loaded dumps are')} not in the marts: "
            "rep-ai run SOURCE, or dbt build"
        ]
    if unfinished:
        return [f"{health.unfinished_line(unfinished)}: dbt build"]
    return []


def _old_problems(
    gaps: list[dict[str, Any]], rejected: list[dict[str, Any]], since: datetime
) -> list[str]:
    """What is missing, and what waits, from some time on."""
    missing = [gap for gap in gaps if gap["until"] >= since]
    waiting = sum(each["rejected_at"] >= since for each in rejected)
    problems = [health.missing_line(missing)] if missing else []
    if waiting:
        problems.append(many(waiting, "rejected file waits", "rejected files wait"))
    return problems


def _age_problems(newest: datetime | None, now: datetime, max_age: timedelta | None) -> list[str]:
    if newest is None or max_age is None or now - newest <= max_age:
        return []
    return [
        f"the newest window ended {newest:%Y-%m-%d %H:%M} UTC, {_ago(now - newest)}, and "
        f"{_length(max_age)} are allowed"
    ]


def _windows(windows: list[Window], gaps: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "nights": {
            "delivered": sum(window.status == "delivered" for window in windows),
            "overlapping": sum(window.status == "overlapping" for window in windows),
            "redelivered": sum(window.deliveries > 1 for window in windows),
            "missing": sum(gap["nights"] for gap in gaps),
        },
        "missing": gaps,
        "overlapping": [window.span for window in windows if window.status == "overlapping"],
        "redelivered": [
            {**window.span, "deliveries": window.deliveries, "version": window.version}
            for window in windows
            if window.deliveries > 1
        ],
        "last_nights": [
            {
                **window.span,
                "status": window.status,
                "deliveries": window.deliveries,
                "version": window.version,
                "records": {name: _measured(window, name) for name in COUNTED},
            }
            for window in windows[-LAST_WINDOWS:]
        ],
    }


def _measured(window: Window, name: str) -> dict[str, Any]:
    count, usual = window.counts[name], window.usual[name]
    change = round(count / usual - 1, 4) if count is not None and usual else None
    return {"count": count, "usual": usual, "change": change}


def _files(database: Database, schema: str) -> dict[str, Any]:
    """Each file's latest state: it may have been mended, or read again, since."""
    rows = database.rows(
        schema,
        "deliveries",
        "select file_url, deliveries.status, reason, _delivery_id, "
        "inserted_at at time zone 'UTC' from {table} as deliveries "
        "inner join {schema}._dlt_loads as loads on deliveries._dlt_load_id = loads.load_id "
        "where loads.status = 0 order by inserted_at, load_id, file_url",
    )
    latest = {row[0]: row for row in rows}
    loaded = [row for row in rows if row[1] == LOADED]
    # a file that was touched or fetched anew is no copy of itself
    own = {(url, delivery_id) for url, _, _, delivery_id, _ in loaded}
    states = Counter(
        LOADED if (url, delivery_id) in own else status
        for url, status, _, delivery_id, _ in latest.values()
    )
    return {
        "by_status": {status: states[status] for status in (LOADED, DUPLICATE, REJECTED)},
        "contents": len({row[3] for row in loaded}),
        "last_loaded_at": max((row[4] for row in loaded), default=None),
        "rejected": [
            {"url": url, "reason": reason, "rejected_at": moment}
            for url, status, reason, _, moment in sorted(latest.values(), key=lambda row: row[0])
            if status == REJECTED
        ],
    }


def _length(time: timedelta) -> str:
    hours = time / timedelta(hours=1)
    return f"{hours:,.0f} hours" if hours < 72 else f"{hours / 24:,.0f} days"


def _ago(time: timedelta) -> str:
    return f"{_length(time)} ago" if time >= timedelta(hours=1) else "just now"


def as_json(found: dict[str, Any]) -> str:
    """One JSON document; times as in 2026-03-01T06:00:00Z."""
    return json.dumps(found, default=lambda moment: moment.isoformat(timespec="seconds") + "Z")


def show(found: dict[str, Any]) -> None:
    """Show it to a person."""
    if not any(found["files"].values()):
        database = found["database"]
        click.echo(f"Nothing is loaded in {database} yet: {project.first_step(database)}")
        return
    dumps = many(found["deliveries"], "dump is", "dumps are")
    click.echo(f"{dumps} loaded in {found['database']}.\n")
    show_table("Files by their latest state", ["status", "files"], found["files"].items())
    _say_ages(found)
    if found["marts_built"]:
        show_table("Nights", ["status", "nights"], found["nights"].items())
        _show_windows("Missing (UTC)", found["missing"], ["nights"])
        _show_windows("Overlapping (UTC)", found["overlapping"], [])
        _show_windows("Delivered again (UTC)", found["redelivered"], ["deliveries", "version"])
        _show_last_windows(found["last_nights"])
    if found["rejected"]:
        click.echo("Rejected")
        for rejected in found["rejected"]:
            click.echo(f"{on_line(rejected['url'])}: {on_line(rejected['reason'] or '')}")
        click.echo()
    if found["unknown_types"]:
        unknown = [UnknownType(**each) for each in found["unknown_types"]]
        show_unknown_types("Unknown types", unknown)
    if found["violations"]:
        show_violations([Violation(**each) for each in found["violations"]])
    for line in found["problems"]:
        click.echo(f"problem: {line}")
    for line in found["warnings"]:
        click.echo(f"warning: {line}")


def _say_ages(found: dict[str, Any]) -> None:
    if loaded := found["last_loaded_at"]:
        ago = _ago(found["checked_at"] - loaded)
        click.echo(f"The last dump was loaded {loaded:%Y-%m-%d %H:%M} UTC, {ago}.")
    if newest := found["newest_window_end_at"]:
        ago = _ago(found["checked_at"] - newest)
        click.echo(f"The newest window ended {newest:%Y-%m-%d %H:%M} UTC, {ago}.")
    click.echo()


def _show_windows(title: str, windows: list[dict[str, Any]], more: Sequence[str]) -> None:
    if windows:
        rows = [(w["from"], w["until"], *(w[name] for name in more)) for w in windows]
        show_table(title, ["from", "until", *more], rows)


def _show_last_windows(windows: list[dict[str, Any]]) -> None:
    columns = ["from", "status"]
    for name in COUNTED[1:]:
        columns += [name, "change"]
    rows = []
    for window in windows:
        cells = [window["from"], window["status"]]
        for name in COUNTED[1:]:
            measured = window["records"][name]
            change = measured["change"]
            cells += [
                measured["count"],
                None if change is None else f"{round(change, 2) + 0:+,.0%}",
            ]
        rows.append(cells)
    title = "The last nights (UTC), and their change against the four weeks before"
    show_table(title, columns, rows)
