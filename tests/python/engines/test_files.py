"""Spark reads the files of `rep-ai ingest --destination filesystem` as DuckDB does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import spark
from dumps import dump, write
from loads import Place
from marts import RAW_SCHEMA
from rep_ai.landing.raw_tables import TABLES
from rep_ai.landing.upkeep import WRITTEN
from rep_ai.sample import write_sample


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Spark in this process."""
    try:
        java, home = spark._java(), spark._spark()
    except spark.MissingError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("JAVA_HOME", str(java))
    monkeypatch.setenv("SPARK_HOME", str(home))
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    from pyspark.sql import SparkSession

    builder: Any = SparkSession.builder
    config = {
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.warehouse.dir": str(tmp_path / "warehouse"),
    }
    for name, value in config.items():
        builder = builder.config(name, value)
    opened = builder.master("local[1]").getOrCreate()
    yield opened
    opened.stop()


def test_spark_reads_what_duckdb_reads(tmp_path: Path, session: Any) -> None:
    """Table by table, types of time included, after two loads and one that was killed."""
    lake = tmp_path / "lake"
    variables = {"DESTINATION__FILESYSTEM__BUCKET_URL": str(lake)}
    killed = (
        "import os; from rep_ai.landing.destinations.filesystem import Filesystem; "
        "Filesystem._write = lambda *_: os._exit(9)"
    )
    write_sample(tmp_path / "dumps", days=2, sessions_per_day=20)
    sources = [tmp_path / "dumps", write(tmp_path / "0.json", dump(0))]
    ingest = ("ingest", "--destination", "filesystem")
    for code, returned, files in (
        ("pass", 0, sources[:1]),
        (killed, 9, sources),
        ("pass", 0, sources),
    ):
        run = Place(tmp_path, {}, code).run(*ingest, *files, env=variables)
        assert run.returncode == returned, run.stderr
        for table in (*TABLES, *WRITTEN, "_dlt_loads"):
            folder = lake / RAW_SCHEMA / table
            # as macros/engines/spark.sql has it
            session.sql(f"drop table if exists {table}")
            session.sql(
                f"create table {table} using parquet options (path '{folder}', mergeSchema 'true')"
            )
            rows = session.sql(f"select * from {table}")
            found = Counter(repr(sorted(row.asDict().items())) for row in rows.collect())
            assert found == duckdb_rows(folder), table


def duckdb_rows(folder: Path) -> Counter[str]:
    """The same rows by DuckDB; its times are those of the session, and Spark's have no zone."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(
            f"select * from read_parquet('{folder}/*.parquet', union_by_name = true)"
        )
        names = [column[0] for column in connection.description]
        return Counter(
            repr(sorted((name, local(value)) for name, value in zip(names, row, strict=True)))
            for row in connection.fetchall()
        )


def local(value: Any) -> Any:
    """A time as Spark hands it over: that of this machine, without a zone."""
    is_zoned = hasattr(value, "tzinfo") and value.tzinfo is not None
    return value.astimezone().replace(tzinfo=None) if is_zoned else value
