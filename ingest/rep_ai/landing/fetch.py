"""Bring a file to disk, decompressed; compression is told by the first bytes, not the name."""

import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from io import BufferedReader
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from time import perf_counter
from typing import IO, Any
from weakref import WeakKeyDictionary

import zstandard
from isal import igzip, isal_zlib

from rep_ai.landing.errors import BrokenError, ChangedError, SourceError
from rep_ai.landing.sources import SourceFile, modified_at, moment
from rep_ai.landing.urls import why

MAX_DOCUMENT_BYTES = 16 << 30

# isal's types lack what is used here
_open_gzip: Any = igzip.IGzipFile
_GzipError: type[Exception] = isal_zlib.error  # type: ignore[assignment]
_GZIP = b"\x1f\x8b"
# a frame, or one to be skipped
_ZSTD = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")
_COPY_BYTES = 1 << 20
# four bytes may stand for 128 KiB
_ZSTD_BYTES = 4 << 10
_TOO_LARGE = "the document is larger than {:,} bytes; raise --max-bytes if that is right"
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# store -> seconds that the latest failed fetches in a row took
_lost_seconds: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
# seconds of failed fetches in a row after which the store is given up
_PATIENCE_SECONDS = 120


@contextmanager
def decompressed(file: SourceFile, max_bytes: int = MAX_DOCUMENT_BYTES) -> Iterator[Path]:
    """Bring a file to disk and decompress it, as its first bytes say.

    Args:
        file: the file as it was listed.
        max_bytes: size that its document may not exceed.

    Yields:
        The path of the document; it is gone afterwards unless it is the source itself.

    Raises:
        BrokenError: it cannot be decompressed, or it is larger than `max_bytes` then.
        SourceError: it cannot be read, or is not what was listed.
        ChangedError: it changed since it was opened.
    """
    with (
        # some drivers remove what they could not fetch
        TemporaryDirectory(prefix="rep_ai_") as folder,
        NamedTemporaryFile(prefix="rep_ai_") as document,
        ExitStack() as stack,
    ):
        try:
            path = Path(file.path) if file.is_local else Path(folder, "fetched")
            if not file.is_local:
                _fetch(file, str(path))
            raw = stack.enter_context(path.open("rb"))
            before = os.fstat(raw.fileno())
            opened = before.st_size, moment(before.st_mtime)
            if file.is_local and None not in file.state and file.state[1:] != opened:
                raise SourceError(file.url, "it changed since it was listed", "run again")
            is_compressed = _unpack(raw, document.file, max_bytes)
        except (BrokenError, SourceError):
            raise
        except Exception as error:
            is_full = isinstance(error, OSError) and error.errno in _DISK_FULL
            place = f" in {tempfile.gettempdir()} (TMPDIR names another folder)" if is_full else ""
            raise SourceError(file.url, why(error) + place) from error
        yield Path(document.name) if is_compressed else path
        after = os.fstat(raw.fileno())
        is_same = (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
        if file.is_local and not is_same:
            raise ChangedError(file.url)


def _fetch(file: SourceFile, path: str) -> None:
    """Bring a file to disk, and check that the store still lists the same state of it."""
    if _lost_seconds.get(file.fs, 0) > _PATIENCE_SECONDS:
        raise TimeoutError("not tried, since the store failed again and again; run again")
    started = perf_counter()
    try:
        file.fs.get_file(file.path, path)
        file.fs.invalidate_cache()
        info = file.fs.info(file.path)
    except Exception:
        _lost_seconds[file.fs] = _lost_seconds.get(file.fs, 0) + perf_counter() - started
        raise
    _lost_seconds.pop(file.fs, None)
    # a listing may tell more, and more precisely, than a question for a single file
    after = info.get("size"), modified_at(file.fs, info)
    for old, new in zip(file.state[1:], after, strict=True):
        both = [m.replace(microsecond=0) if isinstance(m, datetime) else m for m in (old, new)]
        if None not in both and both[0] != both[1]:
            raise ChangedError(file.url)


def _unpack(raw: BufferedReader, document: IO[bytes], max_bytes: int) -> bool:
    """Decompress a file, or raise BrokenError. Returns whether it was compressed at all."""
    start = raw.read(4)
    raw.seek(0)
    blocks = None
    if start.startswith(_GZIP):
        blocks = iter(partial(_open_gzip(fileobj=raw).read, _COPY_BYTES), b"")
    elif _ZSTD.match(start):
        blocks = _zstd_blocks(raw)
    try:
        if blocks is not None:
            _write(blocks, document, max_bytes)
        elif os.fstat(raw.fileno()).st_size > max_bytes:
            raise BrokenError(_TOO_LARGE.format(max_bytes))
    except BrokenError as error:
        raw.seek(0)
        error.digest = hashlib.file_digest(raw, "sha256").hexdigest()
        raise
    return blocks is not None


def _zstd_blocks(raw: IO[bytes]) -> Iterator[bytes]:
    # a stream reader would take the end of the file for the end of a frame
    frame = None
    while block := raw.read(_ZSTD_BYTES):
        while block:
            frame = frame or zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(block)
            block, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    if frame is not None:
        raise EOFError("the file ended within a frame")


def _write(blocks: Iterator[bytes], document: IO[bytes], max_bytes: int) -> None:
    size = 0
    try:
        for block in blocks:
            size += len(block)
            if size > max_bytes:
                raise BrokenError(_TOO_LARGE.format(max_bytes))
            document.write(block)
    except (EOFError, _GzipError, igzip.BadGzipFile, zstandard.ZstdError) as error:
        raise BrokenError(
            f"cannot be decompressed, it is damaged or cut short: {error}; ask for the dump again"
        ) from None
    document.flush()
