"""What completed loads have seen: it alone decides what a run still has to do."""

from dataclasses import dataclass, field
from typing import Any

from rep_ai.landing.destinations import Destination, cursor_of
from rep_ai.landing.raw_tables import TABLES
from rep_ai.landing.results import DUPLICATE, LOADED, REJECTED
from rep_ai.landing.sources import State, moment

_NAMES = [*TABLES, "_dlt_loads", "_gone_files"]


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
    """
    with cursor_of(destination, schema) as cursor:
        present = destination.columns(cursor, schema, _NAMES)
        if {"deliveries", "_dlt_loads"} <= present.keys():
            loaded = [name for name in present if "_dlt_load_id" in present[name]]
            destination.clear(cursor, schema, loaded)
        return look(destination, cursor, schema)


def look(destination: Destination, cursor: Any, schema: str) -> Ledger:
    """What completed loads have seen, read by a cursor that needs to change nothing."""
    ledger = Ledger()
    present = destination.columns(cursor, schema, _NAMES)
    if not {"deliveries", "_dlt_loads"} <= present.keys():
        return ledger
    where = {name: destination.place(cursor, schema, name) for name in present}
    gone = set()
    if "_gone_files" in present:
        cursor.execute(f"select file_url, load_id from {where['_gone_files']}")
        gone = set(cursor.fetchall())
    cursor.execute(
        "select file_url, file_size, file_modified_at, status, _delivery_id, _dlt_load_id "
        f"from {where['deliveries']} where _dlt_load_id in "
        f"(select load_id from {where['_dlt_loads']} where status = 0)"
    )
    for url, size, modified_at, status, delivery_id, load_id in cursor.fetchall():
        if status == REJECTED:
            # one that comes back is read as if it were new
            if (url, load_id) in gone:
                continue
            ledger.rejected.setdefault(url, set()).add(load_id)
        # a retried file has several rows of one state: any success counts
        state = url, size, moment(modified_at)
        if ledger.states.get(state, REJECTED) == REJECTED:
            ledger.states[state] = status
        if status == LOADED:
            ledger.contents[delivery_id] = url
        ledger.seen.add((state, delivery_id))
    for state, delivery_id in ledger.seen:
        # rejected here, but a copy was loaded
        if ledger.states[state] == REJECTED and delivery_id in ledger.contents:
            ledger.states[state] = DUPLICATE
    return ledger
