"""The databases that a run can load into, one module each."""

from rep_ai import project
from rep_ai.landing.destinations.base import Destination, cursor_of, qualified, tables
from rep_ai.landing.destinations.duckdb import DuckDB
from rep_ai.landing.destinations.postgres import Postgres
from rep_ai.landing.errors import DestinationError

__all__ = ["Destination", "DuckDB", "Postgres", "cursor_of", "of_target", "qualified", "tables"]


def of_target(target: str) -> Destination:
    """The database behind a target of the project's profile.

    Raises:
        DestinationError: there is no such target.
    """
    if target == "dev":
        return DuckDB(project.duckdb_path())
    if target == "postgres":
        return Postgres()
    raise DestinationError(f"no target {target!r}", to_do="there are dev (DuckDB) and postgres")
