"""What completed loads have seen: it alone decides what a run still has to do."""

from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from rep_ai.landing.destinations import Destination, cursor_of, qualified, tables
from rep_ai.landing.raw_tables import TABLES
from rep_ai.landing.results import DUPLICATE, LOADED, REJECTED
from rep_ai.landing.sources import State


@dataclass
class Ledger:
    """What completed loads have seen."""

    states: dict[State, str] = field(default_factory=dict)  # the status that each state got
    contents: dict[str, str] = field(default_factory=dict)  # delivery id -> URL that was loaded
    seen: set[tuple[State, str]] = field(default_factory=set)  # states, and delivery ids they had
    # URL -> the loads that rejected it, of files that have not been gone since
    rejected: dict[str, set[str]] = field(default_factory=dict)


def read(destination: Destination, schema: str) -> Ledger:
    """Clear the rows of loads that never completed, and read what the others have seen.

    The caller holds the lock.

    Raises:
        DestinationError, LoadError: the database cannot be used.
    """
    with cursor_of(destination) as cursor:
        present = {table for in_schema, table in tables(cursor) if in_schema == schema}
        if not {"deliveries", "_dlt_loads"} <= present:
            return Ledger()
        where = qualified(cursor, schema)
        for table in TABLES.keys() & present:
            cursor.execute(
                f"delete from {where}.{table} where _dlt_load_id not in ({_completed(where)})"
            )
        return look(cursor, schema)


def look(cursor: Any, schema: str) -> Ledger:
    """What completed loads have seen, by a cursor that may change nothing.

    Args:
        cursor: of the database.
        schema: schema of the raw tables.
    """
    ledger = Ledger()
    present = {table for in_schema, table in tables(cursor) if in_schema == schema}
    if not {"deliveries", "_dlt_loads"} <= present:
        return ledger
    schema = qualified(cursor, schema)
    gone = set()
    if "_gone_files" in present:
        cursor.execute(f"select file_url, load_id from {schema}._gone_files")
        gone = set(cursor.fetchall())
    cursor.execute(
        "select file_url, file_size, file_modified_at, status, _delivery_id, _dlt_load_id "
        f"from {schema}.deliveries where _dlt_load_id in ({_completed(schema)})"
    )
    for url, size, modified_at, status, delivery_id, load_id in cursor.fetchall():
        if status == REJECTED:
            # one that comes back is read as if it were new
            if (url, load_id) in gone:
                continue
            ledger.rejected.setdefault(url, set()).add(load_id)
        moment = modified_at and modified_at.astimezone(UTC).replace(tzinfo=None)
        # a retried file has several rows of one state: any success counts
        state = State(url, size, moment)
        if ledger.states.get(state, REJECTED) == REJECTED:
            ledger.states[state] = status
        if status == LOADED:
            ledger.contents[delivery_id] = url
        ledger.seen.add((state, delivery_id))
    for state, delivery_id in ledger.seen:
        # nothing waits where another copy was loaded
        if ledger.states[state] == REJECTED and delivery_id in ledger.contents:
            ledger.states[state] = DUPLICATE
    return ledger


def _completed(schema: str) -> str:
    return f"select load_id from {schema}._dlt_loads where status = 0"
