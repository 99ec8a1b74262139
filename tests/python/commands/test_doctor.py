"""What is installed and set up: rep-ai doctor, init, --version, completion, and on Windows."""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest
from click.testing import CliRunner, Result

from processes import PROJECT
from rep_ai import installed
from rep_ai.cli import main
from rep_ai.cli.setup import EXAMPLES
from rep_ai.commands.doctor import without_persons
from rep_ai.landing.destinations import DuckDB
from rep_ai.sample import write_sample

WINDOWS = """
import sys
sys.platform = "win32"
# what Windows has not
sys.modules["fcntl"] = None
sys.argv = ["rep-ai", "status"]
import runpy
runpy.run_module("rep_ai", run_name="__main__")
"""


@pytest.fixture
def rep_ai(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command in an empty folder, on a database and artifacts of its own."""
    for name in list(os.environ):
        if name.startswith(("REP_AI_", "DBT_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    monkeypatch.setenv("REP_AI_DUCKDB", str(tmp_path / "warehouse.duckdb"))

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [*map(str, arguments)], prog_name="rep-ai")

    return run


def wrong(result: Result) -> list[str]:
    return [line for line in result.output.splitlines() if line.startswith("wrong: ")]


def test_the_doctor_finds_nothing_wrong(rep_ai: Callable[..., Result], tmp_path: Path) -> None:
    write_sample(tmp_path / "dumps", days=2, sessions_per_day=5)
    result = rep_ai("doctor", tmp_path / "dumps")
    assert (result.exit_code, wrong(result)) == (0, []), result.output
    assert "Nothing is wrong here." in result.output
    for said in ("rep-ai", "dbt-core", "dlt", str(PROJECT), "UTC", "and can be read", "GB free"):
        assert said in result.output
    # it makes no database
    assert not (tmp_path / "warehouse.duckdb").exists()


def test_settings_say_where_they_come_from(
    rep_ai: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REP_AI_TIMEZONE", "Europe/Berlin")
    lines = rep_ai("doctor", "--vars", "{rep_ai_supported_major: 2}").output.splitlines()
    found = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("rep_ai_")}
    assert found["rep_ai_timezone"] == ["Europe/Berlin", "REP_AI_TIMEZONE"]
    assert found["rep_ai_supported_major"] == ["2", "--vars"]
    assert found["rep_ai_source_schema"] == ["rep_ai_raw", "dbt_project.yml"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("REP_AI_TIMEZONE", "Mars/Olympus", "not the IANA name of a time zone"),
        ("REP_AI_TARGET", "nowhere", "no target 'nowhere'"),
        ("REP_AI_TIMEZON", "UTC", "environment REP_AI_TIMEZON set; unset it"),
        ("DBT_EMPTY", "true", "unset DBT_EMPTY"),
        ("REP_AI_DUCKDB_MEMORY", "900TB", "set REP_AI_DUCKDB_MEMORY to less than the 900TB"),
        ("REP_AI_DUCKDB", "/dev/null/w.duckdb", "let rep-ai write there"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(
    rep_ai: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    said: str,
) -> None:
    monkeypatch.setenv(name, value)
    result = rep_ai("doctor")
    assert result.exit_code == 1
    assert said in "\n".join(wrong(result)), result.output


def test_spark_is_left_to_dbt(
    rep_ai: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REP_AI_TARGET", "spark")
    result = rep_ai("doctor")
    assert result.exit_code == 0, result.output
    assert "dbt debug" in result.output


def test_where_there_is_no_project_that_is_said_once(
    rep_ai: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DBT_PROJECT_DIR", str(tmp_path))
    result = rep_ai("doctor")
    assert result.exit_code == 1
    assert len(wrong(result)) == 1
    assert "rep-ai init DIR makes a project" in result.output
    assert "dbt-core" in result.output


def test_a_run_that_holds_the_database_is_named(
    rep_ai: Callable[..., Result], tmp_path: Path
) -> None:
    database = DuckDB(tmp_path / "warehouse.duckdb")
    database.connect().close()
    with database.lock():
        said = rep_ai("doctor").output
    assert f"process {os.getpid()} on" in said


def test_a_damaged_database_and_a_missing_source_are_told_at_once(
    rep_ai: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "warehouse.duckdb").write_bytes(b"no database" * 2000)
    result = rep_ai("doctor", tmp_path / "none")
    assert [line.split()[1] for line in wrong(result)] == ["database", "sources"]


def test_the_bundle_has_nothing_of_a_person(
    rep_ai: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PGPASSWORD": "s3cr3t!",
        "PGUSER": "ada.lovelace",
        "PGHOST": "db.x",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("REP_AI_PUBLISH", "/srv/ada@example.com/ada.lovelace.duckdb")
    monkeypatch.setenv("HOME", str(tmp_path))
    source = "memory://ada:hunter2@host/jo@example.com.json?sig=s3cr3t!"
    result = rep_ai("doctor", source, "--bundle", "d.zip")
    assert "d.zip has it without personal data" in result.output
    with ZipFile(tmp_path / "d.zip") as bundle:
        assert bundle.namelist() == ["doctor.txt", "last_build.json"]
        text = "".join(bundle.read(name).decode() for name in bundle.namelist())
    assert "dbt-core" in text
    for secret in ("s3cr3t", "lovelace", "hunter2", "jo@", "ada@", str(tmp_path)):
        assert secret not in text, text
    own = "jo@example.com 6f9619ff-8b86-d011-b42d-00c04fc964ff s3://bucket/jo.json?key=x"
    assert without_persons(own) == "(address) (id) s3://..."


def test_the_bundle_hides_what_stands_in_the_profile(
    rep_ai: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = "{type: postgres, host: 127.0.0.1, port: 1, user: lovelace, pass: x, dbname: d}"
    text = f"rep_ai: {{target: own, outputs: {{own: {settings}}}}}\n"
    (tmp_path / "profiles.yml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("DBT_PROFILES_DIR", str(tmp_path))
    monkeypatch.delenv("REP_AI_TARGET", raising=False)
    assert rep_ai("doctor", "--bundle", "d.zip").exit_code == 1
    with ZipFile(tmp_path / "d.zip") as bundle:
        text = bundle.read("doctor.txt").decode()
    assert "PostgreSQL d on (hidden):1" in text
    assert "127.0.0.1" not in text and "lovelace" not in text


def test_versions(rep_ai: Callable[..., Result]) -> None:
    lines = rep_ai("--version").output.splitlines()
    names = [line.split()[0] for line in lines]
    assert {"rep-ai", "dbt-core", "dbt-duckdb", "dlt", "duckdb"} <= {*names}
    assert names[0] == "rep-ai"


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_has_an_example(rep_ai: Callable[..., Result], name: str) -> None:
    said = rep_ai(name, "--help").output
    assert EXAMPLES[name].startswith(f"rep-ai {name} ")
    assert said.endswith(f"For example:\n    {EXAMPLES[name]}\n")


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(name: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("rep-ai")],
        env={**os.environ, "_REP_AI_COMPLETE": f"{name}_source"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"_REP_AI_COMPLETE={name}_complete" in done.stdout


def test_windows_is_told_of_wsl_in_a_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WINDOWS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("rep-ai: ")
    assert "WSL" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_project_of_ones_own(rep_ai: Callable[..., Result], tmp_path: Path) -> None:
    result = rep_ai("init", "My visits")
    assert result.exit_code == 0, result.output
    project = tmp_path / "My visits"
    assert "name: my_visits\n" in (project / "dbt_project.yml").read_text(encoding="utf-8")
    assert (project / "dbt_packages" / "rep_ai").resolve() == installed.OURS
    # a new clone has no links, and another environment has others
    (project / installed.LINK).unlink()
    (project / "dbt_packages" / "rep_ai").unlink()
    (project / installed.LINK).symlink_to(tmp_path / "gone")
    installed.renew_links(project, project / "dbt_packages" / "rep_ai")
    assert (project / "dbt_packages" / "rep_ai" / "dbt_project.yml").is_file()
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    again = rep_ai("init", "My visits")
    assert again.exit_code == 1
    assert "has .github/workflows/rep_ai.yml, .gitignore" in again.output
    assert before == {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["dbt", "dbt_duckdb", "rep_ai", "2026"])
def test_a_project_is_called_as_dbt_can_bear_it(
    rep_ai: Callable[..., Result], tmp_path: Path, name: str
) -> None:
    assert rep_ai("init", name).exit_code == 0
    text = (tmp_path / name / "dbt_project.yml").read_text(encoding="utf-8")
    assert text.startswith("name: my_project\n")
