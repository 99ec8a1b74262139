"""Options that several commands have."""

import re
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, NoReturn

import click
import yaml

from rep_ai import project
from rep_ai.cli.errors import reported
from rep_ai.landing.fetch import MAX_DOCUMENT_BYTES
from rep_ai.landing.sources import PATTERNS


def _variables(_: click.Context, __: click.Parameter, value: str | None) -> dict[str, Any]:
    try:
        variables = yaml.safe_load(value) if value else {}
    except yaml.YAMLError:
        variables = None
    if not isinstance(variables, dict):
        raise click.BadParameter("give a YAML mapping, as for dbt: '{name: value}'")
    return {**project.variables_of_environment(), **variables}


target_option = click.option(
    "--target",
    show_default="REP_AI_TARGET, else dev",
    help="Target of profiles.yml: dev (DuckDB) or postgres.",
)
destination_option = click.option(
    "--destination",
    metavar="NAME",
    show_default="the database of the target",
    help="Where to load: postgres, snowflake, bigquery, filesystem or any other of dlt's, by its "
    "own variables (DESTINATION__...) or the target of that type.",
)
vars_option = click.option(
    "--vars",
    "variables",
    callback=_variables,
    metavar="YAML",
    help="Variables of the dbt project, as for dbt; REP_AI_TIMEZONE and the like set some, too.",
)


def for_all(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command have --all, and then call it for each organisation in a process of its own."""

    @click.option(
        "--all",
        "is_for_all",
        is_flag=True,
        help="Do it for each organisation of rep_ai.yml, one after the other.",
    )
    @wraps(command)
    def wrapped(*, is_for_all: bool, **parameters: Any) -> Any:
        context, source = click.get_current_context(), parameters.get("source")
        if not is_for_all:
            if source == ():
                (missing,) = [each for each in context.command.params if each.name == "source"]
                raise click.MissingParameter(ctx=context, param=missing)
            return command(**parameters)
        given = context.get_parameter_source("copy")
        if source or given is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError("--all takes neither SOURCE nor --publish: rep_ai.yml has them")
        return _call_all(context, as_json=parameters["as_json"])

    return wrapped


@reported
def _call_all(context: click.Context, *, as_json: bool) -> NoReturn:
    """Do it; `reported` reads whether errors are said in a document, too."""
    from rep_ai.commands import organisations

    del as_json
    parameters = context.params
    of_environment = project.variables_of_environment()
    variables = {
        name: value
        for name, value in parameters["variables"].items()
        if of_environment.get(name) != value
    }
    if "rep_ai_source_schema" in variables:
        raise click.UsageError("--all takes no rep_ai_source_schema: each has a schema of its own")
    words = [*organisations.words_of(context, ("target", "variables", "is_for_all"))]
    name = context.command.name or ""
    sys.exit(organisations.run_all(name, words, parameters["target"], variables))


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout, and nothing else."
)


def ingest_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument and options of `ingest`, which `run` has too."""
    for decorate in reversed(
        [
            # required, but for --all
            click.argument("source", nargs=-1, metavar="SOURCE..."),
            target_option,
            vars_option,
            click.option(
                "--pattern",
                "patterns",
                multiple=True,
                default=PATTERNS,
                show_default=True,
                help="Names of the files that count in a folder; may be repeated.",
            ),
            click.option(
                "--retry-rejected", is_flag=True, help="Read files again that were rejected."
            ),
            click.option(
                "--max-bytes",
                type=click.IntRange(min=1),
                default=MAX_DOCUMENT_BYTES,
                show_default=True,
                help="Size that no decompressed document may exceed.",
            ),
            click.option(
                "--quiet",
                "-q",
                is_flag=True,
                help="Print errors, rejected and failed files, and warnings only (on stderr).",
            ),
            json_option,
        ]
    ):
        command = decorate(command)
    return command


def duration(_: click.Context, __: click.Parameter, value: str | None) -> timedelta | None:
    """Read an option such as 36h."""
    if value is None:
        return None
    units = {"h": "hours", "d": "days", "w": "weeks"}
    match = re.fullmatch(r"(\d{1,6})([hdw])", value)
    if match is None:
        raise click.BadParameter("give a whole number of hours, days or weeks: 36h, 2d, 4w")
    return timedelta(**{units[match[2]]: int(match[1])})
