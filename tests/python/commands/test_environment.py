"""What rep-ai takes from the environment: its own settings, dbt's, and those of a scheduler."""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from dumps import DAY, NIGHT, document, write
from processes import PROJECT
from rep_ai import dbt_options, project
from rep_ai.errors import RepAiError

BIN = Path(sys.executable).parent
SESSIONS = "select count(*) from rep_ai.fct_rep_ai__sessions"


def from_cron(folder: Path, command: str, code: int = 0, **environment: str) -> str:
    """Run a line in a working folder of its own, in an environment with next to nothing."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


@pytest.fixture
def dumps(tmp_path: Path) -> Path:
    """A night with a session late in the evening of UTC, and an unknown type."""
    late = NIGHT + 20 * 3_600_000
    session = {"id": "s", "start_time": late, "end_time": late + 1000}
    action = {"id": "a", "action": "SCREEN_SHARE", "session_id": "s", "timestamp": late}
    members: dict[str, Any] = {
        "unique_visitor_sessions": {"s": session},
        "unique_visitor_session_actions": [action],
    }
    return write(tmp_path / "dumps/first.json", document(NIGHT, NIGHT + DAY, **members)).parent


@pytest.mark.parametrize(
    "variable",
    [
        *("DBT_EMPTY=1", "DBT_ENGINE_EMPTY=true", "DBT_RESOURCE_TYPES=test", "DBT_DEFER=1"),
        *("DBT_EXCLUDE_RESOURCE_TYPES=model", "DBT_FULL_REFRESH=1", "DBT_SAMPLE=1 day"),
    ],
)
def test_a_run_that_would_not_build_all_is_refused_before_it_lands(
    tmp_path: Path, dumps: Path, variable: str
) -> None:
    name, _, value = variable.partition("=")
    where = {"REP_AI_DUCKDB": str(tmp_path / "x.duckdb"), name: value}
    said = from_cron(tmp_path / "cron", f"{BIN}/rep-ai run --quiet {dumps}", 1, **where)
    assert f"rep-ai: {name} is '{value}' in the environment" in said and f"unset {name}" in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "x.duckdb").exists()


def test_every_option_that_dbt_reads_is_judged() -> None:
    """A new one of dbt's is looked at by somebody, before a run obeys half of it."""
    from dbt.cli.main import cli

    build = cli.commands["build"]
    names = {
        name
        for parameter in build.params
        for name in (parameter.envvar or ())
        if name.startswith("DBT_ENGINE_")
    }
    where = {"PROJECT_DIR", "PROFILES_DIR", "PROFILE", "TARGET", "TARGET_PATH", "LOG_PATH"}
    # of the way, or what is said; rep-ai sets WRITE_JSON
    harmless = {
        "DEBUG",
        "WRITE_JSON",
        "INCLUDE_SAVED_QUERY",
        "NO_PRINT",
        "LOG_FORMAT",
        "FAIL_FAST",
        "PARTIAL_PARSE",
        "DEFER_STATE",
        "PRINT",
        "FAVOR_STATE",
        "SQLPARSE",
        "QUIET",
        "INTROSPECT",
        "LOG_LEVEL_FILE",
        "PRINTER_WIDTH",
        "STATE",
        "USE_COLORS",
        "LOG_FORMAT_FILE",
        "PARTIAL_PARSE_FILE_PATH",
        "INDIRECT_SELECTION",
        "PARTIAL_PARSE_FILE_DIFF",
        "USE_COLORS_FILE",
        "EXPORT_SAVED_QUERIES",
        "STATIC_PARSER",
        "USE_EXPERIMENTAL_PARSER",
        "LOG_CACHE_EVENTS",
        "LOG_LEVEL",
        "POPULATE_CACHE",
        "ARTIFACT_STATE_PATH",
        "WARN_ERROR_OPTIONS",
        "SEND_ANONYMOUS_USAGE_STATS",
        "MACRO_DEBUGGING",
        "SHOW_RESOURCE_REPORT",
        "CACHE_SELECTED_ONLY",
        "UPLOAD_TO_ARTIFACTS_INGEST_API",
        "VERSION_CHECK",
        "FAVOR_STATE_MODE",
        "USE_FAST_TEST_EDGES",
        "WARN_ERROR",
        "SINGLE_THREADED",
        "LOG_FILE_MAX_BYTES",
    }
    judged = where | harmless | set(dbt_options.SELECTING)
    assert {name.removeprefix("DBT_ENGINE_") for name in names} - judged == set()


def test_a_run_from_elsewhere_lands_and_builds_in_one_database(tmp_path: Path, dumps: Path) -> None:
    """By a profile of one's own with a relative path; and what is printed can be pasted."""
    checkout, profiles, cron = (tmp_path / name for name in ("checkout", "profiles", "cron"))
    ignored = shutil.ignore_patterns(".*", "target", "*.duckdb", "python", "docs")
    shutil.copytree(PROJECT, checkout, ignore=ignored)
    output = {"type": "duckdb", "path": "own.duckdb", "schema": "rep_ai", "threads": 1}
    profiles.mkdir()
    outputs = {"target": "one", "outputs": {"one": {"type": "duckdb"}, "two": output}}
    (profiles / "profiles.yml").write_text(yaml.safe_dump({"mine": outputs}), encoding="utf-8")
    where = {
        "DBT_PROJECT_DIR": str(checkout),
        "DBT_PROFILES_DIR": str(profiles),
        "DBT_PROFILE": "mine",
        "DBT_TARGET": "two",
        "REP_AI_TIMEZONE": "Asia/Kolkata",
        "REP_AI_INCLUDE_UNKNOWN_TYPES": "true",
    }
    said = from_cron(cron, f"{BIN}/rep-ai run {dumps}", 0, **where)
    with duckdb.connect(str(checkout / "own.duckdb"), read_only=True) as connection:
        assert connection.sql(SESSIONS).fetchall() == [(1,)]
        days = connection.sql("select activity_date from rep_ai.rep_ai__daily_activity").fetchall()
        assert str(days[-1][0]) == "2025-03-10"
        actions = "select action_type from rep_ai.fct_rep_ai__actions"
        assert connection.sql(actions).fetchall() == [("SCREEN_SHARE",)]
    assert list(cron.iterdir()) == []
    # in the shell of a person, without what the scheduler set
    (query,) = re.findall(r"^  (.* show --inline .*)$", said, re.MULTILINE)
    assert "ended" in from_cron(tmp_path / "person", query)
    (types,) = re.findall(r"^Add them, then run again: (.*)$", said, re.MULTILINE)
    assert "action SCREEN_SHARE: added" in from_cron(tmp_path / "person", types)
    assert "1 dump is loaded" in from_cron(cron, f"{BIN}/rep-ai status", 0, **where)
    assert not list(tmp_path.rglob("warehouse.duckdb"))


def test_rep_ai_looks_above_the_working_folder(tmp_path: Path) -> None:
    for name in ("dbt_project.yml", "profiles.yml"):
        (tmp_path / name).write_bytes((PROJECT / name).read_bytes())
    said = from_cron(tmp_path / "below", f"{BIN}/rep-ai status")
    assert f"Nothing is loaded in {tmp_path}/warehouse.duckdb yet" in said
    said = from_cron(tmp_path / "below", f"{BIN}/rep-ai status", REP_AI_DUCKDB="x.duckdb")
    assert f"Nothing is loaded in {tmp_path}/x.duckdb yet" in said


def test_variables_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REP_AI_TIMEZONE", "Europe/Berlin")
    monkeypatch.setenv("REP_AI_SUPPORTED_MAJOR", "2")
    monkeypatch.setenv("REP_AI_INCLUDE_UNKNOWN_TYPES", "true")
    monkeypatch.setenv("REP_AI_SOURCE_SCHEMA", "")
    assert project.variables_of_environment() == {
        "rep_ai_timezone": "Europe/Berlin",
        "rep_ai_supported_major": 2,
        "rep_ai_include_unknown_types": True,
    }


def test_a_misspelt_variable_of_the_project_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (PROJECT / "dbt_project.yml").read_text(encoding="utf-8")
    wrong = text.replace("  rep_ai_timezone: UTC", "  rep_ai_timezone: UTC\n  rep_ai_feilds: {}")
    assert wrong != text
    (tmp_path / "dbt_project.yml").write_text(wrong, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RepAiError, match="no variable rep_ai_feilds; there is rep_ai_fields"):
        project.variables()
    with pytest.raises(RepAiError, match="no variable rep_ai_timezon; there is rep_ai_timezone"):
        monkeypatch.chdir(PROJECT)
        project.variables({"rep_ai_timezon": "UTC"})


def test_dbt_and_rep_ai_know_the_same_variables() -> None:
    macro = (PROJECT / "macros/runs.sql").read_text(encoding="utf-8")
    (listed,) = re.findall(r"set known = \[(.*?)\]", macro, re.DOTALL)
    assert set(re.findall(r"'(\w+)'", listed)) == set(project.VARIABLES)
    settings = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))
    assert settings["vars"].keys() == set(project.VARIABLES) - {
        "rep_ai_source_database",
        "rep_ai_file_format",
    }
