"""Reading from the database behind a target: nothing is made, changed, or kept from a writer."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import duckdb

from rep_ai.landing.destinations import Destination, DuckDB, qualified, tables
from rep_ai.landing.errors import BusyError, DestinationError
from rep_ai.warehouse.names import (
    AFFECTED,
    CURRENT_DELIVERIES,
    INTERMEDIATE_SCHEMA,
    KNOWN_TYPES,
    MARTS_SCHEMA,
    SEEDS,
    WATERMARKS,
)

# they open the batches that the others wait for
_OPEN_BATCHES = {CURRENT_DELIVERIES, KNOWN_TYPES}


class Database:
    """Reads from the database behind a target; a table that is not there has no rows."""

    def __init__(self, connection: Any) -> None:
        """See which tables there are."""
        self._cursor = connection.cursor()
        self._tables = tables(self._cursor)

    def has_mart(self, name: str) -> bool:
        """Whether a mart is built."""
        return (MARTS_SCHEMA, name) in self._tables

    def rows(self, schema: str, table: str, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query over one table, which stands as {table} in the text."""
        if (schema, table) not in self._tables:
            return []
        schema = qualified(self._cursor, schema)
        self._cursor.execute(sql.format(schema=schema, table=f"{schema}.{table}"))
        return list(self._cursor.fetchall())

    def mart(self, table: str, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query over one mart."""
        return self.rows(MARTS_SCHEMA, table, sql)

    def records(self, table: str, order: str) -> list[dict[str, Any]]:
        """All rows of a mart by the names of the columns, which an older build may lack."""
        rows = self.mart(table, f"select * from {{table}} order by {order}")
        names = [column[0] for column in self._cursor.description] if rows else []
        return [dict(zip(names, row, strict=True)) for row in rows]

    def marts(self) -> list[str]:
        """Names of the marts that are there, in order."""
        return sorted(
            name
            for schema, name in self._tables
            if schema == MARTS_SCHEMA and name not in SEEDS.values()
        )

    def models_behind(self) -> list[str]:
        """Names of the incremental models that have not seen the newest batch of changes."""
        behind = self.rows(
            INTERMEDIATE_SCHEMA,
            WATERMARKS,
            "select watermarks.model from {table} as watermarks "
            "inner join information_schema.tables as made on watermarks.model = made.table_name "
            "where made.table_catalog = current_database() and made.table_type = 'BASE TABLE' "
            f"and made.table_schema in ('{INTERMEDIATE_SCHEMA}', '{MARTS_SCHEMA}') "
            "and (watermarks.batch is null or watermarks.batch < "
            f"(select max(batch) from {{schema}}.{AFFECTED})) order by watermarks.model",
        )
        return [name for (name,) in behind if name not in _OPEN_BATCHES]


@contextmanager
def opened(destination: Destination) -> Iterator[Database]:
    """Open a database to be read; a DuckDB file that is not there is an empty one.

    Raises:
        DestinationError: the database cannot be read, or a run holds it, which is named.
    """
    with closing(_connected(destination)) as connection:
        yield Database(connection)


def _connected(destination: Destination) -> Any:
    if not isinstance(destination, DuckDB):
        return destination.connect_to_read()
    if not destination.path.exists():
        return duckdb.connect()
    try:
        return destination.connect_to_read()
    except BusyError:
        if holder := destination.holder():
            raise DestinationError(
                f"another run holds it: {holder}",
                where=destination.name,
                to_do="look again when it has ended",
            ) from None
        raise
