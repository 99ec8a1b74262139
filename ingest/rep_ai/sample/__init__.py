"""Synthetic dumps in the vendor's format, for first runs, demos and benchmarks.

The same arguments give the same documents on every machine.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from rep_ai.sample.documents import SUFFIXES, Compression, document, write
from rep_ai.sample.life import HOUR, days_of

__all__ = ["HOUR", "Compression", "SampleReport", "write_sample"]


@dataclass(frozen=True)
class SampleReport:
    """What `write_sample` wrote, the re-delivery included."""

    files: int
    bytes: int  # on disk
    records: dict[str, int]  # of each collection over all files
    paths: tuple[Path, ...]  # in the order in which they would have arrived


def write_sample(
    directory: Path,
    *,
    days: int = 14,
    sessions_per_day: int = 400,
    seed: int = 1,
    timezone: str = "America/Chicago",
    first_day: date = date(2026, 3, 1),
    compression: Compression = "none",
    redelivery: bool = True,
) -> SampleReport:
    """Write one dump for each day, and one day of the last third a second time, corrected.

    Existing files of the same names are replaced. The documents depend on the arguments alone; the
    bytes of compressed files also on the version of the compressor.

    Args:
        directory: Where the files go; made if missing.
        days: Number of days, 1 or more.
        sessions_per_day: Sessions that start on an average day; weekends have fewer.
        seed: Another seed, other data.
        timezone: IANA name of the organisation's time zone; days go from midnight to midnight.
        first_day: The first local day.
        compression: Of every file; names end accordingly.
        redelivery: Whether one day comes twice, first with faults.

    Returns:
        What was written.

    Raises:
        ValueError: An argument is out of range; the message is a sentence for the user.
        OSError: A file cannot be written.
    """
    if days < 1 or sessions_per_day < 1:
        raise ValueError("A sample needs at least one day and one session a day.")
    if compression not in SUFFIXES:
        raise ValueError(f"Unknown compression {compression!r}: take none, gzip or zstd.")
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"{directory} is a file: name a folder for the sample.")
    if first_day.year < 2001 or (date(2099, 12, 31) - first_day).days < days:
        raise ValueError("The days of a sample lie between 2001 and 2099.")
    zone = _zone(timezone)
    directory.mkdir(parents=True, exist_ok=True)
    repeated = days * 2 // 3 if redelivery else None
    records: Counter[str] = Counter()
    written: list[tuple[int, Path]] = []
    for index, day in enumerate(days_of(first_day, days, sessions_per_day, seed, zone)):
        for faulty in (True, False) if index == repeated else (False,):
            again = index == repeated and not faulty
            named = first_day + timedelta(days=index)
            name = f"rep_ai_{named}{'_redelivered' if again else ''}.json{SUFFIXES[compression]}"
            # in the night after the day, the correction some nights later
            arrival = day.window.end // 1000 + 3 * 3600 + index * 7 % 60 + 72 * 3600 * again
            text = document(day, seed, records, faulty=faulty, patch=int(again))
            write(directory / name, text, compression, arrival)
            written.append((arrival, directory / name))
    paths = tuple(path for _, path in sorted(written))
    size = sum(path.stat().st_size for path in paths)
    return SampleReport(len(paths), size, dict(records), paths)


def _zone(timezone: str) -> ZoneInfo:
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:  # OSError: the name of a folder of zones
        raise ValueError(f"Unknown time zone {timezone!r}: take an IANA name.") from error
