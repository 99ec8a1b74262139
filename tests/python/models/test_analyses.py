"""The analyses run, and say what plain Python finds in the dumps."""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, timedelta
from decimal import Decimal
from fractions import Fraction
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from marts import known_types
from oracle import marts
from processes import PROJECT
from warehouse import TIMEZONE, Warehouse

NAMES = sorted(path.stem for path in (PROJECT / "analyses").glob("*.sql"))

Marts = dict[str, list[dict[str, Any]]]
Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def oracle(warehouse: Warehouse) -> Marts:
    types = known_types()
    rows: Any = marts(
        warehouse.deliveries,
        action_types=types["action_types"],
        interaction_types=types["interaction_types"],
        timezone=TIMEZONE,
    )
    return {name.split("rep_ai__")[1]: found for name, found in rows.items()}


@pytest.fixture(scope="module")
def compiled(warehouse: Warehouse) -> dict[str, str]:
    manifest = json.loads((warehouse.folder / "target" / "manifest.json").read_text("utf-8"))
    return {
        node["name"]: node["compiled_code"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "analysis"
    }


def percent(part: int, whole: int) -> Any:
    """A percentage with one decimal place, whichever way an engine rounds halves."""
    return pytest.approx(100 * part / whole, abs=0.0500001) if whole else None


def percentile(values: Iterable[Any], share: Fraction) -> Any:
    """A continuous percentile, to the millisecond."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return pytest.approx(float(low) + float(high - low) * float(place % 1), abs=0.0011)


def kind(count: int, noun: str, middle: int = 4) -> str:
    if count == 1:
        return f"1 {noun}"
    return f"2 to {middle} {noun}s" if count <= middle else f"{middle + 1} {noun}s or more"


def grouped(rows: Iterable[dict[str, Any]], *columns: str) -> dict[Any, list[dict[str, Any]]]:
    groups = defaultdict(list)
    for row in rows:
        key = tuple(row[column] for column in columns)
        groups[key if len(columns) > 1 else key[0]].append(row)
    return dict(groups)


def count(rows: Iterable[dict[str, Any]], column: str, value: object = True) -> int:
    return sum(row[column] == value for row in rows)


def spanned_midnight(oracle: Marts) -> Rows:
    sessions = oracle["sessions"]
    answer = [
        (status, len(rows), crossed := count(rows, "crossed_midnight"), percent(crossed, len(rows)))
        for status, rows in {"all": sessions, **grouped(sessions, "end_status")}.items()
    ]
    return [answer[0], *sorted(answer[1:], key=lambda row: (-row[1], row[0]))]


def acceptance_speed(oracle: Marts) -> Rows:
    names = {user["user_id"]: user["display_name"] for user in oracle["users"]}
    waits = [row for row in oracle["interactions"] if row["seconds_to_accept"] is not None]
    by_user = {
        user: [row["seconds_to_accept"] for row in rows]
        for user, rows in grouped(waits, "user_id").items()
    }
    answer = [
        (
            user,
            names.get(user),
            len(seconds),
            pytest.approx(float(median(seconds)), abs=0.0011),
            percentile(seconds, Fraction(9, 10)),
        )
        for user, seconds in by_user.items()
    ]
    return sorted(answer, key=lambda row: (median(by_user[row[0]]), row[0]))


def timeline(oracle: Marts) -> Rows:
    visit = min(
        oracle["session_groups"],
        key=lambda row: (-row["interaction_count"], row["session_group_id"]),
    )
    order = {"session_started": 1, "session_ended": 3}
    events = sorted(
        grouped(oracle["events"], "session_group_id")[visit["session_group_id"]],
        key=lambda row: (row["occurred_at"], order.get(row["event_kind"], 2), row["event_id"]),
    )
    columns = ("occurred_at", "event_kind", "event_type", "session_id", "user_id")
    return [tuple(event[column] for column in columns) for event in events]


def missing_nights(oracle: Marts) -> Rows:
    gaps = [row for row in oracle["dump_calendar"] if row["status"] == "missing"]
    return [
        (
            row["window_start_at"],
            row["window_end_at"],
            max(1, round((row["window_end_at"] - row["window_start_at"]) / timedelta(days=1))),
        )
        for row in gaps
    ]


def test_gaps_of_many_lengths_are_compared(oracle: Marts) -> None:
    lengths = {end - start for start, end, _ in missing_nights(oracle)}
    assert lengths >= {timedelta(hours=hours) for hours in (1, 23, 24, 25)}


def returning(oracle: Marts) -> Rows:
    visits = Counter(row["visitor_id"] for row in oracle["session_groups"] if row["visitor_id"])
    visitors = Counter(kind(number, "visit") for number in visits.values())
    return [
        (name, visitors[name], sum(n for n in visits.values() if kind(n, "visit") == name))
        for name in sorted(visitors)
    ]


def help_requested(oracle: Marts) -> Rows:
    asking = {
        row["session_group_id"]
        for row in oracle["actions"]
        if row["action_type"] == "REQUESTED_HELP"
    }
    groups = oracle["session_groups"]
    visits = [row for row in groups if row["session_group_id"] in asking]
    helped = sum(row["accepted_interaction_count"] > 0 for row in visits)
    return [(len(groups), len(visits), percent(len(visits), len(groups)), helped)]


def busiest_hours(oracle: Marts) -> Rows:
    zone = ZoneInfo(TIMEZONE)
    visits, contacts = Counter[int](), Counter[int]()
    for row in oracle["session_groups"]:
        hour = row["started_at"].replace(tzinfo=UTC).astimezone(zone).hour
        visits[hour] += 1
        contacts[hour] += row["interaction_count"] > 0
    return sorted(
        ((hour, visits[hour], contacts[hour]) for hour in visits),
        key=lambda row: (-row[1], row[0]),
    )


def lengths(oracle: Marts) -> Rows:
    ended = [
        row | {"visits": kind(row["session_count"], "session")}
        for row in oracle["session_groups"]
        if row["elapsed_seconds"] is not None
    ]
    half = Fraction(1, 2)
    return [
        (
            name,
            len(rows),
            percentile((row["active_seconds"] for row in rows), half),
            percentile((row["elapsed_seconds"] for row in rows), half),
        )
        for name, rows in sorted(grouped(ended, "visits").items())
    ]


def offers(oracle: Marts) -> Rows:
    answer = []
    for name, rows in grouped(oracle["interactions"], "interaction_type").items():
        counts = Counter(row["acceptance"] for row in rows)
        each = [counts[a] for a in ("automatic", "pending", "accepted", "not_accepted")]
        answer.append((name, len(rows), *each, percent(each[2], each[2] + each[3])))
    return sorted(answer, key=lambda row: (-row[1], row[0]))


def before_help(oracle: Marts) -> Rows:
    pauses = defaultdict(list)
    for group, events in grouped(oracle["events"], "session_group_id").items():
        if group is None:
            continue
        events.sort(key=lambda row: (row["occurred_at"], row["event_id"]))
        for before, event in zip([None, *events], events, strict=False):
            if event["event_type"] == "REQUESTED_HELP":
                name = before["event_type"] or before["event_kind"] if before else "nothing"
                pauses[name].append(
                    event["occurred_at"] - before["occurred_at"] if before else None
                )
    answer = [
        (name, len(found), min(known, default=None), max(known, default=None))
        for name, found in pauses.items()
        for known in [[pause for pause in found if pause is not None]]
    ]
    return sorted(answer, key=lambda row: (-row[1], row[0]))


def weeks(oracle: Marts) -> Rows:
    visits = {row["activity_date"]: row["session_group_count"] for row in oracle["daily_activity"]}
    answer = []
    for day, number in sorted(visits.items()):
        before = visits.get(day - timedelta(days=7))
        change = None if before is None else percent(number - before, before)
        answer.append((day, number, before, change))
    return answer


def broken_rules(oracle: Marts) -> Rows:
    return sorted(
        (rule, entity, len(rows), min(starts), max(starts))
        for (rule, entity), rows in grouped(oracle["contract_violations"], "rule", "entity").items()
        for starts in [[row["dump_start_at"] for row in rows]]
    )


ANSWERS: dict[str, Callable[[Marts], Rows]] = {
    "can_the_numbers_be_trusted": broken_rules,
    "how_do_days_compare_with_the_week_before": weeks,
    "how_fast_do_agents_accept": acceptance_speed,
    "how_long_do_visits_last": lengths,
    "how_many_sessions_spanned_midnight": spanned_midnight,
    "how_many_visits_ask_for_help": help_requested,
    "what_comes_before_a_request_for_help": before_help,
    "what_happened_in_this_visit": timeline,
    "when_are_the_busiest_hours": busiest_hours,
    "which_nights_are_missing": missing_nights,
    "which_offers_are_accepted": offers,
    "who_comes_back": returning,
}


def test_all_are_compared(compiled: dict[str, str]) -> None:
    assert [*ANSWERS] == sorted(compiled) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_begins_with_its_question(name: str) -> None:
    question = (PROJECT / "analyses" / f"{name}.sql").read_text("utf-8").splitlines()[0]
    assert question.startswith("-- ")
    assert "?" in question


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_the_dumps_hold(
    name: str, warehouse: Warehouse, compiled: dict[str, str], oracle: Marts
) -> None:
    answer = shaped(name, warehouse.rows(compiled[name]))
    wanted = ANSWERS[name](oracle)
    assert wanted
    assert answer == wanted


def shaped(name: str, rows: Sequence[tuple[Any, ...]]) -> Rows:
    """An answer as the oracle can know it: severities and examples are for reading."""
    if name == "can_the_numbers_be_trusted":
        assert {row[0] for row in rows} <= {"error", "warn"}
        assert all(row[6] for row in rows)
        return sorted(row[1:6] for row in rows)
    return [tuple(float(v) if isinstance(v, Decimal) else v for v in row) for row in rows]
