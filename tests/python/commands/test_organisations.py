"""--all: several organisations by one command, each in a file or schema of its own."""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

import pages
from dumps import DAY, NIGHT, document, write
from marts import environment
from processes import PROJECT
from rep_ai.commands import organisations
from rep_ai.errors import ProjectError
from rep_ai.landing.destinations import of_target
from rep_ai.landing.errors import DestinationError
from replay import postgres_connection

ACME, GLOBEX = "acme", "globex"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with a night of each of two organisations, of the same window."""
    folder = tmp_path_factory.mktemp("organisations")
    for part in ("macros", "models", "seeds", "tests"):
        shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("python"))
    for part in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(PROJECT / part, folder)
    for number, name in enumerate((ACME, GLOBEX), 1):
        sessions = {
            f"{name}-{n}": {"id": f"{name}-{n}", "start_time": NIGHT, "end_time": NIGHT + 1}
            for n in range(number)
        }
        content = document(NIGHT, NIGHT + DAY, unique_visitor_sessions=sessions)
        write(folder / "dumps" / name / "1.json", content)
    configure(folder)
    return folder


def configure(folder: Path, **changed: Any) -> None:
    """Write rep_ai.yml, with other settings of some organisations."""
    listed = {
        name: {"sources": [str(folder / "dumps" / name)], **changed.get(name, {})}
        for name in (ACME, GLOBEX)
    }
    text = yaml.safe_dump({"organisations": listed})
    (folder / "rep_ai.yml").write_text(text, encoding="utf-8")


def variables(folder: Path) -> dict[str, str]:
    """The environment of a command in the project."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DBT_", "REP_AI_"))}
    return {**kept, "DBT_PROJECT_DIR": str(folder), "DBT_PROFILES_DIR": str(folder)}


def start(folder: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rep_ai", *arguments],
        env={**variables(folder), **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def rep_ai(folder: Path, *arguments: str, code: int = 0, **more: str) -> tuple[str, str]:
    process = start(folder, *arguments, **more)
    out, err = process.communicate()
    assert process.returncode == code, out + err
    return out, err


def test_the_failure_of_one_does_not_stop_the_others(project: Path) -> None:
    configure(project, acme={"sources": [str(project / "nothing")], "database": "lost.duckdb"})
    out, err = rep_ai(project, "ingest", "--all", code=1)
    assert re.search(r"^acme \| rep-ai: .*nothing: ", err, re.MULTILINE)
    assert re.search(r"^globex \| loaded +1$", out, re.MULTILINE)
    assert out.endswith("exit codes: acme 1, globex 0\n")
    assert all(line.startswith(("acme | ", "globex | ", "exit")) for line in out.splitlines())
    configure(project)
    write(project / "dumps" / GLOBEX / "bad.json", b"{")
    try:
        out, _ = rep_ai(project, "ingest", "--all", "--json", "--quiet", code=3)
        found = json.loads(out)
        assert found["exit_code"] == 3 and [*found["organisations"]] == [ACME, GLOBEX]
        codes = {name: each["exit_code"] for name, each in found["organisations"].items()}
        assert codes == {ACME: 0, GLOBEX: 3}
        # a problem of one
        out, _ = rep_ai(project, "status", "--all", "--json", "--max-age", "26h", code=1)
        databases = {n: d["database"] for n, d in json.loads(out)["organisations"].items()}
        assert databases == {name: str(project / f"{name}.duckdb") for name in (ACME, GLOBEX)}
    finally:
        (project / "dumps" / GLOBEX / "bad.json").unlink()


def test_a_view_shows_all_files(project: Path) -> None:
    """As docs/operate.md has it."""
    configure(project)
    _, err = rep_ai(project, "run", "--all", "--quiet")
    assert "exit codes: acme 0, globex 0" in err
    (sql,) = [sql for sql in blocks() if "attach" in sql]
    with duckdb.connect() as connection:
        for statement in sql.replace("'acme.", f"'{project}/acme.").split(";"):
            connection.execute(statement.replace("'globex.", f"'{project}/globex."))
        rows = connection.execute(
            "select organisation, count(*) from all_sessions group by 1 order by 1"
        ).fetchall()
    assert rows == [(ACME, 1), (GLOBEX, 2)]


def test_two_organisations_run_at_once_in_one_database(
    project: Path, postgres: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL each has schemas of its own, by the same rep_ai.yml."""
    configure(project)
    for name, value in {**variables(project), **postgres}.items():
        monkeypatch.setenv(name, value)
    found = organisations.read("postgres")
    assert [each.environment["REP_AI_SCHEMA"] for each in found] == [ACME, GLOBEX]
    options = ("run", "--quiet", "--target", "postgres")
    processes = [
        start(project, *options, *each.sources, **postgres, **each.environment) for each in found
    ]
    for process in processes:
        said = "".join(process.communicate())
        assert process.returncode == 0, said
    (sql,) = [sql for sql in blocks() if "acme_rep_ai." in sql]
    with closing(postgres_connection(postgres)) as connection:
        cursor = connection.cursor()
        cursor.execute(sql)
        cursor.execute("select organisation, count(*) from all_sessions group by 1 order by 1")
        assert cursor.fetchall() == [(ACME, 1), (GLOBEX, 2)]
        cursor.execute("select distinct table_schema from information_schema.tables")
        schemas = {schema for (schema,) in cursor.fetchall() if "rep_ai" in schema}
    assert schemas == {
        f"{name}_rep_ai{part}"
        for name in (ACME, GLOBEX)
        for part in ("", "_intermediate", "_raw", "_staging")
    }
    locked(postgres, monkeypatch)


def locked(postgres: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that share raw tables or marts exclude each other, and no others."""
    monkeypatch.setenv("REP_AI_SCHEMA", ACME)
    acme = of_target("postgres")
    monkeypatch.setenv("REP_AI_SCHEMA", GLOBEX)
    globex = of_target("postgres")
    with acme.lock("acme_rep_ai_raw"), globex.lock("globex_rep_ai_raw"):
        for one, raw in ((globex, None), (acme, "other"), (of_target("postgres"), "other")):
            with pytest.raises(DestinationError, match="another run holds"), one.lock(raw):
                pass
    with globex.lock("acme_rep_ai_raw"), pytest.raises(DestinationError, match="another run"):
        acme.lock("acme_rep_ai_raw").__enter__()


def blocks() -> list[str]:
    return re.findall(r"^```sql\n(.*?)^```", pages.text("docs/operate.md"), re.DOTALL | re.M)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "organisations"),
        ("organisations: [a]", "organisations"),
        ("organisations: {a: {source: x}}", "there is no setting source"),
        ("organisations: {a: {}}", "no list of sources"),
        ("organisations: {}", "no organisation"),
        ("organisations: {a: {sources: x, environment: [y]}}", "environment is a mapping"),
        ("organisations: {a: {sources: x, schema: A-b}}", "lower-case letters"),
        ("organisations: {A-b: {sources: x}}", "lower-case letters"),
        ("organisations: {a: {sources: x, vars: {rep_ai_source_schema: y}}}", "schema decides"),
        (
            "organisations: {a: {sources: x, database: d.duckdb}, "
            "b: {sources: y, database: d.duckdb}}",
            "b and a would be in one place",
        ),
    ],
)
def test_what_is_wrong_in_the_file_is_said(
    project: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    for name, value in {**environment(project), **variables(project)}.items():
        monkeypatch.setenv(name, value)
    (project / "rep_ai.yml").write_text(text, encoding="utf-8")
    with pytest.raises(ProjectError, match=said):
        organisations.read()


def test_a_profile_that_has_one_schema_for_all_is_refused(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even for one organisation: others may build there."""
    text = (project / "profiles.yml").read_text(encoding="utf-8")
    fixed = text.replace("\"{{ env_var('REP_AI_SCHEMA', 'rep_ai') }}\"", "rep_ai")
    assert fixed != text
    (tmp_path / "profiles.yml").write_text(fixed, encoding="utf-8")
    for name, value in {**environment(project), **variables(project)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DBT_PROFILES_DIR", str(tmp_path))
    one = "organisations: {acme: {sources: x, schema: acme}}"
    (project / "rep_ai.yml").write_text(one, encoding="utf-8")
    with pytest.raises(ProjectError, match="REP_AI_SCHEMA"):
        organisations.read()


def test_wrong_usage(project: Path) -> None:
    assert "Missing argument 'SOURCE...'" in rep_ai(project, "run", code=2)[1]
    assert "--all takes neither SOURCE" in rep_ai(project, "run", "--all", "x", code=2)[1]
