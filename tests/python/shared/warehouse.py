"""A small DuckDB file that the whole program has built, for tests that read the marts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import processes
from dumps import EMPTY, document
from marts import RAW_SCHEMA, environment
from oracle import Delivery
from processes import PROJECT
from rep_ai.commands.ingest import ingest
from rep_ai.landing.destinations import DuckDB
from rep_ai.sample import write_sample

# days begin elsewhere than the windows do
TIMEZONE = "Europe/Berlin"
MISSING_NIGHT = "2026-03-04"
# empty dumps after the sample; the gaps are of an hour, and of nights of 23 and 25 hours
MORE_WINDOWS = (
    ("2026-03-11T06:00Z", "2026-03-12T00:00Z"),
    ("2026-03-12T23:00Z", "2026-03-14T23:00Z"),
    ("2026-03-16T00:00Z", "2026-03-17T00:00Z"),
)


@dataclass(frozen=True)
class Warehouse:
    """A copy of the project with a database beside it.

    Attributes:
        folder: Where the copy is; dbt's artifacts are in its folder `target`.
        deliveries: The dumps that were loaded.
    """

    folder: Path
    deliveries: tuple[Delivery, ...]

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead dbt and MetricFlow to the database."""
        return environment(self.folder)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query gives."""
        with DuckDB(Path(self.environment["REP_AI_DUCKDB"])).connect() as connection:
            rows: list[tuple[Any, ...]] = connection.execute(sql).fetchall()
            return rows


def build(folder: Path) -> Warehouse:
    """Make dumps of which one night is missing, land them, build the marts, compile the rest."""
    for part in ("analyses", "macros", "models", "seeds", "tests"):
        shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("python"))
    for part in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(PROJECT / part, folder)
    sample = write_sample(folder / "dumps", days=10, sessions_per_day=60)
    paths = [path for path in sample if MISSING_NIGHT not in path.name]
    assert len(paths) == len(sample) - 1
    for number, window in enumerate(MORE_WINDOWS):
        paths.append(folder / "dumps" / f"more_{number}.json")
        start, end = (round(datetime.fromisoformat(time).timestamp()) * 1000 for time in window)
        paths[-1].write_bytes(document(start, end, **EMPTY))
    warehouse = Warehouse(
        folder,
        tuple(
            Delivery(
                path.read_bytes(),
                datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(tzinfo=None),
            )
            for path in paths
        ),
    )
    database = DuckDB(Path(warehouse.environment["REP_AI_DUCKDB"]))
    report = ingest([str(path) for path in paths], database, schema=RAW_SCHEMA)
    assert len(report.loaded) == len(paths)
    everywhere = ["--quiet", "--vars", json.dumps({"rep_ai_timezone": TIMEZONE})]
    run_dbt(
        warehouse,
        [
            ["build", "--exclude-resource-type", "test", *everywhere],
            ["compile", "--select", "resource_type:analysis", *everywhere],
        ],
    )
    return warehouse


def run_dbt(warehouse: Warehouse, commands: Sequence[Sequence[str]]) -> None:
    """Run some commands of dbt in the copy."""
    for command in commands:
        done = processes.run("dbt", *command, variables=warehouse.environment, cwd=warehouse.folder)
        assert done.returncode == 0, done.stdout
