"""The raw tables that loads write."""

from collections.abc import Sequence
from datetime import UTC

import pyarrow as pa

from rep_ai.dump.format import RAW_TABLES, RECORD_TABLES
from rep_ai.landing.results import LOADED, FileResult

TABLES = {"deliveries": RAW_TABLES["deliveries"], **RECORD_TABLES}


def deliveries(results: Sequence[FileResult]) -> pa.Table:
    """The rows of `deliveries` for some files."""
    return pa.Table.from_pylist([_row(result) for result in results], TABLES["deliveries"])


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
        **{f"{table}_count": count for table, count in counts.items()},
        "_extra": header.extra,
    }
