"""Where a run can load into: any destination of dlt; a module each for those that differ."""

import os
from pathlib import Path
from typing import Any

from rep_ai import project
from rep_ai.landing.destinations.base import Destination, cursor_of
from rep_ai.landing.destinations.database import Database, qualified, tables
from rep_ai.landing.destinations.duckdb import DuckDB
from rep_ai.landing.destinations.filesystem import Filesystem
from rep_ai.landing.destinations.postgres import Postgres
from rep_ai.landing.errors import DestinationError

__all__ = [
    "Database",
    "Destination",
    "DuckDB",
    "Postgres",
    "cursor_of",
    "of_name",
    "of_target",
    "qualified",
    "tables",
]

# dbt's names of settings -> dlt's, where they differ; a kind without an entry is refused
_OF_DBT = {
    "snowflake": {"account": "host", "user": "username"},
    "redshift": {"user": "username", "pass": "password", "dbname": "database"},
    "databricks": {"host": "server_hostname", "token": "access_token"},
    "bigquery": {"project": "project_id"},
}


def of_name(kind: str | None, target: str | None) -> Destination:
    """A destination of dlt by its name, configured by dlt's own variables, else by a target.

    Args:
        kind: what dlt calls it; None: the database behind the target.
        target: target of the project's profile.

    Raises:
        ProjectError: there is no such target.
        DestinationError: dlt knows no such destination, or something is missing.
    """
    if kind is None:
        return of_target(target)
    is_configured = any(name.startswith(f"DESTINATION__{kind.upper()}__") for name in os.environ)
    if not is_configured and (of_kind := project.target_of_type(kind, target)):
        return of_target(of_kind)
    if kind == "filesystem":
        return Filesystem()
    found = Destination(kind)
    credentials: Any = getattr(found.client.config, "credentials", None)
    if kind == "duckdb":
        return DuckDB(Path(credentials.database).absolute())
    if kind == "postgres":
        names = ("host", "port", "username", "password", "database")
        return Postgres({name: credentials[name] for name in names} | (credentials.query or {}))
    return found


def of_target(target: str | None) -> Destination:
    """The database behind a target of the project's profile.

    Args:
        target: its name; None: the one that is used where no option names one.

    Raises:
        ProjectError: there is no such target.
        DestinationError: dlt knows no such database, or something is missing.
    """
    name, output = project.profile(target)
    kind = output["type"]
    if kind == "duckdb":
        return DuckDB(Path(output["path"]).absolute(), target=name)
    if kind == "postgres":
        return Postgres(output, target=name)
    if kind not in _OF_DBT:
        raise DestinationError(
            f"target {name!r} is of type {kind!r}, which nothing here loads into",
            to_do="rep-ai ingest --destination filesystem writes files that it can read: "
            "docs/engines.md",
        )
    return Destination(kind, _of_dbt(kind, output), target=name)


def _of_dbt(kind: str, output: dict[str, Any]) -> dict[str, Any]:
    """The settings of a target by dlt's names; those that dlt does not know do no harm."""
    names = _OF_DBT[kind]
    credentials = {names.get(name, name): each for name, each in output.items() if each}
    if path := output.get("keyfile"):
        return {"credentials": Path(path).read_text(encoding="utf-8")}
    return {"credentials": credentials, "location": output.get("location", "US")}
