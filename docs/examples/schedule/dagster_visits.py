"""Dagster: the raw tables as assets that dlt lands, and each model as an asset that dbt builds.

`rep-ai ingest` is dlt with a ledger, a lock and a parser: it takes the place of `@dlt_assets`,
which would land each file anew. Its assets have the keys of dbt's sources: the lineage is whole.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject, dbt_assets

PROJECT = DbtProject(project_dir=Path(os.environ.get("VISITS_PROJECT", "/srv/visits")))
SOURCE = os.environ.get("VISITS_SOURCE", "s3://bucket/dumps")
BIN = Path(os.environ.get("VISITS_BIN", PROJECT.project_dir / ".venv" / "bin"))
# `dbt parse` makes the manifest where there is none
PROJECT.prepare_if_dev()


@dbt_assets(manifest=PROJECT.manifest_path)
def models(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator:
    """All of them in one run of dbt, or those that are chosen."""
    yield from dbt.cli(["build"], context=context).stream()


def rep_ai(*arguments: str, codes: tuple[int, ...] = (0,)) -> None:
    """Run a command of rep-ai in the project's folder."""
    done = subprocess.run([BIN / "rep-ai", *arguments], cwd=PROJECT.project_dir, check=False)
    if done.returncode not in codes:
        raise dg.Failure(f"rep-ai {arguments[0]} ended with {done.returncode}")


raw_keys = sorted({key for key in models.dependency_keys if key not in models.keys})


@dg.multi_asset(
    specs=[dg.AssetSpec(key, group_name="rep_ai_raw", kinds={"dlt"}) for key in raw_keys]
)
def raw_tables() -> Iterator[dg.MaterializeResult]:
    """What is new in the bucket; 3 says that some files were rejected, and all others landed."""
    rep_ai("ingest", "--quiet", SOURCE, codes=(0, 3))
    for key in raw_keys:
        yield dg.MaterializeResult(asset_key=key)


@dg.asset(deps=[models], group_name="rep_ai")
def last_night() -> None:
    """Fails where the newest window is late, a night is missing or a rejected file waits."""
    rep_ai("status", "--max-age", "26h", "--within", "30d")


night = dg.define_asset_job("night", selection=dg.AssetSelection.all())
defs = dg.Definitions(
    assets=[raw_tables, models, last_night],
    jobs=[night],
    schedules=[dg.ScheduleDefinition(job=night, cron_schedule="0 4 * * *")],
    resources={"dbt": DbtCliResource(PROJECT, dbt_executable=str(BIN / "dbt"))},
)
