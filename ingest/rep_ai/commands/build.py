"""The second half of rep-ai run: dbt build, in steps where a history is long, and what came out."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from time import perf_counter
from typing import Any, NamedTuple

from rep_ai import project
from rep_ai.console.progress import of_dbt
from rep_ai.console.run_summary import Outcome, show_build, show_marts
from rep_ai.errors import RepAiError
from rep_ai.landing.destinations import Database, Destination
from rep_ai.landing.results import LOADED, Observer
from rep_ai.warehouse import health
from rep_ai.warehouse.database import opened

STEPS = "rep_ai_windows_before"


class How(NamedTuple):
    """How the marts are built.

    Attributes:
        variables: those of the command line, for dbt.
        full_refresh: whether dbt rebuilds what it would otherwise add to.
        step_days: where windows of so many days are built at a time, how many.
        talks: whether to print what was done.
    """

    variables: dict[str, Any]
    full_refresh: bool
    step_days: int | None
    talks: bool


def check_steps(settings: Mapping[str, Any], step_days: int | None) -> None:
    """Refuse steps where the variable that makes them is set.

    Raises:
        RepAiError: it is set.
    """
    if step_days and settings[STEPS]:
        raise RepAiError(f"{STEPS} is set, and --step-days sets it for each step; unset it")


def build(outcome: Outcome, observer: Observer, destination: Destination, how: How) -> None:
    """Build the marts, count their rows, and say what in the data is not as expected.

    Args:
        outcome: filled as far as the build comes.
        observer: told what is done while it is.
        destination: the database; the caller holds its lock.
        how: what the command line says.

    Raises:
        RepAiError: dbt fails, or the database cannot be read.
    """
    settings = project.variables(how.variables)
    refresh = ["--full-refresh"] if how.full_refresh else []
    for before in _steps(destination, settings["rep_ai_source_schema"], how):
        # all is tested at the end
        step = [*refresh, "--exclude-resource-type", "test"]
        variables = {**how.variables, STEPS: str(before)}
        with observer.step(f"dbt build of the windows before {before}"):
            _dbt_build(destination, step, variables, outcome, observer)
        refresh = []
    with observer.step("dbt build"):
        _dbt_build(destination, refresh, how.variables, outcome, observer)
    if how.talks and outcome.dbt:
        show_build(outcome.dbt, outcome.warned)
    _count(outcome, destination, settings, how)


def _steps(destination: Destination, schema: str, how: How) -> Iterator[date]:
    """The dates before which the windows of each step begin, but for the last step.

    They follow from what is built, so that a build that was stopped goes on where it was.
    """
    if not how.step_days:
        return
    with opened(destination, schema) as database:
        ((first, last),) = database.rows(
            "select min(cast(start_time as bigint)), max(cast(start_time as bigint)) "
            f"from {{deliveries}} where status = '{LOADED}'"
        ) or [(None, None)]
        ((built,),) = database.rows(
            "select max(window_start_at) from {int_rep_ai__deliveries}"
        ) or [(None,)]
    if first is None:
        return
    start, end = (datetime.fromtimestamp(time / 1000, UTC).date() for time in (first, last))
    before = start if how.full_refresh or built is None else max(start, built.date())
    while (before := before + timedelta(days=how.step_days)) <= end:
        yield before


def _dbt_build(
    destination: Destination,
    arguments: list[str],
    variables: Mapping[str, Any],
    outcome: Outcome,
    observer: Observer,
) -> None:
    if variables:
        arguments = [*arguments, "--vars", project.vars_text(variables)]
    results = project.target_path() / "run_results.json"
    # else those of an earlier run would speak for one that did not come so far
    results.unlink(missing_ok=True)
    # the file stays as people read it
    log = ["--log-format", "json", "--log-format-file", "debug", "--log-level", "info"]
    shows = observer.shows_builds
    started = perf_counter()
    code = project.dbt(
        [*(log if shows else ["--quiet"]), "build", *arguments],
        target=destination.target,
        say=of_dbt(observer) if shows else observer.say,
    )
    outcome.build_seconds = (outcome.build_seconds or 0) + perf_counter() - started
    if results.is_file():
        outcome.read_build(results)
    if code != 0:
        raise RepAiError(
            f"dbt build failed, see above and {project.log_path() / 'dbt.log'}",
            to_do="the dumps are landed: mend it and run again",
        )


def _count(
    outcome: Outcome,
    destination: Destination,
    settings: dict[str, Any],
    how: How,
) -> None:
    """Count the rows of the marts, and note or say what in the data is not as expected."""
    if not isinstance(destination, Database):
        # no command reads its marts
        return
    with opened(destination, settings["rep_ai_source_schema"], how.variables) as database:
        outcome.marts = {
            mart.name: database.rows(f"select count(*) from {{{mart.name}}}")[0][0]
            for mart in database.marts()
        }
        outcome.window_lines = health.window_warnings(database)
        outcome.unlisted_fields = health.unlisted_fields(database, settings)
        outcome.data_lines = health.data_warnings(
            database, outcome.unlisted_fields, database.command("rep-ai", "types")
        )
        if how.talks:
            show_marts(outcome, database, settings)
