"""The dbt project beside the package: where it is, its variables, and how dbt is called."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import yaml

from rep_ai.errors import RepAiError
from rep_ai.words import one_line

DEFAULT_TARGET = "dev"
# a file called as the schema rep_ai would make names ambiguous
DEFAULT_DUCKDB = "warehouse.duckdb"
# where `make run` keeps samples away from real dumps
SAMPLE_DUCKDB = "sample.duckdb"


class ProjectError(RepAiError):
    """The dbt project cannot be found or read."""


def directory() -> Path:
    """The project in the working directory, else the checkout that this package lies in.

    Raises:
        ProjectError: there is none in either.
    """
    for path in (Path.cwd(), Path(__file__).resolve().parents[2]):
        if (path / "dbt_project.yml").is_file():
            return path
    raise ProjectError("no dbt_project.yml here", to_do="run rep-ai in a checkout of the project")


def installs(extra: str) -> str:
    """What adds an extra; the package is on no index."""
    return f"pip install --editable '.[{extra}]' in a checkout of the project"


def variables(overrides: dict[str, Any] | None = None) -> dict[str, Any]:
    """The project's variables, those of the command line (`overrides`) first.

    Raises:
        ProjectError: the project cannot be found or read.
    """
    path = directory() / "dbt_project.yml"
    try:
        ours = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("vars") or {}
        if "rep_ai_source_schema" not in ours:
            raise ValueError("it does not set the variables of rep_ai; run rep-ai in its checkout")
        return {**ours, **(overrides or {})}
    except (AttributeError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ProjectError(f"{path} cannot be read: {one_line(error)}") from None


def target() -> str:
    """The profile's target that is used where no option names one."""
    return os.environ.get("REP_AI_TARGET", DEFAULT_TARGET)


def duckdb_path() -> Path:
    """The DuckDB file that dlt and dbt share: beside the project, unless a variable names one."""
    if named := os.environ.get("REP_AI_DUCKDB"):
        return Path(named).absolute()
    return directory() / DEFAULT_DUCKDB


def first_step(database: str) -> str:
    """What to do where a database has nothing, and where the samples are if that is the default."""
    step = "rep-ai run SOURCE"
    samples = directory() / SAMPLE_DUCKDB
    if database == str(directory() / DEFAULT_DUCKDB) and samples.exists():
        step += f" (REP_AI_DUCKDB={_shown(samples)} has the samples of make run)"
    return step


def command(program: str, database: str | None) -> str:
    """How a shell in the working folder calls a program on a DuckDB file; None: on PostgreSQL.

    What leads this process there may be set for it alone, as `make` does.
    """
    called = _shown(Path(sys.executable).parent / program)
    if database is None:
        return f"REP_AI_TARGET=postgres {called}"
    if database != str(directory() / DEFAULT_DUCKDB):
        return f"REP_AI_DUCKDB={_shown(Path(database))} {called}"
    return called


def _shown(path: Path) -> str:
    """A path as a shell in the working folder takes it."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def target_path() -> Path:
    """Where dbt leaves its artifacts."""
    return directory() / os.environ.get("DBT_TARGET_PATH", "target")


def log_path() -> Path:
    """Where dbt writes its log: beside its artifacts, unless a variable says otherwise."""
    return directory() / os.environ.get("DBT_LOG_PATH", target_path())


def make_target_path() -> None:
    """Make the folder of the artifacts, since dbt fails without a word where it cannot.

    Raises:
        ProjectError: it cannot be written.
    """
    path = target_path()
    try:
        path.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=path).close()
    except OSError as error:
        raise ProjectError(
            f"{path} cannot be written: {error.strerror}",
            to_do="DBT_TARGET_PATH names another folder for what dbt leaves",
        ) from None


def dbt(arguments: Sequence[str], *, target: str, say: Callable[[str], None]) -> int:
    """Run dbt on the project.

    Args:
        arguments: dbt's own.
        target: target of the profile.
        say: called with each line of dbt's output.

    Returns:
        The exit code.
    """
    command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", *arguments]
    command += ["--target", target]
    command += ["--project-dir", str(directory())]
    if "DBT_PROFILES_DIR" not in os.environ:
        command += ["--profiles-dir", str(directory())]
    command += ["--log-path", str(log_path())]
    has_colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    environment = {
        "DBT_USE_COLORS": str(has_colors),
        **os.environ,
        "REP_AI_DUCKDB": str(duckdb_path()),
        "PYTHONIOENCODING": "utf-8",
    }
    with subprocess.Popen(  # noqa: S603
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        # the lock of the run is among the open files
        close_fds=False,
    ) as process:
        try:
            for line in process.stdout or ():
                say(line.rstrip("\n"))
        except BaseException:
            process.kill()
            raise
    return process.returncode
