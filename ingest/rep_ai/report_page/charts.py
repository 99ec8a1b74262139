"""What the page draws: the charts of charts.yml, filled in with what the marts hold."""

from datetime import date
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import yaml

from rep_ai.report_page.figures import isolated
from rep_ai.warehouse.health import Row

SPECIFICATIONS = Path(__file__).with_name("charts.yml")
# bars of more days would be too thin, so they are of weeks
MAX_DAYS = 130
# charts that have an end: the newest weeks and dumps, and the busiest agents
MAX_WEEKS = 53
MAX_RECORDS = 91
MAX_AGENTS = 20


def charts(found: Row) -> Row:
    """Vega-Lite specifications by name, and the rows of `collect` that they draw, if any."""
    daily, calendar = found["daily"], found["days"]
    shown = [isolated(row["agent"]) for row in found["by_agent"] if row["offers"]][:MAX_AGENTS]
    both = [
        row | {name: isolated(row[name]) for name in ("agent", "type")}
        for row in found["by_both"]
        if row["offers"]
    ]
    agents = [row for row in both if row["agent"] in shown]
    types = sorted({row["type"] for row in agents})
    weeks = sorted({day["week"] for day in calendar})[-MAX_WEEKS:]
    datasets = {
        "daily": daily,
        "hours": found["hours"],
        "agents": agents,
        "calendar": [day for day in calendar if day["week"] in weeks],
        "records": calendar[-MAX_RECORDS:],
    }
    data = yaml.safe_load(SPECIFICATIONS.read_text(encoding="utf-8"))
    # what stands for $name, by the data that a chart draws
    values: dict[str, Row] = {
        "daily": _over_time(data, daily),
        "agents": {
            "agents": shown,
            "agents_height": 14 * max(2, len(types)) * len(shown),
            "types": types,
            "type_colors": list(islice(cycle(data["type_colors"]), len(types))),
        },
    }
    return {
        "specs": {
            name: _filled(spec, values.get(spec["data"]["name"], data["over_days"]))
            for name, spec in data["charts"].items()
            if datasets[spec["data"]["name"]]
            and (name != "waits" or any(row["median"] is not None for row in agents))
        },
        "weeks": len(weeks),
        "agents": len(shown),
        "datasets": datasets,
    }


def _over_time(data: Row, daily: list[Row]) -> Row:
    """What charts over these days are filled in with."""
    is_weekly = len(daily) > MAX_DAYS
    values: Row = dict(data["over_weeks" if is_weekly else "over_days"])
    found = {"sessions: bars", "visits: line", *(row["coverage"] for row in daily)}
    # the weeks of Vega begin on Sundays
    ends = [date.fromisoformat(daily[place]["day"]).strftime("%a") for place in (0, -1) if daily]
    if is_weekly and ends != ["Sun", "Sat"]:
        found.add("covered in part")
    colors = {name: color for name, color in data["activity_colors"].items() if name in found}
    values["activity_scale"] = {"domain": [*colors], "range": [*colors.values()]}
    return values


def _filled(part: Any, values: Row) -> Any:
    """A part of a specification with values in the place of $name."""
    if isinstance(part, dict):
        return {key: _filled(each, values) for key, each in part.items()}
    if isinstance(part, list):
        return [_filled(each, values) for each in part]
    if not isinstance(part, str) or "$" not in part:
        return part
    before, _, name = part.partition("$")
    return before + values[name] if before else values[name]
