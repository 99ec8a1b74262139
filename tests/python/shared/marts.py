"""The dbt project's models on an in-memory DuckDB, many times a second.

dbt compiles the project once; then its SQL runs on raw tables that the real reader fills. What dbt
itself and the command line do is tested elsewhere.
"""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import pyarrow as pa
from fsspec.implementations.local import LocalFileSystem

from oracle import Delivery, Row, marts
from oracle.json_text import canonical_json, engines_may_differ
from processes import PROJECT, Command
from rep_ai.dump.format import RAW_TABLES
from rep_ai.landing import packages, raw_tables, results, upkeep
from rep_ai.landing.fetch import MAX_DOCUMENT_BYTES
from rep_ai.landing.ledger import Ledger
from rep_ai.landing.raw_tables import TABLES
from rep_ai.landing.sources import SourceFile

RAW_SCHEMA = "rep_ai_raw"
# marts that the parser of user agents alone decides
PARSED = {"dim_rep_ai__user_agents"}
# ways to set the project up; tests share what dbt compiles of each
VARIANTS: tuple[dict[str, object], ...] = (
    {},
    {"rep_ai_timezone": "America/Chicago", "rep_ai_include_unknown_types": True},
    {"rep_ai_timezone": "Asia/Kolkata"},
)
# columns that are for reading, not for reckoning
UNPROMISED = {"rep_ai__contract_violations": {"severity", "detail"}}
# columns whose spelling is not promised
JSON_COLUMNS = {"properties"}


# ---------------------------------------------------------------------------------- the SQL to run


@dataclass(frozen=True)
class Model:
    """A compiled model."""

    name: str
    relation: str
    kind: str  # table or view; incremental models as a full refresh makes them
    sql: str


@dataclass(frozen=True)
class Compiled:
    """The project as dbt compiles it with some variables."""

    database: str
    models: tuple[Model, ...]  # in the order in which they can be built
    seeds: dict[str, str]  # name -> relation

    @property
    def marts(self) -> list[Model]:
        """The models that are the project's public surface."""
        return [model for model in self.models if f'"{self.database}"."rep_ai".' in model.relation]


def compile_projects(folder: Path, variants: Sequence[Mapping[str, object]]) -> list[Compiled]:
    """Compile the project once for each set of variables, at the same time."""
    folders = [folder / str(number) for number, _ in enumerate(variants)]
    commands = []
    for place, variables in zip(folders, variants, strict=True):
        place.mkdir()
        command = ["--quiet", "compile", "--select", "resource_type:model"]
        command += ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
        command += ["--vars", json.dumps(variables), "--target", "dev"]
        commands.append(Command("dbt", command, environment(place), PROJECT))
    for done in [command.done() for command in commands]:
        assert done.returncode == 0, done.stdout
    return [read_manifest(place / "target" / "manifest.json") for place in folders]


def environment(folder: Path) -> dict[str, str]:
    """Environment variables that keep all that dbt and rep-ai write in a folder."""
    return {
        **os.environ,
        "REP_AI_TARGET": "dev",
        "REP_AI_DUCKDB": str(folder / "history.duckdb"),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
    }


def read_manifest(path: Path) -> Compiled:
    """The models and seeds of a manifest that dbt compile has written."""
    nodes = json.loads(path.read_text(encoding="utf-8"))["nodes"]
    models = {key: node for key, node in nodes.items() if node["resource_type"] == "model"}
    seeds = [node for node in nodes.values() if node["resource_type"] == "seed"]
    kinds = {node["config"]["materialized"] for node in models.values()}
    assert kinds <= {"table", "view", "incremental"}, kinds
    order = TopologicalSorter({key: node["depends_on"]["nodes"] for key, node in models.items()})
    return Compiled(
        database=seeds[0]["database"],
        models=tuple(
            Model(
                name=models[key]["name"],
                relation=models[key]["relation_name"],
                kind=models[key]["config"]["materialized"].replace("incremental", "table"),
                sql=models[key]["compiled_code"],
            )
            for key in order.static_order()
            if key in models
        ),
        seeds={node["name"]: node["relation_name"] for node in seeds},
    )


def seed_rows(name: str, project: Path = PROJECT) -> list[dict[str, str]]:
    """The rows of a seed."""
    with (project / "seeds" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def known_types(project: Path = PROJECT) -> dict[str, list[str]]:
    """The types that the seeds list, as the oracle wants them."""
    return {
        f"{kind}_types": [row["type"] for row in seed_rows(f"rep_ai_{kind}_types", project)]
        for kind in ("action", "interaction")
    }


# ------------------------------------------------------------------------------------------ loads


@dataclass(frozen=True)
class Load:
    """Files that one run lands together."""

    deliveries: Sequence[Delivery]
    supported_major: int = 1
    completed: bool = True
    forgetful: bool = False  # lands again what an earlier load has landed
    rows_in_loads: int = 1  # how often _dlt_loads names it, if it is completed


def land(
    loads: Iterable[Load], folder: Path, retirements: Iterable[tuple[str, str]] = ()
) -> dict[str, pa.Table]:
    """The raw tables after some loads, made by the real reader.

    Args:
        loads: what runs have landed, one after the other.
        folder: for the files.
        retirements: delivery ids with `retire` or `restore`, one after the other.
    """
    tables: dict[str, list[pa.Table]] = {name: [] for name in TABLES}
    finished: list[tuple[str, int]] = []
    ledger = Ledger({}, {})
    for number, each in enumerate(loads):
        # the newer the load, the less its id: load ids mean nothing
        load_id = f"{1_900_000_000 - number}.5"
        seen = Ledger({}, {}) if each.forgetful or not each.completed else ledger
        package = packages.Package([], seen, each.supported_major, MAX_DOCUMENT_BYTES)
        for name, rows in _read(package, each.deliveries, folder):
            column = pa.array([load_id] * len(rows), pa.string())
            tables[name].append(rows.append_column("_dlt_load_id", column))
        if each.completed:
            finished += [(load_id, 0)] * each.rows_in_loads
            ledger.contents.update(
                (v.delivery_id, v.file.url) for v in package.results if v.status == results.LOADED
            )
        elif number % 2:
            finished.append((load_id, 1))
    landed = {
        name: pa.concat_tables(
            [
                TABLES[name].append(pa.field("_dlt_load_id", pa.string())).empty_table(),
                *tables[name],
            ]
        )
        for name in tables
    }
    landed |= {name: schema.empty_table() for name, schema in upkeep.WRITTEN.items()}
    rows = [
        {"_delivery_id": delivery_id, "action": action, "_at": datetime(2026, 2, 1, second=number)}
        for number, (delivery_id, action) in enumerate(retirements)
    ]
    landed["retirements"] = pa.Table.from_pylist(rows, upkeep.WRITTEN["retirements"])
    landed["user_agents"] = RAW_TABLES["user_agents"].empty_table()
    landed["_dlt_loads"] = pa.table(
        {
            "load_id": pa.array([load_id for load_id, _ in finished], pa.string()),
            "status": pa.array([status for _, status in finished], pa.int64()),
        }
    )
    return landed


def _read(
    package: Any, deliveries: Iterable[Delivery], folder: Path
) -> Iterable[tuple[str, pa.Table]]:
    for delivery in deliveries:
        number = sum(1 for _ in folder.iterdir())
        path = folder / f"{number}.json"
        path.write_bytes(delivery.content)
        if delivery.modified_at:
            seconds = delivery.modified_at.replace(tzinfo=UTC).timestamp()
            os.utime(path, (seconds, seconds))
        yield from package._read(
            SourceFile(
                url=f"file://{path}",
                size=len(delivery.content),
                modified_at=delivery.modified_at,
                fs=LocalFileSystem(),
                path=str(path),
            )
        )
    if package.results:
        yield "deliveries", raw_tables.deliveries(package.results)


# ------------------------------------------------------------------------------------------ marts


class Database:
    """An in-memory DuckDB with a compiled project in it, for one set of raw tables at a time."""

    def __init__(self, project: Compiled) -> None:
        """Make what does not change: schemas, seeds, raw tables and views."""
        self._project = project
        self._connection = duckdb.connect(":memory:", config={"threads": 1})
        self._connection.execute("set TimeZone = 'UTC'")
        self._connection.execute(f"attach ':memory:' as \"{project.database}\"")
        relations = [*(m.relation for m in project.models), *project.seeds.values()]
        for schema in {relation.rpartition(".")[0] for relation in relations}:
            self._connection.execute(f"create schema {schema}")
        self._raw = f'"{project.database}"."{RAW_SCHEMA}"'
        self._connection.execute(f"create schema {self._raw}")
        for name, relation in project.seeds.items():
            self._create(relation, pa.Table.from_pylist(seed_rows(name)))

    def __enter__(self) -> Database:
        """Use it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self._connection.close()

    def _create(self, relation: str, rows: pa.Table) -> None:
        self._connection.register("rows_to_create", rows)
        self._connection.execute(f"create or replace table {relation} as from rows_to_create")
        self._connection.unregister("rows_to_create")

    def build(self, raw: Mapping[str, pa.Table]) -> dict[str, list[Row]]:
        """Build all models on some raw tables and read the marts."""
        for name, rows in raw.items():
            self._create(f"{self._raw}.{name}", rows)
        for model in self._project.models:
            self._connection.execute(
                f"create or replace {model.kind} {model.relation} as {model.sql}"
            )
        return {
            mart.name: rows_of(self._connection, mart.relation)
            for mart in self._project.marts
            if mart.name not in PARSED
        }


def rows_of(connection: Any, relation: str) -> list[Row]:
    """All rows of a table."""
    cursor = connection.execute(f"select * from {relation}")
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


# ------------------------------------------------------------------------------------- comparison


def wanted(
    deliveries: Iterable[Delivery],
    *,
    rep_ai_timezone: object = "UTC",
    rep_ai_include_unknown_types: object = False,
) -> dict[str, list[Row]]:
    """What the oracle makes of some deliveries, for some variables of the project."""
    return marts(
        deliveries,
        **known_types(),
        include_unknown_types=bool(rep_ai_include_unknown_types),
        timezone=str(rep_ai_timezone),
    )


def difference(built: Mapping[str, list[Row]], wanted: Mapping[str, list[Row]]) -> str:
    """What tells built marts from those that the oracle wants; '' where nothing does."""
    if built.keys() != wanted.keys():
        return f"marts: {sorted(built)} are built, {sorted(wanted)} wanted"
    lines: list[str] = []
    for name in wanted:
        has = Counter(_comparable(row, UNPROMISED.get(name, set())) for row in built[name])
        wants = Counter(_comparable(row, set()) for row in wanted[name])
        lines += [f"{name}: missing {row}" for row in sorted((wants - has).elements())]
        lines += [f"{name}: too much {row}" for row in sorted((has - wants).elements())]
    return "\n".join(lines)


def _comparable(row: Row, without: set[str]) -> str:
    """A row as text; types show in it."""
    columns = []
    metadata = row.get("custom_metadata")
    if isinstance(metadata, str) and engines_may_differ(metadata):
        without = without | {"display_name", "email"}
    for name in sorted(row.keys() - without):
        value = row[name]
        is_json = name in JSON_COLUMNS and isinstance(value, str)
        columns.append(f"{name}={canonical_json(str(value)) if is_json else value!r}")
    return ", ".join(columns)
