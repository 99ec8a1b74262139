"""A lock file that names its holder."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from rep_ai.landing.errors import DestinationError


@contextmanager
def file_lock(path: Path, of: str) -> Iterator[IO[str]]:
    """Hold a lock file while a `with` block runs.

    Args:
        path: the file, which is made.
        of: what it locks, as people read it.

    Raises:
        DestinationError: another run holds it, which is named, or it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise DestinationError(error.strerror or str(error), where=of) from None
    with file:
        _take(file, of)
        yield file


def _take(file: IO[str], of: str) -> None:
    """Lock the file, and write into it whose it is, which no library's lock does."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        # a holder that has only just come is still to write its name
        time.sleep(0.1)
        file.seek(0)
        raise DestinationError(
            f"another run holds {of}: {file.read().strip()}", to_do="wait until it has ended"
        ) from None
    except OSError as error:
        raise DestinationError(f"{file.name} cannot be locked: {error.strerror}") from None
    name = f"process {os.getpid()} on {socket.gethostname()} since {now()}\n"
    try:
        file.truncate(0)
        os.write(file.fileno(), name.encode())
    except OSError as error:
        raise DestinationError(error.strerror or str(error), where=file.name) from None
    # a dbt that outlives its run still holds the lock
    os.set_inheritable(file.fileno(), True)


def now() -> str:
    """The present as people read it, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
