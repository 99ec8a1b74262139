"""rep-ai run: dump files in, marts out; rep-ai ingest is its first half."""

from pathlib import Path
from typing import Any

import click

from rep_ai import project
from rep_ai.commands import publish
from rep_ai.commands.build import STEPS, build
from rep_ai.commands.ingest import ingest
from rep_ai.commands.run_record import recorded
from rep_ai.commands.working_folder import working_folder
from rep_ai.console.run_summary import Outcome, show_ingest
from rep_ai.dbt_options import check_environment
from rep_ai.errors import RepAiError
from rep_ai.landing.destinations import DuckDB, of_name
from rep_ai.landing.results import Observer


def run(
    outcome: Outcome,
    observer: Observer,
    *,
    source: tuple[str, ...],
    target: str | None,
    variables: dict[str, Any],
    destination: str | None = None,
    full_refresh: bool = False,
    step_days: int | None = None,
    copy: Path | None = None,
    **options: Any,
) -> None:
    """Ingest; if the command says so, build the marts and publish a copy of them.

    The outcome, whose `command` is `ingest` or `run`, is filled as far as the run gets, and printed
    if it `talks`. `variables` are those of the command line; `destination` is what dlt calls the
    place to load into, None the database of the target; windows of `step_days` days are built at a
    time; a copy of the marts replaces the file `copy`; `options` are the other ones of `ingest`.
    """
    settings = project.variables(variables)
    database = of_name(destination, target)
    copy = copy and publish.check_copy(database, copy)
    schema = settings["rep_ai_source_schema"]
    if builds := outcome.command == "run":
        check_environment()
        if step_days and settings[STEPS]:
            raise RepAiError(f"{STEPS} is set, and --step-days sets it for each step; unset it")
        project.make_target_path()
    with (
        database.lock(schema),
        working_folder(database, schema),
        recorded(outcome, observer, database, schema, source),
    ):
        with observer:
            major = int(settings["rep_ai_supported_major"])
            options |= {"schema": schema, "supported_major": major, "observer": observer}
            outcome.ingest = ingest(source, database, **options)
        if outcome.talks:
            show_ingest(outcome.ingest)
        if builds:
            build(
                outcome,
                observer,
                database,
                variables,
                full_refresh=full_refresh,
                step_days=step_days,
            )
        if copy and isinstance(database, DuckDB):
            with observer.step(f"publishing {copy}"):
                publish.publish(database, copy)
            outcome.published = str(copy)
    if outcome.talks and copy:
        click.echo(f"A copy for readers is in {copy}.")
