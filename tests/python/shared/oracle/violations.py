"""Section 4.7 of the design: broken promises, a function for each rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TypeAlias

from oracle.dumps import (
    ACTIONS,
    FIELDS,
    INTERACTIONS,
    KIND,
    SESSIONS,
    TIME_FIELDS,
    VISITORS,
    Dump,
    Record,
    Row,
    timestamp,
    version_key,
)
from oracle.facts import is_nobody
from oracle.world import Group, Merged, World

# ---------------------------------------------------------------------------------- 4.7: violations
# Rules about what a document says look at every record of the current dumps that has an id (the one
# about ids excepted); rules about what it means look at the records that hold. Types play no part.

Violation: TypeAlias = tuple[str, str | None, Dump]  # entity, record id, the dump that dates it
Rule: TypeAlias = Callable[[World], Iterator[Violation]]
RULES: list[Rule] = []


def rule(function: Rule) -> Rule:
    """A rule of the mart, called as the function is."""
    RULES.append(function)
    return function


def violation_rows(world: World) -> list[Row]:
    """rep_ai__contract_violations without severity and detail."""
    return [
        {
            "rule": each.__name__,
            "entity": entity,
            "record_id": record_id,
            "dump_start_at": timestamp(dump.window[0]),
        }
        for each in RULES
        for entity, record_id, dump in each(world)
    ]


def all_records(world: World) -> Iterator[tuple[Dump, Record]]:
    """Every record of every current dump."""
    for dump in world.dumps:
        for entity in KIND:
            for record in dump.records(entity):
                yield dump, record


def lasting(world: World) -> Iterator[tuple[str, Merged]]:
    """Everything that lasts, merged: sessions and interactions."""
    for entity, merged in ((SESSIONS, world.sessions), (INTERACTIONS, world.interactions)):
        for item in merged.values():
            yield entity, item


@rule
def missing_id(world: World) -> Iterator[Violation]:
    """A record with neither id nor key."""
    for dump, record in all_records(world):
        if record.id is None:
            yield record.entity, None, dump


@rule
def key_differs_from_id(world: World) -> Iterator[Violation]:
    """A record whose key is not its id, both there."""
    for dump, record in all_records(world):
        own_id = record.text("id")
        if own_id is not None and record.key is not None and record.key != own_id:
            yield record.entity, record.id, dump


@rule
def duplicate_id(world: World) -> Iterator[Violation]:
    """An id twice in one dump with other content, values as read: one row per id and dump."""
    for dump in world.dumps:
        for entity in KIND:
            contents: dict[str, set[tuple[str | None, ...]]] = defaultdict(set)
            for record in dump.records(entity):
                if record.id is not None:
                    listed = (record.text(field) for field in FIELDS[entity] if field != "id")
                    contents[record.id].add((*listed, record.extra))
            for record_id, different in contents.items():
                if len(different) > 1:
                    yield entity, record_id, dump


@rule
def rejected_record(world: World) -> Iterator[Violation]:
    """An entry that is no record, or cannot be stored: one row each."""
    for dump in world.dumps:
        for entity, key in dump.rejected:
            yield entity, key, dump


@rule
def unreadable_time(world: World) -> Iterator[Violation]:
    """A time that is there but cannot be read: one row per record and field."""
    for dump, record in all_records(world):
        for field in set(TIME_FIELDS).intersection(FIELDS[record.entity]):
            unreadable = record.raw[field] is not None and record.time(field) is None
            if unreadable and record.id is not None:
                yield record.entity, record.id, dump


@rule
def end_before_start(world: World) -> Iterator[Violation]:
    """A merged session or interaction that ends before it starts."""
    for entity, item in lasting(world):
        if item.started is not None and item.ended is not None and item.ended < item.started:
            yield entity, item.id, item.last_dump


def unknown(
    entity: str, items: dict[str, Merged], field: str, known: dict[str, Merged]
) -> Iterator[Violation]:
    """What names something that no current dump holds; an action counts with its last record."""
    for item in items.values():
        name = item.last_record.text(field) if entity == ACTIONS else item.last(field)
        if name is not None and name not in known:
            yield entity, item.id, item.last_dump


@rule
def unknown_session(world: World) -> Iterator[Violation]:
    """An action or interaction whose session no current dump holds."""
    yield from unknown(ACTIONS, world.actions, "session_id", world.sessions)
    yield from unknown(INTERACTIONS, world.interactions, "session_id", world.sessions)


@rule
def unknown_visitor(world: World) -> Iterator[Violation]:
    """A session whose visitor no current dump holds."""
    yield from unknown(SESSIONS, world.sessions, "unique_visitor_id", world.visitors)


@rule
def unknown_user(world: World) -> Iterator[Violation]:
    """An interaction whose user no current dump holds."""
    yield from unknown(INTERACTIONS, world.interactions, "user_id", world.users)


def of_group(group: Group) -> Violation:
    """A violation of a group, dated by the last window that any of its sessions was seen in."""
    last = max((s.last_dump for s in group.sessions), key=lambda dump: dump.window)
    return "session_groups", group.id, last


@rule
def anchor_missing(world: World) -> Iterator[Violation]:
    """A group whose naming session no current dump holds."""
    for group in world.groups.values():
        if group.id not in world.sessions:
            yield of_group(group)


@rule
def anchor_not_earliest(world: World) -> Iterator[Violation]:
    """A group whose naming session is delivered but is not its earliest."""
    for group in world.groups.values():
        if group.id in world.sessions and group.sessions[0].id != group.id:
            yield of_group(group)


@rule
def several_visitors(world: World) -> Iterator[Violation]:
    """A group whose sessions have more than one visitor."""
    for group in world.groups.values():
        visitors = {session.last("unique_visitor_id") for session in group.sessions} - {None}
        if len(visitors) > 1:
            yield of_group(group)


@rule
def accept_missing(world: World) -> Iterator[Violation]:
    """A record of an interaction without a readable `accept`."""
    for interaction in world.interactions.values():
        for dump, record in interaction.seen:
            if record.flag("accept") is None:
                yield INTERACTIONS, interaction.id, dump


@rule
def accepted_without_time(world: World) -> Iterator[Violation]:
    """An accepted interaction whose accept time is unknown."""
    for item in world.interactions.values():
        acceptance = world.acceptances[item.id]
        if acceptance.is_accepted and acceptance.accepted_at is None:
            yield INTERACTIONS, item.id, item.last_dump


@rule
def accepted_before_start(world: World) -> Iterator[Violation]:
    """An interaction accepted before the start that the same record gives."""
    for item in world.interactions.values():
        start, accepted_at = (
            world.acceptances[item.id].start,
            world.acceptances[item.id].accepted_at,
        )
        if start is not None and accepted_at is not None and accepted_at < start:
            yield INTERACTIONS, item.id, item.last_dump


@rule
def outside_window(world: World) -> Iterator[Violation]:
    """Times outside the dump's own window: one row per record.

    A start counts in the first window of its id only, since what began in an earlier window may
    go on in this one. An end at the very end of the window is inside.
    """
    for entity, item in lasting(world):
        for number, (dump, record) in enumerate(item.seen):
            first, after = dump.window
            start, end = record.time("start_time"), record.time("end_time")
            start_outside = number == 0 and start is not None and not first <= start < after
            end_outside = end is not None and not first <= end <= after
            if start_outside or end_outside:
                yield entity, item.id, dump
    for action in world.actions.values():
        for dump, record in action.seen:
            first, after = dump.window
            moment = record.time("timestamp")
            if moment is not None and not first <= moment < after:
                yield ACTIONS, action.id, dump


@rule
def end_changed(world: World) -> Iterator[Violation]:
    """A record whose end is not the end known from the windows before it."""
    for entity, item in lasting(world):
        known: int | None = None
        for dump, record in item.seen:
            end = record.time("end_time")
            if known is not None and end != known:
                yield entity, item.id, dump
            known = known if end is None else end


@rule
def collection_missing(world: World) -> Iterator[Violation]:
    """A known collection that is absent or null."""
    for dump in world.dumps:
        for entity in KIND:
            if dump.collections[entity] is None:
                yield entity, None, dump


@rule
def field_missing(world: World) -> Iterator[Violation]:
    """A listed field that no record carries, in a collection that has records."""
    for dump in world.dumps:
        for entity, fields in FIELDS.items():
            records = dump.records(entity)
            for field in fields:
                if records and all(record.text(field) is None for record in records):
                    yield entity, field, dump


@rule
def custom_id_of_nobody(world: World) -> Iterator[Violation]:
    """A visitor whose custom id stands for nobody."""
    for dump in world.dumps:
        for visitor_id, record in dump.held(VISITORS).items():
            custom_id = record.text("custom_id")
            if custom_id is not None and is_nobody(custom_id):
                yield VISITORS, visitor_id, dump


def superseded(
    world: World, *, has_equal_version: bool, lacks_sessions: bool
) -> Iterator[Violation]:
    """4.1: what the current version of a window stands in place of."""
    for *others, current in world.versions.values():
        for other in others:
            is_equal = version_key(other.version) == version_key(current.version)
            lost = other.held(SESSIONS).keys() - current.held(SESSIONS).keys()
            if (is_equal, bool(lost)) == (has_equal_version, lacks_sessions):
                yield "deliveries", other.delivery_id, current


@rule
def equal_versions(world: World) -> Iterator[Violation]:
    """Equal versions of one window with other content, no session lost."""
    yield from superseded(world, has_equal_version=True, lacks_sessions=False)


@rule
def equal_version_lacks_sessions(world: World) -> Iterator[Violation]:
    """Equal versions of one window, and sessions lost."""
    yield from superseded(world, has_equal_version=True, lacks_sessions=True)


@rule
def higher_version_lacks_sessions(world: World) -> Iterator[Violation]:
    """A higher version that lacks sessions of the one it replaced."""
    yield from superseded(world, has_equal_version=False, lacks_sessions=True)
