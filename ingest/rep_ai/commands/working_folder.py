"""The folder of a run's temporary files."""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from shutil import rmtree

from rep_ai.landing.destinations import Destination


@contextmanager
def working_folder(destination: Destination, schema: str) -> Iterator[None]:
    """Keep a run's temporary files in one folder, and remove those of one that was killed.

    Its name has database and schema, whose lock the caller holds, so what lies there is left over;
    and the machine, as several may share the parent. Not `rep_ai_run_*`: an older rep-ai removes
    those.
    """
    whose = f"{socket.gethostname()} {os.geteuid()} {destination.name} {schema}"
    folder = Path(tempfile.gettempdir()) / f"rep_ai_work_{sha256(whose.encode()).hexdigest()[:16]}"
    rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        rmtree(folder, ignore_errors=True)
