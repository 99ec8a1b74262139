"""What completed loads have seen: it alone decides what a run still has to do."""

from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from rep_ai.landing.destinations import Destination, qualified, tables
from rep_ai.landing.errors import LoadError, root_cause
from rep_ai.landing.raw_tables import TABLES
from rep_ai.landing.results import LOADED, REJECTED
from rep_ai.landing.sources import State


@dataclass
class Ledger:
    """What completed loads have seen."""

    # the status that a state of a file got
    states: dict[State, str] = field(default_factory=dict)
    # delivery id -> url of the file that was loaded
    contents: dict[str, str] = field(default_factory=dict)
    # each state with the delivery ids it had
    seen: set[tuple[State, str]] = field(default_factory=set)


def read(destination: Destination, schema: str) -> Ledger:
    """Clear the rows of loads that never completed, and read what the others have seen.

    Args:
        destination: the database; the caller holds its lock.
        schema: schema of the raw tables.

    Raises:
        DestinationError, LoadError: the database cannot be used.
    """
    with closing(destination.connect()) as connection:
        try:
            return _read(connection.cursor(), schema)
        except Exception as error:
            raise LoadError(root_cause(error)) from error


def _read(cursor: Any, schema: str) -> Ledger:
    ledger = Ledger()
    present = {table for in_schema, table in tables(cursor) if in_schema == schema}
    schema = qualified(cursor, schema)
    if "deliveries" not in present or "_dlt_loads" not in present:
        return ledger
    completed = f"select load_id from {schema}._dlt_loads where status = 0"
    for table in TABLES.keys() & present:
        cursor.execute(f"delete from {schema}.{table} where _dlt_load_id not in ({completed})")
    cursor.execute(
        "select file_url, file_size, file_modified_at, status, _delivery_id "
        f"from {schema}.deliveries where _dlt_load_id in ({completed})"
    )
    for url, size, modified_at, status, delivery_id in cursor.fetchall():
        moment = modified_at and modified_at.astimezone(UTC).replace(tzinfo=None)
        # a retried file has several rows of one state: any success counts
        state = State(url, size, moment)
        if ledger.states.get(state, REJECTED) == REJECTED:
            ledger.states[state] = status
        if status == LOADED:
            ledger.contents[delivery_id] = url
        ledger.seen.add((state, delivery_id))
    return ledger
