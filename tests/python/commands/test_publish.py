"""Copies for readers: the marts and nothing else, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from threading import Event, Thread
from typing import Any

import duckdb
import psycopg2
import pytest

from loads import Place, names
from rep_ai.commands import export, publish
from rep_ai.commands.publish import PublishError
from rep_ai.landing.destinations import Destination, DuckDB, of_target
from rep_ai.landing.errors import DestinationError

MARTS = 14


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Sample dumps, run and published once."""
    place = Place(tmp_path_factory.mktemp("publish"), {})
    sampled = place.run("sample", place.folder / "dumps", "--days", "3", "--sessions-per-day", "30")
    assert sampled.returncode == 0, sampled.stderr
    done = place.run(
        *("run", "--json", place.folder / "dumps", "--publish", copy_of(place)),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["published"] == str(copy_of(place))
    return place


@pytest.fixture(autouse=True)
def names_of_the_build(built: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is called without a process of its own finds dbt's manifest too."""
    monkeypatch.setenv("DBT_TARGET_PATH", built.variables["DBT_TARGET_PATH"])


def copy_of(place: Place) -> Path:
    """Where the copy is."""
    return place.folder / "for 'readers'" / "copy.duckdb"


def manifest_of(place: Place) -> Path:
    """What dbt says of the models."""
    return place.folder / "target" / "manifest.json"


def inside(folder: Path) -> list[str]:
    """The names in a folder."""
    return sorted(path.name for path in folder.iterdir())


def query(database: Path, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a query, by one who only reads."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def marts(place: Place) -> list[str]:
    """The names of the marts."""
    found = query(
        place.database,
        "select table_name from information_schema.tables where table_schema = 'rep_ai' "
        "and table_name not like '%\\_types' escape '\\' or table_name = 'rep_ai__unknown_types' "
        "order by all",
    )
    assert len(found) == MARTS
    return [name for (name,) in found]


# -------------------------------------------------------------------------------- one DuckDB file


def test_a_copy_has_the_marts_and_what_they_mean(built: Place, tmp_path: Path) -> None:
    """All rows, tables and a view of each in main, under whatever name the file has."""
    renamed = tmp_path / "any other name.duckdb"
    renamed.write_bytes(copy_of(built).read_bytes())
    tables = "select schema_name, table_name from duckdb_tables() order by all"
    assert query(renamed, tables) == [("rep_ai", name) for name in marts(built)]
    assert query(renamed, "show tables") == [(name,) for name in marts(built)]
    views = "select schema_name, view_name from duckdb_views() where not internal order by all"
    assert query(renamed, views) == [("main", name) for name in marts(built)]
    nodes = json.loads(manifest_of(built).read_text(encoding="utf-8"))["nodes"]
    for name in marts(built):
        wanted = query(built.database, f"select * from rep_ai.{name}")
        found = query(renamed, f"select * from rep_ai.{name}")
        assert sorted(map(repr, found)) == sorted(map(repr, wanted))
        assert sorted(map(repr, query(renamed, f"from {name}"))) == sorted(map(repr, wanted))
        node = nodes[f"model.rep_ai.{name}"]
        said = f"select comment from duckdb_tables() where table_name = '{name}'"
        assert query(renamed, said) == [(" ".join(node["description"].split()),)]
        said = (
            "select column_name, comment from duckdb_columns() "
            f"where table_name = '{name}' and schema_name = 'rep_ai'"
        )
        assert dict(query(renamed, said)) == {
            column["name"]: " ".join(column["description"].split())
            for column in node["columns"].values()
        }


@pytest.mark.parametrize("name", ["copy.duckdb", "source.duckdb", "dumps.duckdb"])
def test_a_copy_may_have_any_name(built: Place, tmp_path: Path, name: str) -> None:
    """Also those that its maker uses, and that of the database."""
    publish.publish(DuckDB(built.database), tmp_path / name)
    assert query(tmp_path / name, "from fct_rep_ai__sessions")


def test_a_copy_is_for_readers(built: Place) -> None:
    """Old clients open it; nobody may write; nothing else is beside it."""
    copy = copy_of(built)
    assert copy.stat().st_mode & 0o777 == 0o444
    with duckdb.connect(str(copy), read_only=True) as connection:
        (tags,) = connection.execute(
            "select tags from duckdb_databases() where database_name = 'copy'"
        ).fetchall()[0]
    assert tags["storage_version"].startswith("v1.4")
    assert inside(copy.parent) == [copy.name]


READER = """
import sys, duckdb
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    for _ in sys.stdin:
        print(connection.execute("select count(*) from rep_ai.dim_rep_ai__users").fetchone()[0])
        sys.stdout.flush()
"""


WRITER = """
import sys, duckdb
with duckdb.connect(sys.argv[1]):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_who_has_the_old_copy_open_keeps_it(built: Place, tmp_path: Path) -> None:
    """Neither waits for the other."""
    database, copy = tmp_path / "x.duckdb", tmp_path / "copy.duckdb"
    database.write_bytes(built.database.read_bytes())
    publish.publish(DuckDB(database), copy)
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(copy)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdin and reader.stdout

    def rows_seen() -> int:
        assert reader.stdin and reader.stdout
        reader.stdin.write("\n")
        reader.stdin.flush()
        return int(reader.stdout.readline())

    before = rows_seen()
    assert before > 0
    with duckdb.connect(str(database)) as connection:
        connection.execute("delete from rep_ai.dim_rep_ai__users")
    publish.publish(DuckDB(database), copy)
    assert rows_seen() == before
    assert query(copy, "select count(*) from rep_ai.dim_rep_ai__users") == [(0,)]
    reader.communicate("")
    assert reader.returncode == 0


KILLED = """
import os, signal, sys
from pathlib import Path
from rep_ai.commands import export, publish
from rep_ai.landing.destinations import DuckDB
calls = 0
def kill(*_):
    global calls
    calls += 1
    if calls == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return _kept(*_)
module = publish if sys.argv[5:] else export
_kept = getattr(module, sys.argv[1])
setattr(module, sys.argv[1], kill)
database, target = map(Path, sys.argv[3:5])
if sys.argv[5:]:
    publish.publish(DuckDB(database), target)
else:
    export.export(DuckDB(database), target)
"""


@pytest.mark.parametrize(
    ("step", "call"), [("_comment", 1), ("_comment", 100), ("to_disk", 1), ("to_disk", 2)]
)
def test_a_kill_leaves_a_whole_copy(built: Place, tmp_path: Path, step: str, call: int) -> None:
    """The old one, or the new one after the last step; and what lies there goes with the next."""
    copy = tmp_path / "copy.duckdb"
    publish.publish(DuckDB(built.database), copy)
    for _ in range(2):
        was = copy.stat().st_ino
        command: list[str | Path] = [
            sys.executable,
            "-c",
            KILLED,
            step,
            str(call),
            built.database,
            copy,
        ]
        command.append("publish")
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        assert (copy.stat().st_ino == was) == ((step, call) != ("to_disk", 2))
        assert len(query(copy, "select 1 from duckdb_tables()")) == MARTS
        assert len(inside(tmp_path)) <= 3
    publish.publish(DuckDB(built.database), copy)
    assert inside(tmp_path) == ["copy.duckdb"]


def test_a_failed_build_publishes_nothing(built: Place) -> None:
    """The copy stays as it was."""
    copy = copy_of(built)
    was = copy.stat()
    strict = "{rep_ai_violation_severity: error}"
    done = built.run("run", built.folder / "dumps", "--quiet", "--publish", copy, "--vars", strict)
    assert done.returncode == 1 and "dbt build failed" in done.stderr
    assert copy.stat() == was


def test_a_copy_never_takes_the_place_of_something_else(built: Place, tmp_path: Path) -> None:
    """Said in one line, before anything is done."""
    other = tmp_path / "notes.txt"
    other.write_text("twelve bytes and more", encoding="utf-8")
    for place, said in (
        (built.database, "is the database itself"),
        (tmp_path, "is a folder"),
        (other, "is no DuckDB file"),
    ):
        done = built.run("run", built.folder / "dumps", "--publish", place)
        assert done.returncode == 1 and done.stdout == ""
        assert said in done.stderr and done.stderr.count("\n") == 1
    assert other.read_text(encoding="utf-8") == "twelve bytes and more"
    foreign = tmp_path / "foreign.duckdb"
    for statement in ("create table orders (n int)", "create view rep_ai.orders as select 1 as n"):
        foreign.unlink(missing_ok=True)
        with duckdb.connect(str(foreign)) as connection:
            connection.execute("create schema rep_ai")
            connection.execute(statement)
        was = foreign.read_bytes()
        done = built.run("run", built.folder / "dumps", "--publish", foreign)
        assert (done.returncode, done.stdout) == (1, "")
        assert "orders, so it is no copy of the marts" in done.stderr
        assert foreign.read_bytes() == was
    done = built.run(
        *("run", built.folder / "dumps", "--target", "postgres"),
        env={"REP_AI_PUBLISH": str(tmp_path / "x.duckdb")},
    )
    assert done.returncode == 1 and "--publish copies a DuckDB file" in done.stderr


def test_what_someone_wrote_to_a_copy_is_kept(built: Place, tmp_path: Path) -> None:
    """Neither a log beside it goes, nor a table that came in while the run went on."""
    copy, log = tmp_path / "copy.duckdb", tmp_path / "copy.duckdb.wal"
    publish.publish(DuckDB(built.database), copy)
    was = copy.read_bytes()
    log.write_bytes(b"")
    assert publish.check_copy(DuckDB(built.database), copy) == copy
    log.write_bytes(b"written")
    with pytest.raises(PublishError, match=r"copy.duckdb.wal holds what someone wrote"):
        publish.check_copy(DuckDB(built.database), copy)
    with pytest.raises(PublishError, match=r"copy.duckdb.wal holds what someone wrote"):
        publish.publish(DuckDB(built.database), copy)
    assert (copy.read_bytes(), log.read_bytes()) == (was, b"written")
    log.unlink()
    copy.chmod(0o644)
    with duckdb.connect(str(copy)) as connection:
        connection.execute("create table rep_ai.mine as select 1 as n")
    with pytest.raises(PublishError, match=r"holds rep_ai.mine, so it is no copy"):
        publish.publish(DuckDB(built.database), copy)
    assert query(copy, "select n from rep_ai.mine") == [(1,)]
    assert inside(tmp_path) == ["copy.duckdb"]


def test_a_copy_that_nobody_can_read_stays(
    built: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damaged, or held by one who writes; one without a table is nobody's."""
    monkeypatch.setattr("rep_ai.landing.destinations.duckdb.READER_PATIENCE", 0)
    copy = tmp_path / "copy.duckdb"
    with duckdb.connect(str(copy)):
        pass
    publish.publish(DuckDB(built.database), copy)
    copy.chmod(0o644)
    command = [sys.executable, "-c", WRITER, str(copy)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout and writer.stdout.readline()
        with pytest.raises(DestinationError, match=r"copy.duckdb is open in another program"):
            publish.check_copy(DuckDB(built.database), copy)
        writer.communicate(b"")
    damaged = copy.read_bytes()[:5000]
    copy.write_bytes(damaged)
    with pytest.raises(DestinationError, match=r"copy.duckdb cannot be opened"):
        publish.check_copy(DuckDB(built.database), copy)
    assert copy.read_bytes() == damaged


def test_nothing_to_publish(tmp_path: Path) -> None:
    """A database without marts."""
    database = DuckDB(tmp_path / "x.duckdb")
    database.connect().close()
    with pytest.raises(PublishError, match="no marts in"):
        publish.publish(database, tmp_path / "copy.duckdb")
    assert inside(tmp_path) == ["x.duckdb"]


# --------------------------------------------------------------------------- Parquet and a manifest


def test_an_export_is_what_its_manifest_says(built: Place, tmp_path: Path) -> None:
    """Each mart, its rows, types, bytes and digest, and what it was made from; again, the same."""
    folder = tmp_path / "deep" / "it's here"
    done = built.run("export", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{MARTS} marts, ")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert [table["name"] for table in manifest["tables"]] == marts(built)
    files = {table["file"] for table in manifest["tables"]}
    assert set(inside(folder)) == {"manifest.json", *files}
    for table in manifest["tables"]:
        content = (folder / table["file"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (
            table["bytes"],
            table["sha256"],
        )
        path = str(folder / table["file"]).replace("'", "''")
        with duckdb.connect() as connection:
            rows = connection.execute(f"from read_parquet('{path}')").fetchall()
            codecs = connection.execute(
                f"select distinct compression from parquet_metadata('{path}')"
            ).fetchall()
        assert len(rows) == table["rows"]
        wanted = query(built.database, f"select * from rep_ai.{table['name']}")
        assert sorted(map(repr, rows)) == sorted(map(repr, wanted))
        assert codecs in ([("ZSTD",)], [])
    sessions = next(t for t in manifest["tables"] if t["name"] == "fct_rep_ai__sessions")
    types = {column["name"]: column["type"] for column in sessions["columns"]}
    assert types["session_id"] == "string" and types["dump_count"] == "int64"
    assert types["started_at"] == "timestamp[us]" and types["crossed_midnight"] == "bool"
    assert types["duration_seconds"] == "decimal128(18, 3)"
    versions = "rep_ai_intermediate.int_rep_ai__delivery_versions"
    current = f"select delivery_id from {versions} where is_current"
    assert sorted((d["delivery_id"],) for d in manifest["deliveries"]) == sorted(
        query(built.database, current)
    )
    starts = [d["window_start_at"] for d in manifest["deliveries"]]
    assert starts == sorted(starts) and starts[0] == "2026-03-01T06:00:00.000Z"
    assert export.export(DuckDB(built.database), folder) == manifest


def test_readers_see_one_export_or_the_other(built: Place, tmp_path: Path) -> None:
    """At any moment all that a manifest names is there."""
    folder = tmp_path / "export"
    export.export(DuckDB(built.database), folder)
    over = Event()
    seen: list[int] = []
    wrong: list[str] = []

    def look() -> None:
        while not over.is_set():
            try:
                opened = os.open(folder, os.O_RDONLY)
            except FileNotFoundError:
                # between the two renames
                continue
            found = [each.name for each in os.scandir(opened)]
            seen.append(os.fstat(opened).st_ino)
            os.close(opened)
            # the old one is taken away file by file while someone may still hold it
            if "manifest.json" in found and len(found) != MARTS + 1 and folder_is(seen[-1]):
                wrong.append(f"{len(found)} files")

    def folder_is(inode: int) -> bool:
        return folder.stat().st_ino == inode

    reader = Thread(target=look)
    reader.start()
    try:
        for _ in range(5):
            export.export(DuckDB(built.database), folder)
    finally:
        over.set()
        reader.join()
    assert not wrong
    assert len(set(seen)) > 1
    assert inside(tmp_path) == ["export"]


@pytest.mark.parametrize(("step", "call"), [("_described", 3), ("to_disk", 2), ("to_disk", 17)])
def test_a_kill_leaves_a_whole_export(built: Place, tmp_path: Path, step: str, call: int) -> None:
    """The old one, or the new one after the last step; and what lies there goes with the next."""
    folder = tmp_path / "export"
    wanted = export.export(DuckDB(built.database), folder)
    for _ in range(2):
        command: list[str | Path] = [
            sys.executable,
            "-c",
            KILLED,
            step,
            str(call),
            built.database,
            folder,
        ]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        assert json.loads((folder / "manifest.json").read_text(encoding="utf-8")) == wanted
        assert len(inside(folder)) == MARTS + 1
        assert len(inside(tmp_path)) <= 2
    export.export(DuckDB(built.database), folder)
    assert inside(tmp_path) == ["export"]


def test_an_export_killed_between_its_renames_is_put_back(built: Place, tmp_path: Path) -> None:
    """The next one finds the old folder under its hidden name."""
    folder = tmp_path / "export"
    first = export.export(DuckDB(built.database), folder)
    folder.rename(tmp_path / ".export.old")
    assert export.export(DuckDB(built.database), folder) == first
    assert inside(tmp_path) == ["export"]


def test_an_export_never_takes_the_place_of_something_else(built: Place, tmp_path: Path) -> None:
    """Not even of a former export in which someone has put a file."""
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    for place, said in (
        (folder, "holds notes.txt, which is no part of an export"),
        (folder / "notes.txt", "is a file"),
    ):
        done = built.run("export", place)
        assert done.returncode in (1, 2) and said in done.stderr
    (folder / "notes.txt").unlink()
    export.export(DuckDB(built.database), folder)
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(PublishError, match="is no part of an export"):
        export.export(DuckDB(built.database), folder)
    assert (folder / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_an_export_waits_for_no_run(built: Place, tmp_path: Path) -> None:
    """A run that goes on is named, and nothing is written."""
    with DuckDB(built.database).lock():
        done = built.run("export", tmp_path / "export")
    assert done.returncode == 1 and f"process {os.getpid()}" in done.stderr
    assert inside(tmp_path) == []


def test_nothing_to_export(tmp_path: Path) -> None:
    """No database, and one without marts."""
    with pytest.raises(PublishError, match="rep-ai run SOURCE"):
        export.export(DuckDB(tmp_path / "x.duckdb"), tmp_path / "export")
    DuckDB(tmp_path / "x.duckdb").connect().close()
    with pytest.raises(PublishError, match="no marts in"):
        export.export(DuckDB(tmp_path / "x.duckdb"), tmp_path / "export")
    assert inside(tmp_path) == ["x.duckdb"]


@pytest.fixture
def server(postgres: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Destination]:
    """A server with a mart in which each type has its extremes, and one without rows."""
    for name, value in postgres.items():
        monkeypatch.setenv(name, value)
    address = {names[name]: value for name, value in postgres.items()}
    with closing(psycopg2.connect("", **address)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("drop schema if exists rep_ai, rep_ai_intermediate cascade")
        cursor.execute("create schema rep_ai; create schema rep_ai_intermediate")
        cursor.execute(
            "create table rep_ai.dim_rep_ai__users (t text, n bigint, b boolean, d date, "
            "s timestamp, c numeric(18, 3))"
        )
        cursor.execute(
            "create table rep_ai.fct_rep_ai__events as select * from rep_ai.dim_rep_ai__users"
        )
        cursor.execute(
            "insert into rep_ai.dim_rep_ai__users select * from (values "
            "(''::text, 9223372036854775807, true, date '2024-02-29', "
            "timestamp '2099-12-31 23:59:59.999', 999999999999999.999), "
            "('é\U0001f600''', -1, false, date '1970-01-01', timestamp '2000-01-01', -0.001), "
            "(null, null, null, null, null, null)) as v"
        )
        cursor.execute(
            "create table rep_ai_intermediate.int_rep_ai__deliveries as "
            "select 'now' as delivery_id, timestamp '2024-03-01' as window_start_at, "
            "timestamp '2024-03-02 00:00:00.5' as window_end_at, null::varchar as open_end_status"
        )
        destination = of_target("postgres")
        # whose manifest is there, with the same names
        destination.target = "dev"
        yield destination
        cursor.execute("drop schema rep_ai, rep_ai_intermediate cascade")


def test_a_server_is_exported_alike(
    server: Destination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the types that DuckDB writes, a few rows at a time."""
    monkeypatch.setattr(export, "ROWS", 2)
    manifest = export.export(server, tmp_path / "export")
    assert manifest["deliveries"] == [
        {
            "delivery_id": "now",
            "window_start_at": "2024-03-01T00:00:00.000Z",
            "window_end_at": "2024-03-02T00:00:00.500Z",
        }
    ]
    assert [(t["name"], t["rows"]) for t in manifest["tables"]] == [
        ("dim_rep_ai__users", 3),
        ("fct_rep_ai__events", 0),
    ]
    types = ["string", "int64", "bool", "date32[day]", "timestamp[us]", "decimal128(18, 3)"]
    for table in manifest["tables"]:
        assert [column["type"] for column in table["columns"]] == types
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"from read_parquet('{tmp_path}/export/dim_rep_ai__users.parquet')"
        ).fetchall()
    assert rows == [
        (
            *("", 9223372036854775807, True, date(2024, 2, 29)),
            *(datetime(2099, 12, 31, 23, 59, 59, 999000), Decimal("999999999999999.999")),
        ),
        ("é\U0001f600'", -1, False, date(1970, 1, 1), datetime(2000, 1, 1), Decimal("-0.001")),
        (None,) * 6,
    ]
