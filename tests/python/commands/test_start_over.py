"""Starting over: databases are set aside whole, and none that is in use."""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from rep_ai.landing.destinations import DuckDB
from rep_ai.start_over import NAMES

# a writer that ends without a checkpoint, so that its rows are in the log beside the file
KILLED = """
import duckdb, os, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("set checkpoint_threshold = '1TB'")
connection.execute("create table kept as select 7 as x")
os._exit(0)
"""
OPEN = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reads")
print("open", flush=True)
sys.stdin.read()
"""


def start_over(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rep_ai.start_over"],
        cwd=folder,
        env=variables,
        text=True,
        capture_output=True,
        check=False,
    )


def databases(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


@pytest.mark.parametrize("name", NAMES)
def test_a_database_is_set_aside_with_all_that_is_in_it(tmp_path: Path, name: str) -> None:
    subprocess.run([sys.executable, "-c", KILLED, tmp_path / name], check=True)
    assert databases(tmp_path) == [name, f"{name}.wal"]
    done = start_over(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert name not in databases(tmp_path)
    (back,) = re.findall(r"^  to have it back: +(.+)$", done.stdout, re.MULTILINE)
    (aside,) = re.findall(r"^  to be rid of it: +rm (.+)$", done.stdout, re.MULTILINE)
    with duckdb.connect(str(tmp_path / aside)) as connection:
        assert connection.execute("select x from kept").fetchall() == [(7,)]
    subprocess.run(["/bin/sh", "-c", back], cwd=tmp_path, check=True)
    assert databases(tmp_path) == [name]


def test_only_the_two_files_of_the_folder_are_set_aside(tmp_path: Path) -> None:
    others = ("mine.duckdb", "warehouse.duckdb.lock", "warehouse-2025.duckdb")
    for name in (*NAMES, *others):
        (tmp_path / name).touch()
    done = start_over(tmp_path, REP_AI_DUCKDB="mine.duckdb")
    assert done.returncode == 0
    assert {path.name for path in tmp_path.iterdir()} >= {*others}
    assert not {path.name for path in tmp_path.iterdir()} & {*NAMES}
    assert "mine.duckdb, which REP_AI_DUCKDB names, is left as it is." in done.stdout
    assert re.match(
        "There is no sample.duckdb and no warehouse.duckdb", start_over(tmp_path).stdout
    )


def test_a_damaged_database_is_set_aside_too(tmp_path: Path) -> None:
    (tmp_path / "warehouse.duckdb").write_bytes(b"damaged" * 10_000)
    assert start_over(tmp_path).returncode == 0
    (aside,) = databases(tmp_path)
    assert (tmp_path / aside).read_bytes() == b"damaged" * 10_000


def test_a_database_in_use_stays(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    duckdb.connect(str(path)).close()
    with DuckDB(path).lock():
        done = start_over(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("warehouse.duckdb stays: another run holds warehouse.duckdb")
    for does, code in (("writes", 1), ("reads", 0)):
        with (
            subprocess.Popen(
                [sys.executable, "-c", OPEN, path, does],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            ) as other,
            closing(other.stdin),  # type: ignore[type-var]
        ):
            assert other.stdout and other.stdout.readline() == b"open\n"
            done = start_over(tmp_path)
        assert done.returncode == code, done.stdout + done.stderr
        assert ("is open in another program" in done.stderr) == (does == "writes")
        assert ("warehouse.duckdb" in databases(tmp_path)) == (does == "writes")
