"""The command line: rep-ai run, ingest, sample, types and status."""

import os
import sys
from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import available_timezones

import click
import yaml

from rep_ai import project, sources

DONE, FAILED, SOME_REJECTED = 0, 1, 3


def _fail(message: str) -> NoReturn:
    click.echo(f"rep-ai: {message}", err=True)
    sys.exit(FAILED)


def _speaks(command: Callable[..., Any]) -> Callable[..., Any]:
    """Say expected failures in one line, and end with exit code 1."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        from rep_ai.destinations import DestinationError
        from rep_ai.load import LoadError
        from rep_ai.project import ProjectError
        from rep_ai.sources import SourceError

        try:
            return command(*args, **kwargs)
        except (DestinationError, LoadError, ProjectError, SourceError) as error:
            _fail(str(error))
        except OSError as error:
            _fail(f"{error.filename or 'input or output'}: {error.strerror or error}")
        except KeyboardInterrupt:
            _fail("interrupted; nothing is half loaded, run it again")
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if os.environ.get("REP_AI_TRACEBACK"):
                raise
            _fail(f"{type(error).__name__}: {error} (REP_AI_TRACEBACK=1 shows where)")

    return wrapped


def _variables(_: click.Context, __: click.Parameter, value: str | None) -> dict[str, Any]:
    try:
        variables = yaml.safe_load(value) if value else {}
    except yaml.YAMLError:
        variables = None
    if not isinstance(variables, dict):
        raise click.BadParameter("give a YAML mapping, as for dbt: '{name: value}'")
    return variables


_target = click.option(
    "--target",
    default=project.target,
    show_default="REP_AI_TARGET, else dev",
    help="Target of profiles.yml: dev (DuckDB) or postgres.",
)
_vars = click.option(
    "--vars",
    "variables",
    callback=_variables,
    metavar="YAML",
    help="Variables of the dbt project, as for dbt.",
)


def _ingest_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for decorate in reversed(
        [
            click.argument("source", nargs=-1, required=True),
            _target,
            _vars,
            click.option(
                "--pattern",
                "patterns",
                multiple=True,
                default=sources.PATTERNS,
                show_default=True,
                help="Names of the files that count in a folder; may be repeated.",
            ),
            click.option(
                "--retry-rejected", is_flag=True, help="Read files again that were rejected."
            ),
            click.option(
                "--max-bytes",
                type=click.IntRange(min=1),
                default=sources.MAX_DOCUMENT_BYTES,
                show_default=True,
                help="Size that no decompressed document may exceed.",
            ),
        ]
    ):
        command = decorate(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Turn Rep.ai's nightly activity dumps into marts."""


@main.command()
@_ingest_options
@_speaks
def ingest(source: Sequence[str], target: str, variables: dict[str, Any], **options: Any) -> None:
    """Land the dump files of each SOURCE (file, folder, glob or URL) in the raw tables."""
    from rep_ai.destinations import of_target

    destination = of_target(target)
    with destination.lock():
        sys.exit(_ingest(source, destination, variables, options))


@main.command()
@_ingest_options
@click.option("--full-refresh", is_flag=True, help="Rebuild what dbt would otherwise add to.")
@_speaks
def run(
    source: Sequence[str],
    target: str,
    variables: dict[str, Any],
    *,
    full_refresh: bool,
    **options: Any,
) -> None:
    """Land the dump files of each SOURCE, run dbt build, and say what came out."""
    from rep_ai import report
    from rep_ai.destinations import of_target

    destination = of_target(target)
    zone = str(project.variables(variables)["rep_ai_timezone"])
    if zone not in available_timezones():
        _fail(
            f"rep_ai_timezone is {zone!r}, not the IANA name of a time zone such as Europe/Berlin"
        )
    with destination.lock():
        code = _ingest(source, destination, variables, options)
        # unit tests say nothing of the night
        arguments = ["--quiet", "build", "--exclude-resource-type", "unit_test"]
        arguments += ["--full-refresh"] * full_refresh
        if variables:
            arguments += ["--vars", yaml.safe_dump(variables, default_flow_style=True)]
        if project.dbt(arguments, target=target) != 0:
            _fail("dbt build failed, see above; the dumps are landed: mend it and run again")
        report.show_build(project.target_path() / "run_results.json")
        report.show_marts(destination, project.variables(variables))
        sys.exit(code)


def _ingest(
    source: Sequence[str], destination: Any, variables: dict[str, Any], options: dict[str, Any]
) -> int:
    from rep_ai import load, report

    settings = project.variables(variables)
    major = str(settings["rep_ai_supported_major"])
    if not major.isdecimal():
        _fail(f"rep_ai_supported_major must be a whole number, not {major!r}")
    result = load.ingest(
        source,
        destination,
        schema=settings["rep_ai_source_schema"],
        supported_major=int(major),
        **options,
    )
    report.show_ingest(result)
    if result.failed:
        return FAILED
    return SOME_REJECTED if result.rejected else DONE


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
@_speaks
def sample(directory: Path, first_day: datetime, **options: Any) -> None:
    """Write synthetic dumps that look like life into DIRECTORY, the same for the same options."""
    from rep_ai.sample import write_sample

    day: date = first_day.date()
    try:
        written = write_sample(directory, first_day=day, **options)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    click.echo(f"{written.files} dumps, {written.bytes / 1e6:,.1f} MB, in {directory}")


@main.command()
@_target
@click.option(
    "--add",
    multiple=True,
    metavar="KIND:TYPE",
    help="Add a type to the seed, such as action:SCREEN_SHARE; may be repeated.",
)
@click.option("--add-all", is_flag=True, help="Add every type that is not known yet.")
@_speaks
def types(target: str, add: Sequence[str], *, add_all: bool) -> None:
    """List the action and interaction types that no seed knows, or add them to the seeds."""
    from rep_ai import report
    from rep_ai.destinations import of_target

    report.types(of_target(target), add, add_all=add_all)


@main.command()
@_target
@_vars
@_speaks
def status(target: str, variables: dict[str, Any]) -> None:
    """Show what is loaded, which nights are missing, what was rejected, and unknown types."""
    from rep_ai import report
    from rep_ai.destinations import of_target

    report.show_status(of_target(target), project.variables(variables)["rep_ai_source_schema"])
