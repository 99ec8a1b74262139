"""What copies of the marts have in common, whether one file or a folder."""

import os
import tempfile
from pathlib import Path
from typing import Any

from rep_ai.errors import RepAiError
from rep_ai.landing.destinations import Destination
from rep_ai.warehouse.database import Database
from rep_ai.warehouse.manifest import Node

# what copying takes beside that is on disk
MEMORY = "1GB"


class PublishError(RepAiError):
    """A copy cannot be made."""

    joint = ": "


def bound(connection: Any) -> None:
    """Keep DuckDB from taking most of the machine's memory."""
    connection.execute(f"set memory_limit = '{MEMORY}'")
    connection.execute("set temp_directory = ?", [tempfile.gettempdir()])


def marts(database: Database, destination: Destination) -> list[Node]:
    """The marts that are there.

    Raises:
        PublishError: there are none.
    """
    if found := database.marts():
        return found
    raise PublishError(
        f"there are no marts in {destination.name} yet", to_do="rep-ai run SOURCE, or dbt build"
    )


def quoted(text: object) -> str:
    """A literal of SQL, where a statement takes no parameter."""
    return "'" + str(text).replace("'", "''") + "'"


def to_disk(path: Path) -> None:
    """Else a power failure could leave the new name with nothing behind it."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
