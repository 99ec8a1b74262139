"""Section 5 of the design: the figures of days, and the dump calendar."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from oracle.dumps import (
    ACTIONS,
    ADJOINING,
    DAY,
    HOUR,
    INTERACTIONS,
    SESSIONS,
    USERS,
    VISITORS,
    Dump,
    Row,
    Value,
    Window,
    timestamp,
)
from oracle.facts import (
    accepted,
    count,
)
from oracle.world import World

# --------------------------------------------------------------------------------- 5: daily figures


def local_day(moment: Value, zone: ZoneInfo) -> date | None:
    """The day of a naive UTC time in a time zone."""
    if not isinstance(moment, datetime):
        return None
    return moment.replace(tzinfo=UTC).astimezone(zone).date()


def by_day(rows: Iterable[Row], column: str, zone: ZoneInfo) -> dict[date, list[Row]]:
    """Rows by the day of a time; those without one belong to no day."""
    days: dict[date, list[Row]] = defaultdict(list)
    for row in rows:
        day = local_day(row[column], zone)
        if day is not None:
            days[day].append(row)
    return days


def total(rows: Iterable[Row], column: str) -> Decimal:
    """The sum of a decimal column, 0 where nothing is known."""
    values = (row[column] for row in rows)
    return sum((v for v in values if isinstance(v, Decimal)), start=Decimal("0.000"))


def daily_activity_rows(
    sessions: list[Row],
    groups: list[Row],
    actions: list[Row],
    interactions: list[Row],
    zone: ZoneInfo,
) -> list[Row]:
    """rep_ai__daily_activity."""
    sessions_on = by_day(sessions, "started_at", zone)
    groups_on = by_day(groups, "started_at", zone)
    actions_on = by_day(actions, "occurred_at", zone)
    interactions_on = by_day(interactions, "started_at", zone)
    rows: list[Row] = []
    for day in sorted({*sessions_on, *groups_on, *actions_on, *interactions_on}):
        day_interactions = interactions_on.get(day, [])
        acceptances = count(day_interactions, "acceptance")
        visitors = {row["visitor_id"] for row in sessions_on.get(day, [])} - {None}
        rows.append(
            {
                "activity_date": day,
                "session_count": len(sessions_on.get(day, [])),
                "session_group_count": len(groups_on.get(day, [])),
                "visitor_count": len(visitors),
                "action_count": len(actions_on.get(day, [])),
                "interaction_count": len(day_interactions),
                "accepted_interaction_count": len(accepted(day_interactions)),
                "handled_interaction_count": acceptances["accepted"],
                "automatic_interaction_count": acceptances["automatic"],
                "pending_interaction_count": acceptances["pending"],
                "not_accepted_interaction_count": acceptances["not_accepted"],
                "unknown_acceptance_interaction_count": acceptances["unknown"],
                "active_seconds": total(groups_on.get(day, []), "active_seconds"),
            }
        )
    return rows


def percentile(values: list[Decimal], share: Fraction) -> Decimal | None:
    """The continuous percentile, rounded half away from zero to three digits."""
    if not values:
        return None
    ordered = [Fraction(value) for value in sorted(values)]
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    exact = ordered[below] + (place - below) * (ordered[above] - ordered[below])
    # Times in milliseconds and shares in tenths: four digits hold the exact value.
    exact_decimal = Decimal(exact.numerator) / Decimal(exact.denominator)
    return exact_decimal.quantize(Decimal("0.001"), rounding=ROUND_HALF_UP)


def user_daily_performance_rows(interactions: list[Row], zone: ZoneInfo) -> list[Row]:
    """rep_ai__user_daily_performance: also for users that the dimension does not know."""
    cells: dict[tuple[str, date], list[Row]] = defaultdict(list)
    for day, day_rows in by_day(interactions, "started_at", zone).items():
        for row in day_rows:
            if row["user_id"] is not None:
                cells[str(row["user_id"]), day].append(row)
    rows: list[Row] = []
    for user_id, day in sorted(cells):
        cell = cells[user_id, day]
        waits = [w for w in (row["seconds_to_accept"] for row in cell) if isinstance(w, Decimal)]
        rows.append(
            {
                "user_id": user_id,
                "activity_date": day,
                "interaction_count": len(cell),
                "accepted_interaction_count": len(accepted(cell)),
                "median_seconds_to_accept": percentile(waits, Fraction(1, 2)),
                "p90_seconds_to_accept": percentile(waits, Fraction(9, 10)),
                "talk_seconds": total(accepted(cell), "duration_seconds"),
            }
        )
    return rows


# ----------------------------------------------------------------------------- 5: the dump calendar

CALENDAR_COUNTS = {
    "user_count": USERS,
    "visitor_count": VISITORS,
    "session_count": SESSIONS,
    "action_count": ACTIONS,
    "interaction_count": INTERACTIONS,
}


# Counts that are measured by what is usual.
MEASURED = ("visitor_count", "session_count", "action_count", "interaction_count")


def usual_count(world: World, dump: Dump, column: str) -> Decimal | None:
    """The median over the four weeks before, of windows as long, and of one kind if enough are."""

    def is_weekend(window: Window) -> bool:
        # 1970-01-01 was a Thursday
        return (window[0] + DAY // 2) // DAY % 7 in (2, 3)

    start, end = dump.window
    comparable = [
        (is_weekend(other.window) == is_weekend(dump.window), len(records))
        for other in world.dumps
        if 0 < start - other.window[0] <= 28 * DAY
        and abs((other.window[1] - other.window[0]) - (end - start)) <= HOUR
        and (records := other.collections[CALENDAR_COUNTS[column]]) is not None
    ]
    counts = sorted(count for is_alike, count in comparable if is_alike)
    if len(counts) < 3:
        counts = sorted(count for _, count in comparable)
    if len(counts) < 3:
        return None
    middle = len(counts) // 2
    twice = 2 * counts[middle] if len(counts) % 2 else counts[middle - 1] + counts[middle]
    return (Decimal(twice) / 2).quantize(Decimal("0.1"))


def dump_calendar_rows(world: World) -> list[Row]:
    """rep_ai__dump_calendar: every current window, and the gaps between them."""
    rows: list[Row] = []
    reached: int | None = None
    for dump in world.dumps:
        start, end = dump.window
        if reached is not None and reached + ADJOINING < start:
            gap: Row = {
                "window_start_at": timestamp(reached),
                "window_end_at": timestamp(start),
                "status": "missing",
                "delivery_count": 0,
                "version": None,
            }
            unknown = dict.fromkeys((*CALENDAR_COUNTS, *(f"usual_{name}" for name in MEASURED)))
            rows.append(gap | unknown | {"has_few_actions": False})
        overlaps = any(
            other != dump.window and other[0] < end and start < other[1] for other in world.windows
        )
        row: Row = {
            "window_start_at": timestamp(start),
            "window_end_at": timestamp(end),
            "status": "overlapping" if overlaps else "delivered",
            "delivery_count": len(world.versions[dump.window]),
            "version": dump.version,
        }
        for column, entity in CALENDAR_COUNTS.items():
            records = dump.collections[entity]
            row[column] = None if records is None else len(records)
        for column in MEASURED:
            row[f"usual_{column}"] = usual_count(world, dump, column)
        usual = usual_count(world, dump, "action_count")
        actions = dump.collections[ACTIONS] or []
        row["has_few_actions"] = usual is not None and len(actions) * 5 < usual
        rows.append(row)
        reached = end if reached is None else max(reached, end)
    return rows
