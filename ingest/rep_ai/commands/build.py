"""The second half of rep-ai run: dbt build, in steps where a history is long, and what came out."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from time import perf_counter
from typing import Any

from rep_ai import project
from rep_ai.console.progress import of_dbt
from rep_ai.console.run_summary import Outcome, show_build, show_marts
from rep_ai.errors import RepAiError
from rep_ai.landing.destinations import Database, Destination
from rep_ai.landing.results import LOADED, Observer
from rep_ai.warehouse import health
from rep_ai.warehouse.database import opened

STEPS = "rep_ai_windows_before"


def build(
    outcome: Outcome,
    observer: Observer,
    destination: Destination,
    variables: dict[str, Any],
    *,
    full_refresh: bool,
    step_days: int | None,
) -> None:
    """Build the marts, count their rows, and say what in the data is not as expected.

    Args:
        outcome: filled as far as the build gets.
        observer: told what is done while it is.
        destination: the database; the caller holds its lock.
        variables: those of the command line, for dbt.
        full_refresh: whether dbt rebuilds what it would otherwise add to.
        step_days: of how many days windows are built at a time; None: all at once.
    """
    settings = project.variables(variables)
    refresh = ["--full-refresh"] if full_refresh else []
    schema = settings["rep_ai_source_schema"]
    for before in _steps(destination, schema, step_days, anew=full_refresh):
        # tests run once, at the end
        step = [*refresh, "--exclude-resource-type", "test"]
        with observer.step(f"dbt build of the windows before {before}"):
            _dbt_build(outcome, observer, destination, step, {**variables, STEPS: str(before)})
        refresh = []
    with observer.step("dbt build"):
        _dbt_build(outcome, observer, destination, refresh, variables)
    if outcome.talks and outcome.dbt:
        show_build(outcome.dbt, outcome.warned)
    if not isinstance(destination, Database):
        # no command reads its marts
        return
    with opened(destination, schema, variables) as database:
        outcome.marts = {
            mart.name: database.rows(f"select count(*) from {{{mart.name}}}")[0][0]
            for mart in database.marts()
        }
        content = health.content(database, settings)
        outcome.remarks = [
            *health.window_remarks(database),
            *health.content_remarks(database, content, settings),
        ]
        if outcome.talks:
            show_marts(outcome, database)


def _steps(
    destination: Destination, schema: str, step_days: int | None, *, anew: bool
) -> Iterator[date]:
    """The dates before which the windows of each step begin, but for the last step.

    They follow from what is built, so that a build that was stopped goes on where it was.
    """
    if not step_days:
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
    before = start if anew or built is None else max(start, built.date())
    while (before := before + timedelta(days=step_days)) <= end:
        yield before


def _dbt_build(
    outcome: Outcome,
    observer: Observer,
    destination: Destination,
    arguments: Sequence[str],
    variables: Mapping[str, Any],
) -> None:
    if variables:
        arguments = [*arguments, "--vars", project.vars_text(variables)]
    results = project.target_path() / "run_results.json"
    # without this those of an earlier run would count where dbt ends before it writes its own
    results.unlink(missing_ok=True)
    # the log file stays plain text
    log = ["--log-format", "json", "--log-format-file", "debug", "--log-level", "info"]
    started = perf_counter()
    code = project.dbt([*log, "build", *arguments], target=destination.target, say=of_dbt(observer))
    outcome.build_seconds = (outcome.build_seconds or 0) + perf_counter() - started
    if results.is_file():
        outcome.read_build(results)
    if code != 0:
        raise RepAiError(
            f"dbt build failed, see above and {project.log_path() / 'dbt.log'}",
            to_do="the dumps are landed: mend it and run again",
        )
