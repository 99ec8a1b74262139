"""The dbt project beside the package: where it is, its variables, and how dbt is called."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

DEFAULT_TARGET = "dev"
DEFAULT_DUCKDB = "rep_ai.duckdb"


class ProjectError(Exception):
    """The dbt project cannot be found or read; the message says what to do."""


def directory() -> Path:
    """The project in the working directory, else the checkout that this package lies in."""
    for path in (Path.cwd(), Path(__file__).resolve().parents[2]):
        if (path / "dbt_project.yml").is_file():
            return path
    raise ProjectError("no dbt_project.yml here; run rep-ai in a checkout of the project")


def variables(overrides: dict[str, Any] | None = None) -> dict[str, Any]:
    """The project's variables, those of the command line first."""
    text = (directory() / "dbt_project.yml").read_text(encoding="utf-8")
    return {**yaml.safe_load(text).get("vars", {}), **(overrides or {})}


def target() -> str:
    """The profile's target that is used where no option names one."""
    return os.environ.get("REP_AI_TARGET", DEFAULT_TARGET)


def duckdb_path() -> Path:
    """The DuckDB file that dlt and dbt share."""
    return Path(os.environ.get("REP_AI_DUCKDB", DEFAULT_DUCKDB)).absolute()


def target_path() -> Path:
    """Where dbt leaves its artifacts."""
    return directory() / os.environ.get("DBT_TARGET_PATH", "target")


def dbt(arguments: Sequence[str], *, target: str) -> int:
    """Run dbt on the project, its output passed through, and return its exit code."""
    command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", *arguments]
    command += ["--target", target]
    command += ["--project-dir", str(directory())]
    if "DBT_PROFILES_DIR" not in os.environ:
        command += ["--profiles-dir", str(directory())]
    environment = {**os.environ, "REP_AI_DUCKDB": str(duckdb_path())}
    # the lock of the run is among the open files
    run = subprocess.run(command, env=environment, check=False, close_fds=False)  # noqa: S603
    return run.returncode
