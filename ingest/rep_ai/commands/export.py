"""rep-ai export: the marts as Parquet files with a manifest, in a folder."""

import ctypes
import errno
import hashlib
import json
import os
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from shutil import rmtree
from typing import Any

import duckdb
import pyarrow as pa

from rep_ai import project
from rep_ai.commands.copies import PublishError, bound, marts, to_disk
from rep_ai.landing.destinations import Destination, DuckDB, qualified
from rep_ai.warehouse import health
from rep_ai.warehouse.database import Database
from rep_ai.warehouse.names import CURRENT_DELIVERIES, INTERMEDIATE_SCHEMA, MARTS_SCHEMA
from rep_ai.words import one_line

MANIFEST = "manifest.json"
# of the manifest: to be counted up where a reader has to know
FORMAT = 1
# rows that are fetched at once from a server
ROWS = 20_000


_INCLUDED = "select delivery_id, window_start_at, window_end_at from {table} "
_INCLUDED += "order by window_start_at, window_end_at, delivery_id"


def export(destination: Destination, directory: Path) -> dict[str, Any]:
    """Replace a folder by one with a Parquet file (zstd) per mart and a manifest.

    The folder is written beside and exchanged for the old one: at once on Linux and macOS, else
    within the moment between two renames. The caller holds the lock. A kill leaves the old folder,
    and a hidden one that the next export removes.

    Args:
        destination: the database.
        directory: the folder, which is made, or replaced if it is a former export.

    Returns:
        The content of the manifest; sizes are in bytes.

    Raises:
        DestinationError, PublishError: the database or the folder cannot be used.
    """
    directory = directory.resolve()
    _check_replaceable(directory)
    new = directory.with_name(f".{directory.name}.new")
    rmtree(new, ignore_errors=True)
    try:
        new.mkdir(parents=True)
        with closing(_opened(destination)) as connection:
            if behind := Database(connection).models_behind():
                raise PublishError(health.unfinished_line(behind), to_do="dbt build first")
            manifest = {
                "format": FORMAT,
                "tables": [
                    _described(name, _write(destination, connection, name, new))
                    for name in marts(connection, destination)
                ],
                "deliveries": _included(connection),
            }
        written = new / MANIFEST
        written.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        for each in (*new.iterdir(), new):
            to_disk(each)
        _exchange(new, directory)
        to_disk(directory.parent)
    except duckdb.Error as error:
        raise PublishError(f"{directory} cannot be written: {one_line(error)}") from None
    finally:
        rmtree(new, ignore_errors=True)
    return manifest


def _check_replaceable(directory: Path) -> None:
    """Nothing but a former export may be replaced."""
    if not directory.exists():
        return
    if not directory.is_dir():
        raise PublishError(f"{directory} is a file", to_do="name a folder for the export")
    found = {each.name for each in directory.iterdir()}
    known: set[str] = set()
    with suppress(OSError, ValueError, KeyError, TypeError):
        text = (directory / MANIFEST).read_text(encoding="utf-8")
        known = {MANIFEST, *(table["file"] for table in json.loads(text)["tables"])}
    if others := sorted(found - known):
        raise PublishError(
            f"{directory} holds {others[0]}, which is no part of an export",
            to_do="name a folder that is new, empty or a former export",
        )


def _opened(destination: Destination) -> Any:
    """A connection with one view of the database from the first query to the last."""
    if not isinstance(destination, DuckDB):
        connection = destination.connect()
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
        return connection
    if not destination.path.exists():
        raise PublishError(
            f"there is no {destination.name} yet", to_do=project.first_step(destination.name)
        )
    connection = destination.connect_to_read()
    bound(connection)
    return connection


def _write(destination: Destination, connection: Any, name: str, folder: Path) -> Path:
    from pyarrow import parquet

    path = folder / f"{name}.parquet"
    relation = f"{qualified(connection.cursor(), MARTS_SCHEMA)}.{name}"
    if isinstance(destination, DuckDB):
        quoted = str(path).replace("'", "''")
        connection.execute(
            f"copy (from {relation}) to '{quoted}' (format parquet, compression zstd)"
        )
        return path
    schema = _arrow_schema(connection, name)
    with (
        parquet.ParquetWriter(path, schema, compression="zstd") as writer,
        connection.cursor(f"export_{name}") as cursor,
    ):
        cursor.execute(f"select {', '.join(schema.names)} from {relation}")
        while rows := cursor.fetchmany(ROWS):
            columns = zip(*rows, strict=True)
            arrays = [pa.array(c, kind) for c, kind in zip(columns, schema.types, strict=True)]
            writer.write_table(pa.table(arrays, schema))
    return path


def _arrow_schema(connection: Any, name: str) -> pa.Schema:
    """The columns of a table of PostgreSQL, with the types that DuckDB writes."""
    types: dict[str, Callable[[int, int], pa.DataType]] = {
        "bigint": lambda *_: pa.int64(),
        "integer": lambda *_: pa.int32(),
        "boolean": lambda *_: pa.bool_(),
        "date": lambda *_: pa.date32(),
        "double precision": lambda *_: pa.float64(),
        "numeric": pa.decimal128,
        "timestamp without time zone": lambda *_: pa.timestamp("us"),
    }
    cursor = connection.cursor()
    cursor.execute(
        "select column_name, data_type, numeric_precision, numeric_scale "
        "from information_schema.columns where table_catalog = current_database() "
        f"and table_schema = '{MARTS_SCHEMA}' and table_name = %s order by ordinal_position",
        (name,),
    )
    return pa.schema(
        [
            (column, types[kind](*numbers) if kind in types else pa.string())
            for column, kind, *numbers in cursor.fetchall()
        ]
    )


def _described(name: str, path: Path) -> dict[str, Any]:
    from pyarrow import parquet

    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with parquet.ParquetFile(path) as written:
        rows, schema = written.metadata.num_rows, written.schema_arrow
    return {
        "name": name,
        "file": path.name,
        "rows": rows,
        "bytes": path.stat().st_size,
        "sha256": digest,
        "columns": [{"name": field.name, "type": str(field.type)} for field in schema],
    }


def _included(connection: Any) -> list[dict[str, str]]:
    """The deliveries that the marts are made of, in the order of their windows."""
    rows = Database(connection).rows(INTERMEDIATE_SCHEMA, CURRENT_DELIVERIES, _INCLUDED)
    return [
        {
            "delivery_id": delivery_id,
            "window_start_at": f"{start.isoformat(timespec='milliseconds')}Z",
            "window_end_at": f"{end.isoformat(timespec='milliseconds')}Z",
        }
        for delivery_id, start, end in rows
    ]


def _exchange(new: Path, directory: Path) -> None:
    """Put a folder in another one's place; the old one is left in its own, or removed."""
    if not directory.exists():
        new.rename(directory)
    elif not _exchanged_at_once(new, directory):
        old = directory.with_name(f".{directory.name}.old")
        rmtree(old, ignore_errors=True)
        directory.rename(old)
        new.rename(directory)
        rmtree(old, ignore_errors=True)


def _exchanged_at_once(one: Path, other: Path) -> bool:
    """Whether the system could exchange two names in one step, for which Python has no call."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = (os.fsencode(one), os.fsencode(other))
    if sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        failed = libc.renamex_np(*names, 2)
    elif hasattr(libc, "renameat2"):
        here = -100
        failed = libc.renameat2(here, names[0], here, names[1], 2)
    else:
        return False
    if failed and ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(other))
    return not failed
