"""rep-ai retire and restore: a delivery out of the marts, and back."""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pytest

from bucket import Bucket
from dumps import DAY, NIGHT, document, write
from rep_ai.landing.upkeep import WRITTEN


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    """Two nights are landed, one of them in two versions."""
    bucket = Bucket(tmp_path)
    for name, night, version, session in (
        ("first.json", 0, "1.0.0", "of the first"),
        ("second.json", 1, "1.0.0", "of the second"),
        ("again.json", 1, "1.0.1", "of the correction"),
    ):
        start = NIGHT + night * DAY
        sessions = {session: {"id": session, "start_time": start, "end_time": start + 1000}}
        content = document(start, start + DAY, version, unique_visitor_sessions=sessions)
        write(bucket.dumps / name, content)
    bucket.rep_ai("ingest", str(bucket.dumps))
    return bucket


def sessions_of(bucket: Bucket) -> set[object]:
    """The sessions in the marts, built anew."""
    bucket.build()
    return {row[0] for row in bucket.query("select session_id from rep_ai.fct_rep_ai__sessions")}


def test_a_retired_delivery_is_as_if_it_had_never_come(bucket: Bucket) -> None:
    everything = {"of the first", "of the correction"}
    assert sessions_of(bucket) == everything
    said = bucket.rep_ai("retire", "again.json", "--reason", "a test of the vendor")
    assert "again.json: retired (delivery " in said and "rep-ai run or dbt build" in said
    assert sessions_of(bucket) == {"of the first", "of the second"}
    # a new copy, touched, of another name
    content = (bucket.dumps / "again.json").read_bytes()
    write(bucket.dumps / "copy.json", content, 1_800_000_000)
    os.utime(bucket.dumps / "again.json")
    bucket.rep_ai("ingest", str(bucket.dumps))
    assert sessions_of(bucket) == {"of the first", "of the second"}
    assert "restored" in bucket.rep_ai("restore", "copy.json")
    assert sessions_of(bucket) == everything
    rows = bucket.query("select action, reason from rep_ai_raw.retirements order by _at")
    assert rows == [("retire", "a test of the vendor"), ("restore", None)]


def test_a_delivery_is_named_by_file_url_or_id(bucket: Bucket) -> None:
    ((identity, url),) = bucket.query(
        "select _delivery_id, file_url from rep_ai_raw.deliveries where file_url like '%first%'"
    )
    names = ("first.json", "dumps/first.json", str(bucket.dumps / "first.json"), str(url))
    for name in (*names, str(identity), str(identity)[:8]):
        assert "first.json: retired" in bucket.rep_ai("retire", name)
        assert "retired already" in bucket.rep_ai("retire", name)
        assert "first.json: restored" in bucket.rep_ai("restore", name)
        assert "not retired" in bucket.rep_ai("restore", name)


def test_names_are_taken_as_they_are(bucket: Bucket) -> None:
    """Spaces, and letters that a URL would encode."""
    start = NIGHT + 2 * DAY
    write(bucket.dumps / "my dump é#1.json", document(start, start + DAY))
    bucket.rep_ai("ingest", str(bucket.dumps))
    for name in ("my dump é#1.json", bucket.dumps / ".." / "dumps" / "my dump é#1.json"):
        assert "retired (delivery" in bucket.rep_ai("retire", str(name))
        assert "restored (delivery" in bucket.rep_ai("restore", str(name))


def test_what_is_no_delivery_or_several_is_refused(bucket: Bucket) -> None:
    said = bucket.rep_ai("retire", "third.json", code=1)
    assert "no loaded file is called third.json" in said and "delivery id" in said
    # one name, two contents
    write(bucket.dumps / "first.json", document(NIGHT, NIGHT + DAY, "1.0.2"), 1_800_000_000)
    bucket.rep_ai("ingest", str(bucket.dumps))
    said = bucket.rep_ai("retire", "first.json", code=1)
    assert "is 2 deliveries" in said and "name one by its id" in said
    assert bucket.query("select * from rep_ai_raw.retirements") == []


def test_nothing_is_retired_where_nothing_is_loaded(tmp_path: Path) -> None:
    assert "nothing is loaded yet" in Bucket(tmp_path).rep_ai("retire", "first.json", code=1)


def test_an_older_warehouse_gets_the_tables_at_the_next_ingest(bucket: Bucket) -> None:
    with duckdb.connect(str(bucket.database)) as connection:
        for table in WRITTEN:
            connection.execute(f"drop table rep_ai_raw.{table}")
        connection.execute("alter table rep_ai_raw.users drop column title")
    bucket.rep_ai("ingest", str(bucket.dumps))
    assert bucket.query("select title from rep_ai_raw.users") == []
    assert bucket.query("from rep_ai_raw.retirements") == []
    assert bucket.query("from rep_ai_raw.known_types") == []
