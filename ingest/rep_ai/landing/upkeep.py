"""What the raw tables need beside loads: tables that no load writes, new columns, a version."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import pyarrow as pa

from rep_ai.landing.destinations import Destination, cursor_of
from rep_ai.landing.errors import DestinationError
from rep_ai.landing.raw_tables import TABLES
from rep_ai.landing.runs import RUNS

# of the raw tables: one more where a table or a column comes, here and in `_staging__sources.yml`;
# 1 is that of rep-ai 0.1.0, which wrote none
VERSION = 2
# rows of `deliveries` that tell of rejected files which the sources list no more
GONE = pa.schema([("file_url", pa.string()), ("load_id", pa.string()), ("_at", pa.timestamp("us"))])
# written by `rep-ai retire`, `restore` and `types --add`, and by each run
WRITTEN = {
    "retirements": pa.schema(
        [
            ("_delivery_id", pa.string()),
            ("action", pa.string()),
            ("reason", pa.string()),
            ("_at", pa.timestamp("us")),
        ]
    ),
    "known_types": pa.schema(
        [("kind", pa.string()), ("type", pa.string()), ("_at", pa.timestamp("us"))]
    ),
    "runs": RUNS,
    # a row for each version that the raw tables have been brought to; the greatest holds
    "_schema_version": pa.schema(
        [("version", pa.int64()), ("rep_ai_version", pa.string()), ("_at", pa.timestamp("us"))]
    ),
}
_OURS = {**WRITTEN, "_gone_files": GONE}


def bring_up_to_date(destination: Destination, schema: str) -> bool:
    """Make tables that no load writes and columns that are missing, and note the version.

    The caller holds the lock. In a schema without loads nothing is done.

    Returns:
        Whether there are raw tables.

    Raises:
        DestinationError: a newer rep-ai wrote them, or the database cannot be used.
        LoadError: the database cannot be used.
    """
    with cursor_of(destination, schema) as cursor:
        present = destination.columns(cursor, schema, [*_OURS, *TABLES, "_dlt_loads"])
        if "_dlt_loads" not in present:
            return False
        stored = 1
        if "_schema_version" in present:
            stored = _stored_version(cursor, destination.place(cursor, schema, "_schema_version"))
        if missing := {name: each for name, each in _OURS.items() if name not in present}:
            destination.make_tables(cursor, schema, missing)
        for table, columns in {**TABLES, **_OURS}.items():
            known = present.get(table, columns.names)
            if new := [column for column in columns if column.name not in known]:
                destination.add_columns(cursor, schema, table, pa.schema(new))
        if stored < VERSION:
            added = [(VERSION, rep_ai_version())]
            _append(destination, cursor, schema, "_schema_version", added)
        return True


def _stored_version(cursor: Any, table: str) -> int:
    """The version of the raw tables.

    Raises:
        DestinationError: a newer rep-ai wrote them.
    """
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
    """Add rows to a table of `WRITTEN`: its columns but the last, which is the present moment.

    Raises:
        DestinationError, LoadError: the database cannot be used, or nothing is landed there.
    """
    with destination.lock(schema):
        bring_up_to_date(destination, schema)
        append(destination, schema, table, rows)


def append(
    destination: Destination, schema: str, table: str, rows: Sequence[tuple[str | None, ...]]
) -> None:
    """The same, for a caller who holds the lock, where `bring_up_to_date` was called."""
    with cursor_of(destination, schema) as cursor:
        if not destination.columns(cursor, schema, [table]):
            raise DestinationError("nothing is loaded yet: rep-ai run SOURCE")
        _append(destination, cursor, schema, table, rows)


def _append(
    destination: Destination,
    cursor: Any,
    schema: str,
    table: str,
    rows: Sequence[tuple[str | int | None, ...]],
) -> None:
    moment = datetime.now(UTC).replace(tzinfo=None)
    columns = _OURS[table]
    added = [dict(zip(columns.names, (*row, moment), strict=True)) for row in rows]
    destination.append(cursor, schema, table, pa.Table.from_pylist(added, columns))
