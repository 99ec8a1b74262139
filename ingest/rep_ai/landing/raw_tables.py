"""The raw tables: their columns never depend on the data."""

from collections.abc import Sequence
from datetime import UTC

import pyarrow as pa

from rep_ai.dump.format import RECORD_TABLES
from rep_ai.landing.results import LOADED, FileResult

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


def deliveries(results: Sequence[FileResult]) -> pa.Table:
    """The rows of `deliveries` for some files."""
    return pa.Table.from_pylist([_row(result) for result in results], schema=DELIVERIES)


def _row(result: FileResult) -> dict[str, object]:
    file, header = result.file, result.header
    counts = header.counts if result.status == LOADED else {}
    return {
        "_delivery_id": result.delivery_id,
        "file_url": file.url,
        "file_size": file.size,
        "file_modified_at": file.modified_at and file.modified_at.replace(tzinfo=UTC),
        "status": result.status,
        "reason": result.reason,
        "version": header.version,
        "start_time": header.start_time,
        "end_time": header.end_time,
        **{f"{table}_count": counts.get(table) for table in RECORD_TABLES},
        "_extra": header.extra,
    }
