"""A PostgreSQL database."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from typing import Any
from urllib.parse import quote, urlencode
from zlib import crc32

import pyarrow as pa

from rep_ai.installed import installs
from rep_ai.landing.destinations.database import Database
from rep_ai.landing.destinations.lock import holder
from rep_ai.landing.errors import DestinationError, UnpreparedError
from rep_ai.words import one_line

# an arbitrary number; runs on other raw tables than the usual ones lock one above it
ADVISORY_LOCK = 0x7265705F6169

# how often a pooler is asked whose session it gives; busy ones may give the same once by chance
TRIES = 10

# the settings of a target that libpq takes as they are
ADDRESS = (
    *("host", "port", "user", "password", "dbname"),
    *("sslmode", "sslcert", "sslkey", "sslrootcert"),
)


class Postgres(Database):
    """A PostgreSQL database."""

    kind = "postgres"

    def __init__(self, settings: Mapping[str, Any], target: str | None = None) -> None:
        """Take the address from the settings of a target, by dbt's names or their short forms."""
        self.target = target
        of_libpq = {"pass": "password", "username": "user", "database": "dbname"}
        given = {of_libpq.get(name, name): str(value) for name, value in settings.items()}
        self._address = {name: given[name] for name in ADDRESS if name in given}
        self.name = "PostgreSQL {dbname} on {host}:{port}".format(**{"port": 5432, **self._address})
        self._schema = str(settings.get("schema", ""))

    @contextmanager
    def lock(self, raw_schema: str | None = None) -> Iterator[None]:
        """Hold advisory locks on a connection of its own: they end with the process.

        One is of the raw tables, one of what dbt builds: runs that share neither are independent.
        """
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            name = holder().replace("process", "rep-ai", 1)[:63]
            cursor.execute("select set_config('application_name', %s, false)", (name,))
            # an address without a schema is that of `--destination`, for which dbt builds nothing
            for schema in filter(None, (raw_schema, self._schema)):
                self._take(cursor, schema)
            # a dbt that outlives its run still holds the lock
            os.set_inheritable(connection.fileno(), True)
            self._lock = connection
            try:
                yield
            finally:
                self._lock = None

    def _take(self, cursor: Any, schema: str) -> None:
        """Lock what is in a schema, or name the run that holds it."""
        # an older rep-ai knows this number alone
        number = ADVISORY_LOCK
        if schema != "rep_ai_raw":
            number += 1 + crc32(schema.encode())
        cursor.execute("select pg_try_advisory_lock(%s)", (number,))
        if cursor.fetchone()[0]:
            return
        cursor.execute(
            "select a.application_name from pg_locks as l "
            "inner join pg_stat_activity as a on l.pid = a.pid "
            "where l.locktype = 'advisory' and l.granted and l.database = "
            "(select oid from pg_database where datname = current_database()) and "
            "(l.classid::bigint << 32) + l.objid::bigint = %s",
            (number,),
        )
        other = cursor.fetchone()
        raise DestinationError(
            f"another run holds {self.name}: {other[0] if other else 'just ended'}",
            to_do="wait until it has ended",
        )

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

    def connect(self, schema: str = "") -> Any:
        """Open a connection to a database that keeps all texts, with a session of its own."""
        try:
            import psycopg2
        except ImportError:
            raise UnpreparedError(
                "the PostgreSQL driver is missing", to_do=installs("postgres")
            ) from None
        with ExitStack() as refused:
            try:
                connection = psycopg2.connect(**self._address)
                refused.callback(connection.close)
                connection.autocommit = True
                encoding, process = _ask(connection, "current_setting('server_encoding')")
                # some proxies that share nothing have numbers of their own, too
                is_shared = process != connection.info.backend_pid and self._is_shared(connection)
            except psycopg2.Error as error:
                raise DestinationError(one_line(error), where=self.name) from None
            if encoding != "UTF8":
                raise DestinationError(
                    f"the encoding of the database is {encoding}, which does not hold all texts as "
                    "they are",
                    where=self.name,
                    to_do="make another one, with `create database NAME encoding 'UTF8' template "
                    "template0`, and set PGDATABASE to it",
                )
            if is_shared:
                raise DestinationError(
                    "a pooler such as pgbouncer shares sessions of the server among its clients, "
                    "so that others would get the lock and the settings of a run",
                    where=self.name,
                    to_do="name host and port of the server itself, or of a pooler that keeps a "
                    "session for each client (pool_mode = session)",
                )
            refused.pop_all()
            return connection

    def _is_shared(self, connection: Any) -> bool:
        """Whether one session of ours gets several of the server's, or two of ours the same one.

        The pooler may give the one that was used last, or first, and to other clients meanwhile.
        """
        import psycopg2

        with closing(psycopg2.connect(**self._address)) as other:
            other.autocommit = True
            for _ in range(TRIES):
                (first,), (second,), (of_other,) = map(_ask, (connection, connection, other))
                if first != second or first == of_other:
                    return True
        return False

    def connect_to_read(self, schema: str = "") -> Any:
        """Open a connection that can change nothing."""
        connection = self.connect()
        connection.cursor().execute("set default_transaction_read_only = on")
        return connection

    def append(self, cursor: Any, schema: str, table: str, rows: pa.Table) -> None:
        """Add rows to a raw table."""
        from psycopg2.extras import execute_values

        where = f"{self.place(cursor, schema, table)} ({', '.join(rows.column_names)})"
        values = [tuple(row.values()) for row in rows.to_pylist()]
        execute_values(cursor, f"insert into {where} values %s", values, page_size=1000)

    def dlt_destination(self) -> Any:
        """PostgreSQL by its address; the server sees to its memory."""
        import dlt
        from dlt.destinations.impl.postgres.configuration import PostgresCredentials
        from dlt.destinations.impl.postgres.postgres import PostgresParquetCopyJob

        # without this a file is read into memory whole, and one without rows fails
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


def _ask(connection: Any, *values: str) -> Any:
    """Values of the server, and the number of its process that answers."""
    with connection.cursor() as cursor:
        cursor.execute(f"select {', '.join([*values, 'pg_backend_pid()'])}")
        return cursor.fetchone()
