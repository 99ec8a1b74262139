"""The dump calendar on long histories, against the oracle: what is usual takes weeks to know."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dumps import DAY, HOUR, document, write
from loads import Place
from oracle import Delivery, marts

COLLECTIONS = {
    "users": dict,
    "unique_visitors": dict,
    "unique_visitor_sessions": dict,
    "unique_visitor_session_actions": list,
    "unique_visitor_session_interactions": list,
}


def history(random: Random) -> list[bytes]:
    """Some months of nights: gaps, odd windows, quiet nights, changed clocks, lost collections."""
    start = 1_709_272_800_000 + random.randrange(24) * HOUR
    dumps = []
    for _ in range(random.randrange(20, 90)):
        length = random.choices([24, 23, 25, 12, 48, 1], [60, 2, 2, 2, 2, 2])[0] * HOUR
        length += random.choices([0, 1, HOUR], [60, 2, 2])[0]
        dumps.append(night(random, start, start + length))
        if random.random() < 0.05:
            dumps.append(night(random, start, start + length, "1.1.0"))
        start += length + random.choices([0, DAY, 9 * DAY, -HOUR], [60, 5, 1, 1])[0]
    return dumps


def night(random: Random, start: int, end: int, version: str = "1.0.0") -> bytes:
    """A dump with more or fewer records."""
    counts = random.choices([(30, 60), (2, 6), (0, 1)], [8, 3, 1])[0]
    members: dict[str, Any] = {}
    for name, kind in COLLECTIONS.items():
        if random.random() < 0.95:
            ids = range(random.randint(*counts))
            members[name] = {i: {} for i in ids} if kind is dict else [{"id": i} for i in ids]
    return document(start, end, version, **members)


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_long_histories(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Row for row; the moments, so also the order of arrival, do not matter."""
    server = request.getfixturevalue("postgres") if engine == "postgres" else {}
    seen: Counter[bool] = Counter()
    for seed in (1, 2):
        place = Place(tmp_path / f"{seed}", server)
        if server:
            place.query("begin; drop schema if exists rep_ai_raw cascade; commit; select 1")
        dumps = history(Random(seed))
        for number, content in enumerate(dumps):
            write(place.folder / "dumps" / f"{number}.json", content)
        landed = place.run("ingest", "--quiet", place.folder / "dumps")
        assert landed.returncode == 0, landed.stderr
        place.dbt(
            *("run", "--select", "+rep_ai__dump_calendar"),
            *("--target", "postgres" if server else "dev"),
        )
        wanted = marts(
            [Delivery(content=content, modified_at=None) for content in dumps],
            action_types=(),
            interaction_types=(),
        )["rep_ai__dump_calendar"]
        columns = list(wanted[0])
        built = place.query(f"select {', '.join(columns)} from rep_ai.rep_ai__dump_calendar")
        assert sorted(map(repr, built)) == sorted(repr(tuple(row.values())) for row in wanted)
        seen.update(bool(row["has_few_actions"]) for row in wanted)
        assert any(row["usual_action_count"] is None for row in wanted)
    assert min(seen[True], seen[False]) >= 5
