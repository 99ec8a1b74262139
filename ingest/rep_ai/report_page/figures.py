"""What the page shows, as the marts hold it: the answers to queries.yml, put together."""

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

QUERIES = Path(__file__).with_name("queries.yml")
# worst last: of two windows of one day the worse is shown
STATUSES = ("delivered", "delivered again", "overlapping", "missing")
# of the records that a window holds, those that the calendar shows
SHOWN_COUNTS = ("sessions", "actions", "interactions")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def collect(database: Database, timezone: str) -> Row:
    """All that the page shows, by the names that its template uses.

    Days, hours and weekdays are of the time zone; `daily` has a row for each day from the first to
    the last that lies within the dumps, a day more on either side, and `outside` what began on
    other days; `hours` has a row for each hour of the week.

    Args:
        database: the marts.
        timezone: IANA name of the time zone in which their days begin.

    Raises:
        DestinationError: the daily marts have days of another zone.
    """
    return _Figures(database, timezone).collect()


class _Figures:
    """The marts' answers in one time zone."""

    def __init__(self, database: Database, timezone: str) -> None:
        self._database = database
        self._timezone = timezone
        self._zone = ZoneInfo(timezone)
        self._queries: dict[str, str] = {}
        for name, text in yaml.safe_load(QUERIES.read_text(encoding="utf-8")).items():
            self._queries[name] = Template(text).substitute(self._queries, timezone=timezone)

    def _ask(self, name: str) -> list[Row]:
        return self._database.records(self._queries[name])

    def _local(self, moment: datetime) -> datetime:
        return moment.replace(tzinfo=UTC).astimezone(self._zone)

    def _text(self, moment: datetime | None, style: str) -> str | None:
        return self._local(moment).strftime(style) if moment else None

    def collect(self) -> Row:
        """All that the page shows."""
        windows = health.windows(self._database)
        gaps = health.gaps(windows)
        (counts,) = self._ask("counts")
        daily, outside = self._split(self._daily(), counts["since"], counts["until"], gaps)
        days = self._days(windows, gaps)
        return {
            "timezone": self._timezone,
            **counts,
            "until": self._text(counts["until"], "%-d %B %Y, %H:%M"),
            **self._acceptance(),
            "daily": daily,
            "outside": outside,
            "hours": self._hours(),
            "stitches": self._stitches(),
            "days": days,
            "status_counts": {
                status: sum(day["status"] == status for day in days) for status in STATUSES
            },
            "gaps": [
                gap | {key: self._text(gap[key], "%Y-%m-%d %H:%M") for key in ("from", "until")}
                for gap in gaps
            ],
            "said": [
                *health.window_warnings(self._database),
                *health.data_warnings(self._database),
            ],
            "violations": health.violations(self._database),
            "unknown_types": [
                each
                | {
                    "type": _typed(each["type"]),
                    "first": self._text(each["first_seen_at"], "%Y-%m-%d"),
                    "last": self._text(each["last_seen_at"], "%Y-%m-%d"),
                }
                for each in health.unknown_types(self._database)
            ],
        }

    def _daily(self) -> dict[date, Row]:
        days = {row.pop("activity_date"): row for row in self._ask("daily")}
        if any(row["begun"] != row.pop("said") for row in days.values()):
            raise UnpreparedError(
                f"the days of {self._database.shown('rep_ai__daily_activity')} are not those of "
                f"the sessions in {self._timezone}",
                to_do="give --vars as at the last dbt build, or run dbt build again",
            )
        return days

    def _split(
        self,
        days: dict[date, Row],
        since: datetime | None,
        until: datetime | None,
        gaps: list[Row],
    ) -> tuple[list[Row], Counter[str]]:
        """The days of the dumps without a gap, and what others count: a time may be years off."""
        one = timedelta(days=1)
        first = self._local(since).date() - one if since else min(days, default=date.min)
        last = self._local(until).date() + one if until else max(days, default=date.min)
        inside = [day for day in days if first <= day <= last]
        outside: Counter[str] = Counter()
        for day in days.keys() - inside:
            outside.update(days[day])
        if not inside:
            return [], outside
        first, last = min(inside), max(inside)
        nothing = dict.fromkeys(days[first], 0)
        return [
            days.get(day, nothing) | self._coverage(day, since, until, gaps)
            for day in (first + one * number for number in range((last - first).days + 1))
        ], outside

    def _coverage(
        self, day: date, since: datetime | None, until: datetime | None, gaps: list[Row]
    ) -> Row:
        """A day, its hours, how many of them the dumps cover, and that in words."""
        midnights = (datetime.combine(day + timedelta(n), time(), self._zone) for n in (0, 1))
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

    def _hours(self) -> list[Row]:
        """Starts by weekday and hour; none at all where no visit has a start."""
        found = {(row.pop("weekday"), row.pop("hour_of_day")): row for row in self._ask("hours")}
        if not any(row["groups"] for row in found.values()):
            return []
        nothing = {"groups": 0, "interactions": 0}
        return [
            {"weekday": name, "hour": hour, **found.get((weekday, hour), nothing)}
            for weekday, name in enumerate(WEEKDAYS, 1)
            for hour in range(24)
        ]

    def _acceptance(self) -> Row:
        """Interactions in all, by agent, by type, and by both; the most first.

        `rate` is the share of the offers that was accepted, None where there are none. `median` and
        `p90` are seconds to accept.
        """
        rows = self._ask("acceptance")
        names = self._agents({row["user_id"] for row in rows})
        for row in rows:
            row["agent"] = names[row.pop("user_id")]
            row["type"] = _typed(row["type"])
            row["rate"] = row["accepted"] / row["offers"] if row["offers"] else None
            for name in ("median", "p90"):
                row[name] = row[name] and round(row[name], 3)
        rows.sort(key=lambda row: (-row["interactions"], row["agent"], row["type"]))
        sets: dict[tuple[int, int], list[Row]] = {(1, 1): [], (0, 1): [], (1, 0): [], (0, 0): []}
        for row in rows:
            sets[row.pop("is_of_all_agents"), row.pop("is_of_all_types")].append(row)
        (totals,), by_agent, by_type, by_both = sets.values()
        return {"totals": totals, "by_agent": by_agent, "by_type": by_type, "by_both": by_both}

    def _agents(self, ids: set[str | None]) -> dict[str | None, str]:
        """A name to show for each user: the display name, else the id; no two the same."""
        said = {row["user_id"]: row["display_name"] or "" for row in self._ask("agents")}
        names = {
            key: said[key] if said.get(key, "").strip() else key or "(no agent)" for key in ids
        }
        count = Counter(names.values())
        return {
            key: name if count[name] == 1 else f"{isolated(name)} ({key})"
            for key, name in names.items()
        }

    def _stitches(self) -> Row:
        """Sessions by the number of dumps that hold them and by how they end."""
        dumps: Counter[int] = Counter()
        ends: Counter[str] = Counter()
        for row in self._ask("sessions_by_end"):
            dumps[row["dump_count"]] += row["sessions"]
            ends[row["end_status"]] += row["sessions"]
        return {"dumps": sorted(dumps.items()), "ends": ends.most_common()}

    def _days(self, windows: list[Row], gaps: list[Row]) -> list[Row]:
        """A row for each day that a window or gap covers."""
        lengths = {gap["from"]: gap["nights"] for gap in gaps}
        days: dict[date, Row] = {}
        for window in windows:
            shown = window["status"]
            if shown == "delivered" and window["delivery_count"] > 1:
                shown = "delivered again"
            parts = lengths[window["window_start_at"]] if shown == "missing" else 1
            for part in range(parts):
                # the middle of a window is of its day, whatever the hour at which it starts
                middle = window["window_start_at"] + health.length(window) * (part + 0.5) / parts
                day = self._local(middle).date()
                row = days.setdefault(day, _empty_day(day, shown))
                row["status"] = max(row["status"], shown, key=STATUSES.index)
                for name in SHOWN_COUNTS:
                    row[name] += window[f"{name[:-1]}_count"] or 0
        return [days[day] for day in sorted(days)]


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
