"""Spark with Iceberg: what DuckDB has landed comes out as the same marts, row for row.

The raw tables go over as Parquet. Every statement costs Spark some tenths of a second, however few
rows there are, so that there is one history here: hostile dumps and the sample at first, then
nights of a drawn history (REP_AI_REPLAY_SEED), and builds that are killed between two statements.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from test_engines import VARIABLES, connected, hostile_dumps, manifest, spelled

from marts import RAW_SCHEMA, environment
from oracle.json_text import engines_may_differ
from processes import PROJECT, Command
from rep_ai.landing.raw_tables import TABLES
from rep_ai.landing.upkeep import WRITTEN
from replay import Deliver, plan_of
from spark import connect, load_raw

RAW_TABLES = (*TABLES, *WRITTEN, "_dlt_loads", "user_agents")
SEED = int(os.environ["REP_AI_REPLAY_SEED"])
NO_TESTS = ("--exclude-resource-type", "test")
# ends the process as a kill does, once the engine has done a statement that begins so
KILLED = 9
KILLER = f"""
import os
from dbt.adapters.spark.connections import PyhiveConnectionWrapper as Connection
execute = Connection.execute
def killed(self, sql, bindings=None):
    execute(self, sql, bindings)
    words = " ".join(line for line in sql.split("*/")[-1].split())
    if words.startswith(os.environ["KILL_AFTER"]):
        os._exit({KILLED})
Connection.execute = killed
"""
INNER, OUTER = "rep_ai_intermediate", "rep_ai"
# of each: the models that run, and after which statement the last one is killed
KILLS = (
    (
        "int_rep_ai__deliveries int_rep_ai__sessions_stitched",
        f"delete from {INNER}.int_rep_ai__sessions_stitched",
    ),
    (
        "int_rep_ai__deliveries int_rep_ai__sessions_stitched int_rep_ai__sessions_grouped",
        f"insert into table {INNER}.int_rep_ai__sessions_grouped",
    ),
    (
        "int_rep_ai__sessions_grouped int_rep_ai__actions int_rep_ai__interactions "
        "fct_rep_ai__sessions",
        f"insert into table {OUTER}.fct_rep_ai__sessions",
    ),
)

Table = tuple[list[str], "Counter[str]"]


class Engines:
    """A DuckDB file that dumps are landed in, and what Spark makes of its raw tables."""

    def __init__(self, folder: Path, server: Mapping[str, str]) -> None:
        """Nothing is landed yet."""
        self.dumps = folder / "dumps"
        self.dumps.mkdir()
        self._folder = folder
        self._files = 0
        self.is_built = False
        self.variables = {}
        for target, settings in {"dev": {}, "spark": server}.items():
            place = folder / target
            place.mkdir()
            own = environment(place)
            self.variables[target] = {**own, **settings, "REP_AI_TARGET": target}

    def start(self, target: str, program: str, *arguments: str, **variables: str) -> Command:
        """Start rep-ai or dbt for one engine."""
        if program == "dbt":
            arguments += ("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT))
        return Command(program, arguments, {**self.variables[target], **variables}, PROJECT)

    def run(self, target: str, *command: str) -> tuple[int, str]:
        """Run it to its end: its exit code and what it said."""
        done = self.start(target, *command).done()
        return done.returncode, done.stdout

    def land(self, *contents: bytes) -> None:
        """Land dumps in DuckDB, and let Spark have its raw tables."""
        for content in contents:
            self._files += 1
            (self.dumps / f"{self._files}.json").write_bytes(content)
        code, said = self.run("dev", "rep-ai", "ingest", str(self.dumps))
        # some files are rejected
        assert code in (0, 3), said
        database = Path(self.variables["dev"]["REP_AI_DUCKDB"])
        parquet = self._folder / "parquet"
        load_raw(self.variables["spark"], database, RAW_SCHEMA, RAW_TABLES, parquet)

    def build(self, target: str, *options: str) -> None:
        """Build all models."""
        code, said = self.run(target, "dbt", "build", "--vars", VARIABLES, *options)
        assert code == 0, said
        self.is_built = target == "spark" or self.is_built

    def kill(self, models: str, statement: str) -> None:
        """Run some models on Spark, and kill the process after a statement."""
        done = subprocess.run(
            [
                *(sys.executable, "-c", f"{KILLER}\nfrom dbt.cli.main import cli; cli()"),
                *("run", "--vars", VARIABLES, "--select", *models.split()),
                *("--project-dir", PROJECT, "--profiles-dir", PROJECT),
            ],
            env={**self.variables["spark"], "KILL_AFTER": statement},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == KILLED, done.stdout

    def differences(self) -> list[str]:
        """What tells the marts of both apart."""
        lines: list[str] = []
        rows = 0
        marts = [mart.name for mart in manifest(self.variables["dev"]).marts]
        assert len(marts) > 10
        with (
            connected(self.variables["dev"]) as duckdb,
            closing(connect(self.variables["spark"])) as spark,
        ):
            for mart in marts:
                columns, wanted = fetch(duckdb.cursor(), f"{OUTER}.{mart}")
                names, found = fetch(spark.cursor(), f"{OUTER}.{mart}")
                assert wanted, mart
                rows += wanted.total()
                if names != columns:
                    lines.append(f"{mart}: columns {columns} on DuckDB, {names} on Spark")
                for engine, surplus in (("DuckDB", wanted - found), ("Spark", found - wanted)):
                    only = sorted(surplus.elements())[:20]
                    lines += [f"{mart}: only on {engine}: {row}" for row in only]
        print(f"{len(marts)} marts, {rows} rows compared, {len(lines)} differences")  # noqa: T201
        return lines


def fetch(cursor: Any, relation: str) -> Table:
    """The columns of a table in their order, and its rows as text in which types show."""
    cursor.execute(f"select * from {relation}")
    described = cursor.description
    names = [column[0].rpartition(".")[2] for column in described]
    rows: Counter[str] = Counter()
    for row in cursor.fetchall():
        values = {
            # Hive's driver gives dates as text
            name: date.fromisoformat(value) if value and column[1] == "DATE_TYPE" else value
            for name, value, column in zip(names, row, described, strict=True)
        }
        if engines_may_differ(str(values.get("custom_metadata"))):
            values |= {name: "" for name in ("display_name", "email") if name in values}
        rows[", ".join(f"{name}={spelled(value)}" for name, value in values.items())] += 1
    return names, rows


@pytest.fixture(scope="module")
def engines(
    spark_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engines]:
    """Both, with hostile dumps and the sample, a day of it delivered twice."""
    engines = Engines(tmp_path_factory.mktemp("spark"), spark_server)
    sample = [str(engines.dumps), "--days", "4", "--sessions-per-day", "60"]
    code, said = engines.run("dev", "rep-ai", "sample", *sample)
    assert code == 0, said
    engines.land(*hostile_dumps())
    yield engines


def nights(seed: int) -> list[list[bytes]]:
    """What is landed in the first steps of a drawn history."""
    steps = [
        [
            file.content
            for each in step.operations
            if isinstance(each, Deliver)
            for file in each.files
        ]
        for step in plan_of(seed)
    ]
    return [step for step in steps if step][:2]


def test_marts_are_equal_whole_and_dump_by_dump(engines: Engines) -> None:
    """Built at first; after kills, with a night more between them; with data tests."""
    for target in ("spark", "dev"):
        engines.build(target, *NO_TESTS)
    assert engines.differences() == [], f"seed {SEED}"

    for night, kills in zip(nights(SEED), (KILLS[:1], KILLS[1:]), strict=True):
        engines.land(*night)
        for models, statement in kills:
            engines.kill(models, statement)
    engines.build("spark")
    # over a table that is there
    again = ("--full-refresh", "--select", "fct_rep_ai__sessions")
    engines.build("spark", *NO_TESTS, *again)
    engines.build("dev", *NO_TESTS)
    assert engines.differences() == [], f"seed {SEED}"


def test_the_same_models_twice_at_once_do_no_harm(engines: Engines, tmp_path: Path) -> None:
    """Windows go in two processes, or in one while the other is refused; then one run mends it."""
    view = "int_rep_ai__delivery_versions"
    names = ("int_rep_ai__deliveries", "int_rep_ai__sessions_stitched")
    fewer = json.dumps({**json.loads(VARIABLES), "rep_ai_windows_before": "2026-03-03"})

    def run(variables: str, *models: str) -> None:
        code, said = engines.run("spark", "dbt", "run", "--vars", variables, "--select", *models)
        assert code == 0, said

    def rows() -> list[Table]:
        with closing(connect(engines.variables["spark"])) as connection:
            return [fetch(connection.cursor(), f"{INNER}.{name}") for name in names]

    if not engines.is_built:
        run(VARIABLES, f"+{names[-1]}")
    before = rows()
    # the windows are those of a view, on which one of both would fail
    run(fewer, view)
    command = ("dbt", "run", "--vars", fewer, "--select", *names)
    processes = [
        engines.start("spark", *command, DBT_TARGET_PATH=str(tmp_path / each))
        for each in ("one", "other")
    ]
    ended = [process.done() for process in processes]
    assert {each.returncode for each in ended} in ({0}, {0, 1}), [each.stdout for each in ended]
    assert rows() != before
    run(VARIABLES, view, *names)
    assert rows() == before
