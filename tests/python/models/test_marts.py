"""The marts against the oracle: the compiled SQL on many histories, the whole program on a few."""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import gzip
import json
import os
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
import zstandard
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

import processes
from dumps import DAY, document
from histories import MODIFIED, histories, label_histories, sample
from marts import (
    VARIANTS,
    Compiled,
    Database,
    Load,
    difference,
    environment,
    land,
    rows_of,
    wanted,
)
from oracle import Delivery
from oracle.dumps import read_dump

EXAMPLES = settings().max_examples
START = 1_741_392_000_000  # 2025-03-08


@pytest.fixture(scope="module", params=range(len(VARIANTS)), ids=["utc", "chicago", "kolkata"])
def variant(
    request: pytest.FixtureRequest, projects: list[Compiled]
) -> Iterator[tuple[Database, dict[str, object]]]:
    with Database(projects[request.param]) as database:
        yield database, VARIANTS[request.param]


@pytest.fixture(scope="module")
def database(projects: list[Compiled]) -> Iterator[Database]:
    with Database(projects[0]) as database:
        yield database


def check(
    database: Database,
    loads: list[Load],
    variables: dict[str, object] | None = None,
    retirements: list[tuple[int, str]] | None = None,
) -> None:
    """Compare the marts after some loads with the oracle's.

    Args:
        database: what builds the marts.
        loads: what runs have landed.
        variables: those of the project.
        retirements: numbers of deliveries with `retire` or `restore`, one after the other.
    """
    deliveries = [d for load in loads if load.completed for d in load.deliveries]
    named = [
        (sha256(deliveries[number % len(deliveries)].content).hexdigest(), action)
        for number, action in (retirements or [] if deliveries else [])
    ]
    last = dict(named)
    # as if they had never come
    deliveries = [d for d in deliveries if last.get(sha256(d.content).hexdigest()) != "retire"]
    with TemporaryDirectory() as folder:
        built = database.build(land(loads, Path(folder), named))
    assert not (found := difference(built, wanted(deliveries, **(variables or {})))), found


# -------------------------------------------------------------------------------- many histories


@st.composite
def load_lists(draw: st.DrawFn) -> list[Load]:
    """A history cut into loads, with what should not matter in between."""
    history = draw(histories())
    cuts = sorted(draw(st.lists(st.integers(0, len(history)), max_size=2)))
    bounds = pairwise([0, *cuts, len(history)])
    loads = [Load(history[start:end], rows_in_loads=1 + end % 2) for start, end in bounds]
    for kind in draw(st.lists(st.sampled_from(["dead", "rejected", "again"]), max_size=2)):
        again = [
            Delivery(delivery.content, sample(draw, (*MODIFIED, datetime(2026, 1, 3))))
            for delivery in draw(st.lists(st.sampled_from(history), max_size=3))
        ]
        load = {
            # its rows are there, but it never completed
            "dead": Load([*again, *draw(histories(max_windows=2))], completed=False),
            # a run that took the version for one it does not support
            "rejected": Load(again, supported_major=3),
            # what two runs loaded at once counts once
            "again": Load(again, forgetful=True),
        }[kind]
        loads.insert(draw(st.integers(0, len(loads))), load)
    return loads


@settings(
    max_examples=EXAMPLES * 6 // 10,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    loads=load_lists(),
    retirements=st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from(["retire", "restore"])), max_size=3
    ),
)
def test_marts_are_what_the_oracle_says(
    loads: list[Load],
    retirements: list[tuple[int, str]],
    variant: tuple[Database, dict[str, object]],
) -> None:
    check(variant[0], loads, variant[1], retirements)


@settings(max_examples=EXAMPLES // 2, suppress_health_check=[HealthCheck.too_slow])
@given(history=label_histories())
def test_session_groups_are_what_the_oracle_says(
    history: list[Delivery], database: Database
) -> None:
    check(database, [Load(history)])


# ------------------------------------------------------------------------------- single histories


def night(number: int, sessions: dict[str, dict[str, object]]) -> Delivery:
    start = START + number * DAY
    return Delivery(document(start, start + DAY, unique_visitor_sessions=sessions), None)


def labelled(labels: dict[str, str]) -> list[Load]:
    """One night whose sessions start in the order of their names."""
    sessions: dict[str, dict[str, object]] = {
        own: {"session_group": label, "start_time": START + number, "end_time": START + number}
        for number, (own, label) in enumerate(sorted(labels.items()))
    }
    return [Load([night(0, sessions)])]


def chain(names: list[str]) -> dict[str, str]:
    """Each leads to the next; the last leads nowhere."""
    return dict(pairwise([*names, "nowhere"]))


NAMES = [f"{number:04}" for number in range(400)]
SHUFFLED = random.Random(1).sample(NAMES, len(NAMES))
ZIGZAG = [name for pair in zip(NAMES[:200], NAMES[:199:-1], strict=True) for name in pair]


@pytest.mark.parametrize("names", [NAMES, NAMES[::-1], SHUFFLED, ZIGZAG])
def test_long_ways(names: list[str], database: Database) -> None:
    check(database, labelled(chain(names)))


@pytest.mark.parametrize("names", [NAMES, NAMES[::-1], SHUFFLED, ZIGZAG])
def test_long_ways_into_cycles(names: list[str], database: Database) -> None:
    # a large cycle with a long tail, a small one with many short tails, a tree into a small one
    large = chain(names[:200]) | {names[149]: names[0]}
    large[names[199]] = names[7]
    small = chain(names[200:202]) | {names[201]: names[200]}
    small |= dict.fromkeys(names[202:300], names[200])
    tree = {name: names[300 + (place - 1) // 2] for place, name in enumerate(names[300:])}
    tree |= {names[300]: names[301], names[301]: names[300]}
    check(database, labelled(large | small | tree))


def test_ends_that_come_and_go(database: Database) -> None:
    ends = [None, START + 5, START + 7, None, START + 7, "soon", START + 5, START + 9]
    nights = [
        night(number, {"s": {"start_time": START - number, "end_time": end}})
        for number, end in enumerate(ends)
    ]
    check(database, [Load(nights)])
    check(database, [Load(nights[:4]), Load(nights[5:])])


def test_nothing_is_landed(database: Database) -> None:
    check(database, [Load([])])
    check(database, [Load([Delivery(b"", None), Delivery(b"[]", None)])])


# ------------------------------------------------------------------------------ the whole program


@settings(
    max_examples=max(3, EXAMPLES // 40),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    parts=st.lists(histories(max_windows=4), min_size=2, max_size=3),
    cuts=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    variables=st.sampled_from(VARIANTS),
)
def test_runs_of_the_program_build_what_the_oracle_says(
    parts: list[list[Delivery]], cuts: tuple[float, float], variables: dict[str, object]
) -> None:
    unknown = datetime(2025, 12, 31)  # a file on a disk has a time
    deliveries = [Delivery(d.content, d.modified_at or unknown) for part in parts for d in part]
    assume(len(deliveries) >= 4)
    bounds = [0, *sorted(round(cut * len(deliveries)) for cut in cuts), len(deliveries)]
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "dumps").mkdir()
        loaded: set[bytes] = set()
        for start, end in pairwise(bounds):
            if start < end:
                rejected = False
                for number in sorted(range(start, end), key=lambda n: f"{n}.json"):
                    write(folder / "dumps" / f"{number}.json", deliveries[number])
                    if read_dump(deliveries[number]) is not None:
                        loaded.add(deliveries[number].content)
                    # a copy of what is loaded is a copy, whenever it was modified
                    rejected |= deliveries[number].content not in loaded
                assert run(folder, variables) == (3 if rejected else 0)
        expected = wanted(deliveries, **variables)
        with duckdb.connect(str(folder / "history.duckdb"), read_only=True) as connection:
            built = {name: rows_of(connection, f"rep_ai.{name}") for name in expected}
    assert not (found := difference(built, expected)), found


def write(path: Path, delivery: Delivery) -> None:
    """Write a file as a store holds it."""
    packers = (bytes, gzip.compress, zstandard.compress)
    path.write_bytes(packers[len(delivery.content) % 3](delivery.content))
    assert delivery.modified_at is not None
    seconds = delivery.modified_at.replace(tzinfo=UTC).timestamp()
    os.utime(path, (seconds, seconds))


def run(folder: Path, variables: dict[str, object]) -> int:
    """Run the program on all files there are by now; what it says is shown if the test fails."""
    options = ["--vars", json.dumps(variables)] if variables else []
    done = processes.run(
        "rep-ai", "run", "dumps", *options, variables=environment(folder), cwd=folder
    )
    sys.stdout.write(done.stdout)
    return done.returncode
