"""Find dump files on any store that fsspec knows, and bring one to disk, decompressed."""

import ctypes
import errno
import hashlib
import logging
import math
import os
import re
import signal
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from fnmatch import fnmatch
from functools import partial
from glob import iglob
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile, TemporaryDirectory
from threading import Thread
from time import perf_counter
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import fsspec
import zstandard
from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractFileSystem
from isal import igzip, isal_zlib

PATTERNS = ("*.json", "*.json.gz", "*.json.zst")
MAX_DOCUMENT_BYTES = 16 << 30

# isal's types say less than it does
_open_gzip: Any = igzip.IGzipFile
_GzipError: type[Exception] = isal_zlib.error  # type: ignore[assignment]
_GZIP = b"\x1f\x8b"
# a frame, or one to be skipped
_ZSTD = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")
_COPY_BYTES = 1 << 20
# four bytes may stand for 128 KiB
_ZSTD_BYTES = 4 << 10
# names under which the stores of fsspec tell when a file was last written
_MODIFIED = ("mtime", "LastModified", "last_modified", "Last-Modified", "updated", "modified")
_CHANGED = "it changed while it was read; run again"
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# store -> what the latest failed fetches in a row have cost
_lost_seconds: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
# first contact with a store; its driver may try again for longer
_CONNECT_SECONDS = 60
# what failed fetches in a row may cost before the store's other files are not tried
_PATIENCE_SECONDS = 120
# seconds without a byte after which a connection is dead
_SILENCE_SECONDS = 60
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_CACHED = re.compile(rf"\w+::{_SCHEME.pattern}")
# a password may hold what should have been escaped, but a port is none
_URL = re.compile(
    rf"({_SCHEME.pattern})(?:[^/?#\s'\"<>]*@|[^/:?#@\s'\"<>]*:(?!\d*/)[^@\s'\"<>]*@)?"
    r"([^?#\s'\"<>]*)(?:\?([^\s'\"<>]*)|#[^\s'\"<>]*)?"
)


_NO_URL = (
    "this is no URL; where it names a user, write / as %2F, ? as %3F, # as %23 and @ as %40 in all "
    "else"
)
# stores whose drivers take the user for a part of the bucket's name
_USERLESS = {"s3", "s3a", "gs", "gcs"}


class SourceError(Exception):
    """A source or a file that cannot be had; the message says which and why, on one line."""

    def __init__(self, where: str, why: str) -> None:
        """Keep names with line breaks on the line."""
        line = f"{where or repr('')}: {why}"
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in line))


class ChangedError(SourceError):
    """A file that changed while it was read: what it gave does not hold."""


class BrokenError(Exception):
    """A file that cannot be decompressed; the message says why.

    Attributes:
        digest: SHA-256 of the bytes as they lie in the store, in hexadecimal.
    """

    digest = ""


@dataclass(frozen=True)
class SourceFile:
    """A file as a store lists it.

    Attributes:
        url: where it is, without credentials; bytes that are not UTF-8 are escaped.
        size: bytes, or None where the store does not tell.
        modified_at: UTC without zone, to the microsecond, or None.
    """

    url: str
    size: int | None
    modified_at: datetime | None
    fs: Any
    path: str

    @property
    def is_local(self) -> bool:
        """Whether it can be read where it is."""
        return isinstance(self.fs, LocalFileSystem)


def find(sources: Sequence[str], patterns: Sequence[str] = PATTERNS) -> list[SourceFile]:
    """List the dump files of all sources, each once, in the order of their URLs.

    Args:
        sources: files, folders, globs or URLs of them; files count whatever their names.
        patterns: names of the files that count in a folder.

    Raises:
        SourceError: a source is not there, cannot be listed, or holds no dump file.
    """
    files: dict[tuple[str, str], SourceFile] = {}
    for source in sources:
        try:
            found = list(_find(source, patterns))
        except SourceError:
            raise
        except Exception as error:
            raise SourceError(_public(source), why(error)) from error
        if not found:
            raise SourceError(
                _public(source),
                f"no dump file here (looked for {', '.join(patterns)}); "
                "check the path, or name the files with --pattern",
            )
        # names that differ may have one URL
        files.update(((file.url, file.path), file) for file in found)
    return [files[name] for name in sorted(files)]


def _find(source: str, patterns: Sequence[str]) -> Iterator[SourceFile]:
    path = re.sub("^(file|local):(//)?", "", source)
    # a local name may look like a URL
    local = source if os.path.lexists(source) else path
    if os.path.lexists(local) or not _SCHEME.match(local):
        if _CACHED.match(local) and not os.path.lexists(local):
            raise SourceError(local.partition("::")[0], "name the store itself, no cache before it")
        yield from _find_locally(local, patterns)
        return
    for link in source.split("::"):
        _check(link)
    _prepare_drivers()
    fs, path = _answer(partial(fsspec.core.url_to_fs, source))
    # listings may be cached from an earlier look
    fs.invalidate_cache()
    try:
        # a path that exists is meant as it stands, brackets and all
        infos = [_answer(partial(fs.info, path))]
    except FileNotFoundError as error:
        infos = list(fs.glob(path, detail=True).values()) if _is_glob(path) else []
        if not infos and (error.__cause__ or not _is_glob(path)):
            raise
    # else a folder that cannot be read would pass for an empty one
    strict = {"on_error": "raise"} if type(fs).find is AbstractFileSystem.find else {}
    for info in infos:
        inside = [info]
        if info["type"] == "directory":
            listed = fs.find(info["name"], detail=True, **strict).values()
            inside = [i for i in listed if _matches(PurePosixPath(i["name"]).name, patterns)]
        for file in inside:
            if file["type"] == "file":
                yield SourceFile(
                    url=_url(fs, source, file["name"]),
                    size=file.get("size"),
                    modified_at=_modified_at(fs, file),
                    fs=fs,
                    path=file["name"],
                )


def _check(url: str) -> None:
    """Refuse a URL that a driver would misread, and tell parts of a password then."""
    scheme = f"{url.partition('://')[0]}://" if "@" in url else url
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise SourceError(scheme, _NO_URL) from None
    has_user = "@" in parts.netloc
    if has_user and "@" in url.partition(parts.netloc)[2]:
        raise SourceError(scheme, _NO_URL)
    if has_user and parts.scheme in _USERLESS:
        raise SourceError(
            scheme, "such a URL takes no user or password: they come from the store's own settings"
        )


def _prepare_drivers() -> None:
    """Set what the drivers of stores leave open; fsspec's own configuration goes before."""
    import aiohttp

    # what fails is told once, in one line, not by logged tracebacks too
    logging.getLogger().addHandler(logging.NullHandler())
    # a look at the kind of a bucket, which takes a minute where gRPC is blocked
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    # a large file may take longer than the five minutes that aiohttp gives to any answer
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=_SILENCE_SECONDS, sock_read=_SILENCE_SECONDS
    )
    for protocol, name in (("http", "client_kwargs"), ("gs", "session_kwargs")):
        settings = fsspec.config.conf.setdefault(protocol, {})
        settings[name] = {"timeout": timeout} | settings.get(name, {})


def _answer(ask: Callable[[], Any]) -> Any:
    """What a store says, if it does so in time; the driver's thread is left to itself else."""
    said: list[Any] = []
    failed: list[BaseException] = []

    def listen() -> None:
        try:
            said.append(ask())
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=listen, daemon=True)
    thread.start()
    thread.join(_CONNECT_SECONDS)
    if failed:
        raise failed[0]
    if not said:
        raise TimeoutError(f"no answer within {_CONNECT_SECONDS} seconds; is the store reachable?")
    return said[0]


def _find_locally(path: str, patterns: Sequence[str]) -> Iterator[SourceFile]:
    if not os.path.lexists(path):
        path = os.path.expanduser(path)  # noqa: PTH111
    if os.path.lexists(path):
        matches = [path]
    elif _is_glob(path):
        matches = list(iglob(path, recursive=True))  # noqa: PTH207
    else:
        raise FileNotFoundError
    fs = LocalFileSystem()
    for match in (Path(name).absolute() for name in matches):
        for found in _walk(match, patterns) if match.is_dir() else [match]:
            url, path = _storable(f"file://{found}"), str(found)
            try:
                status = found.stat()
            except OSError:
                # what is wrong is told when it is read
                yield SourceFile(url, None, None, fs, path)
                continue
            if stat.S_ISREG(status.st_mode):
                yield SourceFile(url, status.st_size, _moment(status.st_mtime), fs, path)


def _walk(folder: Path, patterns: Sequence[str]) -> Iterator[Path]:
    """The files below a folder; links to folders are followed, but no folder is seen twice."""

    def refuse(error: OSError) -> None:
        raise error

    seen = set()
    for parent, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        status = Path(parent).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        # links last
        folders.sort(key=lambda name: (Path(parent, name).is_symlink(), name))
        yield from (Path(parent, name) for name in names if _matches(name, patterns))


def _is_glob(path: str) -> bool:
    return any(character in path for character in "*?[")


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _url(fs: Any, source: str, path: str) -> str:
    first, chain, rest = source.partition("::")
    host = urlsplit(first).netloc.rpartition("@")[2]
    if "://" in path:
        url = _public(path)
    elif "host" in fs.storage_options:
        # such a store does not name its host in its paths
        url = f"{urlsplit(first).scheme}://{host}/{path.lstrip('/')}"
    else:
        url = str(fs.unstrip_protocol(path))
    return _storable(url + chain + _public(rest))


def _storable(url: str) -> str:
    return url.encode(errors="backslashreplace").decode().replace("\0", "")


def _public(url: str) -> str:
    """URLs without user, password and query, on one line; one query still differs from another."""

    def cleared(match: re.Match[str]) -> str:
        scheme, rest, query = match.groups()
        mark = "?" + hashlib.sha256(query.encode()).hexdigest()[:16] if query else ""
        return f"{scheme}{rest}{mark}"

    return "::".join(_URL.sub(cleared, link) for link in url.split("::"))


def _modified_at(fs: Any, info: dict[str, Any]) -> datetime | None:
    told = [info[key] for key in _MODIFIED if info.get(key) is not None]
    if not told and type(fs).modified is not AbstractFileSystem.modified:
        told = [fs.modified(info["name"])]
    return _moment(told[0]) if told else None


def _moment(value: Any) -> datetime | None:
    """A time as a store tells it: UTC without zone, or None where it cannot be read."""
    try:
        if isinstance(value, str):
            reads = parsedate_to_datetime if "," in value else datetime.fromisoformat
            value = reads(value)
        elif isinstance(value, int | float) and math.isfinite(value):
            value = datetime.fromtimestamp(value, UTC)
        if isinstance(value, datetime):
            return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    except (ValueError, OverflowError, OSError):
        pass
    return None


def why(error: BaseException) -> str:
    """The error in words, without credentials, on one line."""
    if isinstance(error, ImportError):
        return f"{error}; install it beside rep-ai"
    if isinstance(error, FileNotFoundError):
        # some stores say so whatever went wrong
        return why(error.__cause__) if error.__cause__ else "no such file or folder"
    said = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return " ".join(_public(said).split())


@contextmanager
def decompressed(file: SourceFile, max_bytes: int = MAX_DOCUMENT_BYTES) -> Iterator[Path]:
    """Bring a file to disk and decompress it, as its first bytes say.

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
            before = _state(raw)
            listed = file.size, file.modified_at
            opened = before.size, _moment(os.fstat(raw.fileno()).st_mtime)
            if file.is_local and None not in listed and listed != opened:
                raise SourceError(file.url, "it changed since it was listed; run again")
            if blocks := _decompressed_blocks(raw):
                path = Path(document.name)
                _write(blocks, document.file, max_bytes)
            elif before.size > max_bytes:
                raise BrokenError(_too_large(max_bytes))
        except BrokenError as error:
            raw.seek(0)
            error.digest = hashlib.file_digest(raw, "sha256").hexdigest()
            raise
        except SourceError:
            raise
        except OSError as error:
            place = f" in {tempfile.gettempdir()} (TMPDIR names another folder)"
            raise SourceError(file.url, why(error) + place * (error.errno in _DISK_FULL)) from error
        except Exception as error:
            raise SourceError(file.url, why(error)) from error
        if file.is_local and path == Path(file.path):
            stack.enter_context(_truncation_told(file))
        yield path
        if file.is_local and _state(raw) != before:
            raise ChangedError(file.url, _CHANGED)


def _fetch(file: SourceFile, path: str) -> None:
    """Bring a file to disk.

    Raises:
        ChangedError: the store lists another state of it by then.
        Exception: whatever the driver raises.
    """
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
    # a listing may tell more, and more precisely, than what is said of a single file
    after = info.get("size"), _modified_at(file.fs, info)
    for old, new in zip((file.size, file.modified_at), after, strict=True):
        both = [m.replace(microsecond=0) if isinstance(m, datetime) else m for m in (old, new)]
        if None not in both and both[0] != both[1]:
            raise ChangedError(file.url, _CHANGED)


@contextmanager
def _truncation_told(file: SourceFile) -> Iterator[None]:
    """Say so where a file that is read in place is cut short: its lost pages kill the process.

    No Python code could go on from there, nor is there a need: what is not complete does not count.
    """
    line = f"rep-ai: {SourceError(file.url, 'it was truncated while it was read; run again')}\n"

    def end(_: int) -> None:
        os.write(2, line.encode(errors="backslashreplace"))
        os._exit(1)

    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(end)
    # Python's own handlers run between two instructions, and this one is never got over
    install = ctypes.CDLL(None).signal
    install.restype, install.argtypes = ctypes.c_void_p, (ctypes.c_int, ctypes.c_void_p)
    before = install(signal.SIGBUS, ctypes.cast(handler, ctypes.c_void_p))
    try:
        yield
    finally:
        install(signal.SIGBUS, before)


class _State(NamedTuple):
    size: int
    modified_at: int


def _state(file: IO[bytes]) -> _State:
    status = os.fstat(file.fileno())
    return _State(status.st_size, status.st_mtime_ns)


def _decompressed_blocks(raw: IO[bytes]) -> Iterator[bytes] | None:
    """The content of a compressed file, else None."""
    start = raw.read(4)
    raw.seek(0)
    if start.startswith(_GZIP):
        return iter(partial(_open_gzip(fileobj=raw).read, _COPY_BYTES), b"")
    return _zstd_blocks(raw) if _ZSTD.match(start) else None


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
                raise BrokenError(_too_large(max_bytes))
            document.write(block)
    except (EOFError, _GzipError, igzip.BadGzipFile, zstandard.ZstdError) as error:
        raise BrokenError(
            f"cannot be decompressed, it is damaged or cut short: {error}; ask for the night again"
        ) from None
    document.flush()


def _too_large(max_bytes: int) -> str:
    return f"the document is larger than {max_bytes:,} bytes; raise --max-bytes if that is right"
