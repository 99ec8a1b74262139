"""Loads into DuckDB: each content once, each file whole or not at all, whatever happens."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
import zstandard

import processes
from dumps import HOUR, NIGHT, dump, write
from dumps import document as dump_of
from loads import Place, torn
from rep_ai.commands.ingest import ingest as land_files
from rep_ai.dump import chunks, document, format
from rep_ai.landing import packages, sources
from rep_ai.landing.destinations import DuckDB
from rep_ai.landing.errors import DestinationError, LoadError, SourceError
from rep_ai.landing.raw_tables import TABLES
from rep_ai.landing.results import Observer, Report
from rep_ai.landing.sources import SourceFile

FIXTURES = Path(__file__).parents[2] / "fixtures"
REP_AI = str(Path(sys.executable).with_name("rep-ai"))


@pytest.fixture
def dumps(tmp_path: Path) -> Path:
    """A folder for dumps."""
    folder = tmp_path / "dumps"
    folder.mkdir()
    return folder


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database that is not there yet."""
    return tmp_path / "data base;'%?#.duckdb"


def ingest(source: Path | Sequence[Path], database: Path, **options: Any) -> Report:
    """Load as the command does."""
    listed = [source] if isinstance(source, Path) else source
    destination = DuckDB(database)
    with destination.lock():
        return land_files(list(map(str, listed)), destination, schema="raw", **options)


def outcome(report: Report) -> dict[str, int]:
    """How many files met which fate, in one dictionary."""
    counts = {
        "loaded": len(report.loaded),
        "duplicate": len(report.duplicates),
        "rejected": len(report.rejected),
        "failed": len(report.failed),
        "known": report.known,
        "still_rejected": report.still_rejected,
    }
    assert sum(counts.values()) == report.seen
    return {name: count for name, count in counts.items() if count}


def query(database: Path, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a query."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.sql(sql).fetchall()


def users(database: Path) -> list[str]:
    """The ids of all users, seen or not."""
    return sorted(row[0] for row in query(database, "select id from raw.users"))


def deliveries(database: Path, schema: str = "raw") -> list[tuple[Any, ...]]:
    """Name and status of all deliveries."""
    rows = query(database, f"select file_url, status from {schema}.deliveries order by all")
    return [(Path(url).name, status) for url, status in rows]


def contents(database: Path, schema: str = "raw") -> dict[str, list[str]]:
    """All rows of all raw tables but for the ids of the loads."""
    return {
        table: sorted(
            map(str, query(database, f"select * exclude (_dlt_load_id) from {schema}.{table}"))
        )
        for table in TABLES
    }


def columns(database: Path, schema: str = "raw") -> dict[str, dict[str, str]]:
    """Names and types of all columns."""
    rows = query(
        database,
        "select table_name, column_name, data_type from information_schema.columns "
        f"where table_schema = '{schema}' order by all",
    )
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        found.setdefault(table, {})[column] = kind
    return found


def check_whole(database: Path, schema: str) -> None:
    """What completed loads show is whole: as many rows as each delivery says, no others."""
    assert query(database, torn(schema)) == []


# ------------------------------------------------------------------------------------- exactly once


def test_exactly_once(dumps: Path, database: Path) -> None:
    """A content is loaded once, whatever its name, age, packing or order of arrival."""
    first = write(dumps / "a.json", dump(0))
    assert outcome(ingest(dumps, database)) == {"loaded": 1}
    loaded = users(database)
    assert loaded == ["0-0", "0-1", "0-2"]
    # again, touched, copied, packed, renamed
    assert outcome(ingest(dumps, database)) == {"known": 1}
    os.utime(first, (1, 1))
    shutil.copyfile(first, dumps / "copy.json")
    write(dumps / "a.json.gz", gzip.compress(dump(0)))
    write(dumps / "a.json.zst", zstandard.ZstdCompressor().compress(dump(0)))
    assert outcome(ingest(dumps, database)) == {"duplicate": 4}
    first.rename(dumps / "renamed.json")
    assert outcome(ingest(dumps, database)) == {"known": 3, "duplicate": 1}
    assert users(database) == loaded
    # an old file that comes late, and two of one content at once
    write(dumps / "late.json", dump(1), modified_at=1_770_000_001)
    write(dumps / "late again.json", dump(1), modified_at=1_770_000_002)
    assert outcome(ingest(dumps, database)) == {"known": 4, "loaded": 1, "duplicate": 1}
    # one name, other content, of the same size too
    changed = dump(0).replace(b'"x"', b'"y"')
    assert len(changed) == len(dump(0))
    write(dumps / "renamed.json", changed)
    assert outcome(ingest(dumps, database)) == {"known": 5, "loaded": 1}
    assert users(database) == sorted([*loaded, *loaded, "1-0", "1-1", "1-2"])
    assert outcome(ingest(dumps, database)) == {"known": 6}
    reasons = query(database, "select distinct reason from raw.deliveries where reason is not null")
    assert {reason for (reason,) in reasons} == {
        f"the same content as file://{dumps}/{name}" for name in ("a.json", "late again.json")
    }
    check_whole(database, "raw")


def test_the_current_delivery(tmp_path: Path) -> None:
    """Of one window and version the file written last holds; copies and touches change nothing."""
    place = Place(tmp_path, {})
    dumps = tmp_path / "dumps"

    def title() -> str:
        assert place.run("ingest", dumps).returncode == 0
        rows = place.query(
            "select distinct title from rep_ai_staging.stg_rep_ai__users where delivery_id in "
            "(select delivery_id from rep_ai_intermediate.int_rep_ai__delivery_versions "
            "where is_current)"
        )
        ((found,),) = rows
        return str(found)

    def content(title: str) -> bytes:
        return dump(0, users={"1": {"id": "1", "title": title}})

    write(dumps / "b.json", content("second"), modified_at=1_741_600_002)
    assert place.run("ingest", dumps).returncode == 0
    # views: one run of dbt will do
    place.dbt("run", "--select", "+int_rep_ai__delivery_versions", "stg_rep_ai__users")
    assert title() == "second"
    # late, with an older time
    write(dumps / "c.json", content("first"), modified_at=1_741_600_001)
    assert title() == "second"
    # a packed copy of it that was written later
    write(dumps / "d.json.gz", gzip.compress(content("first")), modified_at=1_741_600_003)
    assert title() == "second"
    # and a touch of it
    os.utime(dumps / "c.json", (1_741_600_004, 1_741_600_004))
    assert title() == "second"
    loaded = place.query("select count(*) from rep_ai_raw.deliveries where status = 'loaded'")
    assert loaded == [(2,)] and place.query("select count(*) from rep_ai_raw.users") == [(2,)]


def test_several_packages(dumps: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one package loads is known to the next; a package may hold many files."""
    monkeypatch.setattr(packages, "PACKAGE_BYTES", 2 * len(dump(0)))
    seen: list[tuple[str, str]] = []
    for number, night in enumerate([0, 1, 0, 2, 0, 3, 3]):
        write(dumps / f"{number}.json", dump(night))

    class Watch(Observer):
        def ended(self, file: SourceFile, status: str, reason: str | None, rows: int) -> None:
            seen.append((file.url[-6:], status))

    report = ingest(dumps, database, observer=Watch())
    assert outcome(report) == {"loaded": 4, "duplicate": 3}
    assert [status for _, status in seen] == [
        *("loaded", "loaded", "duplicate", "loaded", "duplicate", "loaded", "duplicate")
    ]
    assert report.bytes == 4 * len(dump(0)) and report.records == {"users": 12}
    assert query(database, "select count(*) from raw._dlt_loads") == [(4,)]
    check_whole(database, "raw")


def test_stores_without_times(dumps: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a store tells no time, every file is read, and still nothing is loaded twice."""
    monkeypatch.setattr(sources, "moment", lambda _: None)
    path = write(dumps / "latest.json", dump(0))
    write(dumps / "bad.json", b"{}")
    assert outcome(ingest(dumps, database)) == {"loaded": 1, "rejected": 1}
    assert outcome(ingest(dumps, database)) == {"known": 1, "still_rejected": 1}
    write(path, dump(0).replace(b'"x"', b'"y"'))
    assert outcome(ingest(dumps, database)) == {"loaded": 1, "still_rejected": 1}
    assert outcome(ingest(dumps, database)) == {"known": 1, "still_rejected": 1}
    retried = ingest(dumps, database, retry_rejected=True)
    assert outcome(retried) == {"known": 1, "rejected": 1}
    assert len(users(database)) == 6
    check_whole(database, "raw")


# ---------------------------------------------------------------------------------- what is no good


def test_rejected_files(dumps: Path, database: Path) -> None:
    """They are recorded, stand in nobody's way, and are passed over until they change."""
    write(dumps / "bad.json", b"[]")
    assert outcome(ingest(dumps, database)) == {"rejected": 1}
    expected = {
        table: {
            **{
                name: {"string": "VARCHAR", "int64": "BIGINT"}.get(
                    str(kind), "TIMESTAMP WITH TIME ZONE"
                )
                for name, kind in zip(schema.names, schema.types, strict=True)
            },
            "_dlt_load_id": "VARCHAR",
        }
        for table, schema in TABLES.items()
    }
    assert {
        name: found for name, found in columns(database).items() if name in expected
    } == expected
    write(dumps / "good.json", dump(0))
    assert outcome(ingest(dumps, database)) == {"loaded": 1, "still_rejected": 1}
    assert outcome(ingest(dumps, database)) == {"known": 1, "still_rejected": 1}
    retried = ingest(dumps, database, retry_rejected=True)
    assert outcome(retried) == {"known": 1, "rejected": 1}
    ((url, reason),) = retried.rejected
    assert url == f"file://{dumps}/bad.json" and "not a JSON object" in reason
    write(dumps / "bad.json", dump(1))
    assert outcome(ingest(dumps, database)) == {"known": 1, "loaded": 1}
    assert deliveries(database) == [
        *(("bad.json", "loaded"), ("bad.json", "rejected"), ("bad.json", "rejected")),
        ("good.json", "loaded"),
    ]
    rejected = query(
        database,
        "select distinct reason, users_count from raw.deliveries where status = 'rejected'",
    )
    assert rejected == [(reason, None)]


def test_another_major(dumps: Path, database: Path) -> None:
    """A file that a later release can read is loaded once it is asked for."""
    write(dumps / "a.json", dump(0, version="2.0.0"))
    write(dumps / "b.json", dump(1))
    report = ingest(dumps, database)
    assert outcome(report) == {"loaded": 1, "rejected": 1}
    assert "upgrade, then --retry-rejected" in report.rejected[0][1]
    options = {"retry_rejected": True, "supported_major": 2}
    assert outcome(ingest(dumps, database, **options)) == {"known": 1, "loaded": 1}
    assert outcome(ingest(dumps, database, **options)) == {"known": 2}
    assert outcome(ingest(dumps, database)) == {"known": 2}


@pytest.mark.parametrize(("milliseconds", "status"), [(0, "loaded"), (1, "rejected")])
def test_a_window_of_the_future(
    dumps: Path, database: Path, milliseconds: int, status: str
) -> None:
    """A window ends 48 hours after its file was last modified, and not a millisecond later."""
    end = (1_760_000_000 + 48 * 3600) * 1000 + milliseconds
    write(dumps / "a.json", dump_of(NIGHT, end), modified_at=1_760_000_000)
    assert outcome(ingest(dumps, database)) == {status: 1}


def test_a_file_that_was_written_too_early(dumps: Path, database: Path) -> None:
    """It is told apart by its time alone, so a later time, here or of a copy, lets it be loaded."""
    place = Place(dumps.parent, {})
    early = write(dumps / "a.json", dump(0), modified_at=1_000_000_000)
    write(dumps / "b.json", dump_of(4_000_000_000_000, 4_070_995_200_000))
    found = place.run("ingest", dumps)
    assert found.returncode == 3
    for said in (
        "a.json: its window ends 2025-03-10 06:00 UTC, more than 48 hours after the file was last "
        "modified (2001-09-09 01:46 UTC)",
        "b.json: its window ends 2099-01-02 00:00 UTC",
    ):
        assert said in found.stdout + found.stderr
    assert outcome(ingest(dumps, database)) == {"rejected": 2}
    assert outcome(ingest(dumps, database)) == {"still_rejected": 2}
    assert outcome(ingest(dumps, database, retry_rejected=True)) == {"rejected": 2}
    # another state of the file
    os.utime(early, (1_780_000_000, 1_780_000_000))
    assert outcome(ingest(dumps, database)) == {"loaded": 1, "still_rejected": 1}
    # what is loaded is known to be good
    os.utime(early, (1_000_000_000, 1_000_000_000))
    write(dumps / "c.json", dump(0), modified_at=1_000_000_001)
    assert outcome(ingest(dumps, database)) == {"known": 1, "duplicate": 1, "still_rejected": 1}
    check_whole(database, "raw")


def test_a_copy_that_was_written_too_early(dumps: Path, database: Path) -> None:
    """In one run the copy that may be loaded is, whichever of them is read first."""
    for night, times in enumerate([(1, 1_780_000_000), (1_780_000_000, 1)]):
        for name, moment in zip("ab", times, strict=True):
            write(dumps / f"{night} {name}.json", dump(night), modified_at=moment)
    assert outcome(ingest(dumps, database)) == {"loaded": 2, "duplicate": 1, "rejected": 1}


def test_a_future_window_where_the_store_tells_no_time(
    dumps: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of the run stands in."""
    monkeypatch.setattr(sources, "moment", lambda _: None)
    now = round(time.time() * 1000)
    write(dumps / "a.json", dump_of(now, now + 47 * HOUR))
    write(dumps / "b.json", dump_of(now, now + 49 * HOUR))
    report = ingest(dumps, database)
    assert outcome(report) == {"loaded": 1, "rejected": 1}
    ((url, reason),) = report.rejected
    assert url.endswith("b.json") and "48 hours after now" in reason and "clock" in reason


def test_rejected_files_that_are_gone(dumps: Path, database: Path) -> None:
    """One that the sources list no more is no problem; it is one again when it comes back."""
    place = Place(dumps.parent, {})

    def waiting() -> set[str]:
        found = json.loads(place.run("status", "--json").stdout)
        lines = [line for line in found["problems"] if "wait" in line]
        assert bool(lines) == bool(found["files"]["rejected"])
        assert len(found["rejected"]) == found["files"]["rejected"]
        return {Path(each["url"]).name for each in found["rejected"]}

    def landed(*options: str | Path, code: int = 0) -> dict[str, int]:
        done = place.run("ingest", "--json", *(options or (dumps,)))
        assert done.returncode == code
        counts: dict[str, int] = json.loads(done.stdout)["files"]
        return counts

    write(dumps / "good.json", dump(0))
    for name in ("replaced", "renamed", "removed", "stays"):
        write(dumps / f"{name}.json", b"{}" + name.encode())
    write(dumps / "elsewhere" / "bad.json", b"{")
    assert landed(code=3)["rejected"] == 5
    assert len(waiting()) == 5
    write(dumps / "replaced.json", dump(1))
    (dumps / "renamed.json").rename(dumps / "renamed.json.bad")
    removed = (dumps / "removed.json").rename(dumps.parent / "removed.json")
    # what is not looked at is not known to be gone
    (dumps / "elsewhere" / "bad.json").rename(dumps.parent / "bad.json")
    counts = landed(*(dumps / name for name in ("good.json", "replaced.json", "stays.json")))
    assert (counts["gone"], counts["loaded"]) == (0, 1)
    assert waiting() == {"renamed.json", "removed.json", "stays.json", "bad.json"}
    assert landed(f"{dumps}/*.json")["gone"] == 2
    assert waiting() == {"stays.json", "bad.json"}
    counts = landed()
    assert (counts["gone"], counts["still_rejected"], counts["passed_over"]) == (1, 1, 1)
    assert waiting() == {"stays.json"}
    assert landed()["gone"] == 0
    # back in the same state
    removed.rename(dumps / "removed.json")
    assert landed(code=3)["rejected"] == 1
    assert waiting() == {"removed.json", "stays.json"}
    assert landed()["still_rejected"] == 2
    (dumps / "removed.json").unlink()
    assert landed("--retry-rejected", dumps, code=3)["gone"] == 1
    assert waiting() == {"stays.json"}
    # another copy of it with a time that fits
    write(dumps / "early.json", dump(2), modified_at=1)
    assert landed(code=3)["rejected"] == 1 and waiting() == {"early.json", "stays.json"}
    write(dumps / "late.json", dump(2))
    assert landed()["loaded"] == 1 and waiting() == {"stays.json"}


def test_rejected_halfway(dumps: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a document gave before it proved unreadable is in no table."""
    monkeypatch.setattr(chunks, "MAX_ENTRY_BYTES", 20_000)
    monkeypatch.setattr(chunks, "FIRST_CHUNK_BYTES", 1000)
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 1000)
    long = {str(i): {"id": str(i), "custom_metadata": "x" * 1000 * (i + 1)} for i in range(30)}
    write(dumps / "a.json", dump(0))
    write(dumps / "b.json", dump(1, unique_visitors=long))
    write(dumps / "c.json", dump(2))
    report = ingest(dumps, database)
    assert outcome(report) == {"loaded": 2, "rejected": 1}
    assert "larger than 256 MB" in report.rejected[0][1]
    assert {user[0] for user in users(database)} == {"0", "2"}
    assert query(database, "select * from raw.unique_visitors") == []
    check_whole(database, "raw")


def test_equal_keys_far_apart(dumps: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last of them holds, and what was read first is in no table."""
    monkeypatch.setattr(chunks, "FIRST_CHUNK_BYTES", 100)
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 100)
    entries = ",".join(f'"{i % 60}": {{"id": "{i}"}}' for i in range(100))
    write(dumps / "a.json", dump(0)[:-1] + f', "users": {{{entries}}}}}'.encode())
    write(dumps / "b.json", dump(1))
    assert outcome(ingest(dumps, database)) == {"loaded": 2}
    ids = [str(i + 60 if i < 40 else i) for i in range(60)]
    assert users(database) == sorted([*ids, "1-0", "1-1", "1-2"])
    check_whole(database, "raw")


def test_files_that_cannot_be_read(
    dumps: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is told in a line, the others load, and the next run tries again."""
    (dumps / "a\nb.json").symlink_to("nowhere")
    changing = write(dumps / "c.json", dump(0))
    write(dumps / "d.json", dump(1))
    batches = document.Document.batches

    def interfere(self: document.Document) -> Iterator[Any]:
        for number, batch in enumerate(batches(self)):
            if number == 0 and self.header.start_time == str(NIGHT):
                os.utime(changing)
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(document.Document, "batches", interfere)
        report = ingest(dumps, database)
    assert outcome(report) == {"loaded": 1, "failed": 2}
    assert report.failed == [
        f"file://{dumps}/a\\nb.json: no such file or folder",
        f"file://{dumps}/c.json: it changed while it was read; run again",
    ]
    assert users(database) == ["1-0", "1-1", "1-2"]
    assert outcome(ingest(dumps, database)) == {"loaded": 1, "failed": 1, "known": 1}
    check_whole(database, "raw")


def test_nothing_to_load(dumps: Path, database: Path) -> None:
    """A source without a dump file is an error, and makes no database."""
    with pytest.raises(SourceError, match="no dump file"):
        ingest(dumps, database)
    assert not database.exists()


# ------------------------------------------------------------------------------------- the database


def test_leftovers(dumps: Path, database: Path) -> None:
    """Rows of loads that never completed are cleared away, and their files are loaded."""
    write(dumps / "a.json", dump(0))
    ingest(dumps, database)
    whole = contents(database)
    with duckdb.connect(str(database)) as connection:
        for table in TABLES:
            names = ", ".join(TABLES[table].names)
            connection.execute(
                f"insert into raw.{table} by name "
                f"select {names}, '1.5' as _dlt_load_id from raw.{table}"
            )
        connection.execute(
            "insert into raw.deliveries by name select 'x' as _delivery_id, file_url, "
            "file_size + 1 as file_size, 'loaded' as status, '2.5' as _dlt_load_id "
            "from raw.deliveries"
        )
        connection.execute(
            "insert into raw._dlt_loads by name select * replace ('2.5' as load_id, 1 as status) "
            "from raw._dlt_loads"
        )
    write(dumps / "b.json", dump(1))
    assert outcome(ingest(dumps, database)) == {"known": 1, "loaded": 1}
    assert len(users(database)) == 6
    (dumps / "b.json").unlink()
    with duckdb.connect(str(database)) as connection:
        connection.execute(
            "delete from raw._dlt_loads where load_id in "
            f"(select _dlt_load_id from raw.deliveries where file_url = 'file://{dumps}/b.json')"
        )
    ingest(dumps, database)
    assert contents(database) == whole


def test_storage_format(dumps: Path, database: Path) -> None:
    """Clients of DuckDB 1.4 can open the file."""
    write(dumps / "a.json", dump(0))
    ingest(dumps, database)
    with duckdb.connect(str(database), read_only=True) as connection:
        ((tags,),) = connection.sql(
            "select tags from duckdb_databases() where not internal"
        ).fetchall()
    assert tags["storage_version"].startswith("v1.4.0")


@pytest.mark.parametrize("content", [b"this is no database" * 1000, b"x"])
def test_no_database(dumps: Path, database: Path, content: bytes) -> None:
    """One line says which file cannot be opened."""
    write(dumps / "a.json", dump(0))
    database.write_bytes(content)
    with pytest.raises(DestinationError) as caught:
        ingest(dumps, database)
    assert str(caught.value).startswith(f"{database} cannot be opened: ")
    assert str(caught.value).isprintable()
    assert database.read_bytes() == content


def test_a_database_of_another_kind(dumps: Path, database: Path) -> None:
    """A schema that holds something else is an error in one line, and is left alone."""
    write(dumps / "a.json", dump(0))
    with duckdb.connect(str(database)) as connection:
        connection.execute("create schema raw")
        connection.execute("create table raw.users as select 7 as id, 'mine' as title")
    with pytest.raises(LoadError) as caught:
        ingest(dumps, database)
    assert str(caught.value).isprintable()
    assert query(database, "select id, title from raw.users") == [(7, "mine")]


@pytest.mark.parametrize("schema", ["Raw", "raw__data", "raw-data", "1raw", "raw'; --", "", "räw"])
def test_schema_names(dumps: Path, database: Path, schema: str) -> None:
    """A name that dlt would change is refused: the ledger would be looked for elsewhere."""
    with pytest.raises(LoadError, match="use lower-case letters"):
        land_files([str(dumps)], DuckDB(database), schema=schema)


def test_lock(dumps: Path, database: Path) -> None:
    """Of two runs the second ends at once and names the first."""
    write(dumps / "a.json", dump(0))
    with DuckDB(database).lock():
        run = command("ingest", dumps, database=database)
        assert run.returncode == 1
        (line,) = run.stderr.splitlines()
        assert f"another run holds {database}: process {os.getpid()} on " in line
    assert outcome(ingest(dumps, database)) == {"loaded": 1}


def test_no_folder_for_the_database(tmp_path: Path) -> None:
    """One clear line."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DestinationError, match=r"Not a directory|File exists"):
        ingest(tmp_path, tmp_path / "file" / "a.duckdb")


# -------------------------------------------------------------------------------------- the command


def environment(database: Path) -> dict[str, str]:
    """What the command sees."""
    return {**os.environ, "REP_AI_DUCKDB": str(database), "REP_AI_TARGET": "dev"}


def command(
    *arguments: str | Path, database: Path, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run rep-ai to its end; with options of its process it gets a new interpreter."""
    variables = environment(database) | options.pop("env", {})
    if not options:
        return processes.run("rep-ai", *arguments, variables=variables, apart=True)
    return subprocess.run(
        [REP_AI, *map(str, arguments)],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **options,
    )


def test_bad_input(dumps: Path, database: Path) -> None:
    """One line for each rejected file, no traceback, and exit code 3."""
    good = dump(0, note="\ud800 \0")
    bad = {
        "truncated.json": good[:-1],
        "empty.json": b"",
        "not json.json": b"<html>\n</html>",
        "nan.json": dump(0, note=float("nan")),
        "line\nbreak;'\"😀.json": dump(0, version="2\n\x1b[31m.0"),
        "major.json": dump(0, version="2.0.0"),
        "window.json": dump(0, end_time=NIGHT),
        "shape.json": dump(0, users=[]),
        "deep.json": dump(0)[:-1] + b', "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "utf16.json": dump(0).decode().encode("utf-16"),
        "cut.json.gz": gzip.compress(good)[:-9],
        "broken.json.gz": gzip.compress(good)[:10] + b"\xff" * 100,
        "cut.json.zst": zstandard.ZstdCompressor().compress(good)[:-1],
        "bomb.json.gz": gzip.compress(bytes(1 << 20)),
        "large.json": good[:-1] + b" " * 300_000 + b"}",
    }
    for name, content in bad.items():
        write(dumps / name, content)
    write(dumps / "good.json", good)
    run = command("ingest", dumps, "--max-bytes", "250000", database=database)
    assert run.returncode == 3, run.stderr
    lines = [line for line in run.stderr.splitlines() if line.startswith("rejected ")]
    assert len(lines) == len(bad)
    assert all(line.isprintable() and len(line) < 400 for line in lines)
    assert "Traceback" not in run.stderr + run.stdout
    statuses = dict(deliveries(database, "rep_ai_raw"))
    assert statuses == {**dict.fromkeys(bad, "rejected"), "good.json": "loaded"}
    check_whole(database, "rep_ai_raw")
    again = command("ingest", dumps, "--max-bytes", "250000", database=database)
    assert again.returncode == 0 and "15 files were passed over" in again.stdout
    retried = command(
        "ingest", dumps, "--max-bytes", "1000000", "--retry-rejected", database=database
    )
    assert retried.returncode == 3 and len(retried.stderr.splitlines()) == 14


HOSTILE = """
[schema]
naming = "direct"
[normalize]
loader_file_format = "insert_values"
workers = 3
[normalize.parquet_normalizer]
add_dlt_load_id = false
add_dlt_id = true
[normalize.data_writer]
disable_compression = true
[extract]
next_item_mode = "round_robin"
[load]
workers = 1
raise_on_failed_jobs = false
truncate_staging_dataset = true
[destination.duckdb]
destination_name = "other"
create_indexes = true
[destination.duckdb.credentials]
database = "elsewhere.duckdb"
[runtime]
log_level = "DEBUG"
dlthub_telemetry = true
[sources]
schema_contract = "freeze"
[pipelines.rep_ai]
dataset_name = "elsewhere"
[rep_ai]
dev_mode = true
pipelines_dir = "elsewhere"
"""


@pytest.mark.parametrize("text", [HOSTILE, "[[[ this is no TOML"])
def test_settings_of_dlt_do_not_matter(tmp_path: Path, dumps: Path, text: str) -> None:
    """Neither a .dlt in the working directory nor variables change what is loaded."""
    write(dumps / "a.json", dump(0))
    folder = tmp_path / "working"
    for name in ("config.toml", "secrets.toml"):
        write(folder / ".dlt" / name, text.encode())
    variables = {
        "SCHEMA__NAMING": "direct",
        "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "false",
        "RUNTIME__LOG_LEVEL": "DEBUG",
        "DLT_PROJECT_DIR": str(folder),
        "DLT_DATA_DIR": str(folder),
        "HOME": str(folder),
    }
    database, plain = tmp_path / "a.duckdb", tmp_path / "b.duckdb"
    run = command("ingest", dumps, "--quiet", database=database, cwd=folder, env=variables)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert outcome(ingest(dumps, plain)) == {"loaded": 1}
    assert columns(database, "rep_ai_raw") == columns(plain)
    assert contents(database, "rep_ai_raw") == contents(plain)
    assert sorted(path.name for path in folder.rglob("*.*")) == [
        *(".dlt", "config.toml", "secrets.toml")
    ]


# ----------------------------------------------------------------------------- the vendor's example


def test_vendor_example(database: Path) -> None:
    """The documented example loads, though its session lies outside its own window."""
    assert outcome(ingest(FIXTURES / "vendor_example.json", database)) == {"loaded": 1}
    ((version, start, end, *counts),) = query(
        database,
        "select version, start_time, end_time, users_count, unique_visitors_count, "
        "unique_visitor_sessions_count, unique_visitor_session_actions_count, "
        "unique_visitor_session_interactions_count, rejected_records_count, other_entries_count, "
        "_extra from raw.deliveries",
    )
    assert (version, counts) == ("1.0.0", [2, 1, 1, 2, 1, 0, 0, None])
    ((started, ended),) = query(
        database, "select start_time, end_time from raw.unique_visitor_sessions"
    )
    assert int(started) > int(end) and int(ended) - int(started) == 300_000 and start < end
    assert query(database, "select id, active, title, _key, _extra from raw.users order by id") == [
        ("1234", "true", "Account Executive", None, None),
        ("5678", "false", None, None, None),
    ]
    actions = query(database, "select action from raw.unique_visitor_session_actions order by all")
    assert actions == [("ALERT",), ("REQUESTED_HELP",)]
    # every listed field is there, and no other
    for table, schema in format.RECORD_TABLES.items():
        if table not in ("other_entries", "rejected_records"):
            vendor = [name for name in schema.names if not name.startswith("_")]
            ((*held, extra),) = query(
                database,
                f"select {', '.join(f'count({n})' for n in vendor)}, count(_extra) "
                f"from raw.{table}",
            )
            assert all(held) and extra == 0, table
