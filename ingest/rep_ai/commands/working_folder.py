"""The folder of a run's temporary files."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree

# how the names of the folders begin
WORKING = "rep_ai_run_"


@contextmanager
def working_folder() -> Iterator[None]:
    """Keep the run's temporary files in one folder, and remove those of runs that were killed.

    A lock tells the two apart, as the number of a process does not: containers share folders, and
    numbers come again.
    """
    parent = Path(tempfile.gettempdir())
    for stale in parent.glob(f"{WORKING}*"):
        _remove_unheld(stale)
    with _held_folder() as folder:
        before, tempfile.tempdir = tempfile.tempdir, folder
        try:
            yield
        finally:
            tempfile.tempdir = before


@contextmanager
def _held_folder() -> Iterator[str]:
    while True:
        folder = tempfile.mkdtemp(prefix=WORKING)
        # the lock ends with the process, however that ends
        with suppress(FileNotFoundError):
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(held, fcntl.LOCK_EX)
            if os.fstat(held).st_nlink:
                break
            os.close(held)
        # a run that has just begun took it for a stale one
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)
        os.close(held)


def _remove_unheld(folder: Path) -> None:
    with suppress(OSError):
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(held).st_uid == os.geteuid():
                rmtree(folder, ignore_errors=True)
        finally:
            os.close(held)
