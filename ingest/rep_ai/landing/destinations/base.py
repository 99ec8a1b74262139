"""What a database is to this project: one lock, plain SQL, and dlt's own destination."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from rep_ai.landing.errors import DestinationError, LoadError, root_cause

if TYPE_CHECKING:
    import pyarrow as pa


class Destination(Protocol):
    """A database, shared by dlt and dbt.

    Attributes:
        name: where it is, as people read it.
        target: target of the project's profile; None: the one that is used without an option.
    """

    name: str
    target: str | None

    def lock(self, raw_schema: str | None = None) -> Any:
        """Hold the lock of all runs that write to the same tables, while a `with` block runs.

        Args:
            raw_schema: schema of the raw tables; None: they are not written to.

        Raises:
            DestinationError: another run holds it, which is named.
        """

    def check_lock(self) -> None:
        """See that the lock is still held, if it was taken.

        Raises:
            DestinationError: it is lost.
        """

    def connect(self) -> Any:
        """Open a DB-API connection, to be closed by the caller.

        Raises:
            DestinationError: the database cannot be reached or opened.
        """

    def connect_to_read(self) -> Any:
        """The same, but nothing can be changed by it; a DuckDB file has to be there."""

    def append(self, cursor: Any, table: str, rows: "pa.Table") -> None:
        """Add rows to a table by a cursor of this database."""

    def dlt_destination(self, connection: Any = None, *, is_bounded: bool = True) -> Any:
        """The same database for dlt.

        Args:
            connection: an open connection to be shared, if there is one.
            is_bounded: whether no batch is larger than usual, so that little memory does.
        """


@contextmanager
def cursor_of(destination: Destination) -> Iterator[Any]:
    """Connect for a `with` block, and say in a line what goes wrong in it.

    Raises:
        DestinationError, LoadError: the database cannot be used.
    """
    with closing(destination.connect()) as connection:
        try:
            yield connection.cursor()
        except DestinationError:
            raise
        except Exception as error:
            raise LoadError(root_cause(error)) from error


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


def now() -> str:
    """The present as people read it, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
