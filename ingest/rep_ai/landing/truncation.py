"""A file that is read in place and is cut short meanwhile: told in a line, not by a bus error."""

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from rep_ai.landing.errors import SourceError


@contextmanager
def truncation_told(url: str) -> Iterator[None]:
    """Say so where a file that is read in place is cut short: its lost pages kill the process.

    No Python code could go on from there, nor is there a need: what is not complete does not count.
    The handler is set by the C library, as Python's own run between two instructions, and this one
    is never got over.
    """
    error = SourceError(url, "it was truncated while it was read", "run again")
    line = f"rep-ai: {error}\n".encode(errors="backslashreplace")

    def end(_: int) -> None:
        os.write(2, line)
        os._exit(1)

    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(end)
    install = ctypes.CDLL(None).signal
    install.restype, install.argtypes = ctypes.c_void_p, (ctypes.c_int, ctypes.c_void_p)
    before = install(signal.SIGBUS, ctypes.cast(handler, ctypes.c_void_p))
    try:
        yield
    finally:
        install(signal.SIGBUS, before)
