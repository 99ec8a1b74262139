"""From nothing to marts with the wheel: built, installed where nothing else is, and used."""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import duckdb
import pytest

from processes import PROJECT

BIN = Path(sys.executable).parent
# what makes a project of dbt, and is no Python
OF_DBT = ("analyses", "macros", "models", "seeds", "tests/generic", "tests/singular")
BESIDE = ("dbt_project.yml", "profiles.yml", "selectors.yml")
# variables that lead elsewhere
OTHERS = re.compile(r"(DBT|MF_|PG|PIP|PYTHON|REP_AI|UV_|VIRTUAL_ENV)")
PYENV = ".pyenv/versions/3.1*/bin"
WAYS = (("uv", "3.11"), ("pip", "3.11"), ("uv", "3.12"), ("uv", "3.13"))


def shell(command: str, folder: Path, code: int = 0, **variables: str) -> str:
    known = {name: value for name, value in os.environ.items() if not OTHERS.match(name)}
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env={**known, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}"
    return done.stdout


def build(folder: Path, what: str) -> dict[str, Path]:
    shell(
        f"{BIN}/python -m build --no-isolation {what} --outdir {folder} {PROJECT}",
        folder.parent,
        SOURCE_DATE_EPOCH="1764000000",
    )
    return {path.suffix: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The sdist, and the wheel made of it."""
    return build(tmp_path_factory.mktemp("dist"), "")


def test_two_builds_are_equal_byte_for_byte(built: Mapping[str, Path], tmp_path: Path) -> None:
    # the wheel is made of the checkout this time
    again = build(tmp_path, "--wheel --sdist")
    assert {suffix: path.read_bytes() for suffix, path in built.items()} == {
        suffix: path.read_bytes() for suffix, path in again.items()
    }


def test_the_wheel_has_the_whole_dbt_project(built: Mapping[str, Path]) -> None:
    paths = [path for part in OF_DBT for path in (PROJECT / part).rglob("*") if path.is_file()]
    paths += [PROJECT / name for name in BESIDE]
    with ZipFile(built[".whl"]) as wheel:
        prefix = "rep_ai/dbt_package/"
        packed = {
            name.removeprefix(prefix): wheel.read(name)
            for name in wheel.namelist()
            if name.startswith(prefix)
        }
        modules = {name for name in wheel.namelist() if name.endswith(".py")}
    assert packed == {str(path.relative_to(PROJECT)): path.read_bytes() for path in paths}
    sources = PROJECT / "ingest"
    assert modules == {str(path.relative_to(sources)) for path in sources.rglob("*.py")}
    with tarfile.open(built[".gz"]) as sdist:
        names = sdist.getnames()
    assert not [name for name in names if re.search(r"\.(duckdb|lock)$|/(target|\.venv)/", name)]


def test_an_index_would_take_it(built: Mapping[str, Path]) -> None:
    said = shell(f"{BIN}/twine check --strict {built['.whl']} {built['.gz']}", PROJECT)
    assert said.count("PASSED") == 2
    with ZipFile(built[".whl"]) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
        metadata = wheel.read(name).decode()
    for field in ("Summary", "Keywords", "Classifier", "License-Expression", "Requires-Python"):
        assert f"\n{field}: " in metadata


# ---------------------------------------------------------------------------- installed and used


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def home(
    built: Mapping[str, Path],
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """An empty home, with the wheel in an environment of its own."""
    way, python = request.param
    folder = tmp_path_factory.mktemp("home")
    # pyenv's own programs know one version at a time
    places = [*os.environ["PATH"].split(os.pathsep), *map(str, Path.home().glob(PYENV))]
    found = subprocess.run(
        [BIN / "uv", "python", "find", "--no-python-downloads", "--no-project", python],
        cwd=folder,
        env={**os.environ, "PATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        pytest.skip(f"there is no Python {python}")
    # hashes would be asked for of the wheel, too
    lock = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^[a-z0-9].*?(?= \\$)", lock, re.MULTILINE)
    # and pip's constraints have no extras
    text = "\n".join(re.sub(r"\[.*?\]", "", pin) for pin in pins)
    (folder / "pins.txt").write_text(text, encoding="utf-8")
    wheel = f"--constraint pins.txt '{built['.whl']}'"
    if way == "uv":
        shell(f"{BIN}/uv venv --quiet --python {found.stdout.strip()} .venv", folder)
        # as pip does, it trusts whom the system trusts
        shell(f"{BIN}/uv pip install --quiet --system-certs --python .venv {wheel}", folder)
    else:
        shell(f"{found.stdout.strip()} -m venv .venv", folder)
        shell(f".venv/bin/pip install --quiet --disable-pip-version-check {wheel}", folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def rows(exported: Path) -> dict[str, list[tuple[Any, ...]]]:
    # in an order of their own: engines keep none
    return {
        path.stem: duckdb.execute(f"select * from '{path}' order by all").fetchall()
        for path in exported.glob("*.parquet")
    }


@pytest.fixture(scope="module")
def of_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The marts of the checkout, exported, and the dumps that they are made of."""
    folder = tmp_path_factory.mktemp("checkout")
    variables = {
        "DBT_PROJECT_DIR": str(PROJECT),
        "DBT_TARGET_PATH": str(folder / "target"),
        "REP_AI_DUCKDB": str(folder / "warehouse.duckdb"),
    }
    for command in (
        "sample dumps --days 3 --sessions-per-day 40",
        "run --quiet dumps",
        "export marts",
    ):
        shell(f"{BIN}/rep-ai {command}", folder, 0, **variables)
    return folder


def test_from_nothing_to_marts(
    home: Path, of_checkout: Path, request: pytest.FixtureRequest
) -> None:
    variables = {"HOME": str(home), "PATH": f"{home}/.venv/bin:/usr/bin:/bin"}

    def run(command: str, code: int = 0, folder: Path = home / "visits") -> str:
        return shell(command, folder, code, **variables)

    assert "rep-ai init DIR" in run("rep-ai status", 1, home)
    said = run("rep-ai init visits", 0, home)
    laid = re.findall(r"^  (visits/\S+)$", said, re.MULTILINE)
    assert "visits/dbt_project.yml" in laid
    assert all((home / name).is_file() for name in laid)
    assert "visits has .github" in run("rep-ai init visits", 1, home)
    run(f"rep-ai run --quiet {of_checkout}/dumps")
    run("rep-ai status")
    run("rep-ai export marts")
    found = rows(home / "visits" / "marts")
    assert found["fct_rep_ai__sessions"]
    assert found == rows(of_checkout / "marts")
    assert "Nothing is wrong here." in run(f"rep-ai doctor {of_checkout}/dumps")
    if request.node.callspec.params["home"] != WAYS[0]:
        # what follows is of dbt, whichever way led here
        return

    # plain dbt, from the files that rep-ai has laid down
    run("dbt build --quiet")
    run("dbt docs generate --quiet")
    assert (home / "visits" / "target" / "catalog.json").is_file()
    # the environment moves, as with another version of Python
    shutil.copytree(home / ".venv", home / "moved", symlinks=True)
    (home / ".venv").rename(home / "gone")
    moved = f"{home}/moved/bin/python"
    dbt = f"{moved} -c 'from dbt.cli.main import cli; cli()'"
    assert 'Run "dbt deps"' in run(f"{dbt} parse", 2)
    run(f"{moved} -m rep_ai status")
    run(f"{dbt} build --quiet")
    (home / "gone").rename(home / ".venv")
