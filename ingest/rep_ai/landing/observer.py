"""What an ingest tells of itself while it goes on."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rep_ai.landing.results import Report
from rep_ai.landing.sources import SourceFile


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
        """What becomes of a file is settled, and it is in the database."""

    def failed(self, file: SourceFile, line: str) -> None:
        """A file could not be read; the line says which and why."""

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
