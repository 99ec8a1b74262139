"""The databases that a run can load into, one module each."""

from pathlib import Path

from rep_ai import project
from rep_ai.landing.destinations.base import Destination, cursor_of, qualified, tables
from rep_ai.landing.destinations.duckdb import DuckDB
from rep_ai.landing.destinations.postgres import Postgres
from rep_ai.landing.errors import DestinationError

__all__ = ["Destination", "DuckDB", "Postgres", "cursor_of", "of_target", "qualified", "tables"]


def of_target(target: str | None) -> Destination:
    """The database behind a target of the project's profile.

    Args:
        target: its name; None: the one that is used where no option names one.

    Raises:
        ProjectError: there is no such target.
        DestinationError: it is of another kind than DuckDB and PostgreSQL.
    """
    name, output = project.profile(target)
    if output["type"] == "duckdb":
        return DuckDB(Path(output["path"]).absolute(), target=name)
    if output["type"] == "postgres":
        return Postgres(output, target=name)
    raise DestinationError(
        f"target {name!r} is of type {output['type']!r}",
        to_do="rep-ai loads into duckdb and postgres",
    )
