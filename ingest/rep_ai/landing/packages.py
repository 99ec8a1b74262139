"""Land dump files in the raw tables: each content once, each file whole or not at all.

dlt is never asked to resume: a run starts from an empty folder, and what counts is decided by the
ledger in the destination alone. A file's records and its row in `deliveries` are in one package,
and only the rows of completed packages are ever looked at.
"""

import os
import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa

from rep_ai.console.progress import Observer
from rep_ai.dump.document import (
    RECORD_TABLES,
    Document,
    EqualKeysError,
    Header,
)
from rep_ai.dump.text import RejectedError
from rep_ai.landing import sources, user_agents
from rep_ai.landing.destinations import Destination, DestinationError, qualified, tables
from rep_ai.landing.sources import SourceFile

T = TypeVar("T")

PIPELINE = "rep_ai"
# files of at least so many bytes in all make a package
PACKAGE_BYTES = 256 << 20
# a batch is larger only where an entry is
USUAL_BATCH_BYTES = 64 << 20

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

_DLT_SETTINGS = {
    "normalize": {"parquet_normalizer": {"add_dlt_load_id": True}},
    "extract": {"next_item_mode": "fifo"},
    # the files live shorter than it takes to compress them
    "data_writer": {"compression": "none"},
    # a job that is tried again may have been committed before, and no filter tells its rows apart
    "load": {"raise_on_max_retries": 1},
    "runtime": {"dlthub_telemetry": False, "intercept_signals": False, "log_level": "CRITICAL"},
}
# dlt would make another name of any other
SCHEMA_NAME = re.compile(r"[a-z](_?[a-z0-9])*")


class LoadError(Exception):
    """The database refused the load; the message says why, on one line."""


class State(NamedTuple):
    """What tells one state of a file from another."""

    url: str
    size: int | None
    modified_at: datetime | None


@dataclass
class Ledger:
    """What completed loads have seen."""

    # the status that a state of a file got
    states: dict[State, str] = field(default_factory=dict)
    # delivery id -> url of the file that was loaded
    contents: dict[str, str] = field(default_factory=dict)
    # each state with the delivery ids it had
    seen: set[tuple[State, str]] = field(default_factory=set)


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

    @property
    def state(self) -> State:
        """The state of the file that this is about."""
        return _state(self.file)


class _RestartError(Exception):
    """A file proved unreadable halfway: the package starts again without what it yielded."""


def ingest(
    source_list: Sequence[str],
    destination: Destination,
    *,
    schema: str,
    supported_major: int = 1,
    patterns: Sequence[str] = sources.PATTERNS,
    retry_rejected: bool = False,
    max_bytes: int = sources.MAX_DOCUMENT_BYTES,
    observer: Observer | None = None,
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
        observer: told what is done while it is.

    Raises:
        SourceError: a source is not there or holds no dump file.
        DestinationError, LoadError: the database cannot be used.
    """
    started = perf_counter()
    observer = observer or Observer()
    if not SCHEMA_NAME.fullmatch(schema):
        raise LoadError(f"schema {schema!r}: use lower-case letters, digits and single underscores")
    files = sources.find(source_list, patterns)
    ledger = _prepare(destination, schema)
    report = Report(seen=len(files))
    new: list[SourceFile] = []
    for file in files:
        match ledger.states.get(_state(file)):
            case _ if file.modified_at is None:
                # its state does not tell whether it changed
                new.append(file)
            case None:
                new.append(file)
            case "rejected" if retry_rejected:
                new.append(file)
            case "rejected":
                report.still_rejected += 1
            case _:
                report.known += 1
    observer.found(report, new)
    for package in _packages(new):
        loader = _Package(
            package, ledger, supported_major, max_bytes, retry_rejected, observer=observer
        )
        loader.load(destination, schema)
        for verdict in loader.verdicts:
            _account(report, verdict)
            rows = sum(count or 0 for count in verdict.header.counts.values())
            observer.ended(verdict.file, verdict.status, verdict.reason, rows)
            if verdict.status == LOADED:
                ledger.contents[verdict.delivery_id] = verdict.file.url
        for verdict in loader.unchanged:
            report.still_rejected += verdict.status == REJECTED
            report.known += verdict.status != REJECTED
            observer.ended(verdict.file, "unchanged", None, 0)
        report.failed += [line for _, line in loader.failed]
        for file, line in loader.failed:
            observer.failed(file, line)
        report.seconds = perf_counter() - started
    _map_user_agents(destination, schema, observer)
    report.seconds = perf_counter() - started
    return report


def _state(file: SourceFile) -> State:
    return State(file.url, file.size, file.modified_at)


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
        try:
            return _read_ledger(connection.cursor(), schema)
        except Exception as error:
            raise LoadError(_root_cause(error)) from error


def _map_user_agents(destination: Destination, schema: str, observer: Observer) -> None:
    try:
        user_agents.complete(destination, schema, observer)
    except DestinationError:
        raise
    except Exception as error:
        raise LoadError(_root_cause(error)) from error


def _read_ledger(cursor: Any, schema: str) -> Ledger:
    ledger = Ledger()
    present = {table for in_schema, table in tables(cursor) if in_schema == schema}
    schema = qualified(cursor, schema)
    if "deliveries" not in present or "_dlt_loads" not in present:
        return ledger
    completed = f"select load_id from {schema}._dlt_loads where status = 0"
    for table in TABLES.keys() & present:
        cursor.execute(f"delete from {schema}.{table} where _dlt_load_id not in ({completed})")
    cursor.execute(
        "select file_url, file_size, file_modified_at, status, _delivery_id "
        f"from {schema}.deliveries where _dlt_load_id in ({completed})"
    )
    for url, size, modified_at, status, delivery_id in cursor.fetchall():
        moment = modified_at and modified_at.astimezone(UTC).replace(tzinfo=None)
        # a retried file has several rows of one state: any success counts
        state = State(url, size, moment)
        if ledger.states.get(state, REJECTED) == REJECTED:
            ledger.states[state] = status
        if status == LOADED:
            ledger.contents[delivery_id] = url
        ledger.seen.add((state, delivery_id))
    return ledger


class _Package:
    """Some files that are loaded together."""

    def __init__(
        self,
        files: list[SourceFile],
        ledger: Ledger,
        supported_major: int,
        max_bytes: int,
        retry_rejected: bool = False,
        *,
        observer: Observer | None = None,
    ) -> None:
        self._files = files
        self._observer = observer or Observer()
        self._ledger = ledger
        self._supported_major = supported_major
        self._max_bytes = max_bytes
        self._retry_rejected = retry_rejected
        # what a try that had to be given up found out, by delivery id or url
        self._careful: set[str] = set()
        self._rejections: dict[str, str] = {}
        self._changed: dict[str, str] = {}
        # bytes of the largest batch
        self._largest = 0
        self.verdicts: list[_Verdict] = []
        # files that turned out as the ledger has them
        self.unchanged: list[_Verdict] = []
        # each with a line that says why
        self.failed: list[tuple[SourceFile, str]] = []

    def load(self, destination: Destination, schema: str) -> None:
        """Extract the files and load them as one package."""
        while True:
            self.verdicts, self.unchanged, self.failed = [], [], []
            with TemporaryDirectory(prefix="rep_ai_") as folder:
                try:
                    self._load(_dlt(folder), destination, schema, folder)
                    return
                except Exception as error:
                    if _caused_by(error, KeyboardInterrupt):
                        raise KeyboardInterrupt from None
                    if isinstance(error, DestinationError):
                        raise
                    if not _caused_by(error, _RestartError):
                        where = f"working folder {folder} (TMPDIR names another place)"
                        raise LoadError(_root_cause(error, where)) from error

    def _load(self, dlt: Any, destination: Destination, schema: str, folder: str) -> None:
        pipeline = dlt.pipeline(
            PIPELINE,
            pipelines_dir=folder,
            destination=destination.dlt_destination(),
            dataset_name=schema,
        )
        resource = dlt.resource(self._items(dlt), name=PIPELINE, write_disposition="append")
        pipeline.extract(resource, loader_file_format="parquet")
        self._observer.loading(self._files)
        pipeline.normalize()
        destination.check_lock()
        # dlt opens a DuckDB file again and again, and any reader could slip in between
        with closing(destination.connect()) as connection:
            is_bounded = self._largest <= USUAL_BATCH_BYTES
            pipeline.load(
                destination.dlt_destination(connection, is_bounded=is_bounded),
                raise_on_failed_jobs=True,
            )

    def _items(self, dlt: Any) -> Iterator[Any]:
        """Yield all rows of the package, table by table marked with its name."""
        for table, schema in TABLES.items():
            yield dlt.mark.with_table_name(schema.empty_table(), table)
        for file in self._files:
            if file.url in self._changed:
                self.failed.append((file, self._changed[file.url]))
                continue
            try:
                for table, rows in self._read(file):
                    self._largest = max(self._largest, rows.nbytes)
                    yield dlt.mark.with_table_name(rows, table)
            except sources.ChangedError as error:
                self._changed[file.url] = str(error)
                raise _RestartError from None
            except sources.SourceError as error:
                self.failed.append((file, str(error)))
        if self.verdicts:
            yield dlt.mark.with_table_name(_rows(self.verdicts), "deliveries")

    def _read(self, file: SourceFile) -> Iterator[tuple[str, pa.Table]]:
        self._observer.begun(file)
        try:
            with sources.decompressed(file, self._max_bytes) as path:
                verdict = yield from self._read_document(file, path)
        except sources.BrokenError as error:
            verdict = _Verdict(file, REJECTED, str(error), error.digest, Header(), 0)
        is_retried = verdict.status == REJECTED and self._retry_rejected
        is_known = (verdict.state, verdict.delivery_id) in self._ledger.seen
        if is_known and verdict.status != LOADED and not is_retried:
            self.unchanged.append(verdict)
        else:
            self.verdicts.append(verdict)

    def _read_document(
        self, file: SourceFile, path: Path
    ) -> Generator[tuple[str, pa.Table], None, _Verdict]:
        try:
            document = Document(path, self._supported_major)
        except OSError as error:
            raise sources.SourceError(file.url, sources.why(error)) from error
        identity, size = document.delivery_id, path.stat().st_size

        def verdict(status: str, reason: str | None) -> _Verdict:
            return _Verdict(file, status, reason, identity, document.header, size)

        reason = document.rejection or self._rejections.get(identity)
        if reason is not None:
            return verdict(REJECTED, reason)
        first = self._ledger.contents.get(identity) or next(
            (v.file.url for v in self.verdicts if v.delivery_id == identity), None
        )
        if first is not None:
            return verdict(DUPLICATE, f"the same content as {first}")
        document.careful = identity in self._careful
        try:
            batches = document.batches()
            # Ctrl-C does not end a thread, and a collection in one piece takes long
            for table, rows in batches if document.careful else _ahead(batches):
                self._observer.read(file, document.bytes_read / size, len(rows))
                yield table, rows
        except EqualKeysError:
            self._careful.add(identity)
            raise _RestartError from None
        except RejectedError as error:
            self._rejections[identity] = str(error)
            raise _RestartError from None
        return verdict(LOADED, None)


def _ahead(items: Iterator[T]) -> Iterator[T]:
    """Make each item in a thread while the one before it is written."""
    with ThreadPoolExecutor(1) as pool:
        upcoming = pool.submit(next, items, None)
        while (item := upcoming.result()) is not None:
            upcoming = pool.submit(next, items, None)
            yield item


def _dlt(folder: str) -> Any:
    """The library, set up so that no file or variable of the user can break a promise."""
    # a .dlt in the working directory is not even read
    os.environ["DLT_PROJECT_DIR"] = folder
    import dlt
    from dlt.common.configuration.container import Container
    from dlt.common.configuration.providers import CustomLoaderDocProvider
    from dlt.common.configuration.specs.config_providers_context import ConfigProvidersContainer
    from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

    context: Any = Container()[PluggableRunContext]
    # else an id for the telemetry that is off is left there
    context.context._global_dir = folder
    settings = CustomLoaderDocProvider(PIPELINE, lambda: _DLT_SETTINGS)
    context.providers = ConfigProvidersContainer([settings])
    context.context.reset_config()
    return dlt


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


def _root_cause(error: BaseException, where: str = "") -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or where}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
