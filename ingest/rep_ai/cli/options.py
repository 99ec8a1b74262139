"""Options that several commands have."""

import re
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

import click
import yaml

from rep_ai import project
from rep_ai.cli.errors import WORDS
from rep_ai.landing.fetch import MAX_DOCUMENT_BYTES
from rep_ai.landing.sources import PATTERNS

# where a command's context keeps the variables that it was given, without the environment's
VARIABLES = "rep_ai.variables"


def _variables(context: click.Context, _: click.Parameter, value: str | None) -> dict[str, Any]:
    try:
        variables = yaml.safe_load(value) if value else {}
    except yaml.YAMLError:
        variables = None
    if not isinstance(variables, dict):
        raise click.BadParameter("give a YAML mapping, as for dbt: '{name: value}'")
    context.meta[VARIABLES] = variables
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
    @click.pass_context
    @wraps(command)
    def wrapped(context: click.Context, /, *, is_for_all: bool, **parameters: Any) -> Any:
        source = parameters.get("source")
        if not is_for_all:
            if source == ():
                raise click.UsageError("Missing argument 'SOURCE...'.")
            return command(**parameters)
        given = context.get_parameter_source("copy")
        if source or given is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError("--all takes neither SOURCE nor --publish: rep_ai.yml has them")
        variables = context.meta[VARIABLES]
        if "rep_ai_source_schema" in variables:
            raise click.UsageError(
                "--all takes no rep_ai_source_schema: each has a schema of its own"
            )
        from rep_ai.commands.organisations import run_all

        # run_all appends its own --target and --vars; the last ones hold
        words = ["--quiet" if each == "-q" else each for each in context.meta[WORDS]]
        words = [each for each in words if each not in ("--all", "--")]
        sys.exit(run_all(context.command.name or "", words, parameters["target"], variables))

    return wrapped


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout, and nothing else."
)


def ingest_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument and options of `ingest`, which `run` has too."""

    # required without --all
    @click.argument("source", nargs=-1, metavar="SOURCE...")
    @target_option
    @vars_option
    @click.option(
        "--pattern",
        "patterns",
        multiple=True,
        default=PATTERNS,
        show_default=True,
        help="Names of the files that count in a folder; may be repeated.",
    )
    @click.option("--retry-rejected", is_flag=True, help="Read files again that were rejected.")
    @click.option(
        "--max-bytes",
        type=click.IntRange(min=1),
        default=MAX_DOCUMENT_BYTES,
        show_default=True,
        help="Size that no decompressed document may exceed.",
    )
    @click.option(
        "--quiet",
        "-q",
        is_flag=True,
        help="Print errors, rejected and failed files, and warnings only (on stderr).",
    )
    @json_option
    @wraps(command)
    def with_options(**options: Any) -> Any:
        return command(**options)

    return with_options


def duration(_: click.Context, __: click.Parameter, value: str | None) -> timedelta | None:
    """Read an option such as 26h."""
    if value is None:
        return None
    if match := re.fullmatch(r"(\d{1,6})([hdw])", value):
        return int(match[1]) * timedelta(hours={"h": 1, "d": 24, "w": 7 * 24}[match[2]])
    raise click.BadParameter("give a whole number of hours, days or weeks: 26h, 2d, 4w")
