"""Databases that we reach in plain SQL by a driver, faster than by dlt's means."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from rep_ai.dump.format import TYPES
from rep_ai.landing.destinations.base import Destination

_NAMES = {each: name for name, each in TYPES.items()}


class Database(Destination):
    """DuckDB and PostgreSQL, which have a lock of all runs; and files, as a DuckDB shows them."""

    is_exclusive = True
    file_format = "parquet"

    def columns(self, cursor: Any, schema: str, names: list[str]) -> dict[str, set[str]]:
        """The columns of those of the named raw tables that exist."""
        cursor.execute(
            "select table_name, column_name from information_schema.columns "
            f"where table_catalog = current_database() and table_schema = '{schema}'"
        )
        found: dict[str, set[str]] = {}
        for table, column in cursor.fetchall():
            if table in names:
                found.setdefault(table, set()).add(column)
        return found

    def place(self, cursor: Any, schema: str, table: str) -> str:
        """A raw table as SQL names it."""
        return f"{qualified(cursor, schema)}.{table}"

    def add(self, cursor: Any, schema: str, missing: Mapping[str, pa.Schema]) -> None:
        """Make raw tables, or columns of raw tables."""
        for table, columns in missing.items():
            where = self.place(cursor, schema, table)
            listed = [f'"{column.name}" {_NAMES[column.type]}' for column in columns]
            cursor.execute(f"create table if not exists {where} ({', '.join(listed)})")
            for column in listed:
                cursor.execute(f"alter table {where} add column if not exists {column}")

    @contextmanager
    def transaction(self, cursor: Any) -> Iterator[None]:
        """Let the statements of a `with` block count together."""
        cursor.execute("begin")
        yield
        cursor.execute("commit")


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
    ((database,),) = cursor.fetchall()
    return ".".join('"' + name.replace('"', '""') + '"' for name in (database, schema))
