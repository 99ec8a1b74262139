"""The commands around a night: rep-ai run, ingest, export, sample, types, status and report."""

import io
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import click

from rep_ai.cli import setup
from rep_ai.cli.errors import Command, fail, handle_errors
from rep_ai.cli.options import (
    destination_option,
    duration,
    for_all,
    ingest_options,
    json_option,
    target_option,
    vars_option,
)
from rep_ai.errors import EXIT_FAILED, RepAiError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@setup.version_option
def main() -> None:
    """Turn Rep.ai's nightly activity dumps into marts."""
    # a buffer keeps what cannot be written: so a full stdout is told from a full disk
    if isinstance(raw := sys.stdout.buffer, io.RawIOBase):
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(raw), sys.stdout.encoding, line_buffering=True
        )
    # a file name may hold what the terminal cannot show
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


main.command_class = Command


@main.command()
@ingest_options
@destination_option
@for_all
def ingest(**options: Any) -> None:
    """Land the dump files of each SOURCE (file, folder, glob or URL) in the raw tables."""
    _work("ingest", **options)


@main.command()
@ingest_options
@click.option("--full-refresh", is_flag=True, help="Rebuild what dbt would otherwise add to.")
@click.option(
    "--publish",
    "copy",
    type=click.Path(path_type=Path),
    envvar="REP_AI_PUBLISH",
    show_envvar=True,
    metavar="FILE",
    help="Replace this DuckDB file, at the end and at once, by a copy of the marts for readers.",
)
@click.option(
    "--step-days",
    type=click.IntRange(min=1),
    metavar="DAYS",
    help="Build a long history by windows of so many days; once stopped, the same command goes on.",
)
@click.option("--dry-run", is_flag=True, help="Say what a run would do, and change nothing.")
@for_all
def run(*, dry_run: bool, **options: Any) -> None:
    """Land the dump files of each SOURCE, run dbt build, and say what came out."""
    if not dry_run:
        _work("run", **options)
    from rep_ai.commands import dry_run as command
    from rep_ai.console import progress

    as_json = options.pop("as_json")
    observer = progress.observer(quiet=options.pop("quiet"), as_json=as_json)
    found = command.look(observer, **options)
    if as_json:
        click.echo(json.dumps(found))
    else:
        command.show(found)
    sys.exit(found["exit_code"])


def _work(command: str, *, quiet: bool, as_json: bool, **options: Any) -> NoReturn:
    """Do it, say what came out, and end with the exit code."""
    from rep_ai.commands.run import run
    from rep_ai.console import progress
    from rep_ai.console.run_summary import Outcome

    observer = progress.observer(quiet=quiet, as_json=as_json)
    outcome = Outcome(command, talks=not (quiet or as_json))
    try:
        with handle_errors():
            run(outcome, observer, **options)
    except RepAiError as error:
        outcome.error = str(error)
    # the other warnings are printed already
    for line in outcome.run_lines if outcome.talks else outcome.warnings():
        click.echo(f"warning: {line}", err=True)
    if as_json:
        try:
            with handle_errors():
                click.echo(json.dumps(outcome.document()))
        except RepAiError as error:
            outcome.error = outcome.error or str(error)
    if outcome.error:
        fail(outcome.error)
    sys.exit(outcome.exit_code)


@main.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@target_option
def export(directory: Path, target: str | None) -> None:
    """Replace DIRECTORY by the marts as Parquet files with a manifest."""
    from rep_ai import project
    from rep_ai.commands.export import export as write
    from rep_ai.commands.working_folder import working_folder
    from rep_ai.landing.destinations import of_target

    destination = of_target(target)
    schema = str(project.profile(target).output.get("schema"))
    with destination.lock(), working_folder(destination, schema):
        tables = write(destination, directory)["tables"]
    rows, size = (sum(table[key] for table in tables) for key in ("rows", "bytes"))
    click.echo(f"{len(tables)} marts, {rows:,} rows, {size / 1e6:,.1f} MB, in {directory}")


@main.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--days", type=click.IntRange(min=1), default=14, show_default=True)
@click.option("--sessions-per-day", type=click.IntRange(min=1), default=400, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--timezone", default="America/Chicago", show_default=True, metavar="IANA")
@click.option(
    "--first-day", type=click.DateTime(["%Y-%m-%d"]), default="2026-03-01", show_default=True
)
@click.option(
    "--compression",
    type=click.Choice(["none", "gzip", "zstd"]),
    default="none",
    show_default=True,
)
def sample(directory: Path, first_day: datetime, **options: Any) -> None:
    """Write synthetic dumps that look like life into DIRECTORY, the same for the same options."""
    from rep_ai.sample import write_sample

    try:
        files = write_sample(directory, first_day=first_day.date(), **options)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    size = sum(file.stat().st_size for file in files)
    click.echo(f"{len(files)} dumps, {size / 1e6:,.1f} MB, in {directory}")


@main.command()
@target_option
@vars_option
@click.option(
    "--add",
    multiple=True,
    metavar="KIND:TYPE",
    help="Let a type that was seen be known, such as action:SCREEN_SHARE; may be repeated.",
)
@click.option("--add-all", is_flag=True, help="Let every type be known that is not yet.")
@click.option("--force", is_flag=True, help="Add types that no dump has shown, too.")
def types(target: str | None, variables: dict[str, Any], **options: Any) -> None:
    """List the action and interaction types that are not known, or let some of them be known."""
    from rep_ai import project
    from rep_ai.commands import types as command
    from rep_ai.landing.destinations import of_target

    schema = project.variables(variables)["rep_ai_source_schema"]
    command.types(of_target(target), schema, **options)


def _retirement(action: str) -> Callable[..., None]:
    """The commands that take a delivery out of the marts, and bring it back."""

    @target_option
    @destination_option
    @vars_option
    @click.argument("delivery", metavar="FILE-OR-DELIVERY")
    @click.option("--reason", metavar="TEXT", help="Why; it is kept in the raw table retirements.")
    def command(
        target: str | None,
        destination: str | None,
        variables: dict[str, Any],
        delivery: str,
        **options: str,
    ) -> None:
        from rep_ai import project
        from rep_ai.commands.retire import retire
        from rep_ai.landing.destinations import of_name

        schema = project.variables(variables)["rep_ai_source_schema"]
        retire(of_name(destination, target), schema, delivery, action=action, **options)

    return command


main.command("retire", help="Take a delivery out of the marts, until it is restored.")(
    _retirement("retire")
)
main.command("restore", help="Bring a retired delivery back into the marts.")(
    _retirement("restore")
)


@main.command()
@target_option
@vars_option
@json_option
@click.option(
    "--check", is_flag=True, help="End with exit code 1 if there is a problem, as for a pager."
)
@click.option(
    "--max-age",
    callback=duration,
    metavar="DURATION",
    help="It is a problem if the newest window ended longer ago, such as 26h; implies --check.",
)
@click.option(
    "--within",
    callback=duration,
    metavar="DURATION",
    help="Older gaps and rejected files are no problem, such as 30d; implies --check.",
)
@for_all
def status(
    target: str | None,
    variables: dict[str, Any],
    *,
    as_json: bool,
    check: bool,
    **limits: timedelta | None,
) -> None:
    """Show what is loaded, the health of the windows, what was rejected, and unknown types."""
    from rep_ai import project
    from rep_ai.commands import status as command
    from rep_ai.landing.destinations import of_target
    from rep_ai.warehouse.database import opened
    from rep_ai.warehouse.health import VIOLATIONS

    settings = project.variables(variables)
    schema = settings["rep_ai_source_schema"]
    with opened(of_target(target), schema, variables) as database:
        now = datetime.now(UTC).replace(tzinfo=None)
        found = command.collect(database, settings, now=now, **limits)
    if found["problems"] and (check or any(limit is not None for limit in limits.values())):
        found["exit_code"] = EXIT_FAILED
    if as_json:
        click.echo(command.as_json(found))
    else:
        command.show(found, database.shown(VIOLATIONS))
    sys.exit(found["exit_code"])


@main.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@target_option
@vars_option
def report(file: Path | None, target: str | None, variables: dict[str, Any]) -> None:
    """Write the report page, one HTML file made from the marts, to FILE (target/report.html)."""
    from rep_ai import project, report_page
    from rep_ai.landing.destinations import of_target

    zone = project.variables(variables)["rep_ai_timezone"]
    html = report_page.render(of_target(target), str(zone))
    if file is None:
        project.make_target_path()
        file = project.target_path() / "report.html"
    report_page.write(file, html)
    click.echo(f"{file}, {len(html.encode()) / 1e6:,.1f} MB")


main.add_command(setup.init)
main.add_command(setup.doctor)
for name, each in main.commands.items():
    # a command without an example has no help either
    each.epilog = f"\b\nFor example:\n  {setup.EXAMPLES[name]}"
