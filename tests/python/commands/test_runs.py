"""What a run was: the raw table `runs`, the log, and what `rep-ai status` tells of them."""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import json
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from bucket import Bucket
from dumps import DAY, NIGHT, document, dump, write
from loads import Place
from rep_ai.dump.format import VERSION
from rep_ai.landing import upkeep

SHOWN = "select command, exit_code, error, {} from rep_ai_raw.runs order by started_at"


@pytest.fixture(params=["dev", "postgres"])
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    """A database of either kind that holds nothing of this test yet."""
    if request.param == "dev":
        return Place(tmp_path, {})
    place = Place(tmp_path, request.getfixturevalue("postgres"))
    with place.connected() as cursor:
        cursor.connection.autocommit = True
        cursor.execute("drop schema if exists rep_ai_raw cascade")
    return place


def test_each_run_has_a_row(place: Place) -> None:
    dumps = place.folder / "dumps"
    write(dumps / "1.json", dump(0))
    write(dumps / "2.json", dump(1))
    write(dumps / "copy.json", dump(0))
    write(dumps / "bad.json", b"{")
    write(dumps / "unseen.ndjson", b"{}")
    before = datetime.now(UTC).replace(tzinfo=None)
    assert place.run("ingest", dumps).returncode == 3
    assert place.run("ingest", dumps, "--quiet").returncode == 0
    assert place.run("ingest", place.folder / "nothing").returncode == 1
    after = datetime.now(UTC).replace(tzinfo=None)
    rows = place.query(
        "select command, exit_code, error is null, rep_ai_version, files_seen, files_loaded, "
        "files_duplicate, files_rejected, files_known, files_still_rejected, files_passed_over, "
        "passed_over_examples, records, build_ms, models "
        "from rep_ai_raw.runs order by started_at"
    )
    version = upkeep.rep_ai_version()
    beside = (1, "unseen.ndjson")
    assert rows == [
        ("ingest", 3, True, version, 4, 2, 1, 1, 0, 0, *beside, 6, None, None),
        ("ingest", 0, True, version, 4, 0, 0, 0, 3, 1, *beside, 0, None, None),
        ("ingest", 1, False, version, 0, 0, 0, 0, 0, 0, 0, None, 0, None, None),
    ]
    windows = place.query(
        "select first_window_start_at, last_window_end_at, started_at, ended_at, landing_ms "
        "from rep_ai_raw.runs order by started_at"
    )
    first, last = (
        datetime.fromtimestamp(time / 1000, UTC).replace(tzinfo=None)
        for time in (NIGHT, NIGHT + 2 * DAY)
    )
    assert [row[:2] for row in windows] == [(first, last), (None, None), (None, None)]
    moments = [moment for row in windows for moment in row[2:4]]
    assert moments == sorted(moments) and before <= moments[0] and moments[-1] <= after
    assert windows[0][4] > 0
    ids = place.query("select distinct length(run_id), run_id from rep_ai_raw.runs")
    assert len(ids) == 3 and {length for length, _ in ids} == {32}


def test_the_log_has_one_place(tmp_path: Path) -> None:
    place = Place(tmp_path, {})
    write(tmp_path / "dumps" / "1.json", dump(0))
    write(tmp_path / "dumps" / "bad.json", b"{")
    place.run("ingest", tmp_path / "dumps")
    ((log, run_id),) = place.query("select log, run_id from rep_ai_raw.runs")
    assert Path(log).parent == Path(place.variables["DBT_LOG_PATH"])
    lines = Path(log).read_text("utf-8").splitlines()
    assert all(line[:4].isdigit() and line.split()[2] == run_id[:8] for line in lines)
    said = [line.split(" ", 3)[3] for line in lines]
    assert said[0].startswith(f"begins: rep-ai ingest {tmp_path}/dumps into {place.database}")
    assert f"loaded file://{tmp_path}/dumps/1.json" in said
    assert any(line.startswith(f"rejected file://{tmp_path}/dumps/bad.json: ") for line in said)
    assert said[-1] == "ends with exit code 3"


def test_a_log_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    place = Place(tmp_path, {})
    write(tmp_path / "dumps" / "1.json", dump(0))
    write(tmp_path / "logs", b"a file")
    done = place.run("ingest", tmp_path / "dumps", env={"DBT_LOG_PATH": str(tmp_path / "logs")})
    assert done.returncode == 0 and "rep_ai.log cannot be written: " in done.stdout + done.stderr


def test_a_killed_run_has_no_end(place: Place) -> None:
    dumps = place.folder / "dumps"
    write(dumps / "1.json", dump(0))
    place.run("ingest", dumps)
    write(dumps / "2.json", dump(1))
    code = (
        "import os; from rep_ai.landing import packages; "
        "packages.Package.load = lambda *_: os._exit(9)"
    )
    assert Place(place.folder, place.server, code).run("ingest", dumps).returncode == 9
    rows = place.query(
        "select ended_at is null, exit_code from rep_ai_raw.runs order by started_at"
    )
    assert rows == [(False, 0), (True, None)]
    status = place.run("status")
    assert "killed, or at work" in status.stdout
    assert place.run("ingest", dumps).returncode == 0
    assert len(place.query("select * from rep_ai_raw.runs where ended_at is null")) == 1


def test_an_interrupted_run_says_so(tmp_path: Path) -> None:
    place = Place(tmp_path, {})
    write(tmp_path / "dumps" / "1.json", dump(0))
    place.run("ingest", tmp_path / "dumps")
    write(tmp_path / "dumps" / "2.json", dump(1))
    code = (
        "import time; from rep_ai.landing import packages; "
        "packages.Package.load = lambda *_: (print('now', flush=True), time.sleep(60))"
    )
    run = Place(tmp_path, {}, code).start("ingest", tmp_path / "dumps")
    assert run.stdout is not None
    while "now" not in run.stdout.readline():
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGTERM)
    run.communicate()
    rows = place.query(SHOWN.format("files_seen"))
    assert rows[1] == ("ingest", 1, "interrupted; nothing is half loaded, run it again", 2)


def test_a_row_that_cannot_be_written_fails_no_run(tmp_path: Path) -> None:
    place = Place(tmp_path, {})
    write(tmp_path / "dumps" / "1.json", dump(0))
    place.run("ingest", tmp_path / "dumps")
    with duckdb.connect(str(place.database)) as connection:
        connection.execute("alter table dumps.rep_ai_raw.runs drop bytes")
        connection.execute("alter table dumps.rep_ai_raw.runs add bytes integer[]")
    done = place.run("ingest", tmp_path / "dumps", "--quiet")
    assert done.returncode == 0 and "the run is not in the raw table runs: " in done.stderr


def test_a_build_is_noted_and_status_shows_the_last_runs(tmp_path: Path) -> None:
    bucket = Bucket(tmp_path)
    write(bucket.dumps / "1.json", document(NIGHT, NIGHT + DAY))
    write(bucket.dumps / "d.zip", b"PK")
    assert json.loads(bucket.rep_ai("status", "--json"))["runs"] == []
    said = json.loads(bucket.rep_ai("run", str(bucket.dumps), "--json", "--quiet").splitlines()[-1])
    found = json.loads(bucket.rep_ai("status", "--json"))
    (run,) = found["runs"]
    assert [*run] == upkeep.WRITTEN["runs"].names
    assert (run["command"], run["exit_code"], run["files_loaded"]) == ("run", 0, 1)
    assert run["build_ms"] > 0 and run["failures"] == 0
    assert [run[name] for name in ("models", "tests", "test_warnings")] == [
        said["dbt"][name] for name in ("models", "tests", "warnings")
    ]
    unseen = "1 file was not looked at by the last run, as no --pattern takes such names: d.zip"
    assert unseen in found["warnings"]
    shown = bucket.rep_ai("status")
    assert "The last runs (UTC)" in shown and f"warning: {unseen}" in shown


def test_newer_raw_tables_are_refused(place: Place) -> None:
    dumps = place.folder / "dumps"
    write(dumps / "1.json", dump(0))
    place.run("ingest", dumps)
    versions = "select version, rep_ai_version from rep_ai_raw._schema_version"
    assert place.query(versions) == [(VERSION, upkeep.rep_ai_version())]
    with place.connected() as cursor:
        cursor.execute(
            "insert into rep_ai_raw._schema_version values (99, '9.0.0', current_timestamp)"
        )
        cursor.connection.commit() if place.server else None
    write(dumps / "2.json", dump(1))
    for command in (("ingest", dumps), ("run", dumps), ("retire", "1.json")):
        done = place.run(*command)
        assert done.returncode == 1
        assert "the raw tables have version 99, of rep-ai 9.0.0, and" in done.stderr
        assert "; upgrade rep-ai" in done.stderr
    assert place.query("select count(*) from rep_ai_raw.users") == [(3,)]
