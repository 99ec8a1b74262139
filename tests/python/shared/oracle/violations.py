"""Broken promises: models/violations.md, whose names the rules have here too.

Rules about what a document says look at every record of the current dumps that has an id (the one
about ids excepted), rules about what it means at the records that hold. Types play no part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TypeAlias

from oracle.dumps import (
    ACTIONS,
    FIELDS,
    INTERACTIONS,
    SESSIONS,
    TIME_FIELDS,
    USERS,
    VISITORS,
    Record,
    Row,
    Window,
    version_key,
)
from oracle.facts import Facts, accept_record

# rule, entity, record id, and the window of the dump that dates it
Violation: TypeAlias = tuple[str, str, str | None, Window]


def violation_rows(facts: Facts) -> list[Row]:
    """rep_ai__contract_violations without severity and detail, which are for reading."""
    rules = (of_versions, of_documents, of_references, of_groups, of_times, of_acceptance)
    return [
        {"rule": rule, "entity": entity, "record_id": record_id, "dump_start_at": window[0]}
        for each in rules
        for rule, entity, record_id, window in each(facts)
    ]


def of_versions(facts: Facts) -> Iterator[Violation]:
    """What the current version of a window replaces: docs/query.md#current-deliveries."""
    for *others, current in facts.versions:
        for other in others:
            is_equal = version_key(other.version) == version_key(current.version)
            subject = "deliveries", other.delivery_id, current.window
            if other.held(SESSIONS).keys() <= current.held(SESSIONS).keys():
                if is_equal:
                    yield "equal_versions", *subject
            elif is_equal:
                yield "equal_version_lacks_sessions", *subject
            else:
                yield "higher_version_lacks_sessions", *subject


def of_documents(facts: Facts) -> Iterator[Violation]:
    """What is wrong with a document by itself."""
    for dump in facts.dumps:
        for collection, key in dump.rejected:
            yield "rejected_record", collection, key, dump.window
        for collection, records in dump.collections.items():
            if records is None:
                yield "collection_missing", collection, None, dump.window
            for field in FIELDS[collection]:
                if records and all(record["_texts"][field] is None for record in records):
                    yield "field_missing", collection, field, dump.window
            yield from of_records(collection, records or [])
        for name, visitor in dump.held(VISITORS).items():
            if visitor["custom_id"] is not None and is_nobody(visitor["custom_id"]):
                yield "custom_id_of_nobody", VISITORS, name, dump.window


def of_records(collection: str, records: list[Record]) -> Iterator[Violation]:
    """What is wrong with a record by itself, or beside others of its id in the same dump."""
    contents: dict[str, list[Row]] = defaultdict(list)
    for record in records:
        name, window = record["_id"], record["_window"]
        if name is None:
            yield "missing_id", collection, None, window
            continue
        if record["id"] is not None and record["_key"] is not None:
            yield "key_differs_from_id", collection, name, window
        for field in {*TIME_FIELDS} & record.keys():
            if record[field] is None and record["_texts"][field] is not None:
                yield "unreadable_time", collection, name, window
        content = {**record["_texts"], "id": name, "_extra": record["_extra"]}
        if content not in contents[name]:
            contents[name].append(content)
            if len(contents[name]) == 2:
                yield "duplicate_id", collection, name, window


def is_nobody(custom_id: str) -> bool:
    """Whether a custom id stands for nobody."""
    return custom_id in ("undefined", "null", "[object Object]", "0") or not custom_id.strip()


# rule, whose column it is about, and what the column names
REFERENCES = (
    ("unknown_session", ACTIONS, "session_id", SESSIONS),
    ("unknown_session", INTERACTIONS, "session_id", SESSIONS),
    ("unknown_visitor", SESSIONS, "visitor_id", VISITORS),
    ("unknown_user", INTERACTIONS, "user_id", USERS),
)


def of_references(facts: Facts) -> Iterator[Violation]:
    """What names something that no current dump holds."""
    for rule, collection, column, target in REFERENCES:
        for name, row in facts.rows[collection].items():
            if row[column] is not None and row[column] not in facts.seen[target]:
                yield rule, collection, name, last_window(facts, collection, name)


def last_window(facts: Facts, collection: str, name: str) -> Window:
    """The last window that an id was seen in."""
    window: Window = facts.seen[collection][name][-1]["_window"]
    return window


def of_groups(facts: Facts) -> Iterator[Violation]:
    """Dated by the last window that any session of the group was seen in."""
    for name, sessions in facts.groups.items():
        window = max(last_window(facts, SESSIONS, each["session_id"]) for each in sessions)
        if name not in facts.seen[SESSIONS]:
            yield "anchor_missing", "session_groups", name, window
        elif sessions[0]["session_id"] != name:
            yield "anchor_not_earliest", "session_groups", name, window
        if len({session["visitor_id"] for session in sessions} - {None}) > 1:
            yield "several_visitors", "session_groups", name, window


def of_times(facts: Facts) -> Iterator[Violation]:
    """Times that contradict each other, or the window that they came in."""
    for collection in (SESSIONS, ACTIONS, INTERACTIONS):
        for name, row in facts.rows[collection].items():
            seen = facts.seen[collection][name]
            start, end = row.get("started_at"), row.get("ended_at")
            if start and end and end < start:
                yield "end_before_start", collection, name, seen[-1]["_window"]
            known_end = None
            for record in seen:
                opens, closes = record["_window"]
                end = record.get("end_time")
                if known_end and end != known_end:
                    yield "end_changed", collection, name, (opens, closes)
                known_end = end or known_end
                points = [record.get("timestamp")]
                if record is seen[0]:
                    # what began in an earlier window may go on in this one
                    points.append(record.get("start_time"))
                is_outside = any(point and not opens <= point < closes for point in points)
                # an end at the very end is inside
                if is_outside or (end and not opens <= end <= closes):
                    yield "outside_window", collection, name, (opens, closes)


def of_acceptance(facts: Facts) -> Iterator[Violation]:
    """Of each record its `accept`, and of the one that acceptance is read from its times."""
    for name, row in facts.rows[INTERACTIONS].items():
        seen = facts.seen[INTERACTIONS][name]
        for record in seen:
            if record["accept"] is None:
                yield "accept_missing", INTERACTIONS, name, record["_window"]
        start, accepted_at = accept_record(seen)["start_time"], row["accepted_at"]
        if row["is_accepted"] and accepted_at is None:
            yield "accepted_without_time", INTERACTIONS, name, seen[-1]["_window"]
        if start is not None and accepted_at is not None and accepted_at < start:
            yield "accepted_before_start", INTERACTIONS, name, seen[-1]["_window"]
