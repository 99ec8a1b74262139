"""A throwaway Spark thrift server with Iceberg tables for the tests.

Java comes from the machine, or from its packages where the tests run as root; Spark from the Python
package pyspark, and Iceberg from the jars that the package snowpark-connect-deps-iceberg carries.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb

JAVA_PACKAGE = "openjdk-17-jre-headless"
MISSING_JAVA = f"these tests need Java 17 (Debian, Ubuntu: apt install {JAVA_PACKAGE})"
MISSING_SPARK = "these tests need the Python package pyspark 3.5: make installs it"
# without the jar there is no table that can delete; the version of the package is in pyproject.toml
MISSING_ICEBERG = (
    "these tests need iceberg-spark-runtime-3.5_2.12 in the jars of the Python package "
    "snowpark-connect-deps-iceberg: the package has changed, or is gone from the registry"
)
START_SECONDS = 120


class MissingError(RuntimeError):
    """Something that the server is made of is not there, and cannot be had; says what."""


CONFIG = {
    "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    "spark.sql.catalog.spark_catalog": "org.apache.iceberg.spark.SparkSessionCatalog",
    "spark.sql.catalog.spark_catalog.type": "hive",
    "spark.hadoop.iceberg.engine.hive.lock-enabled": "false",
    "spark.hadoop.javax.jdo.option.ConnectionURL": "jdbc:derby:memory:metastore;create=true",
    # no model may lean on the time zone of the server
    "spark.sql.session.timeZone": "America/Chicago",
    "spark.ui.enabled": "false",
    # the tables are small: what is done once for a task or a query costs more than all rows
    "spark.default.parallelism": "1",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
# the quick compiler, with room for all it makes, or a thread sweeps all the time for more; and no
# collector that works beside the program
JAVA_OPTIONS = (
    "-Duser.timezone=America/Chicago -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m "
    "-XX:+UseSerialGC -Xmn1g -XX:MetaspaceSize=256m"
)

# The shell holds the server as long as its standard input is open, so the server stops and is
# removed however the tests end, even by a kill.
SERVE = """
"$@" >log 2>&1 </dev/null &
read -r _
kill -9 $!
cd / && rm -rf "$FOLDER"
"""


@contextmanager
def server() -> Iterator[dict[str, str]]:
    """Run a server on a free port of the loopback interface.

    Yields:
        The SPARK_* environment variables that lead a client to it.

    Raises:
        MissingError: something is missing; says what to install.
        RuntimeError: it did not start; has what it said.
    """
    java, spark, iceberg = _java(), _spark(), _iceberg()
    with tempfile.TemporaryDirectory(prefix="rep_ai_spark_", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        port = _free_port()
        config = {
            **CONFIG,
            "spark.driver.extraClassPath": str(iceberg),
            "spark.driver.extraJavaOptions": f"{JAVA_OPTIONS} -Dderby.system.home={folder}",
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
            "spark.local.dir": str(folder / "local"),
        }
        command = [
            *(spark / "bin" / "spark-submit", "--master", "local[2]", "--driver-memory", "2g"),
            *("--class", "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"),
            *(part for key, value in config.items() for part in ("--conf", f"{key}={value}")),
            "spark-internal",
            *("--hiveconf", f"hive.server2.thrift.port={port}"),
            *("--hiveconf", "hive.server2.thrift.bind.host=127.0.0.1"),
        ]
        variables = {
            "PATH": os.defpath,
            "JAVA_HOME": str(java),
            "SPARK_HOME": str(spark),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "FOLDER": name,
        }
        with subprocess.Popen(
            ["/bin/sh", "-c", SERVE, "spark", *map(str, command)],
            cwd=folder,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the tests, which then stop the server
        ) as shell:
            assert shell.stdin
            try:
                _wait(port, folder / "log")
                yield {"SPARK_HOST": "127.0.0.1", "SPARK_PORT": str(port), "SPARK_USER": "rep_ai"}
            finally:
                shell.stdin.close()
                shell.wait()


def _java() -> Path:
    """The home of a Java that Spark 3.5 runs on; installed where the tests may do so."""
    if found := _installed_java():
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (["update"], ["install", "--yes", "--no-install-recommends", JAVA_PACKAGE]):
            subprocess.run(
                ["apt-get", "-qq", *command],
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                capture_output=True,
                check=False,
            )
        if found := _installed_java():
            return found
    raise MissingError(MISSING_JAVA)


def _installed_java() -> Path | None:
    on_path = shutil.which("java")
    programs = [Path(os.environ.get("JAVA_HOME", "/none")) / "bin" / "java"]
    programs += [Path(on_path).resolve()] if on_path else []
    programs += sorted(Path("/usr/lib/jvm").glob("*/bin/java"))
    for program in programs:
        if program.exists():
            said = subprocess.run(
                [program, "-version"], capture_output=True, text=True, check=False
            )
            if re.search(r'version "(11|17)\b', said.stderr):
                return program.parent.parent
    return None


def _spark() -> Path:
    spec = importlib.util.find_spec("pyspark")
    if not spec or not spec.origin:
        raise MissingError(MISSING_SPARK)
    return Path(spec.origin).parent


def _iceberg() -> Path:
    spec = importlib.util.find_spec("snowpark_connect_deps_iceberg")
    folder = Path(spec.origin).parent if spec and spec.origin else Path("/none")
    jars = sorted(folder.glob("jars/iceberg-spark-runtime-3.5_2.12-*.jar"))
    if not jars:
        raise MissingError(MISSING_ICEBERG)
    return jars[-1]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(port: int, log: Path) -> None:
    """Until the server listens."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    said = log.read_text()[-5000:] if log.exists() else ""
    raise RuntimeError(f"Spark did not start in {START_SECONDS} seconds:\n{said}")


def connect(variables: Mapping[str, str]) -> Any:
    """A connection to the server that the variables lead to, as profiles.yml has it."""
    from pyhive import hive

    return hive.connect(
        host=variables["SPARK_HOST"],
        port=int(variables["SPARK_PORT"]),
        username=variables["SPARK_USER"],
        configuration={
            "set:hiveconf:spark.sql.session.timeZone": "UTC",
            "set:hiveconf:spark.sql.catalog.spark_catalog.cache-enabled": "false",
        },
    )


def load_raw(
    variables: Mapping[str, str], database: Path, schema: str, tables: Iterable[str], folder: Path
) -> None:
    """Bring raw tables of a DuckDB file to Spark, by way of Parquet files in a folder."""
    folder.mkdir(exist_ok=True)
    with (
        duckdb.connect(str(database), read_only=True) as source,
        closing(connect(variables)) as connection,
    ):
        cursor = connection.cursor()
        cursor.execute(f"create schema if not exists {schema}")
        for table in tables:
            path = folder / f"raw{table}.parquet"  # Spark passes over what begins with `_`
            source.execute(f"copy \"{database.stem}\".{schema}.{table} to '{path}'")
            cursor.execute(
                f"create or replace table {schema}.{table} using iceberg as "
                f"select * from parquet.`{path}`"
            )
