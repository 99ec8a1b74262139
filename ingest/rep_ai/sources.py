"""Find dump files on any store that fsspec knows, and bring one to disk, decompressed."""

import gzip
import hashlib
import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile
from typing import IO, Any
from urllib.parse import urlsplit, urlunsplit

import fsspec
import zstandard
from fsspec.implementations.local import LocalFileSystem

PATTERNS = ("*.json", "*.json.gz", "*.json.zst")
MAX_DOCUMENT_BYTES = 16 << 30

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_COPY_BYTES = 1 << 20
# names under which the stores of fsspec tell when a file was last written
_MODIFIED = ("mtime", "LastModified", "last_modified", "updated", "modified")


class SourceError(Exception):
    """A source or a file that cannot be had; the message says which and why."""


class BrokenError(Exception):
    """A file that cannot be decompressed; the message says why."""


@dataclass(frozen=True)
class SourceFile:
    """A file as a store lists it.

    Attributes:
        url: where it is, without credentials.
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
    files: dict[str, SourceFile] = {}
    for source in sources:
        found = list(_find(source, patterns))
        if not found:
            raise SourceError(
                f"{_public(source)}: no dump file here (looked for {', '.join(patterns)}); "
                "check the path, or name the files with --pattern"
            )
        files.update((file.url, file) for file in found)
    return [files[url] for url in sorted(files)]


def _find(source: str, patterns: Sequence[str]) -> Iterator[SourceFile]:
    try:
        fs, path = fsspec.core.url_to_fs(source)
        # listings may be cached from an earlier look
        fs.invalidate_cache()
        # a path that exists is meant as it stands, brackets and all
        if fs.isdir(path):
            listed = fs.find(path, detail=True)
            infos = [
                listed[name]
                for name in listed
                if any(fnmatch(PurePosixPath(name).name, pattern) for pattern in patterns)
            ]
        elif fs.exists(path):
            infos = [fs.info(path)]
        elif any(character in path for character in "*?["):
            infos = [info for info in fs.glob(path, detail=True).values()]
        else:
            raise FileNotFoundError("no such file or folder")
    except Exception as error:
        raise SourceError(f"{_public(source)}: {_why(error)}") from error
    for info in infos:
        if info["type"] == "file":
            yield SourceFile(
                url=_url(fs, source, info["name"]),
                size=info.get("size"),
                modified_at=_modified_at(info),
                fs=fs,
                path=info["name"],
            )


def _url(fs: Any, source: str, path: str) -> str:
    parts = urlsplit(source)
    if isinstance(fs, LocalFileSystem):
        url = "file://" + path
    elif "://" in path:
        url = _public(path)
    elif parts.hostname and not path.startswith(parts.netloc.rpartition("@")[2]):
        # stores that are known by host and port do not name it in their paths
        url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/{path.lstrip('/')}"
    else:
        url = str(fs.unstrip_protocol(path))
    # names that are not UTF-8 must be storable too
    return url.encode("utf-8", "backslashreplace").decode().replace("\0", "")


def _public(url: str) -> str:
    """A URL without user, password and query."""
    parts = urlsplit(url)
    if "://" not in url:
        return url
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _modified_at(info: dict[str, Any]) -> datetime | None:
    value = next((info[key] for key in _MODIFIED if info.get(key) is not None), None)
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        elif isinstance(value, int | float) and math.isfinite(value):
            value = datetime.fromtimestamp(value, UTC)
        if isinstance(value, datetime):
            return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _why(error: BaseException) -> str:
    if isinstance(error, ImportError):
        return f"{error}; install it beside rep-ai"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).strip() or type(error).__name__


@contextmanager
def decompressed(file: SourceFile, max_bytes: int = MAX_DOCUMENT_BYTES) -> Iterator[Path]:
    """Bring a file to disk and decompress it, as its first bytes say.

    Yields:
        The path of the document; it is gone afterwards unless it is the source itself.

    Raises:
        BrokenError: it cannot be decompressed, or it is larger than `max_bytes` then.
        SourceError: it cannot be read.
    """
    with NamedTemporaryFile(prefix="rep_ai_") as fetched, NamedTemporaryFile(
        prefix="rep_ai_"
    ) as document:
        try:
            path = Path(file.path) if file.is_local else Path(fetched.name)
            if not file.is_local:
                file.fs.get_file(file.path, fetched.name)
            with path.open("rb") as raw:
                start = raw.read(4)
                raw.seek(0)
                reader = _reader(raw, start)
                if reader is not None:
                    _copy(reader, document.file, max_bytes)
                    path = Path(document.name)
                elif path.stat().st_size > max_bytes:
                    raise BrokenError(_too_large(max_bytes))
        except BrokenError:
            raise
        except Exception as error:
            raise SourceError(f"{file.url}: {_why(error)}") from error
        yield path


def _reader(raw: IO[bytes], start: bytes) -> IO[bytes] | None:
    if start.startswith(_GZIP):
        return gzip.GzipFile(fileobj=raw)
    if start == _ZSTD:
        return zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
    return None


def _copy(reader: IO[bytes], document: IO[bytes], max_bytes: int) -> None:
    try:
        size = 0
        while block := reader.read(_COPY_BYTES):
            size += len(block)
            if size > max_bytes:
                raise BrokenError(_too_large(max_bytes))
            document.write(block)
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise BrokenError(f"cannot be decompressed: {error}; ask for the night again") from None
    document.flush()


def _too_large(max_bytes: int) -> str:
    return f"the document is larger than {max_bytes:,} bytes; raise --max-bytes if that is right"


def digest(file: SourceFile) -> str:
    """SHA-256 of the bytes as they lie in the store, in hexadecimal."""
    with file.fs.open(file.path, "rb") as raw:
        return hashlib.file_digest(raw, "sha256").hexdigest()
