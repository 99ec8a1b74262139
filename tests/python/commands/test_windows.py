"""What run and status say of several files of one window, and of windows that overlap."""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bucket import Bucket
from dumps import DAY, HOUR, NIGHT, document, write

ADVICE = "docs/operate.md#a-delivery-that-is-wrong"


def night(number: int, version: str, *sessions: str, moved: int = 0) -> bytes:
    """A dump of a night with these sessions."""
    start = NIGHT + number * DAY + moved
    held = {name: {"id": name, "start_time": start, "end_time": start + 1000} for name in sessions}
    return document(start, start + DAY, version, unique_visitor_sessions=held)


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Bucket:
    """A night in parts, one whose correction lacks a session, and one that has moved by an hour."""
    bucket = Bucket(tmp_path_factory.mktemp("windows"))
    write(bucket.dumps / "part-1.json", night(0, "1.0.0", "a"), 1_741_600_000)
    write(bucket.dumps / "part-2.json", night(0, "1.0.0", "b"), 1_741_600_001)
    write(bucket.dumps / "whole.json", night(1, "1.0.0", "c", "d"))
    write(bucket.dumps / "less.json", night(1, "1.1.0", "c"))
    write(bucket.dumps / "same.json", night(2, "1.0.0", "e"), 1_741_600_000)
    write(bucket.dumps / "more.json", night(2, "1.0.0", "e", "f"), 1_741_600_001)
    write(bucket.dumps / "before.json", night(4, "1.0.0", "g"))
    write(bucket.dumps / "moved.json", night(4, "1.0.0", "h", moved=HOUR))
    return bucket


def status(bucket: Bucket, *options: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bucket.rep_ai("status", "--json", *options, code=code))
    return found


def line(lines: list[str], words: str) -> str:
    (found,) = [each for each in lines if words in each]
    return found


def test_run_and_status_name_the_files(bucket: Bucket) -> None:
    said = bucket.rep_ai("run", "--quiet", str(bucket.dumps)).splitlines()
    found = status(bucket)
    url = bucket.dumps.as_uri()
    hardly = line(found["problems"], "hardly")
    assert f"{url}/part-2.json counts in place of {url}/part-1.json, and lacks 1 of its 1" in hardly
    lacks = line(found["warnings"], "the higher version of it lacks")
    assert f"{url}/less.json counts in place of {url}/whole.json, and lacks 1 of its 2" in lacks
    equal = line(found["warnings"], "and other content")
    assert f"{url}/more.json counts in place of {url}/same.json, and lacks 0 of its 1" in equal
    overlap = line(found["warnings"], "2 windows overlap, and all of them count")
    assert f"2025-03-13 06:00 to 2025-03-14 06:00 UTC ({url}/before.json)" in overlap
    assert f"2025-03-13 07:00 to 2025-03-14 07:00 UTC ({url}/moved.json)" in overlap
    for each in (hardly, lacks, equal, overlap):
        assert ADVICE in each
        assert f"warning: {each}" in said
    # for a pager
    assert hardly in status(bucket, "--check", code=1)["problems"]
    assert status(bucket, "--within", "1d")["problems"] == []


def test_what_is_retired_is_named_and_not_missed(bucket: Bucket) -> None:
    for name, reason in (("part-1.json", "a part"), ("moved.json", "a test")):
        bucket.rep_ai("retire", name, "--reason", reason)
    waiting = status(bucket)
    # what did not count in its window is in no mart already
    assert waiting["retired_in_marts"] == 1
    assert "1 retired delivery is still in the marts: rep-ai run SOURCE" in waiting["problems"][0]
    bucket.build()
    found = status(bucket)
    assert (found["deliveries"], found["deliveries_not_in_marts"]) == (8, 0)
    assert found["retired_in_marts"] == 0
    assert [(row["url"].rpartition("/")[2], row["reason"]) for row in found["retired"]] == [
        ("part-1.json", "a part"),
        ("moved.json", "a test"),
    ]
    assert not [each for each in found["problems"] if "missing" not in each]
    assert not [each for each in found["warnings"] if "overlap" in each]
    shown = bucket.rep_ai("status")
    assert "8 dumps are loaded" in shown and "2 of them retired" in shown
    assert re.search(r"moved\.json +a test", shown)
    # brought back, it waits for a build
    bucket.rep_ai("restore", "moved.json")
    assert "1 loaded dump is not in the marts" in status(bucket)["problems"][0]


def test_a_database_without_marts_has_retired_deliveries_too(tmp_path: Path) -> None:
    bucket = Bucket(tmp_path)
    write(bucket.dumps / "first.json", night(0, "1.0.0", "a"))
    bucket.rep_ai("ingest", str(bucket.dumps))
    bucket.rep_ai("retire", "first.json")
    found = status(bucket)
    assert len(found["retired"]) == 1 and "the marts are not built yet" in found["problems"][0]
