"""Options that dbt reads from its environment: those that say where, and those that say what."""

import os

from rep_ai.errors import RepAiError

# by these a build makes less, or something else; DBT_STATE and the like say nothing without DEFER
SELECTING = (
    "DEFER",
    "DEFER_TO_STATE",
    "EMPTY",
    "EVENT_TIME_END",
    "EVENT_TIME_START",
    "EXCLUDE_RESOURCE_TYPES",
    "FULL_REFRESH",
    "RESOURCE_TYPES",
    "SAMPLE",
    "STORE_FAILURES",
)
OFF = ("", "0", "f", "false", "n", "no", "off")


def option(name: str) -> tuple[str, str] | None:
    """A variable of the environment that sets an option of dbt, which has two names for each."""
    for variable in (f"DBT_ENGINE_{name}", f"DBT_{name}"):
        if value := os.environ.get(variable):
            return variable, value
    return None


def option_value(name: str) -> str | None:
    """What the environment says of an option of dbt."""
    found = option(name)
    return found and found[1]


def check_environment() -> None:
    """Refuse a variable by which dbt would build less than all there is, or something else."""
    for variable, value in filter(None, map(option, SELECTING)):
        if value.lower() not in OFF:
            raise RepAiError(
                f"{variable} is {value!r} in the environment, and rep-ai run builds all there is",
                to_do=f"unset {variable}, or land with rep-ai ingest and build with dbt",
            )
