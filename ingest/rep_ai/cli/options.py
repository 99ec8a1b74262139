"""Options that several commands have."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click
import yaml

from rep_ai import project
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
vars_option = click.option(
    "--vars",
    "variables",
    callback=_variables,
    metavar="YAML",
    help="Variables of the dbt project, as for dbt; REP_AI_TIMEZONE and the like set some, too.",
)


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout, and nothing else."
)


def ingest_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument and options of `ingest`, which `run` has too."""
    for decorate in reversed(
        [
            click.argument("source", nargs=-1, required=True),
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
