"""The commands as a new user runs them, on sample dumps, and the README's own words."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest
from click.testing import CliRunner

from rep_ai import cli, report

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


class Place(NamedTuple):
    """A folder of dumps, the database beside it, and what `rep-ai run` said."""

    dumps: Path
    database: Path
    environment: dict[str, str]
    said: str


def rep_ai(*arguments: object, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run the command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from rep_ai.cli import main; main()", *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Sample dumps, run once."""
    folder = tmp_path_factory.mktemp("cli")
    environment = {
        **os.environ,
        "REP_AI_DUCKDB": str(folder / "rep_ai.duckdb"),
        "REP_AI_TARGET": "dev",
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
    }
    sampled = rep_ai("sample", folder / "dumps", environment=environment)
    assert sampled.returncode == 0, sampled.stderr
    done = rep_ai("run", folder / "dumps", environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    yield Place(folder / "dumps", folder / "rep_ai.duckdb", environment, done.stdout)


def test_run_says_what_came_out(place: Place) -> None:
    """The rows of each mart, where they are, and a query that runs."""
    with duckdb.connect(str(place.database), read_only=True) as connection:
        marts = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'rep_ai' "
            "and table_name not in ('rep_ai_action_types', 'rep_ai_interaction_types')"
        ).fetchall()
        assert len(marts) == 12
        for (mart,) in marts:
            found = re.search(rf"^rep_ai\.{mart} +([\d,]+)$", place.said, re.MULTILINE)
            assert found, mart
            (rows,) = connection.execute(f"select count(*) from rep_ai.rep_ai.{mart}").fetchall()
            assert rows == (int(found[1].replace(",", "")),)
        assert connection.execute(rendered(report.FIRST_QUERY)).fetchall()
    assert str(place.database) in place.said
    assert report.FIRST_QUERY in place.said


def test_run_names_unknown_types_and_the_command(place: Place) -> None:
    """The sample brings two types that no seed knows."""
    assert re.search(
        r"2 types are not known yet.*\n.*CO_BROWSE: [\d,]+\n.*SCREEN_SHARE", place.said
    )
    assert "rep-ai types --add-all" in place.said


def test_a_second_run_loads_nothing(place: Place) -> None:
    """What is known is not read again."""
    again = rep_ai("ingest", place.dumps, environment=place.environment)
    assert again.returncode == 0
    assert re.search("^skipped: known already +15$", again.stdout, re.MULTILINE)
    assert re.search("^records +0$", again.stdout, re.MULTILINE)


def test_status_and_types(place: Place) -> None:
    """Both read the same database."""
    status = rep_ai("status", environment=place.environment)
    assert status.returncode == 0
    assert re.search(r"^loaded +15$", status.stdout, re.MULTILINE)
    assert re.search(r"^delivered +14$", status.stdout, re.MULTILINE)
    listed = rep_ai("types", environment=place.environment)
    assert re.search(r"^action +SCREEN_SHARE +[\d,]+$", listed.stdout, re.MULTILINE)


def blocks() -> list[tuple[str, list[list[str]]]]:
    """The README's queries, each with the cells of the table behind it."""
    found = re.findall(r"```sql\n(.*?)```\n\n((?:\|[^\n]*\n)+)", README, re.DOTALL)
    return [
        (sql, [[c.strip() for c in row.strip("|").split("|")] for row in table.splitlines()])
        for sql, table in found
    ]


@pytest.mark.parametrize("number", range(3))
def test_the_readme_shows_real_output(place: Place, number: int) -> None:
    """Each query of the README gives what the README says."""
    sql, table = blocks()[number]
    with duckdb.connect(str(place.database), read_only=True) as connection:
        # as dbt show does
        result = connection.execute(f"{rendered(sql)}\nlimit 5")
        header = [column[0] for column in result.description or ()]
        rows = [[shown(value) for value in row] for row in result.fetchall()]
    assert [header, *rows] == [table[0], *table[2:]]


def rendered(sql: str) -> str:
    """A query as dbt runs it."""
    return re.sub(r"\{\{ ref\(['\"](\w+)['\"]\) \}\}", r"rep_ai.rep_ai.\1", sql)


def shown(value: object) -> str:
    """A value as the README's tables show it."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{Decimal(value):,.1f}" if isinstance(value, float | Decimal) else str(value)


def test_the_readme_names_files_that_exist() -> None:
    """Every path in the table of rules is there."""
    for path in re.findall(r"`((?:ingest|models|macros|seeds|tests)/[\w/.]+)`", README):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["ingest"], 2, "Missing argument"),
        (["ingest", "--vars", "[1]", "x"], 2, "YAML mapping"),
        (["ingest", "--vars", "{a", "x"], 2, "YAML mapping"),
        (["ingest", "--vars", "{rep_ai_supported_major: x}", "x"], 1, "must be a whole number"),
        (["ingest", "no/such/folder"], 1, "no such file or folder"),
        (["ingest", "--target", "oracle", "x"], 1, "no target 'oracle'"),
        (["types", "--add", "SCREEN_SHARE"], 2, "not KIND:TYPE"),
        (["sample", "x", "--timezone", "Mars/Olympus"], 2, "Mars/Olympus"),
        (["status"], 0, "Nothing is loaded"),
    ],
)
def test_usage_and_failure(
    arguments: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit codes and a sentence, never a traceback."""
    monkeypatch.setenv("REP_AI_DUCKDB", str(tmp_path / "none.duckdb"))
    result = CliRunner().invoke(cli.main, arguments)
    assert result.exit_code == code
    assert said in result.output
    assert "Traceback" not in result.output
    assert list(tmp_path.glob("*.duckdb")) == []


def test_status_forgets_what_was_mended(place: Place, tmp_path: Path) -> None:
    """A rejected file that was replaced by a good one is not called rejected."""
    environment = {**place.environment, "REP_AI_DUCKDB": str(tmp_path / "mended.duckdb")}
    night = tmp_path / "night \n\x1b[31m.json"
    night.write_bytes(b"")
    assert rep_ai("ingest", night, environment=environment).returncode == 3
    said = rep_ai("status", environment=environment).stdout
    assert "the file is empty" in said
    assert "\x1b" not in said
    assert r"night \n\x1b[31m.json: the file is empty" in said
    night.write_bytes(next(place.dumps.iterdir()).read_bytes())
    assert rep_ai("ingest", night, environment=environment).returncode == 0
    assert "the file is empty" not in rep_ai("status", environment=environment).stdout


def test_types_are_added_to_the_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line a type, each once, spelled exactly."""
    (tmp_path / "seeds").mkdir()
    (tmp_path / "dbt_project.yml").write_text("vars: {}\n")
    for seed in ("rep_ai_action_types", "rep_ai_interaction_types"):
        (tmp_path / f"seeds/{seed}.csv").write_text("type,label,description\nALERT,Alert,Known\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REP_AI_DUCKDB", str(tmp_path / "none.duckdb"))
    add = ["--add", 'action:A "b", c', "--add", "action:ALERT", "--add", "interaction:007"]
    result = CliRunner().invoke(cli.main, ["types", *add])
    assert result.exit_code == 0, result.output
    actions = (tmp_path / "seeds/rep_ai_action_types.csv").read_text().splitlines()
    assert actions[2:] == ['"A ""b"", c","A ""b"", c",Added by rep-ai types']
    assert (tmp_path / "seeds/rep_ai_interaction_types.csv").read_text().splitlines()[2] == (
        "007,007,Added by rep-ai types"
    )
