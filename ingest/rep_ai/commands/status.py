"""How the nights are: what is loaded, missing, rejected and unusual, for a person or a pager."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any, NamedTuple

import click

from rep_ai import project
from rep_ai.console.progress import on_line
from rep_ai.console.run_summary import (
    MARTS_SCHEMA,
    Database,
    opened,
    show_unknown_types,
    show_violations,
    table,
    violations,
)
from rep_ai.landing.destinations import Destination

# how many of the last windows are shown and watched
LAST_NIGHTS = 14
COUNTED = ("visitors", "sessions", "actions", "interactions")


class Night(NamedTuple):
    """A row of the dump calendar; times are UTC without zone."""

    start: datetime
    end: datetime
    status: str
    deliveries: int
    version: str | None
    # by COUNTED; None where the dump lacks the collection, or there is none
    counts: dict[str, int | None]
    # by COUNTED; None where it is not known what is usual
    usual: dict[str, float | None]
    has_few_actions: bool


def look(
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
        is_built = (MARTS_SCHEMA, "rep_ai__dump_calendar") in database.tables
        unfinished = database.models_behind()
        nights = _nights(database)
        unknown = database.mart(
            "rep_ai__unknown_types",
            "select kind, type, record_count, first_seen_at, last_seen_at from {table} "
            "order by record_count desc, kind, type",
        )
        broken = violations(database)
        data_said = data_warnings(database)
    delivered = [night for night in nights if night.status != "missing"]
    newest = max((night.end for night in delivered), default=None)
    gaps = _gaps(nights)
    behind = files["contents"] - sum(night.deliveries for night in delivered)
    since = datetime.min if within is None else now - within
    waiting = sum(rejected["rejected_at"] >= since for rejected in files["rejected"])
    missing = [gap for gap in gaps if gap["until"] >= since]

    problems = []
    if not files["contents"]:
        problems.append("nothing is loaded yet: rep-ai run SOURCE")
    elif not is_built:
        problems.append("the marts are not built yet: rep-ai run SOURCE, or dbt build")
    elif behind:
        problems.append(
            f"{_many(behind, 'loaded dump is', 'loaded dumps are')} not in the marts: "
            "rep-ai run SOURCE, or dbt build"
        )
    elif unfinished:
        problems.append(
            f"the last build did not finish, {', '.join(unfinished)} "
            f"{'is' if len(unfinished) == 1 else 'are'} as before: dbt build"
        )
    if missing:
        problems.append(_missing(missing))
    if waiting:
        problems.append(f"{_many(waiting, 'rejected file waits', 'rejected files wait')}")
    if newest and max_age is not None and now - newest > max_age:
        problems.append(
            f"the newest window ended {newest:%Y-%m-%d %H:%M} UTC, {_ago(now - newest)}, and "
            f"{_length(max_age)} are allowed"
        )
    return {
        "database": destination.name,
        "checked_at": now,
        "error": None,
        "exit_code": 0,
        "problems": problems,
        "warnings": [*_small(nights), *data_said],
        "files": files["by_status"],
        "deliveries": files["contents"],
        "last_loaded_at": files["last_loaded_at"],
        "marts_built": is_built,
        "deliveries_not_in_marts": behind if is_built else files["contents"],
        "newest_window_end_at": newest,
        "nights": {
            "delivered": sum(night.status == "delivered" for night in nights),
            "overlapping": sum(night.status == "overlapping" for night in nights),
            "redelivered": sum(night.deliveries > 1 for night in nights),
            "missing": sum(gap["nights"] for gap in gaps),
        },
        "missing": gaps,
        "overlapping": [_window(n) for n in nights if n.status == "overlapping"],
        "redelivered": [
            {**_window(n), "deliveries": n.deliveries, "version": n.version}
            for n in nights
            if n.deliveries > 1
        ],
        "last_nights": [
            {
                **_window(night),
                "status": night.status,
                "deliveries": night.deliveries,
                "version": night.version,
                "records": {name: _measured(night, name) for name in COUNTED},
            }
            for night in nights[-LAST_NIGHTS:]
        ],
        "rejected": files["rejected"],
        "unknown_types": [
            dict(
                zip(("kind", "type", "records", "first_seen_at", "last_seen_at"), row, strict=True)
            )
            for row in unknown
        ],
        "violations": [
            dict(zip(("severity", "rule", "entity", "rows", "example"), row, strict=True))
            for row in broken
        ],
    }


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
    loaded = [row for row in rows if row[1] == "loaded"]
    # a file that was touched or fetched anew is no copy of itself
    own = {(url, delivery_id) for url, _, _, delivery_id, _ in loaded}
    states = Counter(
        "loaded" if (url, delivery_id) in own else status
        for url, status, _, delivery_id, _ in latest.values()
    )
    return {
        "by_status": {status: states[status] for status in ("loaded", "duplicate", "rejected")},
        "contents": len({row[3] for row in loaded}),
        "last_loaded_at": max((row[4] for row in loaded), default=None),
        "rejected": [
            {"url": url, "reason": reason, "rejected_at": moment}
            for url, status, reason, _, moment in sorted(latest.values(), key=lambda row: row[0])
            if status == "rejected"
        ],
    }


def _nights(database: Database) -> list[Night]:
    rows = database.records("rep_ai__dump_calendar")
    return [
        Night(
            row["window_start_at"],
            row["window_end_at"],
            row["status"],
            row["delivery_count"],
            row["version"],
            {name: row[f"{name[:-1]}_count"] for name in COUNTED},
            {name: _number(row.get(f"usual_{name[:-1]}_count")) for name in COUNTED},
            bool(row.get("has_few_actions")),
        )
        for row in sorted(rows, key=lambda row: (row["window_start_at"], row["window_end_at"]))
    ]


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _window(night: Night) -> dict[str, datetime]:
    return {"from": night.start, "until": night.end}


def _seconds(night: Night) -> float:
    return (night.end - night.start).total_seconds()


def _gaps(nights: list[Night]) -> list[dict[str, Any]]:
    """The stretches without a dump, and how many nights long each is."""
    lengths = [_seconds(night) for night in nights if night.status != "missing"]
    return [
        {**_window(night), "nights": max(1, round(_seconds(night) / median(lengths)))}
        for night in nights
        if night.status == "missing"
    ]


def _measured(night: Night, name: str) -> dict[str, Any]:
    count, usual = night.counts[name], night.usual[name]
    change = round(count / usual - 1, 4) if count is not None and usual else None
    return {"count": count, "usual": usual, "change": change}


def _small(nights: list[Night]) -> list[str]:
    """A line for each of the last nights that has far fewer actions than usual."""
    return [
        f"the night from {night.start:%Y-%m-%d %H:%M} UTC has "
        f"{_many(night.counts['actions'] or 0, 'action', 'actions')}; the nights before it had "
        f"{night.usual['actions']:,.0f}"
        for night in nights[-LAST_NIGHTS:]
        if night.has_few_actions
    ]


def night_warnings(database: Database) -> list[str]:
    """What is wrong with the nights, one line each."""
    nights = _nights(database)
    gaps = _gaps(nights)
    return [*([_missing(gaps)] if gaps else []), *_small(nights)]


def data_warnings(database: Database) -> list[str]:
    """What in the records is not as expected, one line each."""
    lines = []
    unknown = database.unknown_types()
    if unknown:
        lines.append(
            f"{_many(len(unknown), 'type is', 'types are')} not known yet "
            f"({sum(row.record_count for row in unknown):,} records): rep-ai types lists them"
        )
    severities = database.mart(
        "rep_ai__contract_violations",
        "select severity, count(*) from {table} group by severity order by severity",
    )
    lines += [
        f"{_many(count, 'contract violation', 'contract violations')} of severity {severity}: "
        f"{MARTS_SCHEMA}.rep_ai__contract_violations"
        for severity, count in severities
    ]
    return lines


def _missing(gaps: list[dict[str, Any]]) -> str:
    said = _many(sum(gap["nights"] for gap in gaps), "night is", "nights are")
    last = gaps[-1]
    only = "" if len(gaps) == 1 else f"the last in {len(gaps):,} gaps "
    window = f"from {last['from']:%Y-%m-%d %H:%M} to {last['until']:%Y-%m-%d %H:%M} UTC"
    return f"{said} missing: {only}{window}"


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"


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
    dumps = _many(found["deliveries"], "dump is", "dumps are")
    click.echo(f"{dumps} loaded in {found['database']}.\n")
    table("Files by their latest state", ["status", "files"], found["files"].items())
    if found["last_loaded_at"]:
        ago = _ago(found["checked_at"] - found["last_loaded_at"])
        click.echo(f"The last dump was loaded {found['last_loaded_at']:%Y-%m-%d %H:%M} UTC, {ago}.")
    if found["newest_window_end_at"]:
        newest = found["newest_window_end_at"]
        ago = _ago(found["checked_at"] - newest)
        click.echo(f"The newest window ended {newest:%Y-%m-%d %H:%M} UTC, {ago}.")
    click.echo()
    if found["marts_built"]:
        table("Nights", ["status", "nights"], found["nights"].items())
        _show_windows("Missing (UTC)", found["missing"], ["nights"])
        _show_windows("Overlapping (UTC)", found["overlapping"], [])
        _show_windows("Delivered again (UTC)", found["redelivered"], ["deliveries", "version"])
        _show_last_nights(found["last_nights"])
    if found["rejected"]:
        click.echo("Rejected")
        for rejected in found["rejected"]:
            click.echo(f"{on_line(rejected['url'])}: {on_line(rejected['reason'] or '')}")
        click.echo()
    if found["unknown_types"]:
        show_unknown_types("Unknown types", [tuple(row.values()) for row in found["unknown_types"]])
    if found["violations"]:
        show_violations([tuple(row.values()) for row in found["violations"]])
    for line in found["problems"]:
        click.echo(f"problem: {line}")
    for line in found["warnings"]:
        click.echo(f"warning: {line}")


def _show_windows(title: str, windows: list[dict[str, Any]], more: Sequence[str]) -> None:
    if windows:
        rows = [(w["from"], w["until"], *(w[name] for name in more)) for w in windows]
        table(title, ["from", "until", *more], rows)


def _show_last_nights(nights: list[dict[str, Any]]) -> None:
    columns = ["from", "status"]
    for name in COUNTED[1:]:
        columns += [name, "change"]
    rows = []
    for night in nights:
        cells = [night["from"], night["status"]]
        for name in COUNTED[1:]:
            measured = night["records"][name]
            change = measured["change"]
            cells += [
                measured["count"],
                None if change is None else f"{round(change, 2) + 0:+,.0%}",
            ]
        rows.append(cells)
    title = "The last nights (UTC), and their change against the four weeks before"
    table(title, columns, rows)
