"""The databases that a run can load into: one lock, plain SQL, and dlt's own destination."""

import fcntl
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlencode

from rep_ai import project

if TYPE_CHECKING:
    import pyarrow as pa
    from dlt.common.destination import TDestinationReferenceArg

# BI tools lag behind the newest storage format
DUCKDB_STORAGE = "v1.4.0"
_CONFIG: dict[str, Any] = {"storage_compatibility_version": DUCKDB_STORAGE}
# enough for entries of usual size
LOAD_MEMORY = "400MB"
# seconds that another program may have the file open before a run, or a look, gives up
WRITER_PATIENCE, READER_PATIENCE = 60, 10
# an arbitrary number that all runs of this project share
ADVISORY_LOCK = 0x7265705F6169


class DestinationError(Exception):
    """The database cannot be used; the message says which, why and what to do."""


class BusyError(DestinationError):
    """Another program has the file open; the message says which."""


class Destination(Protocol):
    """A database, shared by dlt and dbt."""

    name: str

    def lock(self) -> Any:
        """Hold the one lock of all runs; DestinationError names a run that holds it already."""

    def check_lock(self) -> None:
        """DestinationError where the lock was taken and then lost."""

    def connect(self) -> Any:
        """Open a DB-API connection, to be closed by the caller."""

    def append(self, cursor: Any, table: str, rows: "pa.Table") -> None:
        """Add rows to a table by a cursor of this database."""

    def dlt_destination(
        self, connection: Any = None, *, is_bounded: bool = True
    ) -> "TDestinationReferenceArg":
        """The same database for dlt, by an open connection where there is one to share.

        `is_bounded` where no batch is larger than usual.
        """


class DuckDB:
    """A DuckDB file."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is made at the first connection."""
        self.path = path
        self.name = str(path)
        self._lock: IO[str] | None = None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold a lock file beside the database: DuckDB's own lock is not held between steps."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self.path.with_name(self.path.name + ".lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise DestinationError(f"{self.name}: {error.strerror}") from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # a holder that has only just come is still to write its name
                time.sleep(0.1)
                file.seek(0)
                raise DestinationError(
                    f"another run holds {self.name}: {file.read().strip()}; wait until it has ended"
                ) from None
            except OSError as error:
                raise DestinationError(f"{file.name} cannot be locked: {error.strerror}") from None
            name = f"process {os.getpid()} on {socket.gethostname()} since {_now()}\n"
            try:
                file.truncate(0)
                os.write(file.fileno(), name.encode())
            except OSError as error:
                raise DestinationError(f"{file.name}: {error.strerror}") from None
            # a dbt that outlives its run still holds the lock
            os.set_inheritable(file.fileno(), True)
            self._lock = file
            try:
                yield
            finally:
                self._lock = None

    def check_lock(self) -> None:
        """Another run makes a lock of its own where the file has been removed."""
        if self._lock and not os.fstat(self._lock.fileno()).st_nlink:
            raise DestinationError(f"{self._lock.name} was removed under the run; run again")

    def connect(self) -> Any:
        """Open the file, made with a storage format that older clients read."""
        import duckdb

        try:
            if not os.path.lexists(self.path):
                # a file that a kill or a full disk leaves half made could never be opened again
                new = self.path.with_name(self.path.name + ".new")
                new.unlink(missing_ok=True)
                duckdb.connect(str(new), config=_CONFIG).close()
                new.rename(self.path)
        except OSError as error:
            raise DestinationError(f"{self.name} cannot be made: {error.strerror}") from None
        except duckdb.Error as error:
            raise DestinationError(f"{self.name} cannot be opened: {error}") from None
        return self._open(WRITER_PATIENCE, config=_CONFIG)

    def look(self) -> Any:
        """Open the file, which is there, to be read only."""
        return self._open(READER_PATIENCE, read_only=True)

    def _open(self, patience: float, **options: Any) -> Any:
        """DuckDB refuses a file at once that another process has open, if one of them writes."""
        import duckdb

        latest = time.monotonic() + patience
        while True:
            try:
                return duckdb.connect(str(self.path), **options)
            except duckdb.Error as error:
                said = str(error)
            if "Could not set lock on file" not in said:
                raise DestinationError(f"{self.name} cannot be opened: {said}")
            if time.monotonic() > latest:
                holder = re.search(r"\(PID (\d+)\)", said)
                raise BusyError(
                    f"{self.name} is open in another program"
                    f"{f' (process {holder[1]})' if holder else ''}: close it, then run again"
                )
            time.sleep(0.05)

    def append(self, cursor: Any, table: str, rows: "pa.Table") -> None:
        """Add rows to a table by a cursor of this database."""
        cursor.register("rows_to_append", rows)
        cursor.execute(f"insert into {table} select * from rows_to_append")
        cursor.unregister("rows_to_append")

    def dlt_destination(
        self, connection: Any = None, *, is_bounded: bool = True
    ) -> "TDestinationReferenceArg":
        """DuckDB by its path or a connection, with little memory where `is_bounded`."""
        import dlt
        from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials

        credentials = DuckDbCredentials(connection or str(self.path))
        # else DuckDB keeps what it has written until most of the machine's memory is taken
        credentials.global_config = {"memory_limit": LOAD_MEMORY} if is_bounded else {}
        # a table at a time takes both less memory and no longer: DuckDB uses every core for it
        return dlt.destinations.duckdb(credentials, loader_parallelism_strategy="sequential")


class Postgres:
    """A PostgreSQL database, found by the variables that every client of it reads."""

    def __init__(self) -> None:
        """Take the address from PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE."""
        self._address = {
            "host": os.environ.get("PGHOST", "localhost"),
            "port": os.environ.get("PGPORT", "5432"),
            "user": os.environ.get("PGUSER", "postgres"),
            "password": os.environ.get("PGPASSWORD", ""),
            "dbname": os.environ.get("PGDATABASE", "postgres"),
        }
        self.name = "PostgreSQL {dbname} on {host}:{port}".format(**self._address)
        self._lock: Any = None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold an advisory lock on a connection of its own: it ends with the process."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            name = f"rep-ai {os.getpid()} on {socket.gethostname()} since {_now()}"
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
                    f"another run holds {self.name}: {holder[0] if holder else 'just ended'}; "
                    "wait until it has ended"
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
                    f"{self.name}: the lock is lost: {' '.join(str(error).split())}; run again"
                ) from None

    def connect(self) -> Any:
        """Open a connection."""
        try:
            import psycopg2
        except ImportError:
            raise DestinationError(
                f"the PostgreSQL driver is missing: {project.installs('postgres')}"
            ) from None
        try:
            connection = psycopg2.connect(**self._address)
        except psycopg2.Error as error:
            raise DestinationError(f"{self.name}: {' '.join(str(error).split())}") from None
        connection.autocommit = True
        return connection

    def append(self, cursor: Any, table: str, rows: "pa.Table") -> None:
        """Add rows to a table by a cursor of this database."""
        from psycopg2.extras import execute_values

        values = [tuple(row.values()) for row in rows.to_pylist()]
        execute_values(cursor, f"insert into {table} values %s", values, page_size=1000)

    def dlt_destination(
        self, connection: Any = None, *, is_bounded: bool = True
    ) -> "TDestinationReferenceArg":
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
        credentials.port = int(self._address["port"])
        credentials.username = self._address["user"]
        credentials.password = self._address["password"]
        credentials.database = self._address["dbname"]
        credentials.resolve()
        return dlt.destinations.postgres(credentials)


def of_target(target: str) -> Destination:
    """The database behind a target of the project's profile."""
    if target == "dev":
        return DuckDB(project.duckdb_path())
    if target == "postgres":
        return Postgres()
    raise DestinationError(f"no target {target!r}; there are dev (DuckDB) and postgres")


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


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
