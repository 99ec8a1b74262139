"""What the raw tables need beside loads: the tables that people write, and new columns."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa

from rep_ai.landing.destinations import Destination, cursor_of, qualified, tables
from rep_ai.landing.errors import DestinationError
from rep_ai.landing.raw_tables import TABLES, create

# rows of `deliveries` that tell of rejected files which the sources list no more
GONE = pa.schema([("file_url", pa.string()), ("load_id", pa.string()), ("_at", pa.timestamp("us"))])
# written by `rep-ai retire`, `rep-ai restore` and `rep-ai types --add`
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
}
_OURS = {**WRITTEN, "_gone_files": GONE}


def bring_up_to_date(destination: Destination, schema: str) -> None:
    """Make the tables that people write, and the columns of fields that are listed by now.

    The caller holds the lock. In a schema without loads nothing is done.

    Raises:
        DestinationError, LoadError: the database cannot be used.
    """
    with cursor_of(destination) as cursor:
        present = {table for in_schema, table in tables(cursor) if in_schema == schema}
        if "_dlt_loads" not in present:
            return
        where = qualified(cursor, schema)
        create(cursor, where, {name: _OURS[name] for name in _OURS.keys() - present})
        cursor.execute(
            "select table_name, column_name from information_schema.columns "
            f"where table_catalog = current_database() and table_schema = '{schema}'"
        )
        found = set(cursor.fetchall())
        for table in TABLES.keys() & present:
            for column in TABLES[table].names:
                if (table, column) not in found:
                    cursor.execute(f'alter table {where}.{table} add column "{column}" text')


def write(
    destination: Destination, schema: str, table: str, rows: Sequence[tuple[str | None, ...]]
) -> None:
    """Add rows to a table of `WRITTEN`: its columns but the last, which is the present moment.

    Raises:
        DestinationError, LoadError: the database cannot be used, or nothing is landed there.
    """
    with destination.lock():
        bring_up_to_date(destination, schema)
        append(destination, schema, table, rows)


def append(
    destination: Destination, schema: str, table: str, rows: Sequence[tuple[str | None, ...]]
) -> None:
    """The same, for a caller who holds the lock, where `bring_up_to_date` was called."""
    moment = datetime.now(UTC).replace(tzinfo=None)
    columns = _OURS[table]
    added = [dict(zip(columns.names, (*row, moment), strict=True)) for row in rows]
    with cursor_of(destination) as cursor:
        where = f"{qualified(cursor, schema)}.{table}"
        if (schema, table) not in tables(cursor):
            raise DestinationError("nothing is loaded yet: rep-ai run SOURCE")
        destination.append(cursor, where, pa.Table.from_pylist(added, columns))
