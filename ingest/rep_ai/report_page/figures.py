"""What the page shows, as the marts hold it."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rep_ai.landing.errors import UnpreparedError
from rep_ai.warehouse import health
from rep_ai.warehouse.database import Database
from rep_ai.warehouse.names import (
    DAILY_ACTIVITY,
    DUMP_CALENDAR,
    INTERACTIONS,
    MARTS_SCHEMA,
    SESSION_GROUPS,
    SESSIONS,
    USERS,
)

ACCEPTANCES = ("accepted", "automatic", "not_accepted", "pending", "unknown")
# columns of rep_ai__daily_activity -> names on the page
DAILY = {
    "session_group_count": "groups",
    "session_count": "sessions",
    "visitor_count": "visitors",
    "interaction_count": "interactions",
    "handled_interaction_count": "accepted",
    "automatic_interaction_count": "automatic",
    "not_accepted_interaction_count": "not_accepted",
    "pending_interaction_count": "pending",
    "unknown_acceptance_interaction_count": "unknown",
}
# worst last: of two windows of one day the worse is shown
STATUSES = ("delivered", "delivered again", "overlapping", "missing")
# of the records that a window holds, those that the calendar shows
SHOWN_COUNTS = ("sessions", "actions", "interactions")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

Row = dict[str, Any]


def collect(database: Database, timezone: str) -> Row:
    """All that the page shows, by the names that its template uses.

    Days, hours and weekdays (1 is Monday) are of the time zone; `daily` has a row for each day from
    the first to the last that lies within the dumps, a day more on either side, and `outside` what
    began on other days; `hours` has a row for each hour of the week.

    Args:
        database: the marts.
        timezone: IANA name of the time zone in which their days begin.

    Raises:
        DestinationError: the daily marts have days of another zone.
    """
    zone = ZoneInfo(timezone)
    since, until = database.mart(
        DUMP_CALENDAR, "select min(window_start_at), max(window_end_at) from {table}"
    )[0]
    daily, outside = _split(_daily(database, timezone), since, until, zone)
    calendar, gaps = _calendar(database, zone)
    return {
        "timezone": timezone,
        "until": until and f"{_local(until, zone):%-d %B %Y, %H:%M}",
        **_totals(database),
        **_acceptance(database),
        "daily": daily,
        "outside": outside,
        "hours": _hours(database, timezone),
        "stitches": _stitches(database),
        "nights": calendar,
        "night_counts": {
            status: sum(day["status"] == status for day in calendar) for status in STATUSES
        },
        "gaps": gaps,
        "said": [*health.window_warnings(database), *health.data_warnings(database)],
        # examples stay out: they are ids of visitors
        "violations": [each._replace(example=None) for each in health.violations(database)],
        "unknown_types": [
            {
                "kind": each.kind,
                "type": _typed(each.type),
                "records": each.records,
                "first": each.first_seen_at and f"{_local(each.first_seen_at, zone):%Y-%m-%d}",
                "last": each.last_seen_at and f"{_local(each.last_seen_at, zone):%Y-%m-%d}",
            }
            for each in health.unknown_types(database)
        ],
    }


def _totals(database: Database) -> Row:
    """Counts of all sessions and session groups."""
    groups, crossed_groups = database.mart(
        SESSION_GROUPS,
        "select count(*), count(case when crossed_midnight then 1 end) from {table}",
    )[0]
    sessions, visitors, crossed, undated = database.mart(
        SESSIONS,
        "select count(*), count(distinct visitor_id), "
        "count(case when crossed_midnight then 1 end), "
        "count(case when started_at is null then 1 end) from {table}",
    )[0]
    return {
        "groups": groups,
        "crossed_groups": crossed_groups,
        "sessions": sessions,
        "visitors": visitors,
        "crossed": crossed,
        "undated": undated,
    }


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.replace(tzinfo=UTC).astimezone(zone)


def _in_zone(column: str, timezone: str) -> str:
    return f"(({column} at time zone 'UTC') at time zone '{timezone}')"


def _daily(database: Database, timezone: str) -> dict[date, Row]:
    days: dict[date, Row] = {
        day: dict(zip(DAILY.values(), counts, strict=True))
        for day, *counts in database.mart(
            DAILY_ACTIVITY, f"select activity_date, {', '.join(DAILY)} from {{table}}"
        )
    }
    crossed = {
        day: (sessions, crossed)
        for day, sessions, crossed in database.mart(
            SESSIONS,
            f"select cast({_in_zone('started_at', timezone)} as date), count(*), "
            "count(case when crossed_midnight then 1 end) "
            "from {table} where started_at is not null group by 1",
        )
    }
    if {day: n for day, (n, _) in crossed.items()} != {
        day: row["sessions"] for day, row in days.items() if row["sessions"]
    }:
        raise UnpreparedError(
            f"the days of {MARTS_SCHEMA}.{DAILY_ACTIVITY} are not those of the sessions in "
            f"{timezone}",
            to_do="give --vars as at the last dbt build, or run dbt build again",
        )
    return {
        day: {"day": day.isoformat(), **row, "crossed": crossed.get(day, (0, 0))[1]}
        for day, row in days.items()
    }


def _split(
    days: dict[date, Row], since: datetime | None, until: datetime | None, zone: ZoneInfo
) -> tuple[list[Row], Counter[str]]:
    """The days of the dumps without a gap, and what the others count: a time may be years off."""
    one = timedelta(days=1)
    first = min(days, default=date.min) if since is None else _local(since, zone).date() - one
    last = max(days, default=date.min) if until is None else _local(until, zone).date() + one
    inside = [day for day in days if first <= day <= last]
    outside: Counter[str] = Counter()
    for day in days.keys() - inside:
        outside.update({name: days[day][name] for name in DAILY.values()})
    if not inside:
        return [], outside
    first, last = min(inside), max(inside)
    nothing = dict.fromkeys((*DAILY.values(), "crossed"), 0)
    return [
        days.get(day) or {"day": day.isoformat(), **nothing}
        for day in (first + one * number for number in range((last - first).days + 1))
    ], outside


def _hours(database: Database, timezone: str) -> list[Row]:
    """Starts by weekday and hour."""
    local = _in_zone("started_at", timezone)
    counted = {
        name: {
            (int(weekday), int(hour)): count
            for weekday, hour, count in database.mart(
                table,
                f"select extract(isodow from {local}), extract(hour from {local}), count(*) "
                "from {table} where started_at is not null group by 1, 2",
            )
        }
        for name, table in (
            ("groups", SESSION_GROUPS),
            ("interactions", INTERACTIONS),
        )
    }
    if not counted["groups"]:
        return []
    return [
        {
            "weekday": WEEKDAYS[weekday - 1],
            "hour": hour,
            **{name: counts.get((weekday, hour), 0) for name, counts in counted.items()},
        }
        for weekday in range(1, 8)
        for hour in range(24)
    ]


def _acceptance(database: Database) -> Row:
    """Interactions in all, by agent, by type, and by both; the most first.

    `offers` are those that someone accepted or nobody did, `rate` is the share of them accepted,
    None where there are none. `median` and `p90` are seconds to accept.
    """
    # percentiles are the same on every engine where they are of floating-point numbers
    wait = "within group (order by cast(seconds_to_accept as double precision))"
    of_each = ", ".join(f"count(case when acceptance = '{a}' then 1 end)" for a in ACCEPTANCES)
    rows = [
        {
            "grouping": (is_without_agent, is_without_type),
            "user_id": user_id,
            "type": _typed(name),
            "interactions": count,
            **dict(zip(ACCEPTANCES, counts[: len(ACCEPTANCES)], strict=True)),
            "median": counts[-2] and round(counts[-2], 3),
            "p90": counts[-1] and round(counts[-1], 3),
        }
        for is_without_agent, is_without_type, user_id, name, count, *counts in database.mart(
            INTERACTIONS,
            "select grouping(user_id), grouping(interaction_type), user_id, interaction_type, "
            f"count(*), {of_each}, percentile_cont(0.5) {wait}, percentile_cont(0.9) {wait} "
            "from {table} group by grouping sets "
            "((), (user_id), (interaction_type), (user_id, interaction_type))",
        )
    ]
    names = _agents(database, {row["user_id"] for row in rows})
    for row in rows:
        row["agent"] = names[row.pop("user_id")]
        row["offers"] = row["accepted"] + row["not_accepted"]
        row["rate"] = row["accepted"] / row["offers"] if row["offers"] else None
    rows.sort(key=lambda row: (-row["interactions"], row["agent"], row["type"]))
    sets: dict[tuple[int, int], list[Row]] = {(1, 1): [], (0, 1): [], (1, 0): [], (0, 0): []}
    for row in rows:
        sets[row.pop("grouping")].append(row)
    (totals,), by_agent, by_type, by_both = sets.values()
    return {"totals": totals, "by_agent": by_agent, "by_type": by_type, "by_both": by_both}


def _agents(database: Database, ids: set[str | None]) -> dict[str | None, str]:
    """A name to show for each user: the display name, else the id; no two the same."""
    said: dict[str | None, str] = {
        user_id: name
        for user_id, name in database.mart(USERS, "select user_id, display_name from {table}")
        if name and name.strip()
    }
    names = {key: said.get(key) or key or "(no agent)" for key in ids}
    count = Counter(names.values())
    return {
        key: name if count[name] == 1 else f"{isolated(name)} ({key})"
        for key, name in names.items()
    }


def _stitches(database: Database) -> Row:
    """Sessions by the number of dumps that hold them and by how they end."""
    rows = database.mart(
        SESSIONS,
        "select dump_count, end_status, count(*) from {table} group by 1, 2",
    )
    dumps: Counter[int] = Counter()
    ends: Counter[str] = Counter()
    for dump_count, end_status, count in rows:
        dumps[dump_count] += count
        ends[end_status] += count
    return {"dumps": sorted(dumps.items()), "ends": ends.most_common()}


def _calendar(database: Database, zone: ZoneInfo) -> tuple[list[Row], list[Row]]:
    """A row for each day that a window or gap covers, and one for each gap."""
    windows = health.windows(database)
    lengths = [window.length for window in windows if window.status != "missing"]
    days: dict[date, Row] = {}
    gaps = []
    for window in windows:
        number, shown = 1, window.status
        if window.status == "missing":
            number = health.windows_in(window.length, lengths)
            gaps.append(
                {
                    "from": f"{_local(window.start, zone):%Y-%m-%d %H:%M}",
                    "until": f"{_local(window.end, zone):%Y-%m-%d %H:%M}",
                    "nights": number,
                }
            )
        elif window.status == "delivered" and window.deliveries > 1:
            shown = "delivered again"
        for part in range(number):
            # the middle of a window is of its day, whatever the hour at which it starts
            middle = _local(window.start + window.length * (part + 0.5) / number, zone).date()
            row = days.setdefault(middle, _empty_day(middle, shown))
            row["status"] = max(row["status"], shown, key=STATUSES.index)
            for name in SHOWN_COUNTS:
                row[name] += window.counts[name] or 0
    return [days[day] for day in sorted(days)], gaps


def _empty_day(day: date, status: str) -> Row:
    return {
        "day": day.isoformat(),
        "week": (day - timedelta(day.weekday())).isoformat(),
        "weekday": WEEKDAYS[day.weekday()],
        "status": status,
        **dict.fromkeys(SHOWN_COUNTS, 0),
    }


def isolated(name: str) -> str:
    """A name that turns no text around it, and is none that Vega knows, such as `constructor`."""
    return f"\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}"


def _typed(name: str | None) -> str:
    return "(no type)" if name is None else name or '""'
