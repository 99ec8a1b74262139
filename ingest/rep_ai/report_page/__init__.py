"""The report page: one HTML file, made from the marts alone, that needs no network."""

import os
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from rep_ai import project
from rep_ai.commands.status import data_warnings, night_warnings
from rep_ai.console.run_summary import MARTS_SCHEMA, Database, opened, violations
from rep_ai.landing.destinations import Destination, DestinationError

TEMPLATE = Path(__file__).with_name("page.html")
MARTS = (
    "dim_rep_ai__users",
    "fct_rep_ai__interactions",
    "fct_rep_ai__session_groups",
    "fct_rep_ai__sessions",
    "rep_ai__contract_violations",
    "rep_ai__daily_activity",
    "rep_ai__dump_calendar",
    "rep_ai__unknown_types",
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
NIGHTS = ("delivered", "delivered again", "overlapping", "missing")
# bars of more days would be too thin, so they are of weeks
MAX_DAYS = 130
# charts that have an end: the newest weeks and dumps, and the busiest agents
MAX_WEEKS = 53
MAX_RECORDS = 91
MAX_AGENTS = 20
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

NONE = "\N{EN DASH}"

Row = dict[str, Any]


def write(path: Path, html: str) -> None:
    """Write the page whole or not at all: a web server never reads half of it.

    Raises:
        OSError: the file cannot be written.
    """
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        new.write_text(html, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        new.unlink(missing_ok=True)


def render(destination: Destination, timezone: str) -> str:
    """The page as HTML; the same marts always give the same text.

    Args:
        destination: the database, which is only read.
        timezone: IANA name of the time zone in which the days of the marts begin.

    Raises:
        DestinationError: the marts cannot be read, are not built or have days of another zone;
            or a library of the extra `report` is missing.
    """
    try:
        import jinja2

        library = _library()
    except ImportError as error:
        raise DestinationError(f"{error.name} is missing: {project.installs('report')}") from None
    with opened(destination) as database:
        missing = [name for name in MARTS if (MARTS_SCHEMA, name) not in database.tables]
        if missing:
            raise DestinationError(
                f"{destination.name} has no {MARTS_SCHEMA}.{missing[0]}: build the marts by "
                f"{project.first_step(destination.name)}, or dbt build"
            )
        found = look(database, timezone)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(number=_number, share=_share, seconds=_seconds, words=_words)
    html = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        found,
        charts=charts(found),
        library=library,
        plural=_plural,
    )
    # the page's policy: these scripts run and no other
    hashes = [
        f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
        for script in re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    ]
    return html.replace("SCRIPT_HASHES", " ".join(hashes), 1)


@cache
def _library() -> str:
    """Vega-Embed with all it needs, as a script."""
    import vl_convert

    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed")
    # nothing in a script may end its element
    return script.replace("</script", "<\\/script")


# ---------------------------------------------------------------------------- what the marts hold


def look(database: Database, timezone: str) -> Row:
    """All that the page shows, by the names that its template uses.

    Days, hours and weekdays (1 is Monday) are of the time zone; `daily` has a row for each day from
    the first to the last that lies within the dumps, a day more on either side, and `outside` what
    began on other days; `hours` has a row for each hour of the week.

    Raises:
        DestinationError: the daily marts have days of another zone.
    """
    zone = ZoneInfo(timezone)
    since, until = database.mart(
        "rep_ai__dump_calendar", "select min(window_start_at), max(window_end_at) from {table}"
    )[0]
    daily, outside = _split(_daily(database, timezone), since, until, zone)
    nights, gaps = _nights(database, zone)
    totals, by_agent, by_type, by_both = _acceptance(database)
    groups, crossed_groups = database.mart(
        "fct_rep_ai__session_groups",
        "select count(*), count(case when crossed_midnight then 1 end) from {table}",
    )[0]
    sessions, visitors, crossed, undated = database.mart(
        "fct_rep_ai__sessions",
        "select count(*), count(distinct visitor_id), "
        "count(case when crossed_midnight then 1 end), "
        "count(case when started_at is null then 1 end) from {table}",
    )[0]
    return {
        "timezone": timezone,
        "until": until and f"{_local(until, zone):%-d %B %Y, %H:%M}",
        "groups": groups,
        "crossed_groups": crossed_groups,
        "sessions": sessions,
        "visitors": visitors,
        "crossed": crossed,
        "undated": undated,
        "totals": totals,
        "by_agent": by_agent,
        "by_type": by_type,
        "by_both": by_both,
        "daily": daily,
        "outside": outside,
        "hours": _hours(database, timezone),
        "stitches": _stitches(database),
        "nights": nights,
        "night_counts": {
            status: sum(night["status"] == status for night in nights) for status in NIGHTS
        },
        "gaps": gaps,
        "said": [*night_warnings(database), *data_warnings(database)],
        "violations": [
            {"severity": severity, "rule": rule, "entity": entity, "rows": rows}
            # examples stay out: they are ids of visitors
            for severity, rule, entity, rows, _ in violations(database)
        ],
        "unknown_types": [
            {
                "kind": kind,
                "type": _typed(name),
                "records": records,
                "first": first and f"{_local(first, zone):%Y-%m-%d}",
                "last": last and f"{_local(last, zone):%Y-%m-%d}",
            }
            for kind, name, records, first, last in database.mart(
                "rep_ai__unknown_types",
                "select kind, type, record_count, first_seen_at, last_seen_at from {table} "
                "order by record_count desc, kind, type",
            )
        ],
    }


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.replace(tzinfo=UTC).astimezone(zone)


def _in_zone(column: str, timezone: str) -> str:
    return f"(({column} at time zone 'UTC') at time zone '{timezone}')"


def _daily(database: Database, timezone: str) -> dict[date, Row]:
    days: dict[date, Row] = {
        day: dict(zip(DAILY.values(), counts, strict=True))
        for day, *counts in database.mart(
            "rep_ai__daily_activity", f"select activity_date, {', '.join(DAILY)} from {{table}}"
        )
    }
    crossed = {
        day: (sessions, crossed)
        for day, sessions, crossed in database.mart(
            "fct_rep_ai__sessions",
            f"select cast({_in_zone('started_at', timezone)} as date), count(*), "
            "count(case when crossed_midnight then 1 end) "
            "from {table} where started_at is not null group by 1",
        )
    }
    if {day: n for day, (n, _) in crossed.items()} != {
        day: row["sessions"] for day, row in days.items() if row["sessions"]
    }:
        raise DestinationError(
            f"the days of {MARTS_SCHEMA}.rep_ai__daily_activity are not those of the sessions in "
            f"{timezone}: give --vars as at the last dbt build, or run dbt build again"
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
            ("groups", "fct_rep_ai__session_groups"),
            ("interactions", "fct_rep_ai__interactions"),
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


def _acceptance(database: Database) -> tuple[Row, list[Row], list[Row], list[Row]]:
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
            "fct_rep_ai__interactions",
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
    return totals, by_agent, by_type, by_both


def _agents(database: Database, ids: set[str | None]) -> dict[str | None, str]:
    """A name to show for each user: the display name, else the id; no two the same."""
    said: dict[str | None, str] = {
        user_id: name
        for user_id, name in database.mart(
            "dim_rep_ai__users", "select user_id, display_name from {table}"
        )
        if name and name.strip()
    }
    names = {key: said.get(key) or key or "(no agent)" for key in ids}
    count = Counter(names.values())
    return {
        key: name if count[name] == 1 else f"{_isolated(name)} ({key})"
        for key, name in names.items()
    }


def _stitches(database: Database) -> Row:
    """Sessions by the number of dumps that hold them and by how they end."""
    rows = database.mart(
        "fct_rep_ai__sessions",
        "select dump_count, end_status, count(*) from {table} group by 1, 2",
    )
    dumps: Counter[int] = Counter()
    ends: Counter[str] = Counter()
    for dump_count, end_status, count in rows:
        dumps[dump_count] += count
        ends[end_status] += count
    return {"dumps": sorted(dumps.items()), "ends": ends.most_common()}


def _nights(database: Database, zone: ZoneInfo) -> tuple[list[Row], list[Row]]:
    """A row for each day that a window or gap covers, and one for each gap."""
    windows = database.mart(
        "rep_ai__dump_calendar",
        "select window_start_at, window_end_at, status, delivery_count, session_count, "
        "action_count, interaction_count from {table} order by window_start_at, window_end_at",
    )
    lengths = [end - start for start, end, status, *_ in windows if status != "missing"]
    nights: dict[date, Row] = {}
    gaps = []
    for start, end, status, deliveries, *counts in windows:
        number, shown = 1, status
        if status == "missing":
            number = max(1, round((end - start) / median(lengths)))
            gaps.append(
                {
                    "from": f"{_local(start, zone):%Y-%m-%d %H:%M}",
                    "until": f"{_local(end, zone):%Y-%m-%d %H:%M}",
                    "nights": number,
                }
            )
        elif status == "delivered" and deliveries > 1:
            shown = "delivered again"
        for part in range(number):
            # the middle of a window is of its day, whatever the hour at which it starts
            middle = _local(start + (end - start) * (part + 0.5) / number, zone).date()
            row = nights.setdefault(
                middle,
                {
                    "day": middle.isoformat(),
                    "week": (middle - timedelta(middle.weekday())).isoformat(),
                    "weekday": WEEKDAYS[middle.weekday()],
                    "status": shown,
                    **dict.fromkeys(("sessions", "actions", "interactions"), 0),
                },
            )
            row["status"] = max(row["status"], shown, key=NIGHTS.index)
            for name, count in zip(("sessions", "actions", "interactions"), counts, strict=True):
                row[name] += count or 0
    return [nights[day] for day in sorted(nights)], gaps


# ----------------------------------------------------------------------------------- what is drawn


def charts(found: Row) -> Row:
    """Vega-Lite specifications by name, and the rows that they draw; none for what is empty.

    Colours are the page's CSS variables, so that dark mode needs no second specification.
    """
    daily, nights = found["daily"], found["nights"]
    shown = [_isolated(row["agent"]) for row in found["by_agent"] if row["offers"]][:MAX_AGENTS]
    both = [
        row | {name: _isolated(row[name]) for name in ("agent", "type")}
        for row in found["by_both"]
        if row["offers"]
    ]
    agents = [row for row in both if row["agent"] in shown]
    weeks = sorted({night["week"] for night in nights})[-MAX_WEEKS:]
    specs = {}
    if daily:
        specs["activity"] = _activity(len(daily), gaps=bool(found["gaps"]))
    if daily and found["sessions"]:
        specs["midnight"] = _midnight(len(daily))
    if found["totals"]["interactions"] and any(row["interactions"] for row in daily):
        specs["acceptance"] = _by_acceptance(len(daily))
    if found["hours"]:
        specs["hours"] = _by_hour()
        specs["week"] = _by_weekday()
    if agents:
        types = sorted({row["type"] for row in agents})
        specs["rates"] = _rates(shown, types)
        if any(row["median"] is not None for row in agents):
            specs["waits"] = _waits(shown, types)
    if nights:
        specs["calendar"] = _calendar()
        specs["records"] = _records()
    return {
        "specs": specs,
        "weeks": len(weeks),
        "agents": len(shown),
        "datasets": {
            "daily": daily,
            "hours": found["hours"],
            "agents": agents,
            "nights": [night for night in nights if night["week"] in weeks],
            "records": nights[-MAX_RECORDS:],
            "missing": [{"day": n["day"]} for n in nights if n["status"] == "missing"],
        },
    }


def _isolated(name: str) -> str:
    """A name that turns no text around it, and is none that Vega knows, such as `constructor`."""
    return f"\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}"


def _day(days: int = 0, **more: Any) -> Row:
    """The day on the x axis, which is UTC whatever the zone of the browser: it is a date."""
    return {
        "field": "day",
        "type": "temporal",
        "timeUnit": "utcyearweek" if days > MAX_DAYS else "utcyearmonthdate",
        "scale": {"type": "utc"},
        "axis": {
            "title": None,
            "grid": False,
            "format": "%b %Y" if days > MAX_DAYS else "%-d %b",
            "labelOverlap": True,
            "tickCount": {"expr": "ticks"},
        },
        **more,
    }


def _unit(days: int) -> str:
    return "per week" if days > MAX_DAYS else "per day"


def _count(field: str, title: str, **more: Any) -> Row:
    return {
        "field": field,
        "type": "quantitative",
        "aggregate": "sum",
        "axis": {"title": title, "tickMinStep": 1},
        **more,
    }


def _tip(field: str, title: str, form: str = ",d", **more: Any) -> Row:
    return {"field": field, "type": "quantitative", "title": title, "format": form, **more}


def _date_tip(days: int = 0) -> Row:
    title = "Week of" if days > MAX_DAYS else "Day"
    return _day(days, title=title, format="%a %-d %b %Y", formatType="time", axis=None)


def _named(names: dict[str, str], **more: Any) -> Row:
    """A colour for each name, with the legend."""
    return {
        "type": "nominal",
        "scale": {"domain": [*names], "range": [*names.values()]},
        "legend": {"title": None, "orient": "top", "symbolOpacity": 1},
        **more,
    }


def _missing(days: int) -> Row:
    """Nights without a dump, behind what is drawn."""
    return {
        "data": {"name": "missing"},
        "mark": {"type": "rect", "color": "var(--missing)", "opacity": 0.28},
        "encoding": {
            "x": _day(days),
            "color": {"datum": "no dump"},
            "tooltip": {"aggregate": "count", "title": "Nights without a dump"},
        },
    }


def _bars(**more: Any) -> Row:
    return {"type": "bar", "width": {"band": 0.82}, **more}


def _activity(days: int, *, gaps: bool) -> Row:
    tips = [
        _date_tip(days),
        _tip("groups", "Visits", aggregate="sum"),
        _tip("sessions", "Sessions", aggregate="sum"),
        _tip("interactions", "Interactions", aggregate="sum"),
    ]
    colors = {"sessions": "var(--soft)", "visits": "var(--accent)"}
    layers: list[Row] = [
        {
            "mark": _bars(),
            "encoding": {"y": _count(field, f"starts {_unit(days)}"), "color": {"datum": name}},
        }
        for field, name in (("sessions", "sessions"), ("groups", "visits"))
    ]
    for layer in layers:
        layer["encoding"] |= {"x": _day(days), "tooltip": tips}
    if gaps:
        colors["no dump"] = "var(--missing)"
        layers.insert(0, _missing(days))
    if 28 <= days <= MAX_DAYS:
        colors["visits, mean of 7 days"] = "var(--ink)"
        layers.append(
            {
                "transform": [
                    {
                        "window": [
                            {"op": "mean", "field": "groups", "as": "mean"},
                            {"op": "row_number", "as": "row"},
                        ],
                        "frame": [-6, 0],
                    },
                    {"filter": "datum.row > 6"},
                ],
                "mark": {"type": "line", "strokeWidth": 2, "interpolate": "monotone"},
                "encoding": {
                    "x": _day(bandPosition=0.5),
                    "y": {"field": "mean", "type": "quantitative"},
                    "color": {"datum": "visits, mean of 7 days"},
                },
            }
        )
    return {
        "data": {"name": "daily"},
        "height": 240,
        "layer": layers,
        "encoding": {"color": _named(colors)},
    }


_ACCEPTANCE_COLORS = {
    "accepted": "var(--accent)",
    "automatic": "var(--soft)",
    "not accepted": "var(--warm)",
    "pending": "var(--violet)",
    "unknown": "var(--faint)",
}


def _by_acceptance(days: int) -> Row:
    return {
        "data": {"name": "daily"},
        "transform": [
            {"fold": [*ACCEPTANCES], "as": ["key", "count"]},
            {"calculate": "replace(datum.key, '_', ' ')", "as": "acceptance"},
            {"calculate": f"indexof({[*_ACCEPTANCE_COLORS]}, datum.acceptance)", "as": "rank"},
            {"filter": "datum.count > 0"},
        ],
        "height": 220,
        "mark": _bars(),
        "encoding": {
            "x": _day(days),
            "y": _count("count", f"interactions {_unit(days)}"),
            "color": _named(_ACCEPTANCE_COLORS, field="acceptance"),
            "order": {"field": "rank", "type": "quantitative", "aggregate": "min"},
            "tooltip": [
                _date_tip(days),
                {"field": "acceptance", "type": "nominal", "title": "Acceptance"},
                _tip("count", "Interactions", aggregate="sum"),
            ],
        },
    }


def _midnight(days: int) -> Row:
    return {
        "data": {"name": "daily"},
        "height": 200,
        "mark": _bars(color="var(--violet)"),
        "encoding": {
            "x": _day(days),
            "y": _count("crossed", f"sessions {_unit(days)}"),
            "tooltip": [
                _date_tip(days),
                _tip("crossed", "Crossed midnight", aggregate="sum"),
                _tip("sessions", "Of all sessions", aggregate="sum"),
            ],
        },
    }


def _hour_axis(title: str | None) -> Row:
    return {
        "field": "hour",
        "type": "ordinal",
        "axis": {
            "title": title,
            "labelAngle": 0,
            "labelExpr": "datum.value % 3 ? '' : datum.value",
            "ticks": False,
            "domain": False,
        },
    }


def _by_hour() -> Row:
    return {
        "data": {"name": "hours"},
        "height": 150,
        "mark": _bars(color="var(--accent)"),
        "encoding": {
            "x": _hour_axis(None),
            "y": _count("groups", "visits"),
            "tooltip": [
                {"field": "hour", "type": "ordinal", "title": "Hour from"},
                _tip("groups", "Visits", aggregate="sum"),
                _tip("interactions", "Interactions", aggregate="sum"),
            ],
        },
    }


def _by_weekday() -> Row:
    return {
        "data": {"name": "hours"},
        "height": 22 * len(WEEKDAYS),
        "mark": {"type": "rect", "color": "var(--accent)", "cornerRadius": 2, "tooltip": True},
        "encoding": {
            "x": _hour_axis("hour of the day"),
            "y": _weekday_axis(),
            "opacity": {
                "field": "groups",
                "type": "quantitative",
                # the lightest is not nothing
                "scale": {"range": [0.06, 1], "zero": True},
                "legend": None,
            },
            "tooltip": [
                {"field": "weekday", "type": "nominal", "title": "Weekday"},
                {"field": "hour", "type": "ordinal", "title": "Hour from"},
                _tip("groups", "Visits"),
                _tip("interactions", "Interactions"),
            ],
        },
        "config": {"scale": {"bandPaddingInner": 0.1, "bandPaddingOuter": 0}},
    }


def _weekday_axis() -> Row:
    return {
        "field": "weekday",
        "type": "ordinal",
        "sort": [*WEEKDAYS],
        "scale": {"domain": [*WEEKDAYS]},
        "axis": {"title": None, "ticks": False, "domain": False, "grid": False},
    }


def _agent_axis(agents: Sequence[str]) -> Row:
    return {
        "field": "agent",
        "type": "nominal",
        "sort": [*agents],
        "axis": {"title": None, "ticks": False, "domain": False, "grid": True},
    }


def _type_colors(types: Sequence[str]) -> Row:
    colors = ("var(--accent)", "var(--warm)", "var(--violet)", "var(--green)", "var(--missing)")
    return _named({name: colors[n % len(colors)] for n, name in enumerate(types)}, field="type")


def _by_agent(agents: Sequence[str], types: Sequence[str], layers: list[Row]) -> Row:
    return {
        "data": {"name": "agents"},
        "height": 14 * max(2, len(types)) * len(agents),
        "encoding": {
            "y": _agent_axis(agents),
            "yOffset": {"field": "type", "type": "nominal", "scale": {"domain": [*types]}},
            "color": _type_colors(types),
            "tooltip": [
                {"field": "agent", "type": "nominal", "title": "Agent"},
                {"field": "type", "type": "nominal", "title": "Type"},
                _tip("offers", "Offers decided"),
                _tip("accepted", "Accepted"),
                _tip("rate", "Share accepted", ".0%"),
                _tip("median", "Median seconds", ",.1f"),
                _tip("p90", "Nine of ten within, seconds", ",.1f"),
            ],
        },
        "layer": layers,
    }


def _rates(agents: Sequence[str], types: Sequence[str]) -> Row:
    x = {
        "field": "rate",
        "type": "quantitative",
        "scale": {"domain": [0, 1]},
        "axis": {"title": "share of offers accepted", "format": ".0%", "tickCount": 4},
    }
    return _by_agent(
        agents,
        types,
        [
            {
                "mark": {"type": "bar", "height": 3, "opacity": 0.35},
                "encoding": {"x": x},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
                "encoding": {"x": x},
            },
        ],
    )


def _waits(agents: Sequence[str], types: Sequence[str]) -> Row:
    axis = {"title": "seconds to accept", "tickCount": 5}
    ends = {"x": {"field": "median", "type": "quantitative", "axis": axis}, "x2": {"field": "p90"}}
    chart = _by_agent(
        agents,
        types,
        [
            {"mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.35}, "encoding": ends},
            {
                "mark": {"type": "tick", "thickness": 2, "size": 11},
                "encoding": {"x": {"field": "p90", "type": "quantitative", "axis": axis}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
                "encoding": {"x": ends["x"]},
            },
        ],
    )
    return {**chart, "transform": [{"filter": "datum.median !== null"}]}


_NIGHT_COLORS = dict(
    zip(
        NIGHTS,
        ("var(--green)", "var(--soft)", "var(--warm)", "var(--missing)"),
        strict=True,
    )
)
_NIGHT_TIPS = [
    _date_tip(),
    {"field": "status", "type": "nominal", "title": "Status"},
    _tip("sessions", "Sessions in the dump"),
    _tip("actions", "Actions"),
    _tip("interactions", "Interactions"),
]


def _calendar() -> Row:
    return {
        "data": {"name": "nights"},
        "transform": [{"calculate": "time(toDate(datum.week)) + 6048e5", "as": "week_end"}],
        "height": 18 * len(WEEKDAYS),
        "mark": {"type": "rect", "cornerRadius": 2, "stroke": "var(--card)", "strokeWidth": 2},
        "encoding": {
            "x": {key: value for key, value in _day(field="week").items() if key != "timeUnit"},
            "x2": {"field": "week_end"},
            "y": _weekday_axis(),
            "color": _named(_NIGHT_COLORS, field="status"),
            "tooltip": _NIGHT_TIPS,
        },
    }


def _records() -> Row:
    return {
        "data": {"name": "records"},
        "height": 160,
        "mark": _bars(),
        "encoding": {
            "x": _day(),
            "y": _count("actions", "actions per dump"),
            "color": _named(_NIGHT_COLORS, field="status", legend=None),
            "tooltip": _NIGHT_TIPS,
        },
    }


# ------------------------------------------------------------------------------------ how it reads


def _number(value: int | None) -> str:
    return NONE if value is None else f"{value:,}"


def _share(value: float | None) -> str:
    return NONE if value is None else f"{value:.1%}"


def _seconds(value: float | None) -> str:
    return NONE if value is None else f"{value:,.1f}"


def _typed(name: str | None) -> str:
    return "(no type)" if name is None else name or '""'


def _words(name: str) -> str:
    return name.replace("_", " ")


def _plural(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"
