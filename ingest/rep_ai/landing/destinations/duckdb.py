"""A DuckDB file."""

import fcntl
import os
import re
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from rep_ai.landing.destinations.database import Database
from rep_ai.landing.errors import BusyError, DestinationError

# BI tools lag behind the newest storage format
STORAGE = "v1.4.0"
_CONFIG: dict[str, Any] = {"storage_compatibility_version": STORAGE}
# enough unless one entry alone is larger than a usual batch
LOAD_MEMORY, USUAL_BATCH_BYTES = "400MB", 64 << 20
# seconds that another program may have the file open before a run, or a reader, gives up
WRITER_PATIENCE, READER_PATIENCE = 60, 10


class DuckDB(Database):
    """A DuckDB file."""

    kind = "duckdb"

    def __init__(self, path: Path, target: str | None = None) -> None:
        """Name the file; it is made at the first connection."""
        self.path, self.name = path, str(path)
        self.target = target

    @property
    def lock_path(self) -> Path:
        """A file beside the database: DuckDB's own lock is not held between steps."""
        return self.path.with_name(f"{self.path.name}.lock")

    def connect(self, schema: str = "") -> Any:
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

    def connect_to_read(self, schema: str = "") -> Any:
        """Open the file, which is there, to be read only."""
        return self._open(READER_PATIENCE, read_only=True)

    def holder(self) -> str | None:
        """The run that holds the lock file now, in its own words."""
        with suppress(OSError), self.lock_path.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip()
        return None

    def _open(self, patience: float, **options: Any) -> Any:
        """Open it, and wait while another process has it open: DuckDB refuses it at once."""
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
                    f"{f' (process {holder[1]})' if holder else ''}",
                    to_do="close it, then run again",
                )
            time.sleep(0.05)

    def append(self, cursor: Any, schema: str, table: str, rows: pa.Table) -> None:
        """Add rows to a raw table."""
        cursor.register("rows_to_append", rows)
        where = self.place(cursor, schema, table)
        cursor.execute(f"insert into {where} by name select * from rows_to_append").fetchall()
        cursor.unregister("rows_to_append")

    def dlt_destination(self, connection: Any = None, *, is_bounded: bool = True) -> Any:
        """DuckDB by its path or a connection, with little memory where `is_bounded`."""
        import dlt
        from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials

        credentials = DuckDbCredentials(connection or str(self.path))
        # without this DuckDB keeps what it has written until most of the memory is taken
        credentials.global_config = {"memory_limit": LOAD_MEMORY} if is_bounded else {}
        # one table at a time takes less memory, and no more time: DuckDB uses every core for it
        return dlt.destinations.duckdb(credentials, loader_parallelism_strategy="sequential")

    def _deliver(self, dlt_pipeline: Any, schema: str, largest: int) -> None:
        """Hold one connection: dlt opens a file again and again, and readers could slip in."""
        with closing(self.connect()) as connection:
            destination = self.dlt_destination(connection, is_bounded=largest <= USUAL_BATCH_BYTES)
            dlt_pipeline.load(destination, raise_on_failed_jobs=True)
