"""What copies of the marts have in common, whether one file or a folder."""

import os
import tempfile
from pathlib import Path
from typing import Any

from rep_ai.errors import RepAiError
from rep_ai.landing.destinations import Destination
from rep_ai.warehouse.database import Database

# what copying takes beside that is on disk
MEMORY = "1GB"


class PublishError(RepAiError):
    """A copy cannot be made."""

    joint = ": "


def bound(connection: Any) -> None:
    """Keep DuckDB from taking most of the machine's memory."""
    connection.execute(f"set memory_limit = '{MEMORY}'")
    connection.execute("set temp_directory = ?", [tempfile.gettempdir()])


def marts(connection: Any, destination: Destination) -> list[str]:
    """Names of the marts that are there.

    Raises:
        PublishError: there are none.
    """
    names = Database(connection).marts()
    if not names:
        raise PublishError(
            f"there are no marts in {destination.name} yet", to_do="rep-ai run SOURCE, or dbt build"
        )
    return names


def to_disk(path: Path) -> None:
    """Else a power failure could leave the new name with nothing behind it."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
