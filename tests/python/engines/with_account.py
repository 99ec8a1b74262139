"""What a warehouse with an account makes of hostile dumps, mart by mart, beside DuckDB.

    make test-engine TARGET=snowflake

The environment says where the warehouse is, as it does for dbt (docs/engines.md). Everything there
lies in schemas of their own, `rep_ai_trial_...`, which are dropped in the end, come what may. The
raw tables go over in literals, as few rows are enough.

The part that speaks to the warehouse runs by the Python that has its adapter, one step at a time:

    python with_account.py load | fetch | drop TARGET FOLDER
"""

from __future__ import annotations

import json
import os
import pickle
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

PROJECT = Path(__file__).resolve().parents[3]
WAREHOUSES = PROJECT / ".venv" / "warehouses" / "bin" / "python"
DBT = "from dbt.cli.main import cli; cli()"
ROWS_AT_ONCE, LONGEST_TEXT = 50, 1_000
# of each kind of adapter what texts of any length are
TEXT = {"bigquery": "string", "databricks": "string", "redshift": "varchar(65535)"}

Rows = tuple[list[tuple[str, str]], list[tuple[Any, ...]]]  # columns with types; rows
Table = tuple[list[str], "Counter[str]"]


# -------------------------------------------------------------------------- beside the warehouse


def main(target: str) -> int:
    """Compare all marts; says what tells them apart."""
    python = str(WAREHOUSES) if target not in ("dev", "postgres") else sys.executable
    if not Path(python).exists():
        print("the adapter is not there: run `make .venv/.warehouses`")  # noqa: T201
        return 1
    trial = f"rep_ai_trial_{secrets.token_hex(3)}"
    with TemporaryDirectory(prefix=f"{trial}_") as name:
        folder = Path(name)
        _land(folder)
        profiles = (PROJECT / "profiles.yml").read_text(encoding="utf-8")
        (folder / "profiles.yml").write_text(
            profiles.replace("schema: rep_ai\n", f"schema: {trial}\n"), encoding="utf-8"
        )
        variables = {"rep_ai_timezone": "America/Chicago", "rep_ai_source_schema": f"{trial}_raw"}
        (folder / "trial.json").write_text(json.dumps([trial, variables]), encoding="utf-8")
        environment = os.environ | {"REP_AI_DUCKDB": str(folder / "other.duckdb")}
        step = [python, __file__]
        try:
            _run([*step, "load", target, name], environment)
            for _ in range(2):  # the second time as a night in which nothing is new
                build = ["build", "--vars", json.dumps(variables), *_places(folder, target)]
                _run([python, "-c", DBT, *build], environment)
            _run([*step, "fetch", target, name], environment)
        finally:
            _run([*step, "drop", target, name], environment)
        return _compare(folder, target)


def _run(command: Sequence[str], environment: dict[str, str]) -> None:
    subprocess.run(command, env=environment, check=True)


def _places(folder: Path, target: str) -> list[str]:
    options = {"project-dir": PROJECT, "profiles-dir": folder, "target": target}
    options |= {"target-path": folder / "target", "log-path": folder / "logs"}
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]


def _land(folder: Path) -> None:
    """Hostile dumps and a sample, landed and built on DuckDB; the raw tables and marts of it."""
    import duckdb
    from test_engines import VARIABLES, hostile_dumps
    from test_spark import RAW_TABLES

    from marts import RAW_SCHEMA, environment

    variables = environment(folder)
    dumps = folder / "dumps"
    rep_ai = [sys.executable, "-c", "from rep_ai.cli import main; main()"]
    sample = [*rep_ai, "sample", str(dumps), "--days", "3", "--sessions-per-day", "30"]
    _run(sample, variables)
    for number, content in enumerate(hostile_dumps()):
        # no statement may be as long as the longest text
        shorter = content.replace(b"x" * 1_000_000, b"x" * LONGEST_TEXT)
        (dumps / f"hostile_{number}.json").write_bytes(shorter)
    run = [*rep_ai, "run", "--quiet", str(dumps), "--vars", VARIABLES]
    code = subprocess.run(run, env=variables, check=False).returncode
    assert code in (0, 3), code  # some files are rejected
    marts = "select table_name from information_schema.tables where table_schema = 'rep_ai'"
    with duckdb.connect(variables["REP_AI_DUCKDB"], read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        raw = {name: _rows(connection, f"{RAW_SCHEMA}.{name}") for name in RAW_TABLES}
        (folder / "raw.pickle").write_bytes(pickle.dumps(raw))
        names = [name for (name,) in connection.execute(marts).fetchall()]
        tables = {}
        for name in names:
            columns, rows = _rows(connection, f"rep_ai.{name}")
            tables[name] = [column for column, _ in columns], rows
        (folder / "wanted.pickle").write_bytes(pickle.dumps(tables))


def _rows(connection: Any, relation: str) -> Rows:
    cursor = connection.execute(f"select * from {relation}")
    return [(name, str(kind)) for name, kind, *_ in cursor.description], cursor.fetchall()


def _compare(folder: Path, target: str) -> int:
    wanted, found = (
        pickle.loads((folder / f"{name}.pickle").read_bytes()) for name in ("wanted", "found")
    )
    lines = []
    total = 0
    for mart, table in wanted.items():
        columns, rows = spelled(*table)
        names, others = spelled(*found[mart])
        total += rows.total()
        if names != columns:
            lines.append(f"{mart}: columns {columns} on DuckDB, {names} on {target}")
        for engine, surplus in (("DuckDB", rows - others), (target, others - rows)):
            lines += [f"{mart}: only on {engine}: {row}" for row in sorted(surplus)[:10]]
    print("\n".join([*lines, f"{len(wanted)} marts, {total} rows, {len(lines)} differences"]))  # noqa: T201
    return 1 if lines or not total else 0


def spelled(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """Rows as text in which types show; times in UTC, and what engines may read as they like."""
    from oracle.json_text import engines_may_differ

    counted: Counter[str] = Counter()
    for row in rows:
        values = dict(zip(map(str.lower, columns), row, strict=True))
        # `detail` spells times as the engine does
        values.pop("detail", None)
        if engines_may_differ(str(values.get("custom_metadata"))):
            values |= {name: "" for name in ("display_name", "email") if name in values}
        for name, value in values.items():
            if isinstance(value, datetime) and value.tzinfo:
                values[name] = value.astimezone(UTC).replace(tzinfo=None)
        counted[", ".join(f"{name}={value!r}" for name, value in values.items())] += 1
    return [column.lower() for column in columns], counted


# ------------------------------------------------------------------------------ at the warehouse


def at_warehouse(step: str, target: str, folder: Path) -> None:
    """One step, through the connection of dbt's adapter."""
    trial, variables = json.loads((folder / "trial.json").read_text(encoding="utf-8"))
    raw_schema = variables["rep_ai_source_schema"]
    with _adapter(target, folder) as (kind, query):
        if step == "load":
            query(f"create schema if not exists {raw_schema}")
            raw: dict[str, Rows] = pickle.loads((folder / "raw.pickle").read_bytes())
            for name, (columns, rows) in raw.items():
                for sql in _statements(kind, f"{raw_schema}.{name}", columns, rows):
                    query(sql)
        elif step == "fetch":
            wanted = pickle.loads((folder / "wanted.pickle").read_bytes())
            found = {mart: query(f"select * from {trial}_rep_ai.{mart}") for mart in wanted}
            (folder / "found.pickle").write_bytes(pickle.dumps(found))
        else:
            layers = ("_rep_ai", "_rep_ai_intermediate", "_rep_ai_staging", "_raw", "")
            for layer in layers:
                query(f"drop schema if exists {trial}{layer} cascade")


@contextmanager
def _adapter(target: str, folder: Path) -> Iterator[tuple[str, Callable[[str], Any]]]:
    """The kind of the adapter, and what sends a statement: columns and rows, if it has any."""
    from argparse import Namespace

    from dbt.adapters.factory import get_adapter, register_adapter
    from dbt.config.runtime import RuntimeConfig
    from dbt.flags import set_from_args
    from dbt.mp_context import get_mp_context
    from dbt_common.context import set_invocation_context

    arguments = Namespace(
        project_dir=str(PROJECT),
        profiles_dir=str(folder),
        target=target,
        profile=None,
        vars={},
        threads=None,
    )
    set_invocation_context(os.environ)
    set_from_args(arguments, {})
    config = RuntimeConfig.from_args(arguments)
    register_adapter(config, get_mp_context())
    adapter: Any = get_adapter(config)

    def query(sql: str) -> Any:
        if adapter.type() == "bigquery":
            found = adapter.connections.get_thread_connection().handle.query(sql).result()
            return [field.name for field in found.schema], [row.values() for row in found]
        _, cursor = adapter.connections.add_query(sql, auto_begin=True)
        description = getattr(cursor, "description", None)
        is_query = sql.startswith("select")
        rows = list(map(tuple, cursor.fetchall())) if is_query else []
        adapter.commit_if_has_connection()
        return [column[0] for column in description or ()] if is_query else [], rows

    with adapter.connection_named("trial"):
        query("select 1")
        yield adapter.type(), query
    adapter.cleanup_connections()


def _statements(
    kind: str, table: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]]
) -> Iterator[str]:
    """What makes a table and its rows."""
    types = {"VARCHAR": TEXT.get(kind, "varchar"), "BIGINT": "bigint", "INTEGER": "bigint"}
    types |= {"BOOLEAN": "boolean", "TIMESTAMP": "timestamp"}
    spelled_types = [
        types["TIMESTAMP" if spelled.startswith("TIMESTAMP") else spelled] for _, spelled in columns
    ]
    names = [name for name, _ in columns]
    made = ", ".join(f"{n} {t}" for n, t in zip(names, spelled_types, strict=True))
    yield f"create table {table} ({made})"
    for start in range(0, len(rows), ROWS_AT_ONCE):
        values = [
            "(" + ", ".join(_literal(kind, value) for value in row) + ")"
            for row in rows[start : start + ROWS_AT_ONCE]
        ]
        yield f"insert into {table} ({', '.join(names)}) values {', '.join(values)}"


def _literal(kind: str, value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value
        return f"timestamp '{moment:%Y-%m-%d %H:%M:%S.%f}'"
    if not isinstance(value, str):
        return str(value).lower()
    if kind == "bigquery":
        return json.dumps(value, ensure_ascii=False)
    if kind in ("snowflake", "databricks", "redshift"):
        value = value.replace("\\", "\\\\")
    quote = "\\'" if kind == "databricks" else "''"
    return f"""'{value.replace("'", quote)}'"""


if __name__ == "__main__":
    if len(sys.argv) == 2:
        sys.exit(main(sys.argv[1]))
    at_warehouse(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
