"""The check of a change in a team's warehouse: docs/examples/warehouse-ci, from end to end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from test_consumer import WITHOUT_TESTS, consumer, dbt
from test_engines import Table, fetch

from processes import PROJECT
from rep_ai.commands.ingest import ingest
from rep_ai.landing.destinations.postgres import Postgres
from rep_ai.sample import write_sample
from replay import postgres_connection

CHECK = PROJECT / "docs" / "examples" / "warehouse-ci"
PARTS = ("analyses", "macros", "models", "seeds", "tests")


def a_version_of_ours(folder: Path) -> Path:
    """A copy of this project, as `packages:` takes it."""
    for part in PARTS:
        shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("python"))
    shutil.copy(PROJECT / "dbt_project.yml", folder)
    return folder


def replace(path: Path, old: str, new: str) -> None:
    """Change a file in one place."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, (path, old)
    path.write_text(text.replace(old, new), encoding="utf-8")


def tables(server: Mapping[str, str], prefix: str) -> dict[str, Table]:
    """All rows of all tables and views in the schemas of one target, and of the raw tables."""
    with closing(postgres_connection(dict(server))) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "select table_schema, table_name from information_schema.tables where "
            f"table_schema like '{prefix}%' or table_schema = 'rep_ai_landing' order by 1, 2"
        )
        return {
            f"{schema}.{name}": fetch(connection, f'"{schema}"."{name}"')
            for schema, name in cursor.fetchall()
        }


@pytest.fixture(scope="module")
def production(
    postgres: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str]]:
    """A consumer that has built production, with its manifest beside it, and its environment."""
    folder = tmp_path_factory.mktemp("warehouse_ci")
    a_version_of_ours(folder / "ours")
    consumer(folder / "visits")
    packages = {"packages": [{"local": str(folder / "ours")}]}
    (folder / "visits" / "packages.yml").write_text(yaml.safe_dump(packages), encoding="utf-8")
    sample = write_sample(folder / "dumps", days=3, sessions_per_day=40)
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    address = {key: postgres[name] for key, name in names.items()}
    landing = Postgres({**address, "dbname": postgres["PGDATABASE"]})
    ingest([str(path) for path in sample], landing, schema="rep_ai_landing")
    known = {name: value for name, value in os.environ.items() if not name.startswith("REP_AI_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables = {**known, **postgres, "PATH": path}
    dbt(
        folder / "visits",
        variables,
        ["--quiet", "deps"],
        ["--quiet", "build", "--target", "production", *WITHOUT_TESTS],
    )
    (folder / "base").mkdir()
    shutil.move(folder / "visits" / "target" / "manifest.json", folder / "base")
    return folder, variables


def test_a_change_is_shown_beside_production(
    production: tuple[Path, dict[str, str]], postgres: dict[str, str]
) -> None:
    """Of our incremental marts and of the project's own models, and production stays as it is."""
    folder, variables = production
    before = tables(postgres, "analytics")
    assert "analytics_work.rep_ai_watermarks" in before
    # a version of ours that writes referrers otherwise, and a model of theirs with more rows
    groups = folder / "ours" / "models" / "marts" / "fct_rep_ai__session_groups.sql"
    replace(groups, "        dated.referrer,\n", "        upper(dated.referrer) as referrer,\n")
    long_visits = folder / "visits" / "models" / "long_visits.sql"
    replace(long_visits, "active_seconds > 600", "active_seconds > 1")
    replace(long_visits, "    active_seconds\n", "    active_seconds,\n    ended_at\n")
    unit_test = folder / "visits" / "models" / "models.yml"
    text = unit_test.read_text(encoding="utf-8").replace("600", "1")
    unit_test.write_text(text, encoding="utf-8")

    summary = folder / "summary.md"
    run = subprocess.run(
        [CHECK / "check.sh"],
        cwd=folder / "visits",
        env={
            **variables,
            "PRODUCTION": str(folder / "base"),
            "CI_SCHEMA": "pr_7",
            "GITHUB_STEP_SUMMARY": str(summary),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    assert tables(postgres, "analytics") == before
    lines = summary.read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    shown = {row[0]: row[1:] for row in cells if len(row) == 6}

    visits = before["analytics_marts.visits"][1]
    changed = sum("'" in row.partition(" referrer=")[2].partition(", ")[0] for row in visits)
    assert 0 < changed < visits.total()
    assert shown["fct_rep_ai__session_groups"] == [
        *("0", "0", str(visits.total()), str(changed)),
        f"`referrer` differs in {changed}",
    ]
    # made of it, and the same
    assert shown["rep_ai__daily_activity"][:2] == ["0", "0"]
    assert shown["rep_ai__daily_activity"][3:] == ["0", ""]
    long = before["analytics.long_visits"][1].total()
    more = tables(postgres, "pr_7")["pr_7.long_visits"][1].total() - long
    assert more > 0
    assert shown["long_visits"] == ["0", str(more), str(long), "0", "`ended_at` is new"]
    # neither what has not changed, nor what nobody queries
    wanted = {"fct_rep_ai__session_groups", "rep_ai__daily_activity", "long_visits"}
    assert shown.keys() - {"model", "---"} == wanted


def test_the_workflow_runs_the_check() -> None:
    """It is YAML, runs the script, and names what the script asks for."""
    text = (CHECK / "workflow.yml").read_text(encoding="utf-8")
    job = yaml.safe_load(text)["jobs"]["check"]
    assert job["steps"][-1]["run"].endswith("/check.sh")
    assert {"PRODUCTION", "CI_SCHEMA"} <= job["env"].keys()
