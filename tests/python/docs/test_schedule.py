"""The examples of schedulers: read by each test run, run by `make test-schedulers`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from processes import PROJECT
from rep_ai.cli import main as cli
from rep_ai.sample import write_sample

FOLDER = PROJECT / "docs" / "examples" / "schedule"
PAGE = "docs/schedule.md"
BIN = Path(sys.executable).parent
COMMAND = re.compile(r"rep-ai (ingest|run|status)\b([^\n|&'\"]*)")
CRON = re.compile(r"((?:[\d*/,-]+\s+){5})(.+)")
INSTRUCTIONS = {"FROM", "RUN", "WORKDIR", "COPY", "USER", "ENV", "VOLUME", "HEALTHCHECK", "CMD"}
# what each example is run with, in an environment of its own, and how
AIRFLOW = ("apache-airflow>=3", "astronomer-cosmos>=1.10")
SCHEDULERS: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "airflow_plain": (
        "airflow",
        AIRFLOW,
        "import airflow_plain as e; assert e.dag.test().state == 'success'",
    ),
    "airflow_cosmos": (
        "airflow",
        AIRFLOW,
        "import airflow_cosmos as e; assert e.dag.test().state == 'success'",
    ),
    "dagster_visits": (
        "dagster",
        ("dagster", "dagster-dbt", "dbt-core<1.12", "dbt-duckdb>=1.11,<1.12"),
        "import dagster_visits as e; assert e.defs.resolve_job_def('night')"
        ".execute_in_process().success",
    ),
    "prefect_visits": ("prefect", ("prefect>=3",), "import prefect_visits as e; e.visits()"),
}


def text(name: str) -> str:
    """An example."""
    return (FOLDER / name).read_text(encoding="utf-8")


def test_the_page_leads_to_each_example() -> None:
    """And names no other."""
    linked = re.findall(r"\(examples/schedule/([\w.-]+)\)", (PROJECT / PAGE).read_text())
    assert {*linked} == {path.name for path in FOLDER.iterdir() if path.is_file()}


def test_examples_in_python_compile_and_are_all_run() -> None:
    """The latter by `make test-schedulers`."""
    paths = sorted(FOLDER.glob("*.py"))
    for path in paths:
        compile(path.read_text(encoding="utf-8"), str(path), "exec")
    assert {path.stem for path in paths} == SCHEDULERS.keys()


def test_commands_have_the_options_that_examples_give() -> None:
    """In the examples that are not run."""
    found = 0
    for path in FOLDER.iterdir():
        if path.is_file() and path.suffix != ".py":
            for command, rest in COMMAND.findall(path.read_text(encoding="utf-8")):
                options = {o for each in cli.commands[command].params for o in each.opts}
                assert {*re.findall(r"--[a-z-]+", rest)} <= options, (path.name, rest)
                found += 1
    assert found > 4


def test_the_crontab_is_one() -> None:
    """Comments, settings, and lines of five fields and a command that a shell takes."""
    commands = []
    for line in text("crontab").splitlines():
        if not line.startswith(("#", "MAILTO=")):
            match = CRON.fullmatch(line)
            assert match, line
            # cron makes new lines of them
            assert "%" not in match[2]
            commands.append(match[2])
    assert len(commands) == 2
    subprocess.run(["sh", "-n", "-c", "\n".join(commands)], check=True)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """With the program where it is here, and with a unit that alerts."""
    for path in (*FOLDER.glob("*.service"), *FOLDER.glob("*.timer")):
        unit = path.read_text(encoding="utf-8").replace("/srv/visits/.venv/bin", str(BIN))
        (tmp_path / path.name).write_text(unit, encoding="utf-8")
    alert = "[Service]\nType=oneshot\nExecStart=/bin/true\n"
    (tmp_path / "alert@.service").write_text(alert, encoding="utf-8")
    units = sorted(path.name for path in tmp_path.glob("rep-ai*"))
    assert len(units) == 4
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        cwd=tmp_path,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert not [line for line in said.stdout.splitlines() if "rep-ai" in line], said.stdout


def test_the_workflow_and_the_composition_are_whole() -> None:
    """Steps do something, and a service waits for one that says when it is there."""
    workflow: dict[Any, Any] = yaml.safe_load(text("github.yml"))
    # YAML 1.1 takes the key `on` for true
    assert {"cron": "0 4 * * *"} in workflow[True]["schedule"]
    for step in workflow["jobs"]["night"]["steps"]:
        assert ("uses" in step) != ("run" in step)
    composition = yaml.safe_load(text("compose.yml"))
    services = composition["services"]
    for service in services.values():
        for name, wait in service.get("depends_on", {}).items():
            assert wait == {"condition": "service_healthy"}
            assert "healthcheck" in services[name]
    database = services["db"]["environment"]
    visits = services["visits"]["environment"]
    assert visits["PGUSER"] == database["POSTGRES_USER"]
    assert visits["PGDATABASE"] == database["POSTGRES_DB"]


def test_the_image_is_locked_and_not_roots() -> None:
    """Its lines in order: root installs by hashes, and from then on it is another user."""
    joined = text("Dockerfile").replace("\\\n", "")
    lines = [line.split(None, 1) for line in joined.splitlines() if line and line[0] != "#"]
    words = [word for word, _ in lines]
    assert words[0] == "FROM"
    assert {*words} <= INSTRUCTIONS
    user = words.index("USER")
    assert lines[user][1] != "root"
    assert "RUN" not in words[user:]
    assert [rest for word, rest in lines if word == "RUN" and "pip install" in rest]
    for word, rest in lines:
        if word == "RUN":
            subprocess.run(["sh", "-n", "-c", rest], check=True)
            assert "pip install" not in rest or "--require-hashes" in rest
    (health,) = (rest for word, rest in lines if word == "HEALTHCHECK")
    assert '"rep-ai", "status", "--max-age"' in health


# ------------------------------------------------------------------------------------- run for real


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that imports this one, with dumps of the last days."""
    folder = tmp_path_factory.mktemp("schedule") / "visits"
    shutil.copytree(PROJECT / "docs" / "examples" / "package", folder)
    packages = {"packages": [{"local": str(PROJECT)}]}
    (folder / "packages.yml").write_text(yaml.safe_dump(packages), encoding="utf-8")
    first_day = (datetime.now(UTC) - timedelta(days=3)).date()
    write_sample(
        folder / "dumps", days=3, sessions_per_day=30, first_day=first_day, redelivery=False
    )
    for command in ("deps", "parse"):
        subprocess.run([BIN / "dbt", "--quiet", command], cwd=folder, check=True)
    return folder


def python_of(scheduler: str, requirements: tuple[str, ...]) -> Path:
    """The Python of an environment with a scheduler, which is kept under `target`."""
    folder = PROJECT / "target" / "schedulers" / scheduler
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *requirements], check=True)
        (folder / "ready").touch()
    return folder / "bin" / "python"


@pytest.mark.skipif(not os.environ.get("REP_AI_SCHEDULERS"), reason="make test-schedulers")
@pytest.mark.parametrize("example", SCHEDULERS)
def test_an_example_builds_a_night(example: str, visits: Path, tmp_path: Path) -> None:
    """And finds it whole."""
    scheduler, requirements, program = SCHEDULERS[example]
    python = python_of(scheduler, requirements)
    database = tmp_path / "night.duckdb"
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith("REP_AI_")},
        "PYTHONPATH": str(FOLDER),
        "PYTHONDONTWRITEBYTECODE": "1",
        "VISITS_PROJECT": str(visits),
        "VISITS_PROFILE": "visits",
        "VISITS_SOURCE": str(visits / "dumps"),
        "VISITS_BIN": str(BIN),
        "VISITS_DUCKDB": str(database),
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__DAGS_FOLDER": str(FOLDER),
        "DAGSTER_HOME": str(tmp_path),
        "PREFECT_HOME": str(tmp_path),
        "DO_NOT_TRACK": "1",
    }
    if scheduler == "airflow":
        migrate = [str(python), "-m", "airflow", "db", "migrate"]
        subprocess.run(migrate, env=variables, cwd=tmp_path, check=True, capture_output=True)
    run = subprocess.run(
        [python, "-c", program],
        cwd=tmp_path,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-5000:]
    with duckdb.connect(str(database), read_only=True) as connection:
        (count,) = connection.execute("select count(*) from analytics_marts.visits").fetchall()[0]
    assert count
