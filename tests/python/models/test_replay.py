"""Built night by night or all at once: the same marts after every step, whatever happened.

Histories come from two generators that know nothing of each other: `replay.plan_of`, and
`hostile.hostile_plan`, written from docs/query.md against models that keep lists of keys.
REP_AI_REPLAYS is the number of histories of each, REP_AI_REPLAY_SEED the seed of the first one,
REP_AI_REPLAY_STEPS the steps to play of it ("0,4,7"), REP_AI_REPLAY_TRIES how often a history that
fails is played again with fewer steps, to find those that matter.
"""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from hostile import hostile_plan
from marts import PARSED
from replay import (
    SIDES,
    Deliver,
    Harm,
    Replay,
    Step,
    UnequalError,
    plan_of,
    postgres_connection,
    unequal_tables,
)

HISTORIES = int(os.environ.get("REP_AI_REPLAYS", "1"))
SEED = int(os.environ["REP_AI_REPLAY_SEED"])
STEPS = [int(number) for number in os.environ.get("REP_AI_REPLAY_STEPS", "").split(",") if number]
TRIES = int(os.environ.get("REP_AI_REPLAY_TRIES", "0"))
# all that comes to pass in a history takes long on a second engine
POSTGRES_STEPS = 4


@pytest.fixture(scope="module")
def totals(request: pytest.FixtureRequest) -> Iterator[Counter[str]]:
    """What all histories did, said in the end."""
    counts: Counter[str] = Counter()
    yield counts
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    plugins = request.config.pluginmanager
    reporter, capture = (plugins.get_plugin(n) for n in ("terminalreporter", "capturemanager"))
    assert reporter is not None
    assert capture is not None
    with capture.global_and_fixture_disabled():
        reporter.write_line(f"\nreplay from seed {SEED}: {said}")


def play(
    plan: Sequence[Step],
    steps: Sequence[int],
    folder: Path,
    totals: Counter[str],
    variables: Sequence[dict[str, str]] = ({}, {}),
) -> tuple[int, str] | None:
    """Play some steps of a plan; the one after which something was wrong, and what."""
    folder.mkdir()
    replay = Replay(folder, variables)
    try:
        for number in steps:
            try:
                replay.play(plan[number])
            except AssertionError as error:
                return number, str(error)
    finally:
        replay.stop()
        totals.update(replay.counts)
    return None


def fewer(
    plan: Sequence[Step], steps: list[int], wrong: str, folder: Path, totals: Counter[str]
) -> tuple[list[int], str]:
    """Steps that are enough for something to be wrong after the last one, the first one kept."""
    tries = 0
    size = max(1, len(steps) // 2)
    while True:
        end = len(steps) - 1  # the last step is what it fails at
        while end > 1 and tries < TRIES:
            kept = [steps[0], *steps[1 : max(1, end - size)], *steps[end:]]
            tries += 1
            found = play(plan, kept, folder / f"try{tries}", totals)
            if found is not None:
                steps, wrong = kept[: kept.index(found[0]) + 1], found[1]
            end = min(end - size, len(steps) - 1)
        if size == 1 or tries >= TRIES:
            return steps, wrong
        size //= 2


def check(
    plan: Sequence[Step],
    seed: int,
    steps: list[int],
    folder: Path,
    totals: Counter[str],
    *,
    variables: Sequence[dict[str, str]] = ({}, {}),
) -> None:
    steps = sorted({0, *steps}) if steps else list(range(len(plan)))
    found = play(plan, steps, folder / "history", totals, variables)
    totals["histories"] += 1
    if found is None:
        return
    steps = steps[: steps.index(found[0]) + 1]
    wrong = found[1]
    if not any(variables):  # a server's databases are not empty a second time
        steps, wrong = fewer(plan, steps, wrong, folder, totals)
    # a record may hold a megabyte
    wrong = "\n".join(line if len(line) < 1000 else f"{line[:999]}…" for line in wrong.splitlines())
    recipe = "\n".join(f"  {number}. {plan[number]}" for number in steps)
    again = f"REP_AI_REPLAYS=1 REP_AI_REPLAY_SEED={seed}"
    again += f" REP_AI_REPLAY_STEPS={','.join(map(str, steps))}"
    pytest.fail(
        f"after step {steps[-1]} of\n{recipe}\n{wrong}\n\n"
        f"Files, databases and what was said are in {folder}. To play it again:\n"
        f"{again} {sys.executable} -m pytest {os.environ['PYTEST_CURRENT_TEST'].split()[0]}",
        pytrace=False,
    )


@pytest.mark.parametrize("seed", range(SEED, SEED + HISTORIES))
def test_every_step_builds_what_a_full_refresh_builds(
    seed: int, tmp_path: Path, totals: Counter[str]
) -> None:
    check(plan_of(seed), seed, STEPS, tmp_path, totals)


@pytest.mark.parametrize("seed", range(SEED, SEED + HISTORIES))
def test_every_step_of_a_hostile_history_builds_the_same(
    seed: int, tmp_path: Path, totals: Counter[str]
) -> None:
    check(hostile_plan(seed), seed, STEPS, tmp_path, totals)


def test_every_step_on_postgres(
    postgres: dict[str, str], tmp_path: Path, totals: Counter[str]
) -> None:
    with closing(postgres_connection(postgres)) as connection:
        for side in SIDES:
            connection.cursor().execute(f"create database replay_{side}")
    variables = [
        {**postgres, "REP_AI_TARGET": "postgres", "PGDATABASE": f"replay_{side}"} for side in SIDES
    ]
    harmful = [
        number
        for number, step in enumerate(plan_of(SEED))
        if any(isinstance(operation, Harm) for operation in step.operations)
    ]
    steps = [0, *harmful[: POSTGRES_STEPS - 1]]
    check(plan_of(SEED), SEED, steps, tmp_path, totals, variables=variables)


# what is never the same value, by the type of the column
OTHER_VALUES = {
    "VARCHAR": "coalesce({0}, '') || 'x'",
    "TIMESTAMP": "coalesce({0}, timestamp '2000-01-01') + interval 1 millisecond",
    "DATE": "coalesce({0}, date '2000-01-01') + 1",
    "DECIMAL": "coalesce({0}, 0) + 1",
    "BIGINT": "coalesce({0}, 0) + 1",
    "BOOLEAN": "not coalesce({0}, false)",
}


def test_no_change_of_a_mart_goes_unseen(tmp_path: Path) -> None:
    replay = Replay(tmp_path)
    # enough to fill all marts
    operations = [operation for step in plan_of(0) for operation in step.operations]
    landings = [operation for operation in operations if isinstance(operation, Deliver)]
    try:
        replay.play(Step("all files", tuple(landings)))
    finally:
        replay.stop()
    with duckdb.connect(":memory:") as connection:
        for side, warehouse in zip(SIDES, (replay.incremental, replay.refreshed), strict=True):
            connection.execute(f"attach '{warehouse.database}' as {side}")
        # a view changes with the tables below it
        tables = connection.execute(
            "select table_name from duckdb_tables() where database_name = 'incremental'"
        ).fetchall()
        names = [mart for mart in replay.incremental.marts() if (mart,) in tables]
        for mart in names:
            table = f"incremental.rep_ai.{mart}"
            one_row = f"where rowid = (select min(rowid) from {table})"
            changes = [
                f"delete from {table} {one_row}",
                f"insert into {table} select * from {table} {one_row}",
                f"alter table {table} add column one_more integer",
            ]
            for name, kind, *_ in connection.execute(f"describe {table}").fetchall():
                other = OTHER_VALUES[kind.partition("(")[0]].format(name)
                changes.append(f"update {table} set {name} = {other}")
                changes[-1] += f" {one_row}"
            for change in changes:
                connection.execute("begin")
                connection.execute(change)
                lines, _ = unequal_tables(connection, [mart])
                connection.execute("rollback")
                assert lines, change
            connection.execute(changes[0])
    # all marts lack a row now, and both comparisons tell
    with pytest.raises(UnequalError) as wrong:
        replay.compare()
    for mart in names:
        assert f"{mart}: only refreshed: " in str(wrong.value)
        if mart not in PARSED:
            assert f"incremental against the oracle: {mart}: missing " in str(wrong.value)
    assert "refreshed against the oracle" not in str(wrong.value)
