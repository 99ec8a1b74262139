"""What a run was: its row in the raw table `runs`, and its lines in the log."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any
from uuid import uuid4

from rep_ai import project
from rep_ai.console.run_summary import Outcome
from rep_ai.errors import INTERRUPTED, RepAiError
from rep_ai.landing import upkeep
from rep_ai.landing.destinations import Destination
from rep_ai.landing.results import Observer
from rep_ai.landing.urls import public
from rep_ai.words import named, on_line, one_line

LOG_NAME = "rep_ai.log"
# a longer log is renamed, and a new one begun
LOG_BYTES = 10_000_000
_EPOCH = datetime(1970, 1, 1)


@contextmanager
def recorded(
    outcome: Outcome,
    observer: Observer,
    destination: Destination,
    schema: str,
    sources: Sequence[str],
) -> Iterator[None]:
    """Note a run in the database and in the log, at its start and at its end.

    What cannot be noted is a warning of the run. A run that is killed leaves its row without an
    end; the run that makes the table has no row until its end. The caller holds the lock. `outcome`
    gets the error, and what `observer` has of a landing that was broken off.
    """
    path = project.log_path() / LOG_NAME
    row: dict[str, Any] = {
        "run_id": uuid4().hex,
        "command": outcome.command,
        "rep_ai_version": upkeep.rep_ai_version(),
        "log": str(path),
        "started_at": _now(),
    }

    def note(known: dict[str, Any]) -> None:
        try:
            upkeep.note_run(destination, schema, known)
        except RepAiError as error:
            if not outcome.error:
                outcome.run_lines = [f"the run is not in the raw table runs: {error}"]

    with _log(path, outcome, row["run_id"]) as log:
        note(row)
        what = " ".join([outcome.command, *map(public, sources)])
        log(f"begins: rep-ai {what} into {destination.name}")
        try:
            yield
        except BaseException as error:
            outcome.ingest = observer.report or outcome.ingest
            is_interrupt = isinstance(error, KeyboardInterrupt)
            outcome.error = INTERRUPTED if is_interrupt else one_line(error) or type(error).__name__
            # a failure to note the start mostly has the same cause
            outcome.run_lines = []
            raise
        finally:
            note({**row, **_came_of_it(outcome)})
            for line in _lines(outcome):
                log(line)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _came_of_it(outcome: Outcome) -> dict[str, Any]:
    """The columns that are known at the end."""
    landed, built = outcome.ingest, outcome.dbt or {}
    times = [time for window in landed.windows for time in window]
    return {
        "ended_at": _now(),
        "exit_code": outcome.exit_code,
        "error": outcome.error,
        **{f"files_{name}": count for name, count in outcome.files.items()},
        "files_duplicate": len(landed.duplicates),
        "passed_over_examples": named(landed.passed_over) or None,
        "records": landed.records.total(),
        "bytes": landed.bytes,
        "first_window_start_at": _EPOCH + timedelta(milliseconds=min(times)) if times else None,
        "last_window_end_at": _EPOCH + timedelta(milliseconds=max(times)) if times else None,
        "landing_ms": round(landed.seconds * 1000),
        "build_ms": outcome.build_seconds and round(outcome.build_seconds * 1000),
        **built,
        "test_warnings": built.get("warnings"),
    }


class _Handler(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """A log that cannot be written fails no run."""


@contextmanager
def _log(path: Path, outcome: Outcome, run_id: str) -> Iterator[Callable[[str], None]]:
    """What appends a line to the log; nothing, and a warning, where it cannot be opened."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = _Handler(path, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
    except OSError as error:
        outcome.run_lines = [f"{path} cannot be written: {error.strerror}"]
        yield lambda _: None
        return
    logger = logging.Logger(run_id)
    logger.addHandler(handler)
    with closing(handler):
        yield lambda line: logger.info("%s", f"{_now():%Y-%m-%d %H:%M:%SZ} {run_id[:8]} {line}")


def _lines(outcome: Outcome) -> Iterator[str]:
    """What the log says of a run at its end."""
    landed = outcome.ingest
    for status, urls in (("loaded", landed.loaded), ("duplicate", landed.duplicates)):
        yield from (f"{status} {on_line(url)}" for url in urls)
    for url, reason in landed.rejected:
        yield f"rejected {on_line(url)}: {on_line(reason)}"
    yield from (f"failed {on_line(line)}" for line in landed.failed)
    if outcome.dbt:
        counts = ", ".join(f"{count} {name}" for name, count in outcome.dbt.items())
        yield f"dbt build: {counts}"
    yield from (f"warning: {line}" for line in (*outcome.warned, *outcome.warnings()))
    error = f": {on_line(outcome.error)}" if outcome.error else ""
    yield f"ends with exit code {outcome.exit_code}{error}"
