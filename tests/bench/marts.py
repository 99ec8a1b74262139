"""What a night costs on 30, 90 and 365 days of history, against a full refresh.

On DuckDB, or with `--target postgres` on a throwaway server.

A history is two weeks of sample dumps, landed once and repeated with other ids and later times. All
but its last night are built anew, then the last one comes. Times are those that dbt reports for
each model and test; its own start-up and parsing are told apart. Models run one at a time, since
two at once wait for each other, and their times would not add up.
"""

# ruff: noqa: T201 - what it prints is its result

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import duckdb
import psycopg2

PROJECT = Path(__file__).resolve().parents[2]
sys.path.append(str(PROJECT / "tests/python/shared"))

from postgres import server  # noqa: E402 - the tests' own, which no package holds

PROGRAM = Path(sys.executable).parent
DAYS = [int(days) for days in os.environ.get("REP_AI_BENCH_DAYS", "30 90 365").split()]
NIGHTS = 14
PERIOD_MS = NIGHTS * 86_400_000
TIMES = {"start_time", "end_time", "timestamp", "accept_time"}
IDS = {"id", "session_id", "session_group", "unique_visitor_id"}


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, nargs="+", default=DAYS)
    parser.add_argument("--sessions", type=int, default=10_000, help="a day")
    parser.add_argument("--target", choices=["dev", "postgres"], default="dev")
    parser.add_argument("--threads", type=int, default=1, help="models at a time")
    options = parser.parse_args()
    on_server = options.target == "postgres"
    with (
        TemporaryDirectory(prefix="rep_ai_bench_") as name,
        server() if on_server else nullcontext({}) as variables,
    ):
        os.environ.update(variables)
        folder = Path(name)
        template = folder / "template.duckdb"
        sample = ["--days", str(NIGHTS), "--sessions-per-day", str(options.sessions)]
        # from Monday to Sunday, twice, with no change of the clocks
        run(folder, "rep-ai", "sample", "dumps", *sample, "--first-day", "2026-05-04")
        run(folder, "rep-ai", "ingest", "dumps", database=template)
        measured = {}
        for days in options.days:
            database = folder / f"{days}.duckdb"
            repeat(template, database, days)
            if on_server:
                copy(database)
            measured[days] = measure(folder, None if on_server else database, options.threads)
            database.unlink()
        show(measured)


def run(folder: Path, *command: str, database: Path | None = None) -> None:
    """Run a program of the project; what it writes stays in the folder."""
    environment = {
        **os.environ,
        "REP_AI_DUCKDB": str(database),
        "REP_AI_TARGET": "dev" if database else "postgres",
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
        "DBT_PROJECT_DIR": str(PROJECT),
        "DBT_PROFILES_DIR": str(PROJECT),
    }
    done = subprocess.run(
        [PROGRAM / command[0], *command[1:]],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")


def repeat(template: Path, database: Path, days: int) -> None:
    """Make a history of so many nights, the last one of the template last."""
    with duckdb.connect(
        str(database), config={"storage_compatibility_version": "v1.4.0"}
    ) as connection:
        connection.execute(f"attach '{template}' as template (read_only)")
        connection.execute("create schema rep_ai_raw")
        tables = connection.execute(
            "select table_name, list({'name': column_name} order by ordinal_position) "
            "from information_schema.columns "
            "where table_catalog = 'template' and table_schema = 'rep_ai_raw' group by table_name"
        ).fetchall()
        for table, columns in tables:
            source = f"template.rep_ai_raw.{table}"
            connection.execute(f"create table rep_ai_raw.{table} as from {source} limit 0")
            names = [column["name"] for column in columns]
            once = table.startswith("_") or table == "user_agents"
            periods = 1 if once else -(-days // NIGHTS)
            for period in range(-periods + 1, 1):
                values = ", ".join(later(table, name, period) for name in names)
                connection.execute(f"insert into rep_ai_raw.{table} select {values} from {source}")
        # the first nights of the first period are too many
        windows = "select distinct start_time from rep_ai_raw.deliveries where status = 'loaded'"
        connection.execute(
            "delete from rep_ai_raw.deliveries where start_time not in "
            f"(select start_time from ({windows}) order by start_time desc limit {days})"
        )


def later(table: str, column: str, period: int) -> str:
    """A column of the template, some periods later."""
    if column in TIMES:
        return f"cast(cast({column} as bigint) + {period * PERIOD_MS} as varchar)"
    if column == "_delivery_id":
        return f"sha256({column} || '{period}')"
    if column in IDS and table != "users":
        return f"{column} || '{period}'"
    return f"{column} || '{period}'" if column == "file_url" else column


def copy(database: Path) -> None:
    """Copy the raw tables to the server, in place of all that it holds."""
    execute = on(None)
    for schema in ("rep_ai", "rep_ai_staging", "rep_ai_intermediate", "rep_ai_raw"):
        execute(f"drop schema if exists {schema} cascade")
    execute("create schema rep_ai_raw")
    csv = database.with_suffix(".csv")
    with duckdb.connect(str(database)) as source, psycopg2.connect("") as target:
        for (table,) in source.execute("select table_name from duckdb_tables()").fetchall():
            columns = ", ".join(
                f'"{name}" {kind}'
                for name, kind in source.execute(
                    "select column_name, data_type from duckdb_columns() where table_name = ?",
                    [table],
                ).fetchall()
            )
            source.execute(f"copy rep_ai_raw.{table} to '{csv}' (header false)")
            with target.cursor() as cursor, csv.open() as rows:
                cursor.execute(f"create table rep_ai_raw.{table} ({columns})")
                cursor.copy_expert(f"copy rep_ai_raw.{table} from stdin (format csv)", rows)
            csv.unlink()


def on(database: Path | None) -> Callable[[str], None]:
    """What runs a statement: in the file, or on the server where there is none."""

    def execute(statement: str) -> None:
        if database:
            with duckdb.connect(str(database)) as connection:
                connection.execute(statement)
        else:
            with psycopg2.connect("") as connection, connection.cursor() as cursor:
                cursor.execute(statement)

    return execute


def measure(folder: Path, database: Path | None, threads: int) -> dict[str, dict[str, float]]:
    """Seconds of each model in a full refresh and in a night, and what the whole took."""
    deliveries, night = "rep_ai_raw.deliveries", "rep_ai_raw.night"
    last = f"start_time = (select max(start_time) from {deliveries})"
    execute = on(database)
    execute(f"create table {night} as select * from {deliveries} where {last}")
    execute(f"delete from {deliveries} where {last}")
    full = build(folder, database, threads)
    execute(f"insert into {deliveries} select * from {night}")
    # by the time of a night the system has long written what the build before it made
    os.sync()
    return {"full refresh": full, "a night": build(folder, database, threads)}


def build(folder: Path, database: Path | None, threads: int) -> dict[str, float]:
    """Seconds of each model and of all tests, of both runs as a whole, and GB of memory at most."""
    at_a_time = ["--threads", str(threads)]
    selection = [*at_a_time, "--exclude-resource-type", "test"]
    whole_build = timed(folder, "build", *selection, database=database)
    models = results(folder)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    whole_test = timed(folder, "test", *at_a_time, database=database)
    return {
        **models,
        "all models": sum(models.values()),
        "all tests": sum(results(folder).values()),
        "dbt build, start-up and all": whole_build,
        "dbt test, start-up and all": whole_test,
        "peak memory so far, GB": peak,
    }


def timed(folder: Path, *command: str, database: Path | None) -> float:
    """Run dbt, and the seconds that it took."""
    start = perf_counter()
    run(folder, "dbt", "--quiet", *command, database=database)
    return perf_counter() - start


def results(folder: Path) -> dict[str, float]:
    """Seconds of each model, seed and test of the last run."""
    found = json.loads((folder / "target/run_results.json").read_text(encoding="utf-8"))["results"]
    return {
        result["unique_id"].split(".")[2]: result["execution_time"]
        for result in found
        if not result["unique_id"].startswith("operation.")
    }


def show(measured: dict[int, dict[str, dict[str, float]]]) -> None:
    """Print the times of each model, and the ratios that docs/performance.md shows."""
    days = list(measured)
    kinds = ["full refresh", "a night"]
    heads = [f"{kind}, {n} days" for kind in kinds for n in days]
    print(f"{'seconds':<40}" + "".join(f"{head:>24}" for head in heads))
    for name in measured[days[0]][kinds[0]]:
        cells = [measured[n][kind].get(name, 0) for kind in kinds for n in days]
        print(f"{name:<40}" + "".join(f"{cell:>24.2f}" for cell in cells))
    first, last = (measured[n]["a night"]["all models"] for n in (days[0], days[-1]))
    full = measured[days[-1]]["full refresh"]["all models"]
    print(f"a night at {days[-1]} days : at {days[0]} days = {last / first:.2f}")
    print(f"a night : full refresh, at {days[-1]} days = {last / full:.3f}")


if __name__ == "__main__":
    main()
