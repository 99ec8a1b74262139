"""The ways into the project, as its pages and any user of dbt would go: in a fresh copy of it.

All commands but most of dbt's are new processes, by the names that a shell finds. They take their
time, so what needs not wait for another goes on beside it: a test takes what its scene has come to.
"""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest

import pages
import processes
from processes import PROJECT
from rep_ai.sample import write_sample

SESSIONS = "rep_ai.fct_rep_ai__sessions"
# on a new database, after `rep-ai ingest`; test_docs.py begins with `dbt build`
PLAIN_DBT = ("dbt docs generate", "dbt run", "dbt test", "dbt build")
# variables that lead to a database, or tell dbt and make what to do
OTHERS = re.compile(r"(DBT|DUMPS|MAKE|MFLAGS|MF_|PG|REP_AI)")


class Tried(NamedTuple):
    """How a documented command is run: its placeholders, and how it ends on old samples."""

    filled: Mapping[str, str] = {}
    code: int = 0
    variables: Mapping[str, str] = {}


# in the order of the pages
TRIED = {
    # samples go nowhere else, whatever the environment says
    "make run": Tried(
        variables={
            "REP_AI_DUCKDB": "warehouse.duckdb",
            "REP_AI_TARGET": "postgres",
            "REP_AI_PUBLISH": "warehouse.duckdb",
        }
    ),
    "make run DUMPS=path/to/dumps": Tried({"path/to/dumps": "dumps"}),
    ".venv/bin/rep-ai ingest SOURCE...": Tried({"SOURCE...": "dumps"}),
    ".venv/bin/rep-ai run SOURCE...": Tried({"SOURCE...": "dumps dumps/*.json"}),
    ".venv/bin/rep-ai status": Tried(),
    ".venv/bin/rep-ai run --quiet --json SOURCE... > run.json": Tried({"SOURCE...": "dumps"}),
    # the samples are of long ago
    ".venv/bin/rep-ai status --json --max-age 26h": Tried(code=1),
    ".venv/bin/rep-ai run --dry-run SOURCE...": Tried({"SOURCE...": "dumps"}),
    ".venv/bin/rep-ai run --step-days 30 SOURCE...": Tried(
        {"SOURCE...": "dumps", "--step-days 30": "--step-days 1"}
    ),
    ".venv/bin/rep-ai run SOURCE... --publish /srv/bi/visits.duckdb": Tried(
        {"SOURCE...": "dumps", "/srv/bi/": ""}
    ),
    ".venv/bin/dbt build --vars '{rep_ai_fields: {actions: [url, title]}}'": Tried(),
    ".venv/bin/rep-ai retire 2026-03-01.json --reason "
    "'a test of the vendor, with invented visitors'": Tried(
        {"2026-03-01.json": "rep_ai_2026-03-01.json"}
    ),
    ".venv/bin/rep-ai restore 2026-03-01.json": Tried(
        {"2026-03-01.json": "rep_ai_2026-03-01.json"}
    ),
    ".venv/bin/rep-ai export DIR": Tried({"DIR": "marts"}),
    ".venv/bin/mf list metrics": Tried(),
    ".venv/bin/mf query --metrics acceptance_rate,median_seconds_to_accept "
    "--group-by agent__display_name": Tried(),
    ".venv/bin/mf query --metrics session_groups,share_of_session_groups_with_help_requested "
    "--group-by metric_time__day": Tried(),
    # the samples are of three days of March 2026
    "dbt build --vars '{rep_ai_windows_before: 2025-01-01}'": Tried({"2025-01-01": "2026-03-02"}),
    "dbt build --vars '{rep_ai_windows_before: 2025-07-01}'": Tried({"2025-07-01": "2026-03-03"}),
    "dbt build": Tried(),
}
NOT_TRIED = {
    ".venv/bin/pip install --editable '.[metrics]'": (
        "it would change the programs that the tests run with, and may need a network"
    ),
    "make bench": "it takes long, and what it prints is figures",
}


def documented_commands() -> list[str]:
    """All lines of the pages that are for a shell, without their comments."""
    text = "".join(map(pages.text, pages.NAMES))
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", "").splitlines()
    return [command for line in lines if (command := re.sub(r"(^|\s+)#.*", "", line))]


@dataclass(frozen=True)
class Shell:
    """A folder, and a shell in it that knows where programs are, and these variables."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def run(self, command: str, code: int = 0, **variables: str) -> str:
        """Run a command, see how it ends, and what it printed."""
        known = {name: value for name, value in os.environ.items() if not OTHERS.match(name)}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**known, "PATH": path, **self.variables, **variables}
        program, *arguments = shlex.split(command)
        if Path(program).name == "dbt" and arguments[0] != "debug":
            # how it starts is not ours; what forks share of parsing hides where a database is
            done = processes.run("dbt", *arguments, variables=environment, cwd=self.folder)
        else:
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
        assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def count(self, relation: str, database: str = "warehouse.duckdb") -> int:
        """How many rows a table of a DuckDB file has."""
        with duckdb.connect(str(self.folder / database), read_only=True) as connection:
            return len(connection.execute(f"select 1 from {relation}").fetchall())


def checkout(folder: Path) -> Shell:
    """A copy of the project as a clone has it, with the environment of the tests, and dumps."""
    ignored = (PROJECT / ".gitignore").read_text(encoding="utf-8").split()
    names = [name.strip("/") for name in ignored]
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns(".git", *names))
    # as if make had installed it
    (folder / ".venv").mkdir()
    for path in Path(sys.prefix).iterdir():
        if not path.name.startswith("."):
            (folder / ".venv" / path.name).symlink_to(path)
    for name in (".run", ".test"):
        (folder / ".venv" / name).touch()
    write_sample(folder / "dumps", days=3, sessions_per_day=20)
    return Shell(folder)


# ------------------------------------------------------------------------------------------ scenes


def plain_dbt(shell: Shell) -> None:
    """Ingest, then nothing but dbt."""
    shell.run("rep-ai ingest --quiet dumps")
    for command in PLAIN_DBT:
        shell.run(command)


def plain_duckdb(folder: Path) -> Shell:
    shell = checkout(folder / "duckdb")
    plain_dbt(shell)
    said = shell.run("make start-over")
    assert re.search(r"^warehouse\.duckdb \(.* MB\) is set aside", said, re.MULTILINE)
    # what dbt left beside the database is no trouble to the next one
    shell.run("rep-ai ingest --quiet dumps")
    shell.run("dbt build")
    return shell


def plain_postgres(folder: Path, server: Mapping[str, str]) -> Shell:
    shell = checkout(folder / "postgres")
    shell = replace(shell, variables={**server, "REP_AI_TARGET": "postgres"})
    plain_dbt(shell)
    return shell


def as_a_package(folder: Path) -> Shell:
    """The example of a project that imports this one: what `rep-ai` does there."""
    package = checkout(folder / "package")
    consumer = folder / "consumer"
    shutil.copytree(PROJECT / "docs" / "examples" / "package", consumer)
    (consumer / "packages.yml").write_text("packages: [{local: ../package}]", encoding="utf-8")
    shell = Shell(consumer)
    shell.run("dbt deps")
    # plain dbt there: test_consumer.py
    said = shell.run(f"rep-ai run {package.folder}/dumps --publish copy.duckdb")
    assert f"are in {consumer}/company.duckdb, schema analytics_marts." in said
    inner = consumer / "models" / "inner.sql"
    inner.write_text("select session_id from {{ ref('int_rep_ai__sessions_grouped') }}\n")
    assert "private to the 'rep_ai' group" in shell.run("dbt parse", code=2)
    inner.write_text("select session_id from {{ ref('stg_rep_ai__sessions') }}\n")
    shell.run("dbt build --select inner")
    return shell


def as_the_readme_says(folder: Path) -> Shell:
    shell = checkout(folder / "readme")
    counts = []
    for command in documented_commands():
        if command in NOT_TRIED:
            continue
        filled, code, variables = TRIED[command]
        run = command
        for placeholder, value in filled.items():
            assert placeholder in run
            run = run.replace(placeholder, value)
        said = shell.run(run, code, **variables)
        if command == "make run":
            assert f"The marts are in {shell.folder}/sample.duckdb" in said
            (shown,) = re.findall(r"```text\n(.*?)```", pages.text("README.md"), re.DOTALL)
            printed = said.replace(str(shell.folder), "...").splitlines()
            assert {*shown.splitlines()} <= {*printed}
            assert not (shell.folder / "warehouse.duckdb").exists()
            page = shell.run("make report")
            assert page.startswith("This is of the samples in sample.duckdb.\n")
        elif command.startswith(("dbt build", "make run")):
            counts.append(shell.count(SESSIONS))
    # dumps once; then in steps
    whole, *steps = counts
    assert 0 < steps[0] < steps[1] < steps[2] == whole
    return shell


@pytest.fixture(scope="module")
def scenes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[Any]]]:
    """What the selected tests ask for, two at a time; the longest comes first."""
    folder = tmp_path_factory.mktemp("way_in")
    items = [item for item in request.session.items if item.path == request.path]
    wanted = {name for item in items for name in getattr(item, "fixturenames", ())}
    plays: dict[str, Callable[[], Any]] = {"readme": partial(as_the_readme_says, folder)}
    if "on_postgres" in wanted:
        server = request.getfixturevalue("postgres")
        plays["on_postgres"] = partial(plain_postgres, folder, server)
    plays |= {"on_duckdb": partial(plain_duckdb, folder), "package": partial(as_a_package, folder)}
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield {name: pool.submit(play) for name, play in plays.items() if name in wanted}


@pytest.fixture
def readme(scenes: Mapping[str, Future[Shell]]) -> Shell:
    return scenes["readme"].result()


@pytest.fixture
def on_duckdb(scenes: Mapping[str, Future[Shell]]) -> Shell:
    return scenes["on_duckdb"].result()


@pytest.fixture
def on_postgres(scenes: Mapping[str, Future[Shell]]) -> Shell:
    return scenes["on_postgres"].result()


@pytest.fixture
def package(scenes: Mapping[str, Future[Shell]]) -> Shell:
    return scenes["package"].result()


# ------------------------------------------------------------------------------------------- tests


def test_every_documented_command_is_tried_or_it_is_said_why_not() -> None:
    assert {*documented_commands()} == {*TRIED, *NOT_TRIED}


def test_the_commands_of_the_readme_do_what_they_say(readme: Shell) -> None:
    assert readme.count(SESSIONS, "sample.duckdb") > readme.count(SESSIONS)
    document = json.loads((readme.folder / "run.json").read_text(encoding="utf-8"))
    assert document["exit_code"] == 0
    assert readme.count(SESSIONS, "visits.duckdb") == readme.count(SESSIONS)
    manifest = json.loads((readme.folder / "marts" / "manifest.json").read_text(encoding="utf-8"))
    assert len(manifest["tables"]) == len(document["marts"])


def test_pages_are_of_the_warehouse_and_say_where_the_samples_are(readme: Shell) -> None:
    said = readme.run("make report")
    also = "of the samples: make report REP_AI_DUCKDB=sample.duckdb"
    assert said.startswith(f"This is of warehouse.duckdb; {also}\n")


def test_plain_dbt_ends_well_on_duckdb(on_duckdb: Shell) -> None:
    assert on_duckdb.count(SESSIONS)


def test_plain_dbt_ends_well_on_postgres(on_postgres: Shell) -> None:
    assert not list(on_postgres.folder.glob("*.duckdb"))


def test_plain_dbt_finds_the_warehouse_from_another_folder(
    on_duckdb: Shell, tmp_path: Path
) -> None:
    where = f"--project-dir {on_duckdb.folder} --profiles-dir {on_duckdb.folder}"
    said = Shell(tmp_path).run(f"dbt debug {where}")
    assert f" path: {on_duckdb.folder}/warehouse.duckdb\n" in said
    assert list(tmp_path.iterdir()) == []


def test_rep_ai_finds_the_marts_of_a_project_that_imports_this_one(package: Shell) -> None:
    """By dbt's manifest, under that project's names, in the database of its profile."""
    marts = "analytics_marts.visits"
    visits = package.count(marts, "company.duckdb")
    assert visits == package.count(marts, "copy.duckdb") > 0
    found = json.loads(package.run("rep-ai status --json"))
    assert (found["marts_built"], found["deliveries_not_in_marts"]) == (True, 0)
    # these few dumps have no other
    assert package.run("rep-ai types") == "Every type is known.\n"
    assert "report.html" in package.run("rep-ai report")
    package.run("rep-ai export exported")
    manifest = json.loads((package.folder / "exported" / "manifest.json").read_text())
    # an export has the names of the models, whatever a project calls their tables
    model = "fct_rep_ai__session_groups"
    (rows,) = (table["rows"] for table in manifest["tables"] if table["name"] == model)
    assert rows == visits
