"""A new version over the warehouse that a released one left: right rows, or a refusal in a line."""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest
import zstandard

import pages
from dumps import document, write
from loads import Place, difference
from processes import PROJECT
from rep_ai.dump.format import VERSION
from rep_ai.landing import upkeep
from rep_ai.landing.raw_tables import TABLES

# made by tests/fixtures/make_warehouse.sh
WAREHOUSES = sorted((PROJECT / "tests" / "fixtures").glob("warehouse_*.zst"))
# the sample's nights are of 1 to 5 March 2026, in Chicago
START, END = 1_772_776_800_000, 1_772_863_200_000
SCHEMAS = ("rep_ai", "rep_ai_intermediate", "rep_ai_staging")


class Old(Place):
    """A warehouse as a version left it, under the name that it had there."""

    @property
    def database(self) -> Path:
        """Views name it."""
        return self.folder / "warehouse.duckdb"


@pytest.fixture(params=WAREHOUSES, ids=lambda path: path.name.partition(".")[0])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Old:
    return unpacked(request.param, tmp_path / "old")


def unpacked(path: Path, folder: Path) -> Old:
    place = Old(folder, {})
    content = zstandard.ZstdDecompressor().decompress(path.read_bytes())
    write(place.database, content)
    return place


def marts(place: Old) -> dict[str, Any]:
    return {name: rows for name, rows in place.tables().items() if name.startswith("rep_ai.")}


def test_fixtures_are_small_and_of_each_release() -> None:
    assert all(path.stat().st_size < 1_000_000 for path in WAREHOUSES)
    notes = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.findall(r"^## \[(\d\S*)\]", notes, re.MULTILINE)
    names = {f"warehouse_{release.replace('.', '_')}.zst" for release in releases}
    assert {path.name for path in WAREHOUSES} == names


def test_a_build_over_an_old_warehouse_gives_the_rows_of_one_from_nothing(
    old: Old, tmp_path: Path
) -> None:
    anew = Old(tmp_path / "anew", {})
    write(anew.database, old.database.read_bytes())
    with duckdb.connect(str(anew.database)) as connection:
        for schema in SCHEMAS:
            connection.execute(f"drop schema {schema} cascade")
    # one model has other code now: it is built anew, whatever its rows were
    with duckdb.connect(str(old.database)) as connection:
        connection.execute("update rep_ai.fct_rep_ai__sessions set referrer = 'of the old code'")
        connection.execute(
            "update rep_ai_intermediate.rep_ai_watermarks "
            "set code = 'old ' || split_part(code, ' ', 2) where model = 'fct_rep_ai__sessions'"
        )
    sessions = {"new": {"id": "new", "start_time": START + 1, "end_time": START + 2}}
    night = write(
        tmp_path / "dumps" / "6.json", document(START, END, unique_visitor_sessions=sessions)
    )
    said = old.run("run", night)
    assert said.returncode == 0, said.stdout + said.stderr
    assert re.search("built anew.*fct_rep_ai__sessions", said.stderr)
    assert anew.run("run", night, "--quiet").returncode == 0
    found, wanted = marts(old), marts(anew)
    assert len(wanted) >= 14 and not difference(found, wanted)
    assert sum(found["rep_ai.fct_rep_ai__sessions"].values()) > 20
    # what people wrote holds
    assert old.query("select distinct action from rep_ai_raw.retirements") == [("retire",)]
    assert old.query("select max(version) from rep_ai_raw._schema_version") == [(VERSION,)]
    assert len(old.query("select 1 from rep_ai_raw.runs where exit_code = 0")) == 1
    # as docs/upgrade.md has it
    retired, types = re.findall(
        r"^```sql\n(.*?)^```", pages.text("docs/upgrade.md"), re.DOTALL | re.MULTILINE
    )
    ((url, reason),) = old.query(retired)
    assert url.endswith("rep_ai_2026-03-04.json") and reason == "as a user might"
    assert old.query(types) == [("action", "SCREEN_SHARE")]


def test_plain_dbt_refuses_newer_raw_tables(old: Old) -> None:
    with duckdb.connect(str(old.database)) as connection:
        connection.execute(
            "create table rep_ai_raw._schema_version (version bigint, rep_ai_version text)"
        )
        connection.execute("insert into rep_ai_raw._schema_version values (99, '9.0.0')")
    status = old.run("ingest", str(old.folder))
    assert status.returncode == 1
    with pytest.raises(AssertionError, match="raw tables"):
        old.dbt("run", "--select", "stg_rep_ai__users", "--project-dir", str(PROJECT))


def test_raw_tables_can_be_carried_to_a_server(old: Old, postgres: dict[str, str]) -> None:
    """As docs/upgrade.md has it: tables that any dump makes, emptied, and filled from CSV."""
    server = Place(old.folder / "server", postgres)
    night = write(old.folder / "dumps" / "6.json", document(START, END))
    for place in (old, server):
        assert place.run("ingest", night).returncode == 0
    texts = {}
    with (
        duckdb.connect(str(old.database)) as connection,
        closing(
            psycopg2.connect(
                host=postgres["PGHOST"],
                port=postgres["PGPORT"],
                user=postgres["PGUSER"],
                password=postgres["PGPASSWORD"],
                dbname=postgres["PGDATABASE"],
            )
        ) as target,
    ):
        cursor = target.cursor()
        names = [
            name
            for (name,) in connection.execute(
                "select table_name from information_schema.tables "
                "where table_schema = 'rep_ai_raw' order by table_name = '_dlt_loads'"
            ).fetchall()
            if name in {*TABLES, *upkeep.WRITTEN, "user_agents", "_dlt_loads"}
        ]
        for name in names:
            path = old.folder / f"{name}.csv"
            connection.execute(f"copy rep_ai_raw.{name} to '{path}' (header, nullstr '\\N')")
            cursor.execute(f"truncate rep_ai_raw.{name}")
            with path.open(encoding="utf-8") as file:
                columns = file.readline()
                file.seek(0)
                cursor.copy_expert(
                    f"copy rep_ai_raw.{name} ({columns}) from stdin "
                    "(format csv, header, null '\\N')",
                    file,
                )
            cursor.execute(f"select count(*) from rep_ai_raw.{name}")
            counted = connection.execute(f"select count(*) from rep_ai_raw.{name}").fetchall()
            texts[name] = counted == cursor.fetchall()
        target.commit()
    assert len(texts) >= 12 and all(texts.values())
    server.check_whole()
    assert "known already" in server.run("ingest", night).stdout
