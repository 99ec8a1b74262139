"""Landing by dlt's own means: the generic way on real databases, and files that readers share."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import psycopg2
import pytest

import stores
from dumps import dump, write
from loads import LOAD_COLUMNS, Place, Tables, difference, names, torn
from marts import RAW_SCHEMA
from rep_ai.dump.format import VERSION
from rep_ai.landing.destinations import base, filesystem
from rep_ai.landing.raw_tables import TABLES
from rep_ai.landing.upkeep import OUR_TABLES
from rep_ai.sample import write_sample

# of each run and each version, with its time
NOTED = ("runs", "_schema_version")
RAW = (*TABLES, *OUR_TABLES)
# the commands as they are, but for what DuckDB and PostgreSQL do in ways of their own; dlt's way
# into PostgreSQL fails on a file without rows, unless it reads by row group
GENERIC = """
from rep_ai.landing import destinations
def postgres(_):
    from dlt.destinations.impl.postgres.postgres import PostgresParquetCopyJob
    PostgresParquetCopyJob._ingest_per_rowgroup = True
    return destinations.Destination("postgres")
destinations.DuckDB = lambda _: destinations.Destination("duckdb")
destinations.Postgres = postgres
"""
KINDS = ("filesystem", "duckdb", "postgres", "sqlalchemy")


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some nights, with a rejected and a repeated file among them."""
    folder = tmp_path_factory.mktemp("nights")
    write_sample(folder, days=2, sessions_per_day=20)
    write(folder / "bad.json", b"{}")
    write(folder / "a.json", dump(0, note={"a": [1]}, users={"1": {}, "2": 7}))
    write(folder / "z.json", dump(0, note={"a": [1]}, users={"1": {}, "2": 7}))
    return folder


@dataclass(frozen=True)
class Landing:
    """A destination of dlt by dlt's own variables, and who reads it."""

    kind: str
    folder: Path
    server: dict[str, str] = field(default_factory=dict)
    url: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """Those that dlt reads."""
        where = {
            "filesystem": self.url or str(self.folder / "it's [a] lake"),
            "duckdb": str(self.folder / "generic.duckdb"),
            "sqlalchemy": f"sqlite:///{self.folder}/lite.db",
            "postgres": "postgresql://{PGUSER}:{PGPASSWORD}@{PGHOST}:{PGPORT}/{PGDATABASE}",
        }[self.kind].format(**self.server)
        name = "BUCKET_URL" if self.kind == "filesystem" else "CREDENTIALS"
        return {**self.environment, f"DESTINATION__{self.kind.upper()}__{name}": where}

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start a command on it, kept from the ways of DuckDB and PostgreSQL."""
        command, *rest = arguments
        return self._place().start(command, "--destination", self.kind, *rest, env=self.variables)

    def run(
        self, *arguments: str | Path, code: str = "", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on it to its end."""
        command, *rest = arguments
        return self._place(code).run(
            command, "--destination", self.kind, *rest, env={**self.variables, **(env or {})}
        )

    def _place(self, code: str = "") -> Place:
        code = code or (GENERIC if self.kind in ("duckdb", "postgres") else "pass")
        return Place(self.folder, {}, code.strip())

    @property
    def lake(self) -> Path:
        """The folder of the files."""
        return self.folder / "it's [a] lake"

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """A cursor of a reader; of files it is a DuckDB that knows nothing but the folder."""
        if self.kind == "duckdb":
            with duckdb.connect(self.variables["DESTINATION__DUCKDB__CREDENTIALS"]) as connection:
                yield connection
        elif self.kind == "postgres":
            address = {names[name]: each for name, each in self.server.items() if name in names}
            connection = psycopg2.connect(**address)
            yield connection.cursor()
            connection.close()
        elif self.kind == "sqlalchemy":
            import sqlite3

            lite = sqlite3.connect(self.folder / "lite.db")
            lite.execute(f"attach '{self.folder}/lite__{RAW_SCHEMA}.db' as {RAW_SCHEMA}")
            yield lite.cursor()
            lite.close()
        else:
            with duckdb.connect() as connection:
                connection.execute(f"create schema {RAW_SCHEMA}")
                for table in (*RAW, "_dlt_loads"):
                    if (self.lake / RAW_SCHEMA / table).exists():
                        glob = f"{self.lake}/{RAW_SCHEMA}/{table}/*.parquet"
                        glob = glob.replace("[", "[[]", 1).replace("'", "''")
                        connection.execute(
                            f"create view {RAW_SCHEMA}.{table} as "
                            f"from read_parquet('{glob}', union_by_name = true)"
                        )
                yield connection

    def tables(self) -> Tables:
        """The rows that completed loads show."""
        with self.connected() as cursor:
            return visible(cursor)

    def check_whole(self) -> None:
        """Every file can be read, and what completed loads show is whole and there once."""
        with self.connected() as cursor:
            cursor.execute("select table_name from information_schema.tables")
            if {"_dlt_loads", *TABLES} <= {name for (name,) in cursor.fetchall()}:
                cursor.execute(torn(RAW_SCHEMA))
                assert cursor.fetchall() == []


def visible(cursor: Any) -> Tables:
    """The rows of all raw tables that a reader with the filter of staging sees, as text."""
    found: Tables = {}
    for table in [name for name in RAW if name not in NOTED]:
        done = f"(select load_id from {RAW_SCHEMA}._dlt_loads where status = 0)"
        where = f"where _dlt_load_id in {done}" if table in TABLES else ""
        cursor.execute(f"select * from {RAW_SCHEMA}.{table} {where}")
        columns = [column[0] for column in cursor.description]
        found[table] = Counter(
            repr(
                sorted(
                    (name, plain(value))
                    for name, value in zip(columns, row, strict=True)
                    if name not in LOAD_COLUMNS
                )
            )
            for row in cursor.fetchall()
        )
    return found


def plain(value: Any) -> str:
    """A value as text, however a driver hands over times and truth."""
    if isinstance(value, datetime):
        value = value.astimezone(UTC) if value.tzinfo else value
        return f"{value:%Y-%m-%d %H:%M:%S.%f}"
    return str({True: 1, False: 0}.get(value, value) if isinstance(value, bool) else value)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory, nights: Path) -> Tables:
    """What the usual way lands, on DuckDB."""
    place = Place(tmp_path_factory.mktemp("usual"), {})
    run = place.run("ingest", nights)
    assert run.returncode == 3, run.stderr
    with place.connected() as cursor:
        found = visible(cursor)
    assert all(found[name] for name in TABLES)
    return found


@pytest.fixture
def landing(request: pytest.FixtureRequest, tmp_path: Path) -> Landing:
    """A destination that holds nothing yet."""
    kind = request.param
    if kind != "postgres":
        return Landing(kind, tmp_path)
    server = request.getfixturevalue("postgres")
    name = f"destinations_{uuid4().hex}"
    with Place(tmp_path, server).connected() as cursor:
        cursor.connection.autocommit = True
        cursor.execute(f"create database {name} template template0")
    return Landing(kind, tmp_path, {**server, "PGDATABASE": name})


@pytest.mark.parametrize("landing", KINDS, indirect=True)
def test_the_same_rows_everywhere(landing: Landing, nights: Path, wanted: Tables) -> None:
    """As DuckDB's own way lands them; the ledger is read from there, and knows them all."""
    first = landing.run("ingest", nights)
    assert first.returncode == 3, first.stderr
    assert difference(landing.tables(), wanted) == ""
    if landing.kind == "filesystem":
        landing.check_whole()
        # what a system leaves beside the tables
        (landing.lake / RAW_SCHEMA / ".DS_Store").touch()
    # by the same variables DuckDB and PostgreSQL are reached in their own way, too
    for code in (GENERIC, "pass"):
        second = landing.run("ingest", "--quiet", nights, code=code)
        assert (second.returncode, second.stdout) == (0, ""), second.stderr
    assert difference(landing.tables(), wanted) == ""
    # a row for each run, as it ended, and one for the version that all of them know
    with landing.connected() as cursor:
        cursor.execute(f"select distinct exit_code, files_known from {RAW_SCHEMA}.runs order by 1")
        assert [tuple(row) for row in cursor.fetchall()] == [(0, 5), (3, 0)]
        cursor.execute(f"select version from {RAW_SCHEMA}._schema_version")
        assert [tuple(row) for row in cursor.fetchall()] == [(VERSION,)]


# ------------------------------------------------------------------------------------------ kills

# dies at a step of the way of files from dlt to their tables
STEPS = """
import os, signal
from rep_ai.landing.destinations.filesystem import Filesystem
steps = iter(range({steps}))
def counted(method):
    def step(*arguments):
        if next(steps, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*arguments)
    return step
Filesystem._move = counted(Filesystem._move)
Filesystem.complete = counted(Filesystem.complete)
"""
# all files of a load are there, and nothing says so
UNSAID = """
import os, signal
from rep_ai.landing.destinations.filesystem import Filesystem
move = Filesystem._move
def stopped(self, written, schema, table, name):
    if table == "_dlt_loads":
        os.kill(os.getpid(), signal.SIGKILL)
    move(self, written, schema, table, name)
Filesystem._move = stopped
"""
# leaves half a file, as a kill within a copy does
HALF = """
import os, signal
from fsspec.implementations.local import LocalFileSystem
def half(self, local, remote, **options):
    with open(local, "rb") as source, open(remote, "wb") as target:
        target.write(source.read(200))
    os.kill(os.getpid(), signal.SIGKILL)
LocalFileSystem.put_file = half
"""


def check_recovery(landing: Landing, nights: Path, wanted: Tables) -> None:
    """One run makes all as if nothing had happened, and leaves nothing else."""
    run = landing.run("ingest", nights)
    assert run.returncode in (0, 3), run.stderr
    assert difference(landing.tables(), wanted) == ""
    if landing.kind == "filesystem":
        landing.check_whole()
        assert list((landing.lake / filesystem.LOADING).iterdir()) == []


@pytest.mark.parametrize("landing", ["filesystem"], indirect=True)
def test_files_of_a_killed_load(landing: Landing, nights: Path, wanted: Tables) -> None:
    """Between any two steps: a reader meets whole files and whole loads, and the next run mends."""
    killed = landing.run("ingest", nights, code=HALF)
    assert killed.returncode == -signal.SIGKILL
    cut = list(landing.lake.rglob("*.parquet"))
    assert cut and all(filesystem.LOADING in path.parts for path in cut)
    landing.check_whole()
    # before the first file, between two, before `_dlt_loads`, and when only parsing is left
    for steps in (0, 4, 9, 10):
        killed = landing.run("ingest", nights, code=STEPS.format(steps=steps))
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        landing.check_whole()
    check_recovery(landing, nights, wanted)


@pytest.mark.parametrize("landing", ["filesystem", "duckdb"], indirect=True)
def test_kills_at_any_moment(landing: Landing, nights: Path, wanted: Tables) -> None:
    """Also of the run that repairs."""
    started = time.monotonic()
    probe = Landing(landing.kind, landing.folder / "probe")
    probe.folder.mkdir()
    probe.run("ingest", nights)
    seconds = time.monotonic() - started
    for number in range(4):
        run = landing.start("ingest", nights)
        # nothing is written in its first third
        time.sleep(seconds * (0.3 + 0.7 * (number + random.random()) / 4))
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        if landing.kind == "filesystem":
            landing.check_whole()
    check_recovery(landing, nights, wanted)


# ------------------------------------------------------------------------------------ two at once


def wait_for_extract(landing: Landing, folder: Path) -> None:
    """Until a run has read the ledger and reads dumps."""
    latest = time.monotonic() + 60
    while not list(folder.glob("rep_ai_work_*/rep_ai_*/rep_ai")):
        assert time.monotonic() < latest, landing
        time.sleep(0.005)


@pytest.mark.parametrize("landing", ["filesystem", "duckdb"], indirect=True)
def test_two_runs(landing: Landing, nights: Path, wanted: Tables) -> None:
    """On one machine the second is refused; on two a delivery may be there twice, in two loads."""
    first = landing.start("ingest", nights)
    wait_for_extract(landing, landing.folder / "tmp")
    os.killpg(first.pid, signal.SIGSTOP)
    second = landing.run("ingest", nights)
    assert second.returncode == 1 and f"process {first.pid} on" in second.stderr
    # another machine has other temporary files
    elsewhere = landing.folder / "elsewhere"
    elsewhere.mkdir()
    second = landing.run("ingest", nights, env={"TMPDIR": str(elsewhere)})
    assert second.returncode == 3, second.stderr
    os.killpg(first.pid, signal.SIGCONT)
    first.communicate()
    assert first.returncode == 3
    with landing.connected() as cursor:
        found = visible(cursor)
        assert all(set(found[table]) == set(wanted[table]) for table in TABLES)
        assert found["users"].total() == 2 * wanted["users"].total()
        # the load that counts, as stg_rep_ai__deliveries chooses it, has each record once
        cursor.execute(
            f"select * exclude (_dlt_load_id) from {RAW_SCHEMA}.users as users "
            f"where _dlt_load_id = (select min(_dlt_load_id) from {RAW_SCHEMA}.deliveries as d "
            "where d._delivery_id = users._delivery_id and d.status = 'loaded')"
        )
        assert len(cursor.fetchall()) == wanted["users"].total()
    # and nothing is read a third time
    assert landing.run("ingest", nights).returncode == 0


@pytest.mark.parametrize("landing", ["filesystem"], indirect=True)
def test_what_another_machine_has_left(landing: Landing, nights: Path, wanted: Tables) -> None:
    """It may still be at work for a day, so its files are left alone till then."""
    elsewhere = landing.folder / "elsewhere"
    elsewhere.mkdir()
    code = STEPS.format(steps=5)
    killed = landing.run("ingest", nights, code=code, env={"TMPDIR": str(elsewhere)})
    assert killed.returncode == -signal.SIGKILL
    assert landing.run("ingest", nights).returncode == 3
    (left,) = (landing.lake / filesystem.LOADING).iterdir()
    assert difference(landing.tables(), wanted) == ""
    aged = "from rep_ai.landing.destinations import filesystem as f; f.STALE_SECONDS = -9"
    assert base.STALE_SECONDS > 0
    assert landing.run("ingest", nights, code=aged).returncode == 0
    assert not left.exists()
    assert difference(landing.tables(), wanted) == ""
    loads = {path.name.split(".")[2] for path in (landing.lake / RAW_SCHEMA / "users").iterdir()}
    assert len(loads) == 1


@pytest.mark.parametrize("landing", ["duckdb"], indirect=True)
def test_rows_of_loads_that_never_completed(landing: Landing, nights: Path, wanted: Tables) -> None:
    """Without a lock of all runs, they are cleared when they are a day old."""
    landing.run("ingest", nights)
    young, old = f"{time.time():.6f}", f"{time.time() - base.STALE_SECONDS - 60:.6f}"
    with landing.connected() as cursor:
        for load_id in (young, old):
            cursor.execute(
                f"insert into {RAW_SCHEMA}.users by name "
                f"select 'x' as id, 'd' as _delivery_id, '{load_id}' as _dlt_load_id"
            )
    assert landing.run("ingest", nights).returncode == 0
    with landing.connected() as cursor:
        cursor.execute(f"select _dlt_load_id from {RAW_SCHEMA}.users where id = 'x'")
        assert cursor.fetchall() == [(young,)]
    assert difference(landing.tables(), wanted) == ""


# ------------------------------------------------------------------------------- who reads files


@pytest.mark.parametrize("landing", ["filesystem"], indirect=True)
def test_models_read_files(landing: Landing, nights: Path, wanted: Tables) -> None:
    """By views of the folder: what completed loads have landed, whatever others have left."""
    assert landing.run("ingest", nights / "a.json").returncode == 0
    place = Place(landing.folder, {})
    # to DuckDB a bracket is a pattern
    folder = f"{landing.lake}/{RAW_SCHEMA}".replace("[", "[[]")
    place.dbt("run-operation", "rep_ai_external_tables", "--args", json.dumps({"folder": folder}))
    place.dbt("build", "--select", "+staging", "--exclude-resource-type", "test")

    def users() -> tuple[int, int]:
        """The rows of a raw table, and of its staging model."""
        (row,) = place.query(
            f"select (select count(*) from {RAW_SCHEMA}.users), "
            "(select count(*) from rep_ai_staging.stg_rep_ai__users)"
        )
        return row[0], row[1]

    assert users() == (1, 1)
    killed = landing.run("ingest", nights, code=UNSAID)
    assert killed.returncode == -signal.SIGKILL
    raw, staged = users()
    assert raw > 1 and staged == 1
    assert landing.run("ingest", nights).returncode == 3
    assert users() == (wanted["users"].total(), wanted["users"].total())


# ----------------------------------------------------------------------------------- by the way


@pytest.mark.parametrize("landing", ["filesystem"], indirect=True)
def test_a_delivery_is_retired_in_files(landing: Landing, nights: Path) -> None:
    """`retire` and `restore` add their rows there."""
    landing.run("ingest", nights)
    assert "retired" in landing.run("retire", "a.json").stdout
    assert "not retired already" not in landing.run("restore", "a.json").stdout
    assert "not retired already" in landing.run("restore", "a.json").stdout
    with landing.connected() as cursor:
        cursor.execute(f"select action from {RAW_SCHEMA}.retirements order by _at")
        assert cursor.fetchall() == [("retire",), ("restore",)]


def test_a_bucket(tmp_path: Path, nights: Path, wanted: Tables) -> None:
    """Files in a bucket, with dlt's credentials."""
    with stores.s3() as store:
        landing = Landing("filesystem", tmp_path, {}, f"{store.url}/lake", store.environment)
        for code in (3, 0):
            run = landing.run("ingest", nights)
            assert run.returncode == code, run.stderr
        assert "retired" in landing.run("retire", "a.json").stdout
        assert "(delivery " in landing.run("restore", "a.json").stdout
    assert wanted


@pytest.mark.parametrize(
    ("kind", "variables", "said"),
    [
        ("filesystem", {}, "filesystem is not configured: set DESTINATION__FILESYSTEM__BUCKET_URL"),
        ("snowflake", {}, "DESTINATION__SNOWFLAKE__CREDENTIALS__DATABASE, DESTINATION__SNOW"),
        ("bigquery", {}, "bigquery is not configured: set DESTINATION__BIGQUERY__CREDENTIALS__"),
        ("databricks", {}, "databricks cannot be used: Authentication failed"),
        ("redshift", {}, "DESTINATION__REDSHIFT__CREDENTIALS__PASSWORD"),
        (
            "snowflake",
            {"DESTINATION__SNOWFLAKE__CREDENTIALS": "snowflake://u:s3cret@account/db"},
            "the driver of snowflake is missing: pip install 'dlt[snowflake]'",
        ),
        (
            "redshift",
            {"DESTINATION__REDSHIFT__CREDENTIALS": "postgresql://u:s3cret@127.0.0.1:1/db"},
            "Connection refused",
        ),
        ("nowhere", {}, "there is no destination 'nowhere': name one of dlt's"),
    ],
)
def test_what_is_missing_is_said(
    tmp_path: Path, nights: Path, kind: str, variables: dict[str, str], said: str
) -> None:
    """In one line, without a password; nothing is written, not even that there was a run."""
    place = Place(tmp_path, {})
    run = place.run("ingest", "--quiet", "--destination", kind, nights, env=variables)
    assert (run.returncode, run.stdout) == (1, "")
    *warned, line = run.stderr.splitlines()
    assert line.startswith("rep-ai: ") and said in line and "s3cret" not in run.stderr
    assert all(each.startswith("warning: the run is not in the raw table") for each in warned)
    assert not place.database.exists()
