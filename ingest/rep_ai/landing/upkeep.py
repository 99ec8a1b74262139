"""What the raw tables need beside loads: tables that no load writes, new columns, a version.

The caller of each function but `write` holds the lock.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import pyarrow as pa

from rep_ai.dump.format import RAW_TABLES, VERSION
from rep_ai.landing.destinations import Destination, cursor_of
from rep_ai.landing.destinations.duckdb import DuckDB
from rep_ai.landing.errors import DestinationError
from rep_ai.landing.raw_tables import TABLES

# written by `rep-ai retire`, `restore` and `types --add`, and by each run
WRITTEN = {
    name: RAW_TABLES[name] for name in ("retirements", "known_types", "runs", "_schema_version")
}
# not public: rows of `deliveries` of rejected files that the sources list no more
GONE = pa.schema([("file_url", pa.string()), ("load_id", pa.string()), ("_at", pa.timestamp("us"))])
# loads whose user agents a parser version has parsed
PARSED_LOADS = pa.schema([("load_id", pa.string()), ("parser_version", pa.string())])
OUR_TABLES = {
    **WRITTEN,
    "user_agents": RAW_TABLES["user_agents"],
    "_gone_files": GONE,
    "_user_agent_loads": PARSED_LOADS,
}


def bring_up_to_date(destination: Destination, schema: str) -> bool:
    """Make tables that no load writes and columns that are missing, and note the version.

    Returns:
        Whether there are raw tables; in a schema without loads nothing is done. Those that a newer
        rep-ai wrote are refused.
    """
    with cursor_of(destination, schema) as cursor:
        present = destination.columns(cursor, schema, [*OUR_TABLES, *TABLES, "_dlt_loads"])
        if "_dlt_loads" not in present:
            return False
        stored = 1
        if "_schema_version" in present:
            stored = _stored_version(cursor, destination.place(cursor, schema, "_schema_version"))
        missing = {}
        for table, columns in {**TABLES, **OUR_TABLES}.items():
            # the tables of loads are made by loads
            known = present.get(table, columns.names if table in TABLES else ())
            if new := [column for column in columns if column.name not in known]:
                missing[table] = pa.schema(new)
        if missing:
            destination.add(cursor, schema, missing)
    if stored < VERSION:
        append(destination, schema, "_schema_version", [(VERSION, rep_ai_version())])
    return True


def _stored_version(cursor: Any, table: str) -> int:
    cursor.execute(f"select version, rep_ai_version from {table} order by version desc limit 1")
    ((stored, writer),) = cursor.fetchall() or [(1, None)]
    if stored > VERSION:
        raise DestinationError(
            f"the raw tables have version {stored}, of rep-ai {writer}, and this rep-ai "
            f"({rep_ai_version()}) knows them up to version {VERSION}",
            to_do="upgrade rep-ai",
        )
    return int(stored)


def rep_ai_version() -> str | None:
    """The version of this program; None where it runs without being installed."""
    try:
        return metadata.version("rep-ai-marts")
    except metadata.PackageNotFoundError:
        return None


def write(
    destination: Destination, schema: str, table: str, rows: Sequence[tuple[str | None, ...]]
) -> None:
    """Call `append` without holding the lock; there have to be raw tables, of any version."""
    with destination.lock(schema):
        if not bring_up_to_date(destination, schema):
            raise DestinationError("nothing is loaded yet: rep-ai run SOURCE")
        append(destination, schema, table, rows)


def append(
    destination: Destination, schema: str, table: str, rows: Sequence[tuple[str | int | None, ...]]
) -> None:
    """Add rows to one of `OUR_TABLES`: its columns but the last, which is the present moment."""
    moment = datetime.now(UTC).replace(tzinfo=None)
    added = [dict(zip(OUR_TABLES[table].names, (*row, moment), strict=True)) for row in rows]
    with cursor_of(destination, schema) as cursor:
        destination.append(cursor, schema, table, pa.Table.from_pylist(added, OUR_TABLES[table]))


def note_run(destination: Destination, schema: str, row: Mapping[str, Any]) -> None:
    """Write what is known of a run, in place of what it wrote before, if there are raw tables.

    Columns of `runs` that the row lacks are NULL.
    """
    if isinstance(destination, DuckDB) and not destination.path.exists():
        return
    with cursor_of(destination, schema) as cursor:
        if destination.columns(cursor, schema, ["runs"]):
            rows = pa.Table.from_pylist([dict(row)], OUR_TABLES["runs"])
            destination.replace(cursor, schema, "runs", "run_id", rows)
