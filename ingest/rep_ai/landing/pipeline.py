"""dlt, asked for one package at a time and never to resume: the ledger decides what counts."""

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any

import pyarrow as pa

from rep_ai.landing.destinations import Destination

NAME = "rep_ai"
# a batch is larger only where an entry is
USUAL_BATCH_BYTES = 64 << 20

_SETTINGS = {
    "normalize": {"parquet_normalizer": {"add_dlt_load_id": True}},
    "extract": {"next_item_mode": "fifo"},
    # the files live shorter than it takes to compress them
    "data_writer": {"compression": "none"},
    # a job that is tried again may have been committed before, and no filter tells its rows apart
    "load": {"raise_on_max_retries": 1},
    "runtime": {"dlthub_telemetry": False, "intercept_signals": False, "log_level": "CRITICAL"},
}


def load(
    batches: Generator[tuple[str, pa.Table], None, None],
    destination: Destination,
    schema: str,
    *,
    folder: str,
    when_read: Callable[[], None],
) -> None:
    """Load batches of rows together or not at all.

    Args:
        batches: pairs of a raw table and rows of it.
        destination: the database; the caller holds its lock.
        schema: schema of the raw tables.
        folder: an empty folder for what dlt writes.
        when_read: called when all batches are read, before they go into the database.

    Raises:
        DestinationError: the lock is lost.
        Exception: whatever dlt, or reading a batch, raises.
    """
    dlt = _dlt(folder)
    largest = 0

    def marked() -> Iterator[Any]:
        nonlocal largest
        # where it is given up halfway, the file that is being read is let go of at once
        with closing(batches):
            for table, rows in batches:
                largest = max(largest, rows.nbytes)
                yield dlt.mark.with_table_name(rows, table)

    pipeline = dlt.pipeline(
        NAME,
        pipelines_dir=folder,
        destination=destination.dlt_destination(),
        dataset_name=schema,
    )
    resource = dlt.resource(marked(), name=NAME, write_disposition="append")
    pipeline.extract(resource, loader_file_format="parquet")
    when_read()
    pipeline.normalize()
    destination.check_lock()
    # dlt opens a DuckDB file again and again, and any reader could slip in between
    with closing(destination.connect()) as connection:
        is_bounded = largest <= USUAL_BATCH_BYTES
        pipeline.load(
            destination.dlt_destination(connection, is_bounded=is_bounded),
            raise_on_failed_jobs=True,
        )


def _dlt(folder: str) -> Any:
    """The library, set up so that no file or variable of the user can break a promise."""
    # a .dlt in the working directory is not even read
    os.environ["DLT_PROJECT_DIR"] = folder
    import dlt
    from dlt.common.configuration.container import Container
    from dlt.common.configuration.providers import CustomLoaderDocProvider
    from dlt.common.configuration.specs.config_providers_context import ConfigProvidersContainer
    from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

    context: Any = Container()[PluggableRunContext]
    # else an id for the telemetry that is off is left there
    context.context._global_dir = folder
    settings = CustomLoaderDocProvider(NAME, lambda: _SETTINGS)
    context.providers = ConfigProvidersContainer([settings])
    context.context.reset_config()
    return dlt
