"""What all tests share."""

from __future__ import annotations

import fcntl
import os
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from hypothesis import HealthCheck, settings

import postgres as postgresql
import spark
from marts import VARIANTS, Compiled, compile_projects, read_manifest
from replay import postgres_connection
from warehouse import Warehouse, build

# files of minutes, the longest first: those of few tests would come last if it went by number
LONGEST = (
    *("test_spark", "test_way_in", "test_dbt", "test_replay", "test_chaos", "test_marts"),
    *("test_stores", "test_cli", "test_organisations", "test_dialects", "test_report_page"),
    *("test_wheel", "test_engines"),
)

# drawn here, so that all workers of one run have the same tests
if not os.environ.get("REP_AI_REPLAY_SEED"):
    os.environ["REP_AI_REPLAY_SEED"] = str(random.randrange(0, 1_000_000, 2))

# HYPOTHESIS_PROFILE=long searches longer
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=False,
    print_blob=True,
    # a busy machine is no failure
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("long", settings.get_profile("ci"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[dict[str, str]]:
    """A running PostgreSQL server, as the PG* environment variables that lead to it."""
    with postgresql.server() as variables:
        yield variables


@pytest.fixture(scope="session")
def spark_server() -> Iterator[dict[str, str]]:
    """A running Spark thrift server, as the SPARK_* environment variables that lead to it."""
    with ExitStack() as stack:
        try:
            variables = stack.enter_context(spark.server())
        except spark.MissingError as error:
            pytest.skip(str(error))
        yield variables


@pytest.fixture(scope="module")
def postgres(postgres_server: dict[str, str], request: pytest.FixtureRequest) -> dict[str, str]:
    """The same, with a database of the module's own: what others leave is not seen."""
    name = request.module.__name__
    with closing(postgres_connection(postgres_server)) as connection:
        connection.cursor().execute(f"create database {name}")
    return {**postgres_server, "PGDATABASE": name}


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A small database that the whole program has built; nothing may change it."""
    return build(tmp_path_factory.mktemp("warehouse"))


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> list[Compiled]:
    """The project, compiled in each of its VARIANTS; once for all workers, as it takes long."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with (folder / "compiled.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder /= "compiled"
        if not folder.exists():
            folder.mkdir()
            compile_projects(folder, VARIANTS)
    return [
        read_manifest(folder / str(number) / "target" / "manifest.json")
        for number, _ in enumerate(VARIANTS)
    ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the files that take longest go first, so that no worker is idle while one ends."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say where the kills of the chaos tests fell, and what the fuzz tests met."""
    if chaos := sys.modules.get("test_chaos"):
        terminalreporter.section(f"{chaos.FELL.total()} runs were killed")
        for phase, count in sorted(chaos.FELL.items()):
            terminalreporter.write_line(f"{count:7,}  {phase}")
    if fuzz := sys.modules.get("test_fuzz"):
        terminalreporter.section(f"{fuzz.OUTCOMES.total():,} documents were damaged")
        for outcome, count in sorted(fuzz.OUTCOMES.items()):
            terminalreporter.write_line(f"{count:7,}  {outcome}")
        for line in fuzz.SAID:
            terminalreporter.write_line(line)
