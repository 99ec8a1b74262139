"""A folder of Parquet files, or a bucket of them, such that a reader meets whole files only.

dlt writes below `_loading/`, where no reader looks. When a load is whole, its files are moved into
the folders of their tables one by one, and the file that says so in `_dlt_loads` comes last: the
same filter as in a database hides what a kill leaves.
"""

import hashlib
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from glob import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
from fsspec.implementations.local import LocalFileSystem

from rep_ai.dump.format import RAW_TABLES
from rep_ai.landing.destinations.base import STALE_SECONDS
from rep_ai.landing.destinations.database import Database
from rep_ai.landing.errors import DestinationError, root_cause
from rep_ai.landing.urls import public

BUCKET_URL = "DESTINATION__FILESYSTEM__BUCKET_URL"
LOADING = "_loading"


class Filesystem(Database):
    """A folder or a bucket; a connection is a DuckDB in memory with a view for each table."""

    is_exclusive = False
    needs_sql = False
    settings: Mapping[str, Mapping[str, Any]] = {"data_writer": {"compression": "snappy"}}

    def __init__(self) -> None:
        """See where dlt's own variables lead."""
        url = os.environ.get(BUCKET_URL)
        # dlt knows another working folder
        self._url = url if not url or "://" in url else Path(url).absolute().as_uri()
        self._run = ""
        super().__init__("filesystem")
        self._fs, root = self.client.fs_client, str(self.client.bucket_path).rstrip("/")
        self._root = root.removesuffix(f"/{LOADING}")
        self._is_local = isinstance(self._fs, LocalFileSystem)
        # while the lock is held, files named so are of this run, or of one that was killed
        whose = f"{socket.gethostname()} {self.lock_path}"
        self._machine = hashlib.sha256(whose.encode()).hexdigest()[:8]

    def dlt_destination(self) -> Any:
        """A folder of its own for each load, which no reader looks into."""
        import dlt

        if not self._url:
            return dlt.destinations.filesystem()
        return dlt.destinations.filesystem(f"{self._url.rstrip('/')}/{LOADING}/{self._run}")

    def _deliver(self, dlt_pipeline: Any, schema: str, largest: int) -> None:
        self._begin()
        destination = self.dlt_destination()
        (loaded,) = dlt_pipeline.load(destination, raise_on_failed_jobs=True).load_packages
        self.complete(schema, loaded)

    def _begin(self) -> str:
        now = f"{time.time():.6f}"
        self._run = f"{now}.{self._machine}"
        return now

    def complete(self, schema: str, loaded: Any) -> None:
        """Move the files of a load to their tables, and then note that it is complete."""
        load_id = loaded.load_id
        for job in loaded.jobs["completed_jobs"]:
            table, file = job.job_file_info.table_name, job.job_file_info.file_id
            if not table.startswith("_dlt_"):
                written = f"{self._loading}/{schema}/{table}/{load_id}.{file}.parquet"
                self._move(written, schema, table, f"{load_id}.{self._machine}.{file}")
        row = {
            "load_id": load_id,
            "schema_name": loaded.schema_name,
            "status": 0,
            "inserted_at": datetime.now(UTC),
            "schema_version_hash": loaded.schema_hash,
        }
        rows = pa.Table.from_pylist([row], RAW_TABLES["_dlt_loads"])
        self._write(schema, "_dlt_loads", load_id, rows)

    @property
    def _loading(self) -> str:
        return f"{self._root}/{LOADING}/{self._run}"

    def _move(self, written: str, schema: str, table: str, name: str) -> None:
        """Show a file to readers; on a disk in one rename, in a bucket by a copy."""
        folder = f"{self._root}/{schema}/{table}"
        self._fs.makedirs(folder, exist_ok=True)
        self._fs.mv(written, f"{folder}/{name}.parquet")

    def _write(self, schema: str, table: str, name: str, rows: pa.Table) -> None:
        """Add a file to a table, and remove the folder of its load."""
        from pyarrow import parquet

        written = f"{self._loading}/{table}.parquet"
        self._fs.makedirs(self._loading, exist_ok=True)
        with self._fs.open(written, "wb") as file:
            parquet.write_table(rows, file)
        self._move(written, schema, table, f"{name}.{self._machine}")
        # in a bucket a folder ends with its last file
        with suppress(FileNotFoundError):
            self._fs.rm(self._loading, recursive=True)

    def append(self, cursor: Any, schema: str, table: str, rows: pa.Table) -> None:
        """Add rows to a raw table: one file, which is there as a whole."""
        self._write(schema, table, self._begin(), rows)
        self._show(cursor, schema, table)

    def replace(self, cursor: Any, schema: str, table: str, key: str, rows: pa.Table) -> None:
        """Add a row to a raw table: a file that bears its key, in place of the one before."""
        self._begin()
        self._write(schema, table, rows[key][0].as_py(), rows)
        self._show(cursor, schema, table)

    def add(self, cursor: Any, schema: str, missing: Mapping[str, pa.Schema]) -> None:
        """Make raw tables, or columns of raw tables: a file without rows."""
        for table, columns in missing.items():
            self.append(cursor, schema, table, columns.empty_table())

    def clear(self, cursor: Any, schema: str, tables: list[str]) -> None:
        """Remove files of loads that never completed, unless a run may still be writing them."""
        cursor.execute(f"select load_id from {self.place(cursor, schema, '_dlt_loads')}")
        completed = {load_id for (load_id,) in cursor.fetchall()}
        for folder in [LOADING, *(f"{schema}/{table}" for table in tables)]:
            for path in self._list(folder):
                if self._is_dead(path, completed):
                    self._fs.rm(path, recursive=True)
        for table in tables:
            self._show(cursor, schema, table)

    def _is_dead(self, path: str, completed: Any) -> bool:
        """Whether a file or folder is of an incomplete load that no run can still be writing."""
        seconds, fraction, machine, *_ = f"{path.rpartition('/')[2]}..".split(".")
        if f"{seconds}.{fraction}" in completed or not seconds.isdecimal():
            return False
        return machine == self._machine or int(seconds) < time.time() - STALE_SECONDS

    def _list(self, folder: str) -> list[str]:
        """Paths of the files in a folder."""
        self._fs.invalidate_cache()
        with suppress(FileNotFoundError):
            return sorted(self._fs.ls(f"{self._root}/{folder}", detail=False))
        return []

    def connect(self, schema: str = "") -> Any:
        """A DuckDB in memory with a view for each table that has files."""
        import duckdb

        connection = duckdb.connect()
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"create schema {schema}")
        if not self._is_local:
            connection.register_filesystem(self._fs)
        try:
            for folder in self._list(schema):
                self._show(connection, schema, folder.rpartition("/")[2])
        except Exception as error:
            raise DestinationError(public(root_cause(error)), where=self.name) from error
        return connection

    connect_to_read = connect

    def _show(self, cursor: Any, schema: str, table: str) -> None:
        """Make the view of a table."""
        files = [path for path in self._list(f"{schema}/{table}") if path.endswith(".parquet")]
        # other files there, such as the system's, may have any name
        view = f'{schema}."{table.replace(chr(34), chr(34) * 2)}"'
        if not files:
            cursor.execute(f"drop view if exists {view}")
            return
        scheme = "" if self._is_local else f"{urlsplit(self._url).scheme!s}://"
        listed = ", ".join("'" + (scheme + escape(p)).replace("'", "''") + "'" for p in files)
        cursor.execute(
            f"create or replace view {view} as "
            f"select * from read_parquet([{listed}], union_by_name = true)"
        )
