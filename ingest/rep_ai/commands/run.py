"""rep-ai run: dump files in, marts out; rep-ai ingest is its first half."""

from pathlib import Path
from time import perf_counter
from typing import Any

import click

from rep_ai import project
from rep_ai.commands import publish
from rep_ai.commands.ingest import ingest
from rep_ai.commands.run_record import recorded
from rep_ai.commands.working_folder import working_folder
from rep_ai.console.progress import of_dbt
from rep_ai.console.run_summary import Outcome, show_build, show_ingest, show_marts
from rep_ai.dbt_options import check_environment
from rep_ai.errors import RepAiError
from rep_ai.landing.destinations import Destination, DuckDB, of_target
from rep_ai.landing.results import Observer
from rep_ai.warehouse import health
from rep_ai.warehouse.database import opened


def run(
    outcome: Outcome,
    observer: Observer,
    *,
    source: tuple[str, ...],
    target: str | None,
    variables: dict[str, Any],
    talks: bool,
    full_refresh: bool = False,
    copy: Path | None = None,
    **options: Any,
) -> None:
    """Ingest; if the command says so, build the marts and publish a copy of them.

    The outcome, whose `command` is `ingest` or `run`, is filled as far as the run comes, and what
    was done is printed if it `talks`. `variables` are those of the command line; a copy of the
    marts replaces the file `copy`; `options` are the other ones of `ingest`.

    Raises:
        RepAiError: a part of it cannot be done.
    """
    settings = project.variables(variables)
    destination = of_target(target)
    copy = copy and publish.check_copy(destination, copy)
    schema = settings["rep_ai_source_schema"]
    if builds := outcome.command == "run":
        check_environment()
        project.make_target_path()
    with (
        destination.lock(),
        working_folder(destination),
        recorded(outcome, observer, destination, schema, source),
    ):
        with observer:
            outcome.ingest = ingest(
                source,
                destination,
                schema=schema,
                supported_major=int(settings["rep_ai_supported_major"]),
                observer=observer,
                **options,
            )
        if talks:
            show_ingest(outcome.ingest)
        if builds:
            arguments = ["--full-refresh"] if full_refresh else []
            if variables:
                arguments += ["--vars", project.vars_text(variables)]
            _build(destination, arguments, outcome, observer, talks=talks)
            _count(outcome, destination, settings, variables, talks=talks)
        if copy and isinstance(destination, DuckDB):
            with observer.step(f"publishing {copy}"):
                publish.publish(destination, copy)
            outcome.published = str(copy)
    if talks and copy:
        click.echo(f"A copy for readers is in {copy}.")


def _build(
    destination: Destination,
    arguments: list[str],
    outcome: Outcome,
    observer: Observer,
    *,
    talks: bool,
) -> None:
    results = project.target_path() / "run_results.json"
    # else those of an earlier run would speak for one that did not come so far
    results.unlink(missing_ok=True)
    # the file stays as people read it
    log = ["--log-format", "json", "--log-format-file", "debug", "--log-level", "info"]
    shows = observer.shows_builds
    started = perf_counter()
    with observer.step("dbt build"):
        code = project.dbt(
            [*(log if shows else ["--quiet"]), "build", *arguments],
            target=destination.target,
            say=of_dbt(observer) if shows else observer.say,
        )
    outcome.build_seconds = perf_counter() - started
    if results.is_file():
        outcome.read_build(results)
    if code != 0:
        raise RepAiError(
            f"dbt build failed, see above and {project.log_path() / 'dbt.log'}",
            to_do="the dumps are landed: mend it and run again",
        )
    if talks and outcome.dbt:
        show_build(outcome.dbt, outcome.warned)


def _count(
    outcome: Outcome,
    destination: Destination,
    settings: dict[str, Any],
    variables: dict[str, Any],
    *,
    talks: bool,
) -> None:
    """Count the rows of the marts, and note or say what in the data is not as expected."""
    with opened(destination, settings["rep_ai_source_schema"], variables) as database:
        outcome.marts = {
            mart.name: database.rows(f"select count(*) from {{{mart.name}}}")[0][0]
            for mart in database.marts()
        }
        outcome.window_lines = health.window_warnings(database)
        outcome.unlisted_fields = health.unlisted_fields(database, settings)
        outcome.data_lines = health.data_warnings(
            database, outcome.unlisted_fields, database.command("rep-ai", "types")
        )
        if talks:
            show_marts(outcome, database, settings)
