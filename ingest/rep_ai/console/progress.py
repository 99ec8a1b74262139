"""What is seen while a run goes on: a bar on a terminal, lines elsewhere.

rich draws the bar. How much is read is counted here: a file may be read more than once.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Lock
from time import monotonic
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.status import Status
from rich.table import Column
from rich.text import Text

from rep_ai.landing.results import FAILED, LOADED, REJECTED, Observer, Report
from rep_ai.landing.sources import SourceFile
from rep_ai.words import on_line

# seconds between two lines that say how far a long file is
PATIENCE = 10
# a file whose store does not tell its size counts as one of so many bytes
UNKNOWN_SIZE = 1 << 20


class Quiet(Observer):
    """Says which files are rejected and failed, and nothing else of its own."""

    def ended(self, file: SourceFile, status: str, reason: str | None, rows: int) -> None:
        """Say what is wrong with a file."""
        if status in (REJECTED, FAILED):
            where = f"{on_line(file.url)}: " if status == REJECTED else ""
            self.say(f"{status} {where}{on_line(reason or '')}")

    def say(self, text: str) -> None:
        """Write a line as it is."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201


class Lines(Quiet):
    """One line per file with the time (UTC), and now and then one for a long file or a build.

    What is wrong is on stderr besides, as where nothing else is said.
    """

    def __init__(self, file: TextIO) -> None:
        """Begin the clock; the lines go to `file`."""
        self._file = file
        self._lock = Lock()
        self._said_at = monotonic()
        self._rows: Counter[str] = Counter()

    def found(self, report: Report, new: Sequence[SourceFile]) -> None:
        """Say how much there is to do."""
        super().found(report, new)
        size = sum(file.size or 0 for file in new) / 1e6
        self._log(f"found files: {report.seen:,}; to be read: {len(new):,}, {size:,.1f} MB")

    def begun(self, file: SourceFile) -> None:
        """Count from the start."""
        self._rows[file.url] = 0

    def read(self, file: SourceFile, share: float, rows: int) -> None:
        """Say how far it is, if nothing was said for a while."""
        self._rows[file.url] += rows
        count = self._rows[file.url]
        self._log(f"reading {on_line(file.url)}: {share:.0%}, {count:,} records", PATIENCE)

    def loading(self, files: Sequence[SourceFile]) -> None:
        """Say so, if nothing was said for a while."""
        self._log(f"loading {len(files):,} files into the database", PATIENCE)

    def ended(self, file: SourceFile, status: str, reason: str | None, rows: int) -> None:
        """Say what became of a file."""
        super().ended(file, status, reason, rows)
        said = f": {rows:,} records" if status == LOADED else ""
        self._log(f"{status} {on_line(file.url)}{said}")

    def building(self, done: int, total: int, at_work: str) -> None:
        """Say how far it is, if nothing was said for a while."""
        self._log(_built(done, total, at_work), PATIENCE)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Say that it begins."""
        self._log(what)
        yield

    def _log(self, text: str, patience: float = 0) -> None:
        """Write a line, unless one was written within so many seconds."""
        with self._lock:
            now = monotonic()
            if now - self._said_at >= patience:
                self._said_at = now
                moment = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%SZ}"
                print(moment, text, file=self._file, flush=True)


class _Bar(Quiet):
    """A bar with files, bytes, records and the time left, gone without a trace at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        one_line = Column(no_wrap=True, overflow="ellipsis", ratio=1)
        # what the run prints meanwhile goes where it went: stdout may be another file
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=one_line),
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=4)),
            TextColumn("{task.fields[counts]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            expand=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task("Looking for dump files", total=None, counts="")
        self._status: Status | None = None
        self._lock = Lock()
        # by URL: the bytes of each file, those of them that are read, and its records
        self._sizes: dict[str, int] = {}
        self._read: Counter[str] = Counter()
        self._rows: Counter[str] = Counter()
        # sums are kept, because there may be thousands of files
        self._total = self._bytes = self._records = self._files = 0

    def found(self, report: Report, new: Sequence[SourceFile]) -> None:
        super().found(report, new)
        self._sizes = {f.url: UNKNOWN_SIZE if f.size is None else f.size or 1 for f in new}
        self._total = sum(self._sizes.values())
        self._progress.update(self._task, total=self._total, description="Reading")

    def begun(self, file: SourceFile) -> None:
        self._set(file, 0.0, -self._rows[file.url])
        name = on_line(file.url).rpartition("/")[2]
        self._progress.update(self._task, description=f"Reading {name}")

    def read(self, file: SourceFile, share: float, rows: int) -> None:
        self._set(file, min(share, 1.0), rows)

    def loading(self, files: Sequence[SourceFile]) -> None:
        self._progress.update(self._task, description="Loading into the database")

    def ended(self, file: SourceFile, status: str, reason: str | None, rows: int) -> None:
        super().ended(file, status, reason, rows)
        self._set(file, 1.0, files=1)

    def say(self, text: str) -> None:
        """Write a line above the bar."""
        self._console.print(Text.from_ansi(text), soft_wrap=True)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Show that it goes on; the bar is over by then."""
        self._progress.stop()
        with self._console.status(what) as self._status:
            yield

    def building(self, done: int, total: int, at_work: str) -> None:
        if self._status:
            self._status.update(_built(done, total, at_work))

    def __enter__(self) -> Observer:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _set(self, file: SourceFile, share: float, rows: int = 0, files: int = 0) -> None:
        """Note which share of a file is read, and how many rows and files that is more."""
        with self._lock:
            read = round(share * self._sizes.get(file.url, 0))
            self._bytes += read - self._read[file.url]
            self._read[file.url] = read
            self._rows[file.url] += rows
            self._records += rows
            self._files += files
            counts = (
                f"{self._files:,}/{len(self._sizes):,} files "
                f"{self._bytes / 1e6:,.0f}/{self._total / 1e6:,.0f} MB {self._records:,} records"
            )
            self._progress.update(self._task, completed=self._bytes, counts=counts)


def _built(done: int, total: int, at_work: str) -> str:
    return f"dbt build: {done:,} of {total:,} models and tests done, at work: {at_work}"


def of_dbt(observer: Observer) -> Callable[[str], None]:
    """What is called with each line of dbt's log in JSON: errors are said, the rest is progress."""
    at_work: dict[str, None] = {}
    done = 0

    def told(line: str) -> None:
        nonlocal done
        try:
            event = json.loads(line)
            info, data = event["info"], event["data"]
        except (ValueError, KeyError, TypeError):
            # what is not dbt's own, such as a traceback
            observer.say(line)
            return
        if info["level"] == "error" or info["name"] == "PrintEvent":
            observer.say(f"{info['ts'][11:19]}  {info['msg']}")
        name = data.get("node_info", {}).get("node_name")
        if "Hook" in info["name"] or not name or ("total" not in data and "num_models" not in data):
            return
        total = data.get("total") or data["num_models"]
        if info["name"] == "LogStartLine":
            at_work[name] = None
        else:
            at_work.pop(name, None)
            done += 1
        # the one that is at work for longest
        observer.building(done, total, next(iter(at_work), name))

    return told


def observer(*, quiet: bool, as_json: bool) -> Observer:
    """What suits the place where the run is watched."""
    if quiet:
        return Quiet()
    # not what rich makes of FORCE_COLOR, by which logs would fill with bars
    if sys.stderr.isatty() and os.environ.get("TERM") not in (None, "dumb", "unknown"):
        return _Bar(Console(stderr=True, highlight=False))
    return Lines(sys.stderr if as_json else sys.stdout)
