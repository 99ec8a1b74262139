"""rep-ai run --dry-run: what a run would land, replace, reject and build, and about how long."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any, NamedTuple

import click

from rep_ai import project
from rep_ai.commands.ingest import note, unsettled
from rep_ai.commands.retire import retired
from rep_ai.console.run_summary import Outcome
from rep_ai.console.tables import show_rows
from rep_ai.dump.document import read_time
from rep_ai.errors import ProjectError
from rep_ai.installed import PACKAGE
from rep_ai.landing import ledger as ledgers
from rep_ai.landing import sources
from rep_ai.landing.destinations import of_target
from rep_ai.landing.packages import Package, packed
from rep_ai.landing.results import LOADED, FileResult, Observer, Report
from rep_ai.warehouse.database import Database, opened
from rep_ai.warehouse.health import Row
from rep_ai.words import many, named, on_line

# the last runs that tell how long a run takes
RUNS = 5


class Delivery(NamedTuple):
    """A delivery of a window, of which the greatest counts."""

    rank: tuple[Any, ...]
    version: str
    url: str


# start and end of a window -> the delivery that counts
Windows = dict[tuple[str, str], Delivery]


def look(
    observer: Observer,
    *,
    source: Sequence[str],
    target: str | None,
    variables: dict[str, Any],
    patterns: Sequence[str],
    retry_rejected: bool,
    max_bytes: int,
    **_: Any,
) -> Row:
    """What a run would do, under stable keys; the new files are read whole, and nothing changes.

    Its options are those of `run`.
    """
    settings = project.variables(variables)
    schema, major = settings["rep_ai_source_schema"], int(settings["rep_ai_supported_major"])
    destination = of_target(target)
    listing = sources.find(source, patterns)
    with opened(destination, schema, variables) as database:
        ledger = ledgers.look(destination, database.cursor, schema)
        windows = _windows(database)
        is_built = database.is_built("int_rep_ai__deliveries")
        earlier = database.records(
            "select bytes, landing_ms, build_ms from {runs} "
            "where exit_code in (0, 3) order by started_at desc, run_id"
        )
    report = Report(seen=len(listing.files), passed_over=sorted(listing.passed_over))
    new = unsettled(listing.files, ledger, report, retry_rejected=retry_rejected)
    files: list[Row] = []
    with observer:
        observer.found(report, new)
        for part in packed(new):
            package = Package(part, ledger, major, max_bytes, retry_rejected, observer=observer)
            package.look()
            # only counted: nothing of it is loaded
            note(package, ledger, report, Observer())
            files += [_file(result, windows) for result in package.results]
    anew = _changed_models(destination.target, variables) if is_built else None
    return {
        "command": "run",
        "dry_run": True,
        "database": destination.name,
        "exit_code": Outcome("run", ingest=report).exit_code,
        "error": None,
        "seen": report.seen,
        "known": report.known,
        "still_rejected": report.still_rejected,
        "passed_over": report.passed_over,
        "failed": report.failed,
        "records": report.records.total(),
        "bytes": report.bytes,
        "files": files,
        "models_built_anew": anew,
        **_estimate(earlier, report.bytes, is_partial=anew == []),
    }


def _windows(database: Database) -> Windows:
    """The loaded deliveries that count in their windows."""
    out = {each["delivery"] for each in retired(database)}
    found: Windows = {}
    for identity, version, start, end, url, modified_at in database.rows(
        "select _delivery_id, max(version), max(start_time), max(end_time), min(file_url), "
        "case when count(*) = count(file_modified_at) then min(file_modified_at) end "
        f"from {{deliveries}} where status in ('{LOADED}', 'duplicate') and _dlt_load_id in "
        "(select load_id from {_dlt_loads} where status = 0) group by _delivery_id"
    ):
        if identity not in out:
            rank = _rank(version, sources.moment(modified_at), identity)
            delivery, window = Delivery(rank, version, url), (_moment(start), _moment(end))
            found[window] = max(delivery, found.get(window, delivery))
    return found


def _rank(version: str, modified_at: datetime | None, delivery_id: str) -> tuple[Any, ...]:
    """What orders the deliveries of a window: docs/query.md#current-deliveries."""
    release, _, prerelease = version.partition("+")[0].partition("-")
    # numbers of any size compare by their length first
    parts = tuple((len(part), part) for part in release.split("."))
    return parts, not prerelease, prerelease, modified_at or datetime.min, delivery_id


def _moment(text: str | None) -> str:
    milliseconds = read_time(text)
    if milliseconds is None:
        return ""
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _file(result: FileResult, windows: Windows) -> Row:
    """What a run would make of a file; what it would load is noted as loaded."""
    header, file = result.header, result.file
    window = _moment(header.start_time), _moment(header.end_time)
    found: Row = {
        "url": file.url,
        "status": result.status,
        "reason": result.reason,
        "version": header.version,
        "from": window[0] or None,
        "until": window[1] or None,
        "bytes": result.size,
        "replaces": None,
        "stands_below": None,
    }
    if result.status == LOADED and header.version is not None:
        rank = _rank(header.version, file.modified_at, result.delivery_id)
        delivery = Delivery(rank, header.version, file.url)
        if other := windows.get(window):
            key = "replaces" if delivery > other else "stands_below"
            found[key] = {"url": other.url, "version": other.version}
        windows[window] = max(delivery, other or delivery)
    return found


def _changed_models(target: str | None, variables: dict[str, Any]) -> list[str]:
    """Models that the next run would build anew, since their code or a variable has changed."""
    said: list[str] = []
    operation = ["--quiet", "run-operation", f"{PACKAGE}.rep_ai_say_changed_code"]
    if variables:
        operation += ["--vars", project.vars_text(variables)]
    project.make_target_path()
    if project.dbt(operation, target=target, say=said.append):
        raise ProjectError(f"dbt cannot tell what has changed: {' '.join(said)}")
    names: list[str] = json.loads(next(line for line in reversed(said) if line.startswith("[")))
    return names


def _estimate(earlier: list[Row], size: int, *, is_partial: bool) -> Row:
    """About how long a run would take, by those before it; None where there were none."""
    landed = [run for run in earlier if run["bytes"]][:RUNS]
    speed = sum(run["bytes"] for run in landed) / (sum(run["landing_ms"] for run in landed) or 1)
    built = [run["build_ms"] for run in earlier if run["build_ms"]]
    # the longest build so far was most likely a full one
    build = (median(built[:RUNS]) if is_partial else max(built)) if built else None
    return {
        "landing_seconds": round(size / speed / 1000, 1) if speed else None,
        "build_seconds": None if build is None else round(build / 1000, 1),
    }


def show(found: Row) -> None:
    """Show what `look` found to a person."""
    rows = [
        {**file, "kB": round(file["bytes"] / 1e3), "and": _what_else(file)}
        for file in found["files"]
    ]
    columns = ("url", "status", "version", "from", "until", "kB", "and")
    show_rows(f"What would come into {found['database']}", rows, *columns)
    if not rows:
        click.echo(f"Nothing new would come into {found['database']}.\n")
    for line in found["failed"]:
        click.echo(f"cannot be read: {on_line(line)}")
    unread = f"{found['known']:,} known files were not read"
    if found["still_rejected"]:
        unread += f", nor were {found['still_rejected']:,} that an earlier run rejected"
    if others := found["passed_over"]:
        unread += f", nor {many(len(others), 'file', 'files')} of other names: {named(others)}"
    click.echo(f"New files were read whole, with their records ({found['records']:,}); {unread}.")
    if (anew := found["models_built_anew"]) is None:
        click.echo("All models would be built for the first time.")
    else:
        click.echo("Models would replace the rows that the new dumps touch.")
        click.echo(f"Built anew, as their code or a variable has changed: {', '.join(anew) or '-'}")
    seconds = found["landing_seconds"], found["build_seconds"]
    times = ("no earlier run tells" if each is None else f"{each:,.0f} s" for each in seconds)
    click.echo("By the runs before, landing takes about: {}; the build: {}.".format(*times))
    click.echo("Nothing was changed.")


def _what_else(file: Row) -> str | None:
    """What else a run would make of a file."""
    if other := file["replaces"]:
        return f"replaces {other['version']}, {other['url']}"
    if other := file["stands_below"]:
        return f"changes no mart: {other['version']} counts, {other['url']}"
    reason: str | None = file["reason"]
    return reason
