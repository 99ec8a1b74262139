"""What became of each file, and of all of them, and who is told of it meanwhile."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from rep_ai.dump.document import Header, read_time
from rep_ai.landing.sources import SourceFile

LOADED, DUPLICATE, REJECTED = "loaded", "duplicate", "rejected"
# statuses of files that have no row in `deliveries`
UNCHANGED, FAILED = "unchanged", "failed"


class FileResult(NamedTuple):
    """What became of a file: its row in `deliveries`."""

    file: SourceFile
    status: str  # LOADED, DUPLICATE or REJECTED
    reason: str | None  # why it is not loaded, and what to do
    delivery_id: str  # SHA-256 of its document, in hexadecimal
    header: Header
    size: int  # bytes of its document

    @property
    def rows(self) -> int:
        """How many rows of raw tables came of it."""
        return sum(count or 0 for count in self.header.counts.values())


@dataclass
class Report:
    """What a run did, file by file; files are counted, or named by their URLs."""

    seen: int = 0  # listed by the sources
    known: int = 0  # of these, need not be read
    still_rejected: int = 0  # passed over because an earlier run rejected them
    passed_over: Sequence[str] = ()  # in folders, under names that no pattern takes
    not_dumps: int = 0  # their names say that they are no dumps
    gone: int = 0  # an earlier run rejected them, and the sources list them no more
    loaded: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)  # each with the reason
    failed: list[str] = field(default_factory=list)  # a line for each that could not be read
    records: Counter[str] = field(default_factory=Counter)  # rows by raw table
    bytes: int = 0  # of the documents that were loaded
    # start and end of each that was loaded, in epoch milliseconds
    windows: list[tuple[int, int]] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, result: FileResult) -> None:
        """Count a file that this run has settled."""
        if result.status == LOADED:
            self.loaded.append(result.file.url)
            self.records.update({k: v for k, v in result.header.counts.items() if v})
            self.bytes += result.size
            start, end = map(read_time, (result.header.start_time, result.header.end_time))
            if start is not None and end is not None:
                self.windows.append((start, end))
        elif result.status == DUPLICATE:
            self.duplicates.append(result.file.url)
        else:
            self.rejected.append((result.file.url, result.reason or ""))


class Observer:
    """Told by an ingest what it does, from any of its threads; keeps the report, says nothing."""

    report: Report | None = None

    def found(self, report: Report, new: Sequence[SourceFile]) -> None:
        """The files are listed; `new` will be read, and `report` fills as they are."""
        self.report = report

    def begun(self, file: SourceFile) -> None:
        """A file is read from its start, maybe not for the first time."""

    def read(self, file: SourceFile, share: float, rows: int) -> None:
        """A share (0 to 1) of a file has been read so far, and gave so many rows more."""

    def loading(self, files: Sequence[SourceFile]) -> None:
        """The files are read; their rows go into the database now."""

    def ended(self, file: SourceFile, status: str, reason: str | None, rows: int) -> None:
        """It is settled what becomes of a file; where it failed, the reason names it."""

    def building(self, done: int, total: int, at_work: str) -> None:
        """So many of all models and tests are done, and one is running."""

    def say(self, text: str) -> None:
        """Show a line that another program or the run itself wrote."""

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Show that something goes on which cannot be measured."""
        yield

    def __enter__(self) -> "Observer":
        """Begin to show."""
        return self

    def __exit__(self, *_: object) -> None:
        """End, and leave the terminal as it was."""
