"""Copies of the marts for those who only read: one DuckDB file, or Parquet with a manifest."""

import ctypes
import errno
import hashlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from shutil import rmtree
from typing import Any

import duckdb
import pyarrow as pa

from rep_ai import project
from rep_ai.console.run_summary import INTERMEDIATE_SCHEMA, MARTS_SCHEMA, Database
from rep_ai.landing.destinations import DUCKDB_STORAGE, Destination, DuckDB, qualified, tables

MANIFEST = "manifest.json"
# of the manifest: to be counted up where a reader has to know
FORMAT = 1
# what copying takes beside that is on disk
MEMORY = "1GB"
# rows that are fetched at once from a server
ROWS = 20_000

# of this version or another
_MART = re.compile(r"(dim_|fct_)?rep_ai__\w+")

_INCLUDED = "select delivery_id, window_start_at, window_end_at from {table} "
_INCLUDED += "order by window_start_at, window_end_at, delivery_id"


class PublishError(Exception):
    """A copy cannot be made; the message says why and what to do, on one line."""


# ------------------------------------------------------------------------------- one DuckDB file


def check_copy(destination: Destination, path: Path) -> Path:
    """The absolute path that a copy can have; its folder is made.

    Raises:
        DestinationError, PublishError: the database is a server, or something else is there that
            must not go.
    """
    if not isinstance(destination, DuckDB):
        raise PublishError(
            "--publish copies a DuckDB file; readers of a server disturb no run, and rep-ai export "
            "writes files"
        )
    path = path.resolve()
    if path == destination.path.resolve():
        raise PublishError(f"{path} is the database itself: name another file for its copy")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise PublishError(f"{path} is a folder: name a file for the copy")
    _check_former(path)
    return path


def _check_former(path: Path) -> None:
    """Nothing but a former copy may be replaced."""
    log = path.with_name(f"{path.name}.wal")
    if log.exists() and log.stat().st_size:
        raise PublishError(
            f"{log} holds what someone wrote to {path.name}: name another file for the copy"
        )
    if not path.exists():
        return
    with path.open("rb") as file:
        if file.read(12)[8:] != b"DUCK":
            raise PublishError(f"{path} is no DuckDB file: name another one for the copy")
    with closing(DuckDB(path).look()) as connection:
        others = [
            f"{schema}.{name}"
            for schema, name in sorted(tables(connection.cursor()))
            if schema != MARTS_SCHEMA or not _MART.fullmatch(name)
        ]
    if others:
        raise PublishError(
            f"{path} holds {others[0]}, so it is no copy of the marts: name another file for the "
            "copy, or remove this one"
        )


def publish(destination: DuckDB, path: Path, manifest: Path) -> None:
    """Replace a file by a copy of the marts, at once; the caller holds the lock.

    Whoever has the old file open keeps it. Tables only: a view names its database, which is the
    file's name. A kill leaves the old file, and a hidden one that the next copy removes.

    Args:
        destination: the database.
        path: the file, as `check_copy` gives it.
        manifest: dbt's, from which tables and columns have their descriptions.

    Raises:
        DestinationError, PublishError: the database or the copy cannot be used.
    """
    new = path.with_name(f".{path.name}.new")
    try:
        _clear(new)
        with closing(destination.look()) as connection:
            _bound(connection)
            quoted = str(new).replace("'", "''")
            connection.execute(
                f"attach '{quoted}' as copy (read_write, storage_version '{DUCKDB_STORAGE}')"
            )
            connection.execute(f"create schema copy.{MARTS_SCHEMA}")
            source = qualified(connection.cursor(), MARTS_SCHEMA)
            for name in _marts(connection, destination):
                connection.execute(
                    f"create table copy.{MARTS_SCHEMA}.{name} as from {source}.{name}"
                )
                for statement in _comments(manifest, name):
                    connection.execute(f"comment on {statement}")
            connection.execute("detach copy")
        # whoever opens it to write would keep all others out
        new.chmod(0o444)
        _to_disk(new)
        # the run may have taken hours
        _check_former(path)
        # an empty log is nobody's
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
        new.replace(path)
        _to_disk(path.parent)
    except duckdb.Error as error:
        raise PublishError(f"{path} cannot be written: {' '.join(str(error).split())}") from None
    finally:
        _clear(new)


def _clear(new: Path) -> None:
    for each in (new, new.with_name(f"{new.name}.wal")):
        each.unlink(missing_ok=True)


def _bound(connection: Any) -> None:
    connection.execute(f"set memory_limit = '{MEMORY}'")
    connection.execute("set temp_directory = ?", [tempfile.gettempdir()])


def _marts(connection: Any, destination: Destination) -> list[str]:
    names = Database(connection).marts()
    if not names:
        raise PublishError(
            f"there are no marts in {destination.name} yet: rep-ai run SOURCE, or dbt build"
        )
    return names


def _comments(manifest: Path, name: str) -> Iterator[str]:
    """What a table and its columns are, as the end of SQL statements."""
    nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"]
    node = nodes.get(f"model.rep_ai.{name}", {"description": "", "columns": {}})
    table = f"copy.{MARTS_SCHEMA}.{name}"
    described = [("table", table, node)]
    described += [
        ("column", f'{table}."{column["name"]}"', column) for column in node["columns"].values()
    ]
    for kind, what, thing in described:
        if text := " ".join(thing["description"].split()):
            yield "{} {} is '{}'".format(kind, what, text.replace("'", "''"))


# -------------------------------------------------------------------------- Parquet and a manifest


def export(destination: Destination, directory: Path) -> dict[str, Any]:
    """Replace a folder by one with a Parquet file (zstd) per mart and a manifest; its content.

    The folder is written beside and exchanged for the old one: at once on Linux and macOS, else
    within the moment between two renames. The caller holds the lock. A kill leaves the old folder,
    and a hidden one that the next export removes.

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
                raise PublishError(
                    f"the last build did not finish, {', '.join(behind)} "
                    f"{'is' if len(behind) == 1 else 'are'} as before: dbt build first"
                )
            manifest = {
                "format": FORMAT,
                "tables": [
                    _described(name, _write(destination, connection, name, new))
                    for name in _marts(connection, destination)
                ],
                "deliveries": _included(connection),
            }
        written = new / MANIFEST
        written.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        for each in (*new.iterdir(), new):
            _to_disk(each)
        _exchange(new, directory)
        _to_disk(directory.parent)
    except duckdb.Error as error:
        reason = " ".join(str(error).split())
        raise PublishError(f"{directory} cannot be written: {reason}") from None
    finally:
        rmtree(new, ignore_errors=True)
    return manifest


def _check_replaceable(directory: Path) -> None:
    """Nothing but a former export may be replaced."""
    if not directory.exists():
        return
    if not directory.is_dir():
        raise PublishError(f"{directory} is a file: name a folder for the export")
    found = {each.name for each in directory.iterdir()}
    known: set[str] = set()
    with suppress(OSError, ValueError, KeyError, TypeError):
        text = (directory / MANIFEST).read_text(encoding="utf-8")
        known = {MANIFEST, *(table["file"] for table in json.loads(text)["tables"])}
    if others := sorted(found - known):
        raise PublishError(
            f"{directory} holds {others[0]}, which is no part of an export: name a folder that is "
            "new, empty or a former export"
        )


def _opened(destination: Destination) -> Any:
    """A connection with one view of the database from the first query to the last."""
    if not isinstance(destination, DuckDB):
        connection = destination.connect()
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
        return connection
    if not destination.path.exists():
        step = project.first_step(destination.name)
        raise PublishError(f"there is no {destination.name} yet: {step}")
    connection = destination.look()
    _bound(connection)
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
    rows = Database(connection).rows(INTERMEDIATE_SCHEMA, "int_rep_ai__deliveries", _INCLUDED)
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
    """Whether the system could exchange two names in one step."""
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


def _to_disk(path: Path) -> None:
    """Else a power failure could leave the new name with nothing behind it."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
