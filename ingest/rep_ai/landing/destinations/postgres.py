"""A PostgreSQL database."""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from rep_ai import project
from rep_ai.landing.destinations.base import now
from rep_ai.landing.errors import DestinationError, UnpreparedError
from rep_ai.words import one_line

if TYPE_CHECKING:
    import pyarrow as pa

# an arbitrary number that all runs of this project share
ADVISORY_LOCK = 0x7265705F6169


# the settings of a target that libpq takes as they are
ADDRESS = (
    *("host", "port", "user", "password", "dbname"),
    *("sslmode", "sslcert", "sslkey", "sslrootcert"),
)


class Postgres:
    """A PostgreSQL database."""

    def __init__(self, settings: Mapping[str, Any], target: str | None = None) -> None:
        """Take the address from the settings of a target, by dbt's names or their short forms."""
        self.target = target
        of_libpq = {"pass": "password", "database": "dbname"}
        given = {of_libpq.get(name, name): str(value) for name, value in settings.items()}
        self._address = {name: given[name] for name in ADDRESS if name in given}
        self.name = "PostgreSQL {dbname} on {host}:{port}".format(**{"port": 5432, **self._address})
        self._lock: Any = None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold an advisory lock on a connection of its own: it ends with the process."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            name = f"rep-ai {os.getpid()} on {socket.gethostname()} since {now()}"
            cursor.execute("select set_config('application_name', %s, false)", (name[:63],))
            cursor.execute("select pg_try_advisory_lock(%s)", (ADVISORY_LOCK,))
            if not cursor.fetchone()[0]:
                cursor.execute(
                    "select a.application_name from pg_locks as l "
                    "inner join pg_stat_activity as a on l.pid = a.pid "
                    "where l.locktype = 'advisory' and l.granted and l.database = "
                    "(select oid from pg_database where datname = current_database()) and "
                    "(l.classid::bigint << 32) + l.objid::bigint = %s",
                    (ADVISORY_LOCK,),
                )
                holder = cursor.fetchone()
                raise DestinationError(
                    f"another run holds {self.name}: {holder[0] if holder else 'just ended'}",
                    to_do="wait until it has ended",
                )
            # a dbt that outlives its run still holds the lock
            os.set_inheritable(connection.fileno(), True)
            self._lock = connection
            try:
                yield
            finally:
                self._lock = None

    def check_lock(self) -> None:
        """The lock is lost with its connection."""
        import psycopg2

        if self._lock:
            try:
                self._lock.cursor().execute("select 1")
            except psycopg2.Error as error:
                raise DestinationError(
                    f"the lock is lost: {one_line(error)}", where=self.name, to_do="run again"
                ) from None

    def connect(self) -> Any:
        """Open a connection."""
        try:
            import psycopg2
        except ImportError:
            raise UnpreparedError(
                "the PostgreSQL driver is missing", to_do=project.installs("postgres")
            ) from None
        try:
            connection = psycopg2.connect(**self._address)
        except psycopg2.Error as error:
            raise DestinationError(one_line(error), where=self.name) from None
        connection.autocommit = True
        return connection

    def connect_to_read(self) -> Any:
        """Open a connection that can change nothing."""
        connection = self.connect()
        connection.cursor().execute("set default_transaction_read_only = on")
        return connection

    def append(self, cursor: Any, table: str, rows: "pa.Table") -> None:
        """Add rows to a table by a cursor of this database."""
        from psycopg2.extras import execute_values

        values = [tuple(row.values()) for row in rows.to_pylist()]
        execute_values(cursor, f"insert into {table} values %s", values, page_size=1000)

    def dlt_destination(self, connection: Any = None, *, is_bounded: bool = True) -> Any:
        """PostgreSQL by its address; the server sees to its memory."""
        import dlt
        from dlt.destinations.impl.postgres.configuration import PostgresCredentials
        from dlt.destinations.impl.postgres.postgres import PostgresParquetCopyJob

        # else a file is read into memory whole, and one without rows fails
        PostgresParquetCopyJob._ingest_per_rowgroup = True

        address = urlencode(self._address, quote_via=quote)

        class Credentials(PostgresCredentials):
            """The address as libpq reads it; dlt spells sockets and odd passwords wrong."""

            def to_native_representation(self) -> str:
                return f"postgresql://?{address}"

        credentials = Credentials()
        credentials.host = self._address["host"]
        credentials.port = int(self._address.get("port", 5432))
        credentials.username = self._address["user"]
        credentials.password = self._address.get("password", "")
        credentials.database = self._address["dbname"]
        credentials.resolve()
        return dlt.destinations.postgres(credentials)
