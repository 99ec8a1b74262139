"""What is shown of dbt's log while it builds."""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import json
from typing import Any

from rep_ai.console.progress import of_dbt
from rep_ai.landing.results import Observer


class Recorder(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        """Nothing is told yet."""
        self.said: list[str] = []
        self.built: list[tuple[int, int, str]] = []

    def say(self, text: str) -> None:
        """Keep it."""
        self.said.append(text)

    def building(self, done: int, total: int, at_work: str) -> None:
        """Keep it."""
        self.built.append((done, total, at_work))


def event(name: str, node: str = "", level: str = "info", message: str = "", **data: Any) -> str:
    """A line as dbt logs it."""
    info = {"name": name, "level": level, "msg": message, "ts": "2026-03-01T04:00:59.123456Z"}
    return json.dumps({"info": info, "data": {**data, "node_info": {"node_name": node}}})


def test_what_is_done_and_at_work() -> None:
    seen = Recorder()
    told = of_dbt(seen)
    told(event("LogHookStartLine", "rep_ai-on-run-start-0", index=1, total=8))
    told(event("LogHookEndLine", "rep_ai-on-run-start-0", index=1, total=8))
    told(event("FoundStats", message="Found 2 models"))
    told(event("LogStartLine", "slow", index=1, total=3))
    told(event("LogStartLine", "quick", index=2, total=3))
    told(event("LogModelResult", "quick", index=2, total=3))
    told(event("LogStartLine", "test", index=3, total=3))
    told(event("LogModelResult", "slow", index=1, total=3))
    told(event("LogTestResult", "test", "warn", index=3, num_models=3))
    told(event("RunResultWarning", "test", "warn"))
    assert seen.built == [
        *((0, 3, "slow"), (0, 3, "slow"), (1, 3, "slow"), (1, 3, "slow"), (2, 3, "test")),
        (3, 3, "test"),
    ]
    assert seen.said == []


def test_errors_and_what_is_not_of_dbt_are_said() -> None:
    seen = Recorder()
    told = of_dbt(seen)
    told(event("LogTestResult", "t", "error", "1 of 1 FAIL 2 t", index=1, num_models=1))
    told(event("PrintEvent", message="rep_ai: built anew"))
    for line in ("Traceback (most recent call last):", "[]", "1", ""):
        told(line)
    assert seen.said[:2] == ["04:00:59  1 of 1 FAIL 2 t", "04:00:59  rep_ai: built anew"]
    assert seen.said[2:] == ["Traceback (most recent call last):", "[]", "1", ""]
