"""What the page shows, as the marts hold it: the answers to queries.yml, combined."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from string import Template
from zoneinfo import ZoneInfo

import yaml

from rep_ai.landing.errors import UnpreparedError
from rep_ai.warehouse import health
from rep_ai.warehouse.database import Database
from rep_ai.warehouse.health import Row
from rep_ai.words import type_name

QUERIES = Path(__file__).with_name("queries.yml")
# worst last: of two windows of one day the worse is shown
STATUSES = ("delivered", "delivered again", "overlapping", "missing")
# of the records that a window holds, those that the calendar shows
SHOWN_COUNTS = ("sessions", "actions", "interactions")
ONE_DAY = timedelta(days=1)


def collect(database: Database, timezone: str) -> Row:
    """All that the page shows, by the names that its template uses; moments are UTC without zone.

    Days, hours and weekdays are of the time zone; `daily` has a row for each day from the first to
    the last that lies within the dumps, a day more on either side, and `outside` what began on
    other days; `hours` has a row for each hour of the week, none where no visit has a start.

    Args:
        database: the marts.
        timezone: IANA name of the time zone in which their days begin.

    Raises:
        DestinationError: the daily marts have days of another zone.
    """
    zone = ZoneInfo(timezone)
    found = _answers(database, timezone)
    windows = health.windows(database)
    gaps = health.gaps(windows)
    (counts,) = found["counts"]
    begun = {row.pop("activity_date"): row for row in found["daily"]}
    if any(row["begun"] != row.pop("said") for row in begun.values()):
        raise UnpreparedError(
            f"the days of {database.shown('rep_ai__daily_activity')} are not those of "
            f"the sessions in {timezone}",
            to_do="give --vars as at the last dbt build, or run dbt build again",
        )
    daily, outside = _split(begun, zone, counts["since"], counts["until"], gaps)
    days = _days(windows, gaps, zone)
    content = health.content(database, {})
    return {
        "timezone": timezone,
        **counts,
        **_acceptance(found["acceptance"], found["agents"]),
        "daily": daily,
        "outside": outside,
        "hours": found["hours"] if any(row["groups"] for row in found["hours"]) else [],
        "sessions_by_dumps": found["sessions_by_dumps"],
        "sessions_by_end": found["sessions_by_end"],
        "days": days,
        "status_counts": {
            status: sum(day["status"] == status for day in days) for status in STATUSES
        },
        "gaps": gaps,
        "said": [
            *map(str, health.window_remarks(database)),
            *map(str, health.content_remarks(database, content, {})),
        ],
        **content,
    }


def local(moment: datetime, zone: ZoneInfo) -> datetime:
    """A moment of the marts by the clock of a time zone."""
    return moment.replace(tzinfo=UTC).astimezone(zone)


def _answers(database: Database, timezone: str) -> dict[str, list[Row]]:
    """What the marts answer to each query."""
    content = yaml.safe_load(QUERIES.read_text(encoding="utf-8"))
    parts = {"timezone": timezone}
    for name, text in content["parts"].items():
        parts[name] = Template(text).substitute(parts)
    return {
        name: database.records(Template(text).substitute(parts))
        for name, text in content["queries"].items()
    }


def _split(
    days: dict[date, Row],
    zone: ZoneInfo,
    since: datetime | None,
    until: datetime | None,
    gaps: list[Row],
) -> tuple[list[Row], Counter[str]]:
    """The days of the dumps without a gap, and what others count: a time may be years off."""
    first = local(since, zone).date() - ONE_DAY if since else min(days, default=date.min)
    last = local(until, zone).date() + ONE_DAY if until else max(days, default=date.min)
    inside = [day for day in days if first <= day <= last]
    outside: Counter[str] = Counter()
    for day in days.keys() - inside:
        outside.update(days[day])
    if not inside:
        return [], outside
    first, last = min(inside), max(inside)
    nothing = dict.fromkeys(days[first], 0)
    return [
        days.get(day, nothing) | _coverage(day, zone, since, until, gaps)
        for day in (first + ONE_DAY * number for number in range((last - first).days + 1))
    ], outside


def _coverage(
    day: date, zone: ZoneInfo, since: datetime | None, until: datetime | None, gaps: list[Row]
) -> Row:
    """A day, its hours, how many of them the dumps cover, and that in words."""
    midnights = (datetime.combine(each, time(), zone) for each in (day, day + ONE_DAY))
    start, end = (each.astimezone(UTC).replace(tzinfo=None) for each in midnights)

    def hours(first: datetime, last: datetime) -> float:
        return max((min(end, last) - max(start, first)) / timedelta(hours=1), 0)

    missing = sum(hours(gap["from"], gap["until"]) for gap in gaps)
    # a window may end a second before the next
    covered = round(hours(since or end, until or start) - missing, 2)
    length = round(hours(start, end), 2)
    said = "no dump" if missing and not covered else "covered in part"
    said = "whole" if covered == length else said
    return {"day": day.isoformat(), "hours": length, "covered": covered, "coverage": said}


def _acceptance(rows: list[Row], agents: list[Row]) -> Row:
    """Interactions in all, by agent, by type, and by both; the most first.

    `rate` is the share of the offers that was accepted, None where there are none. `median` and
    `p90` are seconds to accept.
    """
    names = _names({row["user_id"] for row in rows}, agents)
    for row in rows:
        row["agent"] = names[row.pop("user_id")]
        row["type"] = type_name(row["type"])
        row["rate"] = row["accepted"] / row["offers"] if row["offers"] else None
        for name in ("median", "p90"):
            row[name] = row[name] and round(row[name], 3)
    rows.sort(key=lambda row: (-row["interactions"], row["agent"], row["type"]))
    sets: dict[tuple[int, int], list[Row]] = {(1, 1): [], (0, 1): [], (1, 0): [], (0, 0): []}
    for row in rows:
        sets[row.pop("is_of_all_agents"), row.pop("is_of_all_types")].append(row)
    (totals,), by_agent, by_type, by_both = sets.values()
    return {"totals": totals, "by_agent": by_agent, "by_type": by_type, "by_both": by_both}


def _names(ids: set[str | None], agents: list[Row]) -> dict[str | None, str]:
    """A name to show for each user: the display name, else the id; no two the same."""
    said = {row["user_id"]: row["display_name"] or "" for row in agents}
    names = {key: said[key] if said.get(key, "").strip() else key or "(no agent)" for key in ids}
    count = Counter(names.values())
    return {
        key: name if count[name] == 1 else f"{isolated(name)} ({key})"
        for key, name in names.items()
    }


def _days(windows: list[Row], gaps: list[Row], zone: ZoneInfo) -> list[Row]:
    """A row for each day that a window or gap covers."""
    lengths = {gap["from"]: gap["windows"] for gap in gaps}
    days: dict[date, Row] = {}
    for window in windows:
        shown = window["status"]
        if shown == "delivered" and window["delivery_count"] > 1:
            shown = "delivered again"
        parts = lengths[window["window_start_at"]] if shown == "missing" else 1
        for part in range(parts):
            # the middle of a window is of its day, whatever the hour at which it starts
            middle = window["window_start_at"] + health.length(window) * (part + 0.5) / parts
            day = local(middle, zone).date()
            empty = {
                "day": day.isoformat(),
                "week": (day - ONE_DAY * day.weekday()).isoformat(),
                "weekday": f"{day:%a}",
                "status": shown,
                **dict.fromkeys(SHOWN_COUNTS, 0),
            }
            row = days.setdefault(day, empty)
            row["status"] = max(row["status"], shown, key=STATUSES.index)
            for name in SHOWN_COUNTS:
                row[name] += window[f"{name[:-1]}_count"] or 0
    return [days[day] for day in sorted(days)]


def isolated(name: str) -> str:
    """A name that turns no text around it, and is none that Vega knows, such as `constructor`."""
    return f"\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}"
