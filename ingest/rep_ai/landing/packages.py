"""Packages: some files that are loaded together, each of them whole or not at all.

A file's records and its row in `deliveries` are in one package, and only the rows of completed
packages are ever looked at.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from rep_ai.dump.document import Document, EqualKeysError, Header, read_time
from rep_ai.dump.text import RejectedError
from rep_ai.landing.destinations import Destination
from rep_ai.landing.errors import BrokenError, ChangedError, SourceError, caused_by
from rep_ai.landing.fetch import decompressed
from rep_ai.landing.ledger import Ledger
from rep_ai.landing.raw_tables import TABLES, deliveries
from rep_ai.landing.results import DUPLICATE, LOADED, REJECTED, FileResult, Observer
from rep_ai.landing.sources import SourceFile
from rep_ai.landing.urls import why

T = TypeVar("T")

# files of at least so many bytes in all make a package
PACKAGE_BYTES = 256 << 20
# a file may be this much older than the end of its window: clocks and zones differ
MOST_AHEAD = timedelta(hours=48)


class _RestartError(Exception):
    """A file proved unreadable halfway: the package starts again without what it yielded."""


def packed(files: Iterable[SourceFile]) -> Iterator[list[SourceFile]]:
    """Yield the files in lists that are loaded together."""
    package: list[SourceFile] = []
    size = 0
    for file in files:
        package.append(file)
        size += file.size or 0
        if size >= PACKAGE_BYTES:
            yield package
            package, size = [], 0
    if package:
        yield package


@dataclass
class Package:
    """Some files that are loaded together.

    Attributes:
        files: the files.
        ledger: what completed loads have seen.
        supported_major: the only major version that is loaded.
        max_bytes: size that no decompressed document may exceed.
        retry_rejected: note files again that an earlier run rejected.
        observer: told what is done while it is.
        results: what became of the files, once `load` has ended.
        unchanged: the same of files that are as the ledger has them; nothing is noted of them.
        failed: files that could not be read, each with a line that says why.
    """

    files: Sequence[SourceFile]
    ledger: Ledger
    supported_major: int
    max_bytes: int
    retry_rejected: bool = False
    observer: Observer = field(default_factory=Observer)
    results: list[FileResult] = field(default_factory=list, init=False)
    unchanged: list[FileResult] = field(default_factory=list, init=False)
    failed: list[tuple[SourceFile, str]] = field(default_factory=list, init=False)
    # learned by tries that were given up, by delivery id or url
    _careful: set[str] = field(default_factory=set, init=False)
    _rejections: dict[str, str] = field(default_factory=dict, init=False)
    _changed: dict[str, str] = field(default_factory=dict, init=False)

    def load(self, destination: Destination, schema: str) -> None:
        """Read the files and load them together; the caller holds the lock."""
        when_read = partial(self.observer.loading, self.files)
        self._read_into(lambda batches: destination.load(batches, schema, when_read))

    def look(self) -> None:
        """Read the files as `load` does, and load nothing."""
        self._read_into(partial(deque, maxlen=0))

    def _read_into(self, consume: Callable[[Generator[Any, None, None]], object]) -> None:
        while True:
            self.results, self.unchanged, self.failed = [], [], []
            try:
                consume(self._batches())
                return
            except Exception as error:
                if not caused_by(error, _RestartError):
                    raise

    def _batches(self) -> Generator[tuple[str, pa.Table], None, None]:
        """Yield (raw table, rows) for the whole package."""
        for table, schema in TABLES.items():
            yield table, schema.empty_table()
        for file in self.files:
            if file.url in self._changed:
                self.failed.append((file, self._changed[file.url]))
                continue
            try:
                yield from self._read(file)
            except ChangedError as error:
                self._changed[file.url] = str(error)
                raise _RestartError from None
            except SourceError as error:
                self.failed.append((file, str(error)))
        if self.results:
            yield "deliveries", deliveries(self.results)

    def _read(self, file: SourceFile) -> Iterator[tuple[str, pa.Table]]:
        self.observer.begun(file)
        try:
            with decompressed(file, self.max_bytes) as path:
                result = yield from self._read_document(file, path)
        except BrokenError as error:
            result = FileResult(file, REJECTED, str(error), error.digest, Header(), 0)
        is_retried = result.status == REJECTED and self.retry_rejected
        is_known = (file.state, result.delivery_id) in self.ledger.seen
        if is_known and result.status != LOADED and not is_retried:
            self.unchanged.append(result)
        else:
            self.results.append(result)

    def _read_document(
        self, file: SourceFile, path: Path
    ) -> Generator[tuple[str, pa.Table], None, FileResult]:
        try:
            document = Document(path, self.supported_major)
        except OSError as error:
            raise SourceError(file.url, why(error)) from error
        identity, size = document.delivery_id, path.stat().st_size
        loaded = FileResult(file, LOADED, None, identity, document.header, size)
        reason = document.rejection or self._rejections.get(identity)
        if reason is not None:
            return loaded._replace(status=REJECTED, reason=reason)
        here = {each.delivery_id: each.file.url for each in self.results if each.status == LOADED}
        if first := self.ledger.contents.get(identity) or here.get(identity):
            return loaded._replace(status=DUPLICATE, reason=f"the same content as {first}")
        if (reason := _too_early(file, document.header)) is not None:
            return loaded._replace(status=REJECTED, reason=reason)
        document.careful = identity in self._careful
        try:
            batches = document.batches()
            # Ctrl-C does not end a thread, and a collection in one piece takes long
            for table, rows in batches if document.careful else _ahead(batches):
                self.observer.read(file, document.bytes_read / size, len(rows))
                yield table, rows
        except EqualKeysError:
            self._careful.add(identity)
            raise _RestartError from None
        except RejectedError as error:
            self._rejections[identity] = str(error)
            raise _RestartError from None
        return loaded


def _too_early(file: SourceFile, header: Header) -> str | None:
    """Why to reject a file written long before its window ended, or None."""
    end = datetime.fromtimestamp((read_time(header.end_time) or 0) / 1000, UTC).replace(tzinfo=None)
    written = file.modified_at or datetime.now(UTC).replace(tzinfo=None)
    if end - written <= MOST_AHEAD:
        return None
    at = f"{written:%Y-%m-%d %H:%M} UTC"
    known = f"the file was last modified ({at})", "upload or touch the file"
    unknown = f"now ({at}; the store tells no time)", "set the clock right"
    then, to_do = known if file.modified_at else unknown
    return (
        f"its window ends {end:%Y-%m-%d %H:%M} UTC, more than 48 hours after {then}, and no dump "
        f"tells of what is to come; ask for the dump again, or where the window is right, {to_do}"
    )


def _ahead(items: Iterator[T]) -> Iterator[T]:
    """Make each item in a thread while the one before it is written."""
    with ThreadPoolExecutor(1) as pool:
        upcoming = pool.submit(next, items, None)
        while (item := upcoming.result()) is not None:
            upcoming = pool.submit(next, items, None)
            yield item
