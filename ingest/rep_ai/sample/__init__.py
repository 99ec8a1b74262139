"""Synthetic dumps in the vendor's format, for first runs, demos and benchmarks.

The same arguments give the same documents on every machine.
"""

from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from rep_ai.sample.documents import SUFFIXES, Compression, document, write
from rep_ai.sample.life import HOUR, days_of

__all__ = ["HOUR", "Compression", "write_sample"]


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
) -> list[Path]:
    """Write one dump for each day, and one day of the last third a second time, corrected.

    Existing files of the same names are replaced. The documents depend on the arguments alone; the
    bytes of compressed files also on the version of the compressor. Days go from midnight to
    midnight in the time zone, an IANA name; as many sessions start on an average day, and fewer on
    weekends. Without `redelivery` each day comes once.

    Returns:
        The files, in the order in which they would have arrived.

    Raises:
        ValueError: a day or a time zone cannot be; the message is a sentence for the user.
    """
    if first_day.year < 2001 or (date(2099, 12, 31) - first_day).days < days:
        raise ValueError("The days of a sample lie between 2001 and 2099.")
    if timezone not in available_timezones():
        raise ValueError(f"Unknown time zone {timezone!r}: take an IANA name.")
    directory.mkdir(parents=True, exist_ok=True)
    repeated = days * 2 // 3 if redelivery else None
    written: list[tuple[int, Path]] = []
    for index, day in enumerate(
        days_of(first_day, days, sessions_per_day, seed, ZoneInfo(timezone))
    ):
        for faulty in (True, False) if index == repeated else (False,):
            again = index == repeated and not faulty
            named = f"rep_ai_{first_day + timedelta(index)}{'_redelivered' if again else ''}.json"
            path = directory / f"{named}{SUFFIXES[compression]}"
            # in the night after the day, the correction some nights later
            arrival = day.window.end // 1000 + 3 * 3600 + index * 7 % 60 + 72 * 3600 * again
            text = document(day, seed, faulty=faulty, patch=int(again))
            write(path, text, compression, arrival)
            written.append((arrival, path))
    return [path for _, path in sorted(written)]
