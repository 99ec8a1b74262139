"""Find dump files on any store that fsspec knows."""

import logging
import math
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase, translate
from functools import partial
from glob import iglob
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractFileSystem
from fsspec.utils import glob_translate

from rep_ai.landing.errors import SourceError
from rep_ai.landing.urls import SCHEME, check, public, storable, why
from rep_ai.words import named

PATTERNS = ("*.json", "*.json.gz", "*.json.zst")
# what file systems and tools leave beside files, in small letters
_NO_DUMPS = (
    *("._*", ".ds_store", "thumbs.db", "desktop.ini", "*_$folder$", "_success", "_committed_*"),
    *("_started_*", "*.crc", "*.md5", "*.sha1", "*.sha256", "*.sig", "*.asc"),
)
_NO_DUMP = re.compile("|".join(map(translate, _NO_DUMPS)))
# names under which the stores of fsspec tell when a file was last written
_MODIFIED = ("mtime", "LastModified", "last_modified", "Last-Modified", "updated", "modified")
# first contact with a store; its driver may try again for longer
_CONNECT_SECONDS = 60
# seconds without a byte after which a connection is dead
_SILENCE_SECONDS = 60
_CACHED = re.compile(rf"\w+::{SCHEME.pattern}")


# what tells one state of a file from another: its URL, size and time
State = tuple[str, int | None, datetime | None]


@dataclass(frozen=True)
class SourceFile:
    """A file as a store lists it.

    Attributes:
        url: where it is, without credentials; bytes that are not UTF-8 are escaped.
        size: bytes, or None where the store does not tell.
        modified_at: UTC without zone, to the microsecond, or None.
        fs: fsspec's file system that has it.
        path: its name there.
    """

    url: str
    size: int | None
    modified_at: datetime | None
    fs: Any
    path: str

    @property
    def state(self) -> State:
        """Its state as the store lists it."""
        return self.url, self.size, self.modified_at

    @property
    def is_local(self) -> bool:
        """Whether it can be read where it is."""
        return isinstance(self.fs, LocalFileSystem)


@dataclass
class Listing:
    """What sources hold.

    Attributes:
        patterns: names of the files that count in a folder.
        files: the dump files, each once, in the order of their URLs.
        passed_over: URLs of files in folders whose names no pattern takes.
        not_dumps: URLs of files whose names say that they are none, such as `._a.json`.
    """

    patterns: Sequence[str]
    files: list[SourceFile] = field(default_factory=list)
    passed_over: set[str] = field(default_factory=set)
    not_dumps: set[str] = field(default_factory=set)
    # the URLs of the sources
    _looked_at: list[re.Pattern[str]] = field(default_factory=list)

    def begin(self, url: str, *, is_glob: bool) -> None:
        """Note that this source is listed as a whole."""
        expression = glob_translate(url) if is_glob else re.escape(url.rstrip("/"))
        self._looked_at.append(re.compile(expression))

    def takes(self, url: str, *, in_folder: bool, by_glob: bool) -> bool:
        """Whether a file counts by its name (a source itself always does); else note it."""
        name = url.rpartition("/")[2]
        if not in_folder and not by_glob:
            return True
        if _is_no_dump(name):
            self.not_dumps.add(url)
        elif not in_folder or _matches(name, self.patterns):
            return True
        else:
            # such as .gitkeep
            (self.not_dumps if name.startswith(".") else self.passed_over).add(url)
        return False

    def covers(self, url: str) -> bool:
        """Whether a file of this URL, if it existed, would be in `files` or `not_dumps`."""
        name = url.rpartition("/")[2]
        above = [url]
        if _is_no_dump(name) or _matches(name, self.patterns):
            above += (url[: slash.start()] for slash in re.finditer("/", url))
        return any(source.fullmatch(part) for source in self._looked_at for part in above)


def find(sources: Sequence[str], patterns: Sequence[str] = PATTERNS) -> Listing:
    """List the files of all sources.

    Args:
        sources: files, folders, globs or URLs of them; files count whatever their names.
        patterns: names of the files that count in a folder.

    Raises:
        SourceError: a source is not there, cannot be listed, or holds no dump file.
    """
    files: dict[tuple[str, str], SourceFile] = {}
    listing = Listing(patterns)
    for source in sources:
        try:
            found = list(_find(source, listing))
        except SourceError:
            raise
        except Exception as error:
            raise SourceError(public(source), why(error)) from error
        if not found:
            there = f"; there: {named(listing.passed_over)}" if listing.passed_over else ""
            raise SourceError(
                public(source),
                f"no dump file here (looked for {', '.join(patterns)}{there})",
                "check the path, or name the files with --pattern",
            )
        # two names may have the same URL
        files.update(((file.url, file.path), file) for file in found)
    listing.files = [files[name] for name in sorted(files)]
    # another source may name what a folder passes over
    listing.passed_over -= {file.url for file in listing.files}
    return listing


def _find(source: str, listing: Listing) -> Iterator[SourceFile]:
    path = re.sub("^(file|local):(//)?", "", source)
    # a local name may look like a URL
    local = source if os.path.lexists(source) else path
    if not os.path.lexists(local):
        if _CACHED.match(local):
            raise SourceError(local.partition("::")[0], "name the store itself, no cache before it")
        if SCHEME.match(local):
            return _find_in_store(source, listing)
    return _find_locally(local, listing)


def _find_in_store(source: str, listing: Listing) -> Iterator[SourceFile]:
    for link in source.split("::"):
        check(link)
    _prepare_drivers()
    fs, path = _answer(partial(fsspec.core.url_to_fs, source))
    # listings may be cached from an earlier look
    fs.invalidate_cache()
    is_glob = False
    try:
        # a path that exists is no glob, whatever brackets it has
        infos = [_answer(partial(fs.info, path))]
    except FileNotFoundError as error:
        infos = list(fs.glob(path, detail=True).values()) if _is_glob(path) else []
        if not infos and (error.__cause__ or not _is_glob(path)):
            raise
        is_glob = True
    listing.begin(_url(fs, source, path), is_glob=is_glob)
    # without this a folder that cannot be read would pass for an empty one
    strict = {"on_error": "raise"} if type(fs).find is AbstractFileSystem.find else {}
    for info in infos:
        in_folder = info["type"] == "directory"
        inside = fs.find(info["name"], detail=True, **strict).values() if in_folder else [info]
        for file in inside:
            name = file["name"]
            # some stores have an object for a folder, too
            if file["type"] != "file" or name.endswith("/"):
                continue
            url = _url(fs, source, name)
            if listing.takes(url, in_folder=in_folder, by_glob=is_glob):
                yield SourceFile(url, file.get("size"), modified_at(fs, file), fs, name)


def _prepare_drivers() -> None:
    """Set what the drivers of stores leave open; fsspec's own configuration takes precedence."""
    import aiohttp

    # errors are told once, in one line: no logged tracebacks beside it
    logging.getLogger().addHandler(logging.NullHandler())
    # spares a look at the kind of a bucket, which takes a minute where gRPC is blocked
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    # a large file may take longer than the five minutes that aiohttp gives to any answer
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=_SILENCE_SECONDS, sock_read=_SILENCE_SECONDS
    )
    for protocol, name in (("http", "client_kwargs"), ("gs", "session_kwargs")):
        settings = fsspec.config.conf.setdefault(protocol, {})
        settings[name] = {"timeout": timeout} | settings.get(name, {})


def _answer(ask: Callable[[], Any]) -> Any:
    """The store's answer, or TimeoutError; the driver's thread is then abandoned."""
    answer: Future[Any] = Future()

    def listen() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:
            answer.set_exception(error)

    Thread(target=listen, daemon=True).start()
    if not wait([answer], _CONNECT_SECONDS).done:
        raise TimeoutError(f"no answer within {_CONNECT_SECONDS} seconds; is the store reachable?")
    return answer.result()


def _find_locally(path: str, listing: Listing) -> Iterator[SourceFile]:
    if not os.path.lexists(path):
        path = os.path.expanduser(path)  # noqa: PTH111
    is_glob = not os.path.lexists(path)
    if not is_glob:
        matches = [path]
    elif _is_glob(path):
        matches = list(iglob(path, recursive=True))  # noqa: PTH207
    else:
        raise FileNotFoundError
    fs = LocalFileSystem()
    listing.begin(storable(f"file://{Path(path).absolute()}"), is_glob=is_glob)
    for match in (Path(name).absolute() for name in matches):
        in_folder = match.is_dir()
        for found in _walk(match) if in_folder else [match]:
            url, path = storable(f"file://{found}"), str(found)
            if not listing.takes(url, in_folder=in_folder, by_glob=is_glob):
                continue
            try:
                status = found.stat()
            except OSError:
                # reading it will tell what is wrong
                yield SourceFile(url, None, None, fs, path)
                continue
            if stat.S_ISREG(status.st_mode):
                yield SourceFile(url, status.st_size, moment(status.st_mtime), fs, path)


def _walk(folder: Path) -> Iterator[Path]:
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
        yield from (Path(parent, name) for name in names)


def _is_glob(path: str) -> bool:
    return any(character in path for character in "*?[")


def _matches(name: str, patterns: Sequence[str]) -> bool:
    # patterns of the user count as written, capitals included
    name = name.lower() if tuple(patterns) == PATTERNS else name
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _is_no_dump(name: str) -> bool:
    return _NO_DUMP.match(name.lower()) is not None


def _url(fs: Any, source: str, path: str) -> str:
    first, chain, rest = source.partition("::")
    host = urlsplit(first).netloc.rpartition("@")[2]
    if "://" in path:
        url = public(path)
    elif "host" in fs.storage_options:
        # such a store does not name its host in its paths
        url = f"{urlsplit(first).scheme}://{host}/{path.lstrip('/')}"
    else:
        url = str(fs.unstrip_protocol(path))
    return storable(url + chain + public(rest))


def modified_at(fs: Any, info: dict[str, Any]) -> datetime | None:
    """When a store says that a file was last written: UTC without zone, or None."""
    told = [info[key] for key in _MODIFIED if info.get(key) is not None]
    if not told and type(fs).modified is not AbstractFileSystem.modified:
        told = [fs.modified(info["name"])]
    return moment(told[0]) if told else None


def moment(value: Any) -> datetime | None:
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
