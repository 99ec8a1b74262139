"""The command line: rep-ai run, ingest, export, sample, types, status and report."""

import errno
import fcntl
import io
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from pathlib import Path
from shutil import rmtree
from types import FrameType
from typing import Any, NoReturn
from zoneinfo import available_timezones

import click
import yaml

from rep_ai import project
from rep_ai.__main__ import INTERRUPTED, SIGNALS
from rep_ai.landing import sources

DONE, FAILED, SOME_REJECTED = 0, 1, 3
# how the names of the runs' temporary folders begin
WORKING = "rep_ai_run_"


class _FailedError(Exception):
    """What went wrong, in one line for the user."""


def _fail(message: str) -> NoReturn:
    # a terminal that is gone can be told nothing
    with suppress(OSError):
        click.echo(f"rep-ai: {message}", err=True)
    sys.exit(FAILED)


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Let a signal that asks to end do so in good order, as Ctrl-C does; the signals that came."""
    came: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> NoReturn:
        came.append(number)
        if number != signal.SIGINT:
            # a service manager or a closed terminal sends both, and more than once
            for each in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    handlers = {each: signal.getsignal(each) for each in SIGNALS}
    before = {each: h for each, h in handlers.items() if h not in (None, signal.SIG_IGN)}
    try:
        for each in before:
            signal.signal(each, interrupt)
        yield came
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def _working_folder() -> Iterator[None]:
    """Keep the run's temporary files in one folder, and remove those of runs that were killed."""
    parent = Path(tempfile.gettempdir())
    for stale in parent.glob(f"{WORKING}*"):
        _remove_unheld(stale)
    with _held_folder() as folder:
        before, tempfile.tempdir = tempfile.tempdir, folder
        try:
            yield
        finally:
            tempfile.tempdir = before


@contextmanager
def _held_folder() -> Iterator[str]:
    while True:
        folder = tempfile.mkdtemp(prefix=WORKING)
        # the lock ends with the process, however that ends
        with suppress(FileNotFoundError):
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(held, fcntl.LOCK_EX)
            if os.fstat(held).st_nlink:
                break
            os.close(held)
        # a run that has just begun took it for a stale one
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)
        os.close(held)


def _remove_unheld(folder: Path) -> None:
    with suppress(OSError):
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(held).st_uid == os.geteuid():
                rmtree(folder, ignore_errors=True)
        finally:
            os.close(held)


@contextmanager
def _in_words() -> Iterator[None]:
    """Turn whatever goes wrong into a _FailedError."""
    from rep_ai.commands.publish import PublishError
    from rep_ai.landing.destinations import DestinationError
    from rep_ai.landing.packages import LoadError
    from rep_ai.landing.sources import SourceError
    from rep_ai.project import ProjectError

    try:
        with _interruptible() as came:
            try:
                yield
            except Exception as error:
                # DuckDB, for one, makes an error of its own of it
                if came and not isinstance(error, click.exceptions.Exit):
                    raise KeyboardInterrupt from error
                raise
    except (DestinationError, LoadError, ProjectError, PublishError, SourceError) as error:
        raise _FailedError(_advised(error)) from error
    except OSError as error:
        # the reader of a pipe has seen enough
        if error.errno == errno.EPIPE:
            raise
        where = error.filename or "input or output"
        raise _FailedError(_advised(f"{where}: {error.strerror or error}")) from error
    except KeyboardInterrupt as error:
        raise _FailedError(INTERRUPTED) from error
    except (_FailedError, click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        if os.environ.get("REP_AI_TRACEBACK"):
            raise
        raise _FailedError(
            _advised(f"{type(error).__name__}: {error} (REP_AI_TRACEBACK=1 shows where)")
        ) from error


def _advised(error: object) -> str:
    """The error on one line, with what helps where a disk is full."""
    if why := _lost_output():
        return f"the output cannot be written: {why}"
    said = " ".join(str(error).split())
    if os.strerror(errno.ENOSPC) in said:
        said += (
            f"; make room where the database is and in {tempfile.gettempdir()} (TMPDIR names "
            "another folder), then run again: nothing is half loaded"
        )
    return said


def _lost_output() -> str | None:
    """Why what was printed cannot be written, if that is so; it is given up then."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # else it fails once more at the end of the process
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return error.strerror
    return None


def _speaks(command: Callable[..., Any]) -> Callable[..., Any]:
    """Say expected failures in one line, and end with exit code 1."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            with _in_words():
                return command(*args, **kwargs)
        except _FailedError as error:
            _fail(str(error))

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


_json = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout, and nothing else."
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
            click.option(
                "--quiet",
                "-q",
                is_flag=True,
                help="Print errors, rejected and failed files, and warnings only (on stderr).",
            ),
            _json,
        ]
    ):
        command = decorate(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Turn Rep.ai's nightly activity dumps into marts."""
    # what cannot be written waits in a buffer, which tells a full output from a full disk
    if isinstance(raw := sys.stdout.buffer, io.RawIOBase):
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(raw), sys.stdout.encoding, line_buffering=True
        )
    # a file name may hold what the terminal cannot show
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


@main.command()
@_ingest_options
def ingest(**options: Any) -> None:
    """Land the dump files of each SOURCE (file, folder, glob or URL) in the raw tables."""
    _work("ingest", **options)


@main.command()
@_ingest_options
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
def run(**options: Any) -> None:
    """Land the dump files of each SOURCE, run dbt build, and say what came out."""
    _work("run", **options)


def _work(
    command: str,
    source: Sequence[str],
    target: str,
    variables: dict[str, Any],
    *,
    quiet: bool,
    as_json: bool,
    full_refresh: bool = False,
    copy: Path | None = None,
    **options: Any,
) -> NoReturn:
    """Ingest, and build if the command says so; then end with the exit code."""
    from rep_ai.commands import publish
    from rep_ai.console import progress
    from rep_ai.console import run_summary as report
    from rep_ai.landing import packages as load
    from rep_ai.landing.destinations import DuckDB, of_target

    observer = progress.observer(quiet=quiet, as_json=as_json)
    outcome = report.Outcome(command)
    talks = not (quiet or as_json)
    try:
        with _in_words():
            destination = of_target(target)
            settings = _settings(variables)
            copy = copy and publish.check_copy(destination, copy)
            if command == "run":
                project.make_target_path()
            with destination.lock(), _working_folder():
                with observer:
                    outcome.ingest = load.ingest(
                        source,
                        destination,
                        schema=settings["rep_ai_source_schema"],
                        supported_major=int(settings["rep_ai_supported_major"]),
                        observer=observer,
                        **options,
                    )
                if talks:
                    report.show_ingest(outcome.ingest)
                if command == "run":
                    with observer.step("dbt build"):
                        _build(target, variables, full_refresh, outcome, observer.say)
                    if talks:
                        report.show_build(outcome)
                    report.look_at_marts(outcome, destination, settings, talks=talks)
                if copy and isinstance(destination, DuckDB):
                    manifest = project.target_path() / "manifest.json"
                    with observer.step(f"publishing {copy}"):
                        publish.publish(destination, copy, manifest)
                    outcome.published = str(copy)
                    if talks:
                        click.echo(f"A copy for readers is in {copy}.")
        rejected = SOME_REJECTED if outcome.ingest.rejected else DONE
        outcome.exit_code = FAILED if outcome.ingest.failed else rejected
    except _FailedError as error:
        outcome.ingest = observer.report
        outcome.error, outcome.exit_code = str(error), FAILED
    if not talks:
        for line in outcome.warnings():
            click.echo(f"warning: {line}", err=True)
    if as_json:
        try:
            with _in_words():
                click.echo(json.dumps(outcome.document()))
        except _FailedError as error:
            outcome.error = outcome.error or str(error)
    if outcome.error:
        _fail(outcome.error)
    sys.exit(outcome.exit_code)


def _settings(variables: dict[str, Any]) -> dict[str, Any]:
    """The project's variables, those that the commands read checked."""
    from rep_ai.landing.packages import SCHEMA_NAME

    settings = project.variables(variables)
    schema = str(settings["rep_ai_source_schema"])
    if not SCHEMA_NAME.fullmatch(schema):
        raise _FailedError(
            f"rep_ai_source_schema is {schema!r}; use lower-case letters, digits and single "
            "underscores"
        )
    major = str(settings["rep_ai_supported_major"])
    if not major.isdecimal():
        raise _FailedError(f"rep_ai_supported_major must be a whole number, not {major!r}")
    zone = str(settings["rep_ai_timezone"])
    if zone not in available_timezones():
        raise _FailedError(
            f"rep_ai_timezone is {zone!r}, not the IANA name of a time zone such as Europe/Berlin"
        )
    return settings


def _build(
    target: str,
    variables: dict[str, Any],
    full_refresh: bool,
    outcome: Any,
    say: Callable[[str], None],
) -> None:
    arguments = ["--quiet", "build"]
    arguments += ["--full-refresh"] * full_refresh
    if variables:
        arguments += ["--vars", yaml.safe_dump(variables, default_flow_style=True)]
    results = project.target_path() / "run_results.json"
    # else those of an earlier run would speak for one that did not come so far
    results.unlink(missing_ok=True)
    code = project.dbt(arguments, target=target, say=say)
    if results.is_file():
        outcome.read_build(results)
    if code != 0:
        raise _FailedError(
            f"dbt build failed, see above and {project.log_path() / 'dbt.log'}; the dumps are "
            "landed: mend it and run again"
        )


@main.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@_target
@_speaks
def export(directory: Path, target: str) -> None:
    """Replace DIRECTORY by the marts as Parquet files with a manifest."""
    from rep_ai.commands import publish
    from rep_ai.landing.destinations import of_target

    destination = of_target(target)
    with destination.lock(), _working_folder():
        tables = publish.export(destination, directory)["tables"]
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
    from rep_ai.console import run_summary as report
    from rep_ai.landing.destinations import of_target

    report.types(of_target(target), add, add_all=add_all)


def _duration(_: click.Context, __: click.Parameter, value: str | None) -> timedelta | None:
    if value is None:
        return None
    units = {"h": "hours", "d": "days", "w": "weeks"}
    match = re.fullmatch(r"(\d{1,6})([hdw])", value)
    if match is None:
        raise click.BadParameter("give a whole number of hours, days or weeks: 36h, 2d, 4w")
    return timedelta(**{units[match[2]]: int(match[1])})


@main.command()
@_target
@_vars
@_json
@click.option(
    "--check", is_flag=True, help="End with exit code 1 if there is a problem, as for a pager."
)
@click.option(
    "--max-age",
    callback=_duration,
    metavar="DURATION",
    help="It is a problem if the newest window ended longer ago, such as 36h; implies --check.",
)
@click.option(
    "--within",
    callback=_duration,
    metavar="DURATION",
    help="Older gaps and rejected files are no problem, such as 30d; implies --check.",
)
@_speaks
def status(
    target: str,
    variables: dict[str, Any],
    *,
    as_json: bool,
    check: bool,
    max_age: timedelta | None,
    within: timedelta | None,
) -> None:
    """Show what is loaded, the health of the nights, what was rejected, and unknown types."""
    from rep_ai.commands import status as look
    from rep_ai.landing.destinations import of_target

    now = datetime.now(UTC).replace(tzinfo=None)
    try:
        with _in_words():
            found = look.look(
                of_target(target),
                _settings(variables)["rep_ai_source_schema"],
                now=now,
                max_age=max_age,
                within=within,
            )
    except _FailedError as error:
        if as_json:
            click.echo(json.dumps({"error": str(error), "exit_code": FAILED}))
        _fail(str(error))
    check = check or max_age is not None or within is not None
    found["exit_code"] = FAILED if check and found["problems"] else DONE
    if as_json:
        click.echo(look.as_json(found))
    else:
        look.show(found)
    sys.exit(found["exit_code"])


@main.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@_target
@_vars
@_speaks
def report(file: Path | None, target: str, variables: dict[str, Any]) -> None:
    """Write the report page, one HTML file made from the marts, to FILE (target/report.html)."""
    from rep_ai import report_page as page
    from rep_ai.landing.destinations import of_target

    html = page.render(of_target(target), str(_settings(variables)["rep_ai_timezone"]))
    if file is None:
        project.make_target_path()
        file = project.target_path() / "report.html"
    page.write(file, html)
    click.echo(f"{file}, {len(html.encode()) / 1e6:,.1f} MB")
