"""A lock file that names its holder."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from rep_ai.landing.errors import DestinationError


@contextmanager
def file_lock(path: Path, of: str) -> Iterator[IO[str]]:
    """Hold a lock file during a `with` block; its holder is written in it, which no library does.

    Args:
        path: the file, which is made.
        of: what it locks, as people read it.

    Raises:
        DestinationError: another run holds it, which is named, or it cannot be made.
    """
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(path.open("a+", encoding="utf-8"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
            os.write(file.fileno(), f"{holder()}\n".encode())
        except BlockingIOError:
            # a holder that has only just taken it is still to write its name
            time.sleep(0.1)
            file.seek(0)
            raise DestinationError(
                f"another run holds {of}: {file.read().strip()}", to_do="wait until it has ended"
            ) from None
        except OSError as error:
            raise DestinationError(error.strerror or str(error), where=f"{of}: {path}") from None
        # a dbt that outlives its run still holds the lock
        os.set_inheritable(file.fileno(), True)
        yield file


def holder() -> str:
    """This process, as its locks name it."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return f"process {os.getpid()} on {socket.gethostname()} since {now}"
