"""rep-ai run --publish: one DuckDB file with the marts, for those who only read.

What a folder of files (rep-ai export) has in common with it stands here too.
"""

import os
import re
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb

from rep_ai.errors import RepAiError
from rep_ai.landing.destinations import Destination, DuckDB, tables
from rep_ai.landing.destinations.duckdb import STORAGE
from rep_ai.warehouse.database import Database
from rep_ai.warehouse.manifest import Node
from rep_ai.words import one_line

# what copying takes beside that is on disk
MEMORY = "1GB"
# of this version or another; their schema is the project's choice
_MART = re.compile(r"(dim_|fct_)?rep_ai__\w+")


class PublishError(RepAiError):
    """A copy cannot be made."""

    joint = ": "


def bound(connection: Any) -> None:
    """Keep DuckDB from taking most of the machine's memory."""
    connection.execute(f"set memory_limit = '{MEMORY}'")
    connection.execute("set temp_directory = ?", [tempfile.gettempdir()])


def marts(database: Database, destination: Destination) -> list[Node]:
    """The marts; it is an error if there are none."""
    if found := database.marts():
        return found
    raise PublishError(
        f"there are no marts in {destination.name} yet", to_do="rep-ai run SOURCE, or dbt build"
    )


def quoted(text: object) -> str:
    """A literal of SQL, where a statement takes no parameter."""
    return "'" + str(text).replace("'", "''") + "'"


def to_disk(path: Path) -> None:
    """Flush to disk: a power failure could leave the new name with nothing behind it."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def check_copy(destination: Destination, path: Path) -> Path:
    """The absolute path of a file that a copy may replace; its folder is made."""
    if not isinstance(destination, DuckDB):
        raise PublishError(
            "--publish copies a DuckDB file; readers of a server disturb no run, and rep-ai export "
            "writes files"
        )
    path = path.resolve()
    if path == destination.path.resolve():
        raise PublishError(f"{path} is the database itself", to_do="name another file for its copy")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise PublishError(f"{path} is a folder", to_do="name a file for the copy")
    _check_former(path)
    return path


def _check_former(path: Path) -> None:
    """Nothing but a former copy may be replaced."""
    log = path.with_name(f"{path.name}.wal")
    if log.exists() and log.stat().st_size:
        raise PublishError(
            f"{log} holds what someone wrote to {path.name}",
            to_do="name another file for the copy",
        )
    if not path.exists():
        return
    with path.open("rb") as file:
        if file.read(12)[8:] != b"DUCK":
            raise PublishError(f"{path} is no DuckDB file", to_do="name another one for the copy")
    with closing(DuckDB(path).connect_to_read()) as connection:
        for schema, name in sorted(tables(connection.cursor())):
            if not _MART.fullmatch(name):
                raise PublishError(
                    f"{path} holds {schema}.{name}, so it is no copy of the marts",
                    to_do="name another file for the copy, or remove this one",
                )


def publish(destination: DuckDB, path: Path) -> None:
    """Replace a file by a copy of the marts, at once; the caller holds the lock.

    Whoever has the old file open keeps it. The marts are tables, since their own views name the
    database, which is the file's name. `show tables` looks into schema main alone, so it has a view
    of each. A kill leaves the old file, and a hidden one that the next copy removes.
    """
    new = path.with_name(f".{path.name}.new")
    try:
        _clear(new)
        with closing(destination.connect_to_read()) as connection:
            bound(connection)
            database = Database(connection, destination)
            connection.execute(
                f"attach {quoted(new)} as copy (read_write, storage_version '{STORAGE}')"
            )
            for mart in marts(database, destination):
                table = f'copy."{mart.schema}"."{mart.alias}"'
                connection.execute(f'create schema if not exists copy."{mart.schema}"')
                connection.execute(f"create table {table} as from {database[mart.name]}")
                _comment(connection, f"table {table}", mart.description)
                for name, column in mart.columns.items():
                    _comment(connection, f'column {table}."{name}"', column["description"])
            _show_in_main(connection, marts(database, destination))
            connection.execute("detach copy")
        # whoever opens it to write would keep all others out
        new.chmod(0o444)
        to_disk(new)
        # the run may have taken hours
        _check_former(path)
        # an empty log is nobody's
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
        new.replace(path)
        to_disk(path.parent)
    except duckdb.Error as error:
        raise PublishError(f"{path} cannot be written: {one_line(error)}") from None
    finally:
        _clear(new)


def _show_in_main(connection: Any, found: list[Node]) -> None:
    """Make a view of each mart in the schema where `show tables` looks, under any file's name."""
    (before,) = connection.execute("select current_database()").fetchone()
    # so the views do not name their database
    connection.execute("use copy")
    for mart in found:
        if mart.schema != "main":
            view, table = f'main."{mart.alias}"', f'"{mart.schema}"."{mart.alias}"'
            connection.execute(f"create view {view} as from {table}")
            _comment(connection, f"view {view}", mart.description)
    connection.execute('use "' + before.replace('"', '""') + '"')


def _clear(new: Path) -> None:
    for each in (new, new.with_name(f"{new.name}.wal")):
        each.unlink(missing_ok=True)


def _comment(connection: Any, what: str, text: str) -> None:
    """Describe a table, a column or a view, if there is something to say."""
    if words := one_line(text):
        connection.execute(f"comment on {what} is {quoted(words)}")
