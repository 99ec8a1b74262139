"""Any destination of dlt by dlt's own means: its configuration, its sql_client, its packages."""

import os
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa

from rep_ai.errors import RepAiError
from rep_ai.landing import pipeline
from rep_ai.landing.destinations.lock import file_lock
from rep_ai.landing.errors import (
    DestinationError,
    LoadError,
    UnpreparedError,
    caused_by,
    root_cause,
)
from rep_ai.landing.urls import public

# a run elsewhere may still be writing rows of an incomplete load until they are this old
STALE_SECONDS = 24 * 3600


class Destination:
    """A destination of dlt; one that can do more than dlt's own means has a class of its own.

    Attributes:
        kind: what dlt calls it.
        name: where it is, as people read it.
        target: target of the project's profile; None: none, or the one without an option.
        is_exclusive: whether its lock holds for all runs, on whichever machine they are.
        file_format: of what dlt loads; None: its first choice.
        settings: of dlt, in place of ours.
        configuration: of dlt's destination by its name, where no variable says otherwise; None
            where dlt's variables do not count.
    """

    kind: str
    name: str
    target: str | None = None
    is_exclusive = False
    file_format: str | None = None
    settings: Mapping[str, Mapping[str, Any]] = {}
    configuration: Mapping[str, Any] | None = None
    needs_sql = True
    _lock: Any = None

    def __init__(
        self,
        kind: str,
        configuration: Mapping[str, Any] | None = None,
        target: str | None = None,
    ) -> None:
        """Let dlt read its configuration: its own variables, else what is given here.

        Raises:
            UnpreparedError: dlt knows no such destination, or something is missing.
        """
        self.kind, self.target = kind, target
        self.configuration = {kind: dict(configuration or {})}
        self.client = client = self._client("rep_ai")
        if self.needs_sql and not hasattr(client, "get_storage_tables"):
            raise UnpreparedError(f"{kind} has no SQL", to_do="name a database, or filesystem")
        self.name = f"{kind} {public(str(client.config))}"
        # no destination prefers it, and it is the fastest wherever it is taken
        if "parquet" in (client.capabilities.supported_loader_file_formats or ()):
            self.file_format = "parquet"

    # --------------------------------------------------------------------------------------- locks

    @property
    def lock_path(self) -> Path:
        """The lock of this machine, where the destination itself has none."""
        digest = sha256(f"{os.geteuid()} {self.name}".encode()).hexdigest()
        return Path(tempfile.gettempdir()) / f"rep_ai_{digest[:16]}.lock"

    @contextmanager
    def lock(self, raw_schema: str | None = None) -> Iterator[None]:
        """Hold the lock of all runs, or at least of those on this machine.

        Args:
            raw_schema: schema of the raw tables, None where they are not written to; a database
                with a lock for each keeps only those runs apart that write to the same tables.

        Raises:
            DestinationError: another run holds it, which is named.
        """
        with file_lock(self.lock_path, self.name) as file:
            self._lock = file
            try:
                yield
            finally:
                self._lock = None

    def check_lock(self) -> None:
        """Refuse to go on if the lock was taken and is lost."""
        # another run makes a lock of its own where the file is gone
        if self._lock and not os.fstat(self._lock.fileno()).st_nlink:
            raise DestinationError(
                f"{self._lock.name} was removed under the run", to_do="run again"
            )

    # ----------------------------------------------------------------------------------- raw tables

    def connect(self, schema: str = "") -> Any:
        """Open a connection, to be closed by the caller, to the raw tables of a schema."""
        client = self._client(schema)
        try:
            client.__enter__()
        except Exception as error:
            raise DestinationError(public(root_cause(error)), where=self.name) from error
        return _Connection(client)

    def connect_to_read(self, schema: str = "") -> Any:
        """The same, for commands that show what is there: nothing can be changed by it."""
        raise UnpreparedError(
            f"this command reads DuckDB and PostgreSQL, not {self.kind}",
            to_do="ask the database itself",
        )

    def columns(self, cursor: Any, schema: str, names: list[str]) -> dict[str, set[str]]:
        """The columns of those of the named raw tables that exist."""
        found = cursor.client.get_storage_tables(names)
        return {table: {name.lower() for name in columns} for table, columns in found if columns}

    def place(self, cursor: Any, schema: str, table: str) -> str:
        """A raw table as SQL names it."""
        name: str = cursor.client.sql_client.make_qualified_table_name(table)
        return name

    def add(self, cursor: Any, schema: str, missing: Mapping[str, pa.Schema]) -> None:
        """Make raw tables, or columns of raw tables."""
        rows = {table: columns.empty_table() for table, columns in missing.items()}
        self.load((each for each in rows.items()), schema)

    def append(self, cursor: Any, schema: str, table: str, rows: pa.Table) -> None:
        """Add rows to a raw table."""
        self.load((each for each in [(table, rows)]), schema)

    def replace(self, cursor: Any, schema: str, table: str, key: str, rows: pa.Table) -> None:
        """Add a row to a raw table, in place of the one with the same key."""
        (value,) = rows[key].to_pylist()
        with self.transaction(cursor):
            cursor.execute(
                f"delete from {self.place(cursor, schema, table)} where {key} = '{value}'"
            )
            self.append(cursor, schema, table, rows)

    def transaction(self, cursor: Any) -> Any:
        """Let statements count together, which most of these databases cannot."""
        del cursor
        return nullcontext()

    def clear(self, cursor: Any, schema: str, tables: list[str]) -> None:
        """Remove the rows of loads that never completed, unless a run may still be writing them."""
        loads = self.place(cursor, schema, "_dlt_loads")
        # the id of a load is the second it began at
        latest = int(time.time() - STALE_SECONDS)
        is_stale = "" if self.is_exclusive else f" and _dlt_load_id < '{latest}'"
        for table in tables:
            cursor.execute(
                f"delete from {self.place(cursor, schema, table)} where _dlt_load_id not in "
                f"(select load_id from {loads} where status = 0){is_stale}"
            )

    # ------------------------------------------------------------------------------------------ dlt

    def _client(self, schema: str) -> Any:
        """The client by which dlt itself works."""
        with said(self.kind):
            pipeline.library(os.devnull, self.settings, self.configuration)
            from dlt.common.schema import Schema

            factory = self.dlt_destination()
            config = factory.spec()
            if hasattr(config, "_bind_dataset_name"):
                config._bind_dataset_name(dataset_name=schema, default_schema_name=pipeline.NAME)
            return factory.client(Schema(pipeline.NAME), config)

    def load(
        self,
        batches: Generator[tuple[str, pa.Table], None, None],
        schema: str,
        when_read: Callable[[], None] = lambda: None,
    ) -> None:
        """Load batches of rows together or not at all: one package of dlt, never to be resumed.

        Args:
            batches: pairs of a raw table and rows of it.
            schema: schema of the raw tables; the caller holds the lock.
            when_read: called when all batches are read, before they go into the database.

        Raises:
            DestinationError: the lock is lost.
            LoadError: the database refuses the load; or caused by what reading a batch raised.
        """
        largest = 0

        def marked() -> Iterator[Any]:
            nonlocal largest
            # where the load is given up halfway, the file that is being read is closed at once
            with closing(batches):
                for table, rows in batches:
                    largest = max(largest, rows.nbytes)
                    yield dlt.mark.with_table_name(rows, table)

        with tempfile.TemporaryDirectory(prefix="rep_ai_") as folder:
            dlt = pipeline.library(folder, self.settings, self.configuration)
            try:
                dlt_pipeline = dlt.pipeline(
                    pipeline.NAME,
                    pipelines_dir=folder,
                    destination=self.dlt_destination(),
                    dataset_name=schema,
                )
                resource = dlt.resource(marked(), name=pipeline.NAME, write_disposition="append")
                dlt_pipeline.extract(resource, loader_file_format=self.file_format)
                when_read()
                dlt_pipeline.normalize()
                self.check_lock()
                self._deliver(dlt_pipeline, schema, largest)
            except DestinationError:
                raise
            except Exception as error:
                if caused_by(error, KeyboardInterrupt):
                    raise KeyboardInterrupt from None
                where = f"working folder {folder} (TMPDIR names another place)"
                raise LoadError(public(root_cause(error, where))) from error

    def dlt_destination(self) -> Any:
        """The same destination for dlt."""
        from dlt.common.destination.reference import Destination as Reference

        return Reference.from_reference(self.kind)

    def _deliver(self, dlt_pipeline: Any, schema: str, largest: int) -> None:
        """Let dlt load what is normalized; the largest batch has so many bytes."""
        dlt_pipeline.load(self.dlt_destination(), raise_on_failed_jobs=True)


class _Connection:
    """dlt's client as a connection and its cursor."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self._rows: list[Any] = []

    def cursor(self) -> "_Connection":
        return self

    def execute(self, sql: str) -> None:
        self._rows = [tuple(row) for row in self.client.sql_client.execute_sql(sql) or ()]

    def fetchall(self) -> list[Any]:
        return self._rows

    def close(self) -> None:
        self.client.__exit__(None, None, None)


@contextmanager
def said(kind: str) -> Iterator[None]:
    """Turn whatever keeps dlt from a destination into an UnpreparedError of one line."""
    from dlt.common.configuration.exceptions import ConfigFieldMissingException, flatten_traces
    from dlt.common.destination.exceptions import UnknownDestinationModule
    from dlt.common.exceptions import DltException, MissingDependencyException

    prefix = f"DESTINATION__{kind.upper()}__"
    try:
        yield
    except ConfigFieldMissingException as error:
        tried = [each.key for f in error.fields for each in flatten_traces(error.traces[f])]
        names = dict.fromkeys(key for key in tried if key.startswith(prefix))
        # the names of single settings say more than that of all credentials
        single = [name for name in names if name != f"{prefix}CREDENTIALS"] or list(names)
        raise UnpreparedError(
            f"{kind} is not configured", to_do=f"set {', '.join(single) or prefix + '...'}"
        ) from None
    except (MissingDependencyException, ImportError):
        raise UnpreparedError(
            f"the driver of {kind} is missing", to_do=f"pip install 'dlt[{kind}]'"
        ) from None
    except UnknownDestinationModule:
        raise UnpreparedError(
            f"there is no destination {kind!r}",
            to_do="name one of dlt's, such as duckdb, postgres, snowflake, bigquery, databricks, "
            "redshift or filesystem",
        ) from None
    except (DltException, ValueError, TypeError, OSError) as error:
        why = public(root_cause(error))
        raise UnpreparedError(f"{kind} cannot be used", to_do=why) from error


@contextmanager
def cursor_of(destination: Destination, schema: str) -> Iterator[Any]:
    """Connect for a `with` block, and turn what goes wrong in it into a LoadError of one line."""
    with closing(destination.connect(schema)) as connection:
        try:
            yield connection.cursor()
        except RepAiError:
            raise
        except Exception as error:
            raise LoadError(public(root_cause(error))) from error
