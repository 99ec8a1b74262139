"""rep-ai export: the marts as Parquet files with a manifest, in a folder."""

import hashlib
import json
from contextlib import closing, suppress
from pathlib import Path
from shutil import rmtree
from typing import Any

import duckdb
import pyarrow as pa

from rep_ai import project
from rep_ai.commands.publish import PublishError, bound, marts, quoted, to_disk
from rep_ai.landing.destinations import Destination, DuckDB
from rep_ai.warehouse import health
from rep_ai.warehouse.database import Database
from rep_ai.words import one_line

MANIFEST = "manifest.json"
# version of the manifest: one more with each change that readers have to know of
FORMAT = 1
# rows that are fetched at once from a server
ROWS = 20_000
# PostgreSQL's numbers of types, as DuckDB writes them; decimals take their digits along, and all
# others are text
NUMERIC = 1700
TYPES = {
    16: pa.bool_(),
    20: pa.int64(),
    23: pa.int32(),
    701: pa.float64(),
    1082: pa.date32(),
    1114: pa.timestamp("us"),
}


def export(destination: Destination, directory: Path) -> dict[str, Any]:
    """Replace a former export, or make a folder: a Parquet file (zstd) per mart, and a manifest.

    The folder is written beside, and takes the old one's place by two renames: for a moment there
    is none. The caller holds the lock. A kill leaves the old folder or the new one, whole, and
    hidden ones that the next export removes.

    Returns:
        The content of the manifest; sizes are in bytes.
    """
    directory = directory.resolve()
    new, old = (directory.with_name(f".{directory.name}.{which}") for which in ("new", "old"))
    if old.exists() and not directory.exists():
        # killed between the two renames
        old.rename(directory)
    _check_replaceable(directory)
    try:
        rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        manifest = _written(destination, new)
        for each in (*new.iterdir(), new):
            to_disk(each)
        rmtree(old, ignore_errors=True)
        if directory.exists():
            directory.rename(old)
        new.rename(directory)
        to_disk(directory.parent)
    except duckdb.Error as error:
        raise PublishError(f"{directory} cannot be written: {one_line(error)}") from None
    finally:
        rmtree(new, ignore_errors=True)
        rmtree(old, ignore_errors=True)
    return manifest


def _check_replaceable(directory: Path) -> None:
    """Nothing but a former export may be replaced."""
    if not directory.exists():
        return
    if not directory.is_dir():
        raise PublishError(f"{directory} is a file", to_do="name a folder for the export")
    known: set[str] = set()
    with suppress(OSError, ValueError, KeyError, TypeError):
        text = (directory / MANIFEST).read_text(encoding="utf-8")
        known = {MANIFEST, *(table["file"] for table in json.loads(text)["tables"])}
    if others := sorted({each.name for each in directory.iterdir()} - known):
        raise PublishError(
            f"{directory} holds {others[0]}, which is no part of an export",
            to_do="name a folder that is new, empty or a former export",
        )


def _written(destination: Destination, folder: Path) -> dict[str, Any]:
    """Write the marts, and the manifest, which is given back."""
    with closing(_opened(destination)) as connection:
        database = Database(connection, destination)
        if behind := database.models_behind():
            raise PublishError(health.unfinished_line(behind), to_do="dbt build first")
        described = []
        for mart in marts(database, destination):
            path = folder / f"{mart.name}.parquet"
            if isinstance(destination, DuckDB):
                connection.execute(
                    f"copy (from {database[mart.name]}) to {quoted(path)} "
                    "(format parquet, compression zstd)"
                )
            else:
                _fetch(connection, database[mart.name], path)
            described.append(_described(mart.name, path))
        deliveries = database.records(
            "select delivery_id, window_start_at, window_end_at from {int_rep_ai__deliveries} "
            "order by window_start_at, window_end_at, delivery_id"
        )
    manifest = {"format": FORMAT, "tables": described, "deliveries": deliveries}
    # times of the windows: as in 2026-03-01T06:00:00.000Z
    text = json.dumps(
        manifest, indent=2, default=lambda time: f"{time.isoformat(timespec='milliseconds')}Z"
    )
    (folder / MANIFEST).write_text(f"{text}\n", encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def _opened(destination: Destination) -> Any:
    """A connection with one view of the database from the first query to the last."""
    if isinstance(destination, DuckDB) and not destination.path.exists():
        raise PublishError(
            f"there is no {destination.name} yet", to_do=project.first_step(destination.name)
        )
    connection = destination.connect_to_read()
    if isinstance(destination, DuckDB):
        bound(connection)
    else:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
    return connection


def _fetch(connection: Any, relation: str, path: Path) -> None:
    """Write a table of PostgreSQL; its driver for Arrow gives decimals as text."""
    from pyarrow import parquet

    empty = connection.cursor()
    empty.execute(f"select * from {relation} limit 0")
    schema = pa.schema(
        [
            (
                column.name,
                pa.decimal128(column.precision, column.scale)
                if column.type_code == NUMERIC
                else TYPES.get(column.type_code, pa.string()),
            )
            for column in empty.description
        ]
    )
    with (
        parquet.ParquetWriter(path, schema, compression="zstd") as writer,
        connection.cursor(f"export_{path.stem}") as cursor,
    ):
        cursor.execute(f"select * from {relation}")
        while rows := cursor.fetchmany(ROWS):
            columns = zip(*rows, strict=True)
            arrays = [pa.array(c, kind) for c, kind in zip(columns, schema.types, strict=True)]
            writer.write_table(pa.table(arrays, schema))


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
