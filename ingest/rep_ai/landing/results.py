"""What became of each file, and of all of them."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from rep_ai.dump.document import Header
from rep_ai.landing.sources import SourceFile

LOADED, DUPLICATE, REJECTED = "loaded", "duplicate", "rejected"


class FileResult(NamedTuple):
    """What became of a file: its row in `deliveries`.

    Attributes:
        file: the file as it was listed.
        status: `LOADED`, `DUPLICATE` or `REJECTED`.
        reason: why it is not loaded, and what to do; else None.
        delivery_id: SHA-256 of its document, in hexadecimal.
        header: the scalars of the document, and its counts.
        size: bytes of the document.
    """

    file: SourceFile
    status: str
    reason: str | None
    delivery_id: str
    header: Header
    size: int

    @property
    def rows(self) -> int:
        """How many rows of raw tables came of it."""
        return sum(count or 0 for count in self.header.counts.values())


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

    def add(self, result: FileResult) -> None:
        """Count a file that this run has settled."""
        match result.status:
            case "loaded":
                self.loaded.append(result.file.url)
                self.records.update({k: v for k, v in result.header.counts.items() if v})
                self.bytes += result.size
            case "duplicate":
                self.duplicates.append(result.file.url)
            case _:
                self.rejected.append((result.file.url, result.reason or ""))
