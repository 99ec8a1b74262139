"""What DuckDB and PostgreSQL have in common: a lock of all runs, transactions, plain SQL."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from rep_ai.landing.destinations.base import Destination

# of the columns of tables that dlt does not make
_TYPES = {
    pa.string(): "text",
    pa.int64(): "bigint",
    pa.bool_(): "boolean",
    pa.timestamp("us"): "timestamp",
}


class Database(Destination):
    """A database that a driver of our own reaches faster than dlt would."""

    is_exclusive = True
    file_format = "parquet"

    def columns(self, cursor: Any, schema: str, names: list[str]) -> dict[str, set[str]]:
        """The columns of those of some raw tables that are there."""
        return columns_of(cursor, schema, names)

    def place(self, cursor: Any, schema: str, table: str) -> str:
        """A raw table as SQL names it."""
        return f"{qualified(cursor, schema)}.{table}"

    def make_tables(self, cursor: Any, schema: str, tables: Mapping[str, pa.Schema]) -> None:
        """Make raw tables that are not there."""
        for name, columns in tables.items():
            listed = ", ".join(f"{column.name} {_TYPES[column.type]}" for column in columns)
            cursor.execute(f"create table {self.place(cursor, schema, name)} ({listed})")

    def add_columns(self, cursor: Any, schema: str, table: str, columns: pa.Schema) -> None:
        """Add columns to a raw table."""
        where = self.place(cursor, schema, table)
        for column in columns:
            added = f'"{column.name}" {_TYPES[column.type]}'
            cursor.execute(f"alter table {where} add column {added}")

    def columns_in_place(self, cursor: Any, schema: str, table: str, rows: pa.Table) -> str:
        """The columns of rows in a raw table, which may have its own in another order."""
        return f"{self.place(cursor, schema, table)} ({', '.join(rows.column_names)})"

    @contextmanager
    def transaction(self, cursor: Any) -> Iterator[None]:
        """Let the statements of a `with` block count together."""
        cursor.execute("begin")
        yield
        cursor.execute("commit")


def columns_of(cursor: Any, schema: str, names: list[str]) -> dict[str, set[str]]:
    """The columns of those of some tables and views of a schema that are there."""
    cursor.execute(
        "select table_name, column_name from information_schema.columns "
        f"where table_catalog = current_database() and table_schema = '{schema}'"
    )
    found: dict[str, set[str]] = {}
    for table, column in cursor.fetchall():
        if table in names:
            found.setdefault(table, set()).add(column)
    return found


def tables(cursor: Any) -> set[tuple[str, str]]:
    """The (schema, table) pairs of the database that a cursor is connected to."""
    cursor.execute(
        "select table_schema, table_name from information_schema.tables "
        "where table_catalog = current_database()"
    )
    return set(cursor.fetchall())


def qualified(cursor: Any, schema: str) -> str:
    """A schema behind its database's name: a DuckDB file may bear the name of a schema."""
    cursor.execute("select current_database()")
    (database,) = cursor.fetchone()
    return ".".join('"' + name.replace('"', '""') + '"' for name in (database, schema))
