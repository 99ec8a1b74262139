"""Land dump files in the raw tables: each content once, each file whole or not at all.

dlt is never asked to resume: a run starts from an empty folder, and what counts is decided by the
ledger in the destination alone. A file's records and its row in `deliveries` are in one package,
and only the rows of completed packages are ever looked at.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, NamedTuple

import pyarrow as pa

from rep_ai import sources
from rep_ai.destinations import Destination
from rep_ai.document import (
    RECORD_TABLES,
    Document,
    EqualKeysError,
    Header,
    RejectedError,
    read_time,
)
from rep_ai.sources import SourceFile

PIPELINE = "rep_ai"
# files of at least so many bytes in all make a package
PACKAGE_BYTES = 256 << 20

LOADED, DUPLICATE, REJECTED = "loaded", "duplicate", "rejected"

DELIVERIES = pa.schema(
    [
        ("_delivery_id", pa.string()),
        ("file_url", pa.string()),
        ("file_size", pa.int64()),
        ("file_modified_at", pa.timestamp("us", "UTC")),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("version", pa.string()),
        ("start_time", pa.string()),
        ("end_time", pa.string()),
        *((f"{table}_count", pa.int64()) for table in RECORD_TABLES),
        ("_extra", pa.string()),
    ]
)
TABLES = {"deliveries": DELIVERIES, **RECORD_TABLES}

# dlt reads these when it is imported or run; a user's own setting of them would break a promise
_DLT_SETTINGS = {
    "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "true",
    "EXTRACT__NEXT_ITEM_MODE": "fifo",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__INTERCEPT_SIGNALS": "false",
    "RUNTIME__LOG_LEVEL": "CRITICAL",
}


class LoadError(Exception):
    """The database refused the load; the message says why."""


class State(NamedTuple):
    """What tells one state of a file from another."""

    url: str
    size: int | None
    modified_at: datetime | None


class Ledger(NamedTuple):
    """What completed loads have seen."""

    states: dict[State, str]
    # delivery id -> url of the file that was loaded
    contents: dict[str, str]


@dataclass
class Report:
    """What a run did, file by file."""

    seen: int = 0
    known: int = 0
    # files passed over because an earlier run rejected them
    still_rejected: int = 0
    loaded: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    # (url, reason)
    rejected: list[tuple[str, str]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    records: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    seconds: float = 0.0


class _Verdict(NamedTuple):
    """The row of `deliveries` that a file gets."""

    file: SourceFile
    status: str
    reason: str | None
    delivery_id: str
    header: Header
    size: int


class _RestartError(Exception):
    """A document proved unreadable halfway: the package starts again without what it yielded."""


def ingest(
    source_list: Sequence[str],
    destination: Destination,
    *,
    schema: str,
    supported_major: int = 1,
    patterns: Sequence[str] = sources.PATTERNS,
    retry_rejected: bool = False,
    max_bytes: int = sources.MAX_DOCUMENT_BYTES,
    on_file: Callable[[str, str], None] = lambda url, status: None,
) -> Report:
    """Land every dump file that the ledger does not know; the caller holds the lock.

    Args:
        source_list: files, folders, globs or URLs.
        destination: the database.
        schema: schema of the raw tables.
        supported_major: the only major version that is loaded.
        patterns: names of the files that count in a folder.
        retry_rejected: read files again that an earlier run rejected.
        max_bytes: size that no decompressed document may exceed.
        on_file: called with the URL and status of each new file once it is read.

    Raises:
        SourceError: a source is not there or holds no dump file.
        DestinationError, LoadError: the database cannot be used.
    """
    started = perf_counter()
    files = sources.find(source_list, patterns)
    ledger = _prepare(destination, schema)
    report = Report(seen=len(files))
    new: list[SourceFile] = []
    for file in files:
        match ledger.states.get(State(file.url, file.size, file.modified_at)):
            case None:
                new.append(file)
            case "rejected" if retry_rejected:
                new.append(file)
            case "rejected":
                report.still_rejected += 1
            case _:
                report.known += 1
    for package in _packages(new):
        loader = _Package(package, ledger, supported_major, max_bytes)
        loader.load(destination, schema)
        for verdict in loader.verdicts:
            _account(report, verdict)
            on_file(verdict.file.url, verdict.status)
            if verdict.status == LOADED:
                ledger.contents[verdict.delivery_id] = verdict.file.url
        report.failed += loader.failed
    report.seconds = perf_counter() - started
    return report


def _account(report: Report, verdict: _Verdict) -> None:
    match verdict.status:
        case "loaded":
            report.loaded.append(verdict.file.url)
            report.records.update({k: v for k, v in verdict.header.counts.items() if v})
            report.bytes += verdict.size
        case "duplicate":
            report.duplicates.append(verdict.file.url)
        case _:
            report.rejected.append((verdict.file.url, verdict.reason or ""))


def _packages(files: Iterable[SourceFile]) -> Iterator[list[SourceFile]]:
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


def _prepare(destination: Destination, schema: str) -> Ledger:
    """Clear the rows of loads that never completed, and read what the others have seen."""
    with closing(destination.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute(
            f"select table_name from information_schema.tables where table_schema = '{schema}'"
        )
        present = {row[0] for row in cursor.fetchall()}
        if "deliveries" not in present or "_dlt_loads" not in present:
            return Ledger({}, {})
        completed = f"select load_id from {schema}._dlt_loads where status = 0"
        for table in TABLES.keys() & present:
            cursor.execute(f"delete from {schema}.{table} where _dlt_load_id not in ({completed})")
        cursor.execute(
            "select file_url, file_size, file_modified_at, status, _delivery_id "
            f"from {schema}.deliveries where _dlt_load_id in ({completed})"
        )
        ledger = Ledger({}, {})
        for url, size, modified_at, status, delivery_id in cursor.fetchall():
            moment = modified_at and modified_at.astimezone(UTC).replace(tzinfo=None)
            # a retried file has several rows of one state: any success counts
            state = State(url, size, moment)
            if ledger.states.get(state, REJECTED) == REJECTED:
                ledger.states[state] = status
            if status == LOADED:
                ledger.contents[delivery_id] = url
        return ledger


class _Package:
    """Some files that are loaded together."""

    def __init__(
        self, files: list[SourceFile], ledger: Ledger, supported_major: int, max_bytes: int
    ) -> None:
        self._files = files
        self._ledger = ledger
        self._supported_major = supported_major
        self._max_bytes = max_bytes
        # what a try that had to be given up found out, by delivery id
        self._careful: set[str] = set()
        self._rejections: dict[str, str] = {}
        self.verdicts: list[_Verdict] = []
        self.failed: list[str] = []

    def load(self, destination: Destination, schema: str) -> None:
        """Extract the files and load them as one package."""
        os.environ.update(_DLT_SETTINGS)
        import dlt
        from dlt.common.exceptions import DltException

        while True:
            self.verdicts, self.failed, complete = [], [], False
            resource = dlt.resource(self._items(), name=PIPELINE, write_disposition="append")
            with TemporaryDirectory(prefix="rep_ai_") as folder:
                pipeline = dlt.pipeline(
                    PIPELINE,
                    pipelines_dir=folder,
                    destination=destination.dlt_destination(),
                    dataset_name=schema,
                )
                try:
                    pipeline.extract(resource, loader_file_format="parquet")
                    pipeline.normalize()
                    pipeline.load(raise_on_failed_jobs=True)
                    return
                except DltException as error:
                    if not _caused_by(error, _RestartError):
                        raise LoadError(_root_cause(error)) from error

    def _items(self) -> Iterator[Any]:
        """Yield all rows of the package, table by table marked with its name."""
        import dlt

        for table, schema in TABLES.items():
            yield dlt.mark.with_table_name(schema.empty_table(), table)
        for file in self._files:
            try:
                for table, rows in self._read(file):
                    yield dlt.mark.with_table_name(rows, table)
            except sources.SourceError as error:
                self.failed.append(str(error))
        if self.verdicts:
            yield dlt.mark.with_table_name(_rows(self.verdicts), "deliveries")

    def _read(self, file: SourceFile) -> Iterator[tuple[str, pa.Table]]:
        try:
            with sources.decompressed(file, self._max_bytes) as path:
                yield from self._read_document(file, path)
        except sources.BrokenError as error:
            self.verdicts.append(
                _Verdict(file, REJECTED, str(error), error.digest, Header(), 0)
            )

    def _read_document(self, file: SourceFile, path: Path) -> Iterator[tuple[str, pa.Table]]:
        document = Document(path, self._supported_major)
        identity = document.delivery_id
        reason = document.rejection or self._rejections.get(identity)
        size = path.stat().st_size
        if reason is not None:
            self.verdicts.append(_Verdict(file, REJECTED, reason, identity, document.header, size))
            return
        first = self._ledger.contents.get(identity) or next(
            (v.file.url for v in self.verdicts if v.delivery_id == identity), None
        )
        if first is not None:
            reason = f"the same content as {first}"
            self.verdicts.append(_Verdict(file, DUPLICATE, reason, identity, document.header, size))
            return
        document.careful = identity in self._careful
        try:
            yield from document.batches()
        except EqualKeysError:
            self._careful.add(identity)
            raise _RestartError from None
        except RejectedError as error:
            self._rejections[identity] = str(error)
            raise _RestartError from None
        self.verdicts.append(_Verdict(file, LOADED, None, identity, document.header, size))


def _rows(verdicts: list[_Verdict]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "_delivery_id": v.delivery_id,
                "file_url": v.file.url,
                "file_size": v.file.size,
                "file_modified_at": v.file.modified_at and v.file.modified_at.replace(tzinfo=UTC),
                "status": v.status,
                "reason": v.reason,
                "version": v.header.version,
                "start_time": v.header.start_time,
                "end_time": v.header.end_time,
                **{
                    f"{table}_count": v.header.counts.get(table) if v.status == LOADED else None
                    for table in RECORD_TABLES
                },
                "_extra": v.header.extra,
            }
            for v in verdicts
        ],
        schema=DELIVERIES,
    )


def _caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip() or type(error).__name__
