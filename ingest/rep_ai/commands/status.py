"""rep-ai status: what is loaded, missing, rejected and unusual, for a person or a pager."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import click

from rep_ai import project
from rep_ai.commands.retire import retired
from rep_ai.console.tables import show_rows, show_table, show_unknown_types
from rep_ai.landing.results import DUPLICATE, LOADED, REJECTED
from rep_ai.warehouse import health
from rep_ai.warehouse.database import Database
from rep_ai.warehouse.health import LAST_WINDOWS, Row, span
from rep_ai.words import many, on_line

# how many of the last runs are shown
LAST_RUNS = 7
COUNTED = ("visitors", "sessions", "actions", "interactions")


def collect(
    database: Database,
    settings: Row,
    *,
    now: datetime,
    max_age: timedelta | None = None,
    within: timedelta | None = None,
) -> Row:
    """What `rep-ai status` knows of a database, under stable keys; times are UTC without zone.

    It is a problem if the newest window ended longer ago than `max_age`; gaps and rejections that
    are older than `within` are none.
    """
    files = _files(database)
    windows = health.windows(database)
    delivered = [window for window in windows if window["status"] != "missing"]
    content = health.content(database, settings)
    out = retired(database)
    ids = {each["delivery"] for each in out}
    built = {row[0] for row in database.rows("select delivery_id from {int_rep_ai__deliveries}")}
    runs = database.records(
        f"select * from {{runs}} order by started_at desc, run_id limit {LAST_RUNS}"
    )
    counted = sum(window["delivery_count"] for window in delivered)
    # what was retired since the last build is counted in its window still
    behind = files["deliveries"] - len(ids) - (counted - len(ids & built))
    found = {
        "database": database.name,
        "checked_at": now,
        "error": None,
        "exit_code": 0,
        "problems": [],
        "warnings": [
            *_not_looked_at(runs),
            *map(str, health.window_doubts(database, windows)),
            *map(str, health.content_remarks(database, content, settings)),
        ],
        **files,
        "marts_built": database.is_built(health.CALENDAR),
        "deliveries_not_in_marts": max(behind, 0),
        "retired": out,
        "retired_in_marts": len(ids & built),
        "newest_window_end_at": max((w["window_end_at"] for w in delivered), default=None),
        **_windows(windows),
        **content,
        "runs": runs,
    }
    return {**found, "problems": [*_problems(database, found, max_age, within)]}


def _problems(
    database: Database, found: Row, max_age: timedelta | None, within: timedelta | None
) -> Iterator[str]:
    """What a pager should know, one line each."""
    now, newest = found["checked_at"], found["newest_window_end_at"]
    behind, retired_in_marts = found["deliveries_not_in_marts"], found["retired_in_marts"]
    build = database.command("dbt", "build")
    if not found["deliveries"]:
        yield "nothing is loaded yet: rep-ai run SOURCE"
    elif not found["marts_built"]:
        yield f"the marts are not built yet: rep-ai run SOURCE, or {build}"
    elif behind:
        dumps = many(behind, "loaded dump is", "loaded dumps are")
        yield f"{dumps} not in the marts: rep-ai run SOURCE, or {build}"
    elif retired_in_marts:
        dumps = many(retired_in_marts, "retired delivery is", "retired deliveries are")
        yield f"{dumps} still in the marts: rep-ai run SOURCE, or {build}"
    elif unfinished := database.models_behind():
        yield f"{health.unfinished_line(unfinished)}: {build}"
    since = datetime.min if within is None else now - within
    yield from map(str, health.window_problems(database, found["missing"], since))
    if waiting := sum(each["rejected_at"] >= since for each in found["rejected"]):
        yield many(waiting, "rejected file waits", "rejected files wait")
    if newest and max_age is not None and now - newest > max_age:
        yield (
            f"the newest window ended {newest:%Y-%m-%d %H:%M} UTC, {_ago(now - newest)}, and "
            f"{_length(max_age)} are allowed"
        )


def _not_looked_at(runs: Sequence[Row]) -> Iterator[str]:
    """Files that no run reads; what is wrong with a source was said by the run itself."""
    if runs and (count := runs[0]["files_passed_over"]):
        yield (
            f"{many(count, 'file was', 'files were')} not looked at by the last run, as no "
            f"--pattern takes such names: {on_line(runs[0]['passed_over_examples'])}"
        )


def _windows(windows: list[Row]) -> Row:
    """The windows of each kind, and the last ones with what is usual."""
    gaps = health.gaps(windows)
    overlapping = [span(window) for window in windows if window["status"] == "overlapping"]
    redelivered = [
        {**span(w), "deliveries": w["delivery_count"], "version": w["version"]}
        for w in windows
        if w["delivery_count"] > 1
    ]
    return {
        "windows": {
            "delivered": sum(window["status"] == "delivered" for window in windows),
            "overlapping": len(overlapping),
            "redelivered": len(redelivered),
            "missing": sum(gap["windows"] for gap in gaps),
        },
        "missing": gaps,
        "overlapping": overlapping,
        "redelivered": redelivered,
        "last_windows": [
            {
                **span(window),
                "status": window["status"],
                "deliveries": window["delivery_count"],
                "version": window["version"],
                "records": {name: _measured(window, f"{name[:-1]}_count") for name in COUNTED},
            }
            for window in windows[-LAST_WINDOWS:]
        ],
    }


def _measured(window: Row, column: str) -> Row:
    count, usual = window[column], window[f"usual_{column}"]
    usual = None if usual is None else float(usual)
    change = round(count / usual - 1, 4) if count is not None and usual else None
    return {"count": count, "usual": usual, "change": change}


def _files(database: Database) -> Row:
    """Each file's latest state: it may have been mended, read again, or removed since."""
    rows = database.records(
        "select file_url, deliveries.status, reason, _delivery_id, load_id, "
        "inserted_at at time zone 'UTC' as seen_at from {deliveries} as deliveries "
        "inner join {_dlt_loads} as loads on deliveries._dlt_load_id = loads.load_id "
        "where loads.status = 0 order by inserted_at, load_id, file_url",
    )
    gone = set(database.rows("select file_url, load_id from {_gone_files}"))
    latest = {row["file_url"]: row for row in rows if (row["file_url"], row["load_id"]) not in gone}
    loaded = [row for row in rows if row["status"] == LOADED]
    own = {(row["file_url"], row["_delivery_id"]) for row in loaded}
    contents = {identity for _, identity in own}
    for url, row in latest.items():
        if (url, row["_delivery_id"]) in own:
            # a file that was touched or fetched again is no copy of itself
            row["status"] = LOADED
        elif row["status"] == REJECTED and row["_delivery_id"] in contents:
            # a copy with a later time was loaded
            row["status"] = DUPLICATE
    states = Counter(row["status"] for row in latest.values())
    return {
        "files": {status: states[status] for status in (LOADED, DUPLICATE, REJECTED)},
        "deliveries": len(contents),
        "last_loaded_at": max((row["seen_at"] for row in loaded), default=None),
        "rejected": [
            {"url": url, "reason": row["reason"], "rejected_at": row["seen_at"]}
            for url, row in sorted(latest.items())
            if row["status"] == REJECTED
        ],
    }


def _length(time: timedelta) -> str:
    hours = time / timedelta(hours=1)
    return f"{hours:,.0f} hours" if hours < 72 else f"{hours / 24:,.0f} days"


def _ago(time: timedelta) -> str:
    return f"{_length(time)} ago" if time >= timedelta(hours=1) else "just now"


def as_json(found: Row) -> str:
    """One JSON document; times as in 2026-03-01T06:00:00Z."""
    return json.dumps(found, default=lambda moment: moment.isoformat(timespec="seconds") + "Z")


def show(found: Row, violations: str) -> None:
    """Show a person what `collect` found; `violations` names the table that has all of them."""
    if not any(found["files"].values()):
        database = found["database"]
        click.echo(f"Nothing is loaded in {database} yet: {project.first_step(database)}")
        return
    dumps = many(found["deliveries"], "dump is", "dumps are")
    out = f", {len(found['retired']):,} of them retired" if found["retired"] else ""
    click.echo(f"{dumps} loaded in {found['database']}{out}.\n")
    show_table("Files by their latest state", ["status", "files"], found["files"].items())
    for key, what in (
        ("last_loaded_at", "The last dump was loaded"),
        ("newest_window_end_at", "The newest window ended"),
    ):
        if moment := found[key]:
            click.echo(f"{what} {moment:%Y-%m-%d %H:%M} UTC, {_ago(found['checked_at'] - moment)}.")
    click.echo()
    if found["marts_built"]:
        show_table("Windows", ["status", "windows"], found["windows"].items())
        for title, name in (
            ("Missing (UTC)", "missing"),
            ("Overlapping (UTC)", "overlapping"),
            ("Delivered again (UTC)", "redelivered"),
        ):
            show_rows(title, found[name])
        _show_last_windows(found["last_windows"])
    show_rows("Retired: in no mart (UTC)", found["retired"], "url", "reason", "retired_at")
    if found["rejected"]:
        click.echo("Rejected")
        for rejected in found["rejected"]:
            click.echo(f"{on_line(rejected['url'])}: {on_line(rejected['reason'] or '')}")
        click.echo()
    show_unknown_types("Unknown types", found["unknown_types"])
    show_rows("Fields that are not listed", found["unlisted_fields"])
    show_rows(f"Broken promises ({violations})", found["violations"])
    _show_runs(found["runs"])
    for line in found["problems"]:
        click.echo(f"problem: {line}")
    for line in found["warnings"]:
        click.echo(f"warning: {line}")


def _show_last_windows(windows: list[Row]) -> None:
    columns = ["from", "status"]
    for name in COUNTED[1:]:
        columns += [name, "change"]
    rows = []
    for window in windows:
        cells: list[Any] = [window["from"], window["status"]]
        for name in COUNTED[1:]:
            change = window["records"][name]["change"]
            said = None if change is None else f"{round(change, 2) + 0:+,.0%}"
            cells += [window["records"][name]["count"], said]
        rows.append(cells)
    title = "The last windows (UTC), and their change against the four weeks before"
    show_table(title, columns, rows)


def _show_runs(runs: Sequence[Row]) -> None:
    """Show when each run was, how long it took, what came and how it ended."""
    rows = []
    for run in runs:
        began, ended = run["started_at"], run["ended_at"]
        took = ended and f"{(ended - began).total_seconds():,.0f} s"
        exit_code = run["exit_code"] if ended else "killed, or at work"
        said = {"began": f"{began:%Y-%m-%d %H:%M}", "took": took, "exit_code": exit_code}
        rows.append({**run, **said})
    columns = ("began", "command", "took", "files_loaded", "files_rejected", "records")
    show_rows("The last runs (UTC)", rows, *columns, "exit_code", "error")
