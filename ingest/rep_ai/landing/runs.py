"""The raw table `runs`: what each `rep-ai run` and `rep-ai ingest` was."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from rep_ai.landing.destinations import Destination, cursor_of
from rep_ai.landing.destinations.duckdb import DuckDB

# columns of numbers
COUNTS = (
    *("files_seen", "files_loaded", "files_known", "files_duplicate", "files_rejected"),
    *("files_still_rejected", "files_failed", "files_passed_over", "records", "bytes"),
    *("models", "tests", "test_warnings", "failures"),
)
RUNS = pa.schema(
    [
        ("run_id", pa.string()),
        ("command", pa.string()),
        ("rep_ai_version", pa.string()),
        ("log", pa.string()),
        ("started_at", pa.timestamp("us")),
        ("ended_at", pa.timestamp("us")),
        ("exit_code", pa.int64()),
        ("error", pa.string()),
        ("first_window_start_at", pa.timestamp("us")),
        ("last_window_end_at", pa.timestamp("us")),
        ("passed_over_examples", pa.string()),
        ("landing_ms", pa.int64()),
        ("build_ms", pa.int64()),
        *((name, pa.int64()) for name in COUNTS),
    ]
)


def note(destination: Destination, schema: str, row: Mapping[str, Any]) -> None:
    """Write what is known of a run, in place of what it wrote before.

    Args:
        destination: the database; the caller holds its lock.
        schema: schema of the raw tables; nothing is written where there are none.
        row: columns of `RUNS`; those that it lacks are NULL.

    Raises:
        DestinationError, LoadError: the database cannot be used.
    """
    if isinstance(destination, DuckDB) and not destination.path.exists():
        return
    with cursor_of(destination, schema) as cursor:
        if destination.columns(cursor, schema, ["runs"]):
            rows = pa.Table.from_pylist([dict(row)], RUNS)
            destination.replace(cursor, schema, "runs", "run_id", rows)
