"""The metrics as MetricFlow answers them, beside plain SQL on the marts."""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from warehouse import TIMEZONE, Warehouse

# `mf`, several times for the price of one start
MF = """
import json, sys
from dbt_metricflow.cli.main import cli
for arguments in json.loads(sys.argv[1]):
    cli(arguments, standalone_mode=False)
"""
# mart -> its time, and what each metric is of its rows
PLAIN = {
    "fct_rep_ai__sessions": (
        "started_at",
        {
            "sessions": "count(*)",
            "visitors": "count(distinct visitor_id)",
            "sessions_across_midnight": "count(*) filter (crossed_midnight)",
            "share_of_sessions_across_midnight": "count(*) filter (crossed_midnight) / count(*)",
        },
    ),
    "fct_rep_ai__session_groups": (
        "started_at",
        {
            "session_groups": "count(*)",
            "active_seconds": "sum(active_seconds)",
            "session_groups_with_help_requested": "count(*) filter (asks)",
            "share_of_session_groups_with_help_requested": "count(*) filter (asks) / count(*)",
        },
    ),
    "fct_rep_ai__actions": (
        "occurred_at",
        {
            "actions": "count(*)",
            "help_requests": "count(*) filter (action_type = 'REQUESTED_HELP')",
        },
    ),
    "fct_rep_ai__interactions": (
        "started_at",
        {
            "interactions": "count(*)",
            "accepted_interactions": "count(*) filter (acceptance in ('accepted', 'automatic'))",
            "handled_interactions": "count(*) filter (acceptance = 'accepted')",
            "decided_offers": (
                "count(*) filter (acceptance = 'accepted' or acceptance = 'not_accepted')"
            ),
            "acceptance_rate": (
                "avg(case acceptance when 'accepted' then 1 when 'not_accepted' then 0 end)"
            ),
            "median_seconds_to_accept": "median(cast(seconds_to_accept as double))",
            "p90_seconds_to_accept": "quantile_cont(cast(seconds_to_accept as double), 0.9)",
        },
    ),
}
# what a metric can be grouped by -> the same in plain SQL
GROUPS = {
    "fct_rep_ai__sessions": {
        "session__end_status": "end_status",
        "session_group__crossed_midnight": "group_crossed_midnight",
        "referrer__referrer_host": "referrer_host",
    },
    "fct_rep_ai__session_groups": {
        "session_group__end_status": "end_status",
        "referrer__referrer_host": "referrer_host",
    },
    "fct_rep_ai__actions": {"action__action_type": "action_type"},
    "fct_rep_ai__interactions": {
        "interaction__interaction_type": "interaction_type",
        "interaction__acceptance": "acceptance",
        "agent": "user_id",
        "agent__display_name": "agent_name",
    },
}
DAYS = "rep_ai_intermediate.int_rep_ai__days"
# the daily mart's name for what a metric is by day
DAILY = {
    "sessions": "session_count",
    "visitors": "visitor_count",
    "session_groups": "session_group_count",
    "active_seconds": "active_seconds",
    "actions": "action_count",
    "interactions": "interaction_count",
    "accepted_interactions": "accepted_interaction_count",
    "handled_interactions": "handled_interaction_count",
}
COLUMNS = """
    exists (
        select 1 from rep_ai.fct_rep_ai__actions as requests
        where requests.session_group_id = mart.session_group_id
            and requests.action_type = 'REQUESTED_HELP'
    ) as asks,
    (
        select groups.crossed_midnight from rep_ai.fct_rep_ai__session_groups as groups
        where groups.session_group_id = mart.session_group_id
    ) as group_crossed_midnight,
"""
AGENT = """
    (
        select users.display_name from rep_ai.dim_rep_ai__users as users
        where users.user_id = mart.user_id
    ) as agent_name,
"""
REFERRER = """
    (
        select referrers.referrer_host from rep_ai.dim_rep_ai__referrers as referrers
        where referrers.referrer = mart.referrer
    ) as referrer_host,
"""
TOTAL = "all of it"
DAY = "metric_time__day"


def cases() -> Iterator[tuple[str, str, str]]:
    """All marts, what their metrics are grouped by, and the same in plain SQL."""
    for mart, (time, _) in PLAIN.items():
        day = f"cast(timezone('{TIMEZONE}', timezone('UTC', {time})) as date)"
        for group, expression in {TOTAL: "''", DAY: day, **GROUPS[mart]}.items():
            yield mart, group, expression


Answer = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def answers(warehouse: Warehouse) -> dict[tuple[str, str], Answer]:
    """What MetricFlow says: for each mart and group the metrics of each of its values."""
    commands = [["validate-configs"]]
    files: dict[tuple[str, str], Path] = {}
    for number, (mart, group, _) in enumerate(cases()):
        files[mart, group] = warehouse.folder / f"{number}.csv"
        grouped = [] if group == TOTAL else ["--group-by", group]
        metrics = ",".join(PLAIN[mart][1])
        command = ["query", "--quiet", "--metrics", metrics, *grouped]
        commands.append([*command, "--csv", str(files[mart, group])])
    # without a metric it shows the days that it knows
    files[DAYS, DAY] = warehouse.folder / "days.csv"
    commands.append(["query", "--quiet", "--group-by", DAY, "--csv", str(files[DAYS, DAY])])
    run = subprocess.run(
        [sys.executable, "-c", MF, json.dumps(commands)],
        cwd=warehouse.folder,
        env=warehouse.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    found = re.findall(r"ERRORS: (\d+)", run.stdout)
    assert found, run.stdout
    assert set(found) == {"0"}, run.stdout
    return {case: read(path, case[1]) for case, path in files.items()}


def read(path: Path, group: str) -> Answer:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    answer = {row.pop(group, "").removesuffix(" 00:00:00"): row for row in rows}
    assert len(answer) == len(rows)
    return answer


@pytest.mark.parametrize(("mart", "group", "expression"), list(cases()))
def test_a_metric_is_what_plain_sql_says(
    mart: str,
    group: str,
    expression: str,
    warehouse: Warehouse,
    answers: dict[tuple[str, str], Answer],
) -> None:
    metrics = PLAIN[mart][1]
    more = COLUMNS + AGENT * ("interactions" in mart) + REFERRER * ("session" in mart)
    rows = warehouse.rows(
        f"""
        select {expression}, {", ".join(metrics.values())}
        from (select {more} mart.* from rep_ai.{mart} as mart) as mart
        group by 1
        """
    )
    wanted: dict[str, Any] = {
        "" if key is None else str(key): dict(zip(metrics, values, strict=True))
        for key, *values in rows
    }
    answer = answers[mart, group]
    assert wanted.keys() == answer.keys()
    for key, values in wanted.items():
        for metric, value in values.items():
            said = answer[key][metric]
            if value is None:
                assert said == "", (key, metric)
            else:
                assert float(said) == pytest.approx(float(value), rel=1e-12), (key, metric)


@pytest.mark.parametrize("metric", DAILY)
def test_a_metric_by_day_is_what_the_daily_mart_says(
    metric: str, warehouse: Warehouse, answers: dict[tuple[str, str], Answer]
) -> None:
    wanted = warehouse.rows(
        f"select activity_date, {DAILY[metric]} from rep_ai.rep_ai__daily_activity"
    )
    mart = next(mart for mart, (_, metrics) in PLAIN.items() if metric in metrics)
    said = {day: float(row[metric]) for day, row in answers[mart, DAY].items()}
    assert said == {str(day): float(value) for day, value in wanted if value or str(day) in said}


def test_the_line_of_time_has_every_day(
    warehouse: Warehouse, answers: dict[tuple[str, str], Answer]
) -> None:
    ((start, end),) = warehouse.rows(
        "select min(window_start_at), max(window_end_at) from rep_ai.rep_ai__dump_calendar"
    )
    zone = ZoneInfo(TIMEZONE)
    first, last = (time.replace(tzinfo=UTC).astimezone(zone).date() for time in (start, end))
    days = [str(first + timedelta(days=n)) for n in range((last - first).days + 1)]
    assert len(days) == 17
    assert sorted(answers[DAYS, DAY]) == days


def test_each_metric_is_compared(warehouse: Warehouse) -> None:
    manifest = json.loads((warehouse.folder / "target" / "manifest.json").read_text("utf-8"))
    metrics = {metric["name"] for metric in manifest["metrics"].values()}
    assert metrics == {name for _, names in PLAIN.values() for name in names}
