"""rep-ai run --dry-run and --step-days: before a run, and a long history in steps."""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from bucket import Bucket
from dumps import DAY, NIGHT, document, write

WINDOWS = "select count(*) from rep_ai.rep_ai__dump_calendar where status = 'delivered'"


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Bucket:
    """Ten nights."""
    bucket = Bucket(tmp_path_factory.mktemp("bucket"))
    for night in range(10):
        start = NIGHT + night * DAY
        sessions = {f"{night}": {"id": f"{night}", "start_time": start, "end_time": start + 1}}
        content = document(start, start + DAY, unique_visitor_sessions=sessions)
        write(bucket.dumps / f"{night}.json", content)
    return bucket


def look(bucket: Bucket, *options: str, code: int = 0) -> dict[str, object]:
    said = bucket.rep_ai("run", str(bucket.dumps), "--dry-run", "--json", *options, code=code)
    found: dict[str, object] = json.loads(said.splitlines()[-1])
    assert found["exit_code"] == code and found["dry_run"] is True
    return found


def test_nothing_is_there_before_and_after(bucket: Bucket) -> None:
    found = look(bucket, "--quiet")
    assert not bucket.database.exists()
    files = found["files"]
    assert isinstance(files, list) and len(files) == 10
    assert {file["status"] for file in files} == {"loaded"}
    assert found["models_built_anew"] is None and found["build_seconds"] is None
    assert found["records"] == 10


def test_a_long_history_is_built_in_steps_and_goes_on(bucket: Bucket) -> None:
    bucket.rep_ai("ingest", str(bucket.dumps), "--quiet")
    # as if it had been stopped after the first step
    bucket.build("--vars", "{rep_ai_windows_before: 2025-03-12}")
    assert bucket.query(WINDOWS) == [(3,)]
    said = bucket.rep_ai("run", str(bucket.dumps), "--step-days", "3")
    steps = [line.rpartition(" ")[2] for line in said.splitlines() if "windows before" in line]
    assert steps == ["2025-03-14", "2025-03-17"]
    assert bucket.query(WINDOWS) == [(10,)]
    ((models, tests),) = bucket.query(
        "select models, tests from rep_ai_raw.runs where command = 'run'"
    )
    assert isinstance(models, int) and isinstance(tests, int) and models > 30 and tests > 30
    variables = "{rep_ai_windows_before: 2025-03-12}"
    refused = bucket.rep_ai(
        "run", str(bucket.dumps), "--step-days", "3", "--vars", variables, code=1
    )
    assert "--step-days sets it for each step" in refused


def test_it_says_what_would_come_and_what_it_replaces(bucket: Bucket) -> None:
    start = NIGHT + 9 * DAY
    write(bucket.dumps / "better.json", document(start, start + DAY, "1.0.10"))
    write(bucket.dumps / "worse.json", document(start, start + DAY, "1.0.9"))
    write(bucket.dumps / "new.json", document(start + DAY, start + 2 * DAY))
    write(bucket.dumps / "copy.json", (bucket.dumps / "1.json").read_bytes(), 1_700_000_000)
    write(bucket.dumps / "broken.json", b"{")
    write(bucket.dumps / "other.zip", b"PK")
    before = sha256(bucket.database.read_bytes()).digest()
    found = look(bucket, code=3)
    assert sha256(bucket.database.read_bytes()).digest() == before
    files = found["files"]
    assert isinstance(files, list)
    by_name = {Path(file["url"]).name: file for file in files}
    assert {name: file["status"] for name, file in by_name.items()} == {
        "better.json": "loaded",
        "worse.json": "loaded",
        "new.json": "loaded",
        "copy.json": "duplicate",
        "broken.json": "rejected",
    }
    assert by_name["better.json"]["replaces"]["url"].endswith("/9.json")
    assert by_name["worse.json"]["stands_below"]["version"] == "1.0.10"
    assert by_name["new.json"]["replaces"] is by_name["new.json"]["stands_below"] is None
    assert by_name["new.json"]["until"] == "2025-03-20T06:00:00Z"
    assert found["known"] == 10 and found["models_built_anew"] == []
    assert found["build_seconds"] and found["landing_seconds"] is not None
    shown = bucket.rep_ai("run", str(bucket.dumps), "--dry-run", code=3)
    assert "replaces 1.0.0, file://" in shown and "changes no mart: 1.0.10 counts" in shown
    assert "1 file of other names: other.zip" in shown and "Nothing was changed." in shown


def test_it_says_which_models_are_built_anew(bucket: Bucket) -> None:
    found = look(bucket, "--quiet", "--vars", "{rep_ai_timezone: Asia/Tokyo}", code=3)
    anew = found["models_built_anew"]
    assert isinstance(anew, list) and "int_rep_ai__actions" in anew


def test_what_it_says_comes_true(bucket: Bucket) -> None:
    bucket.rep_ai("run", str(bucket.dumps), "--quiet", code=3)
    urls = bucket.query(
        "select file_url from rep_ai_intermediate.int_rep_ai__delivery_versions "
        "where is_current order by window_start_at desc limit 2"
    )
    assert [Path(str(url)).name for (url,) in urls] == ["new.json", "better.json"]
