"""Databases of PostgreSQL that are refused, and poolers before it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from dumps import dump, write
from marts import RAW_SCHEMA, environment
from postgres import pooler
from processes import PROJECT
from rep_ai.landing.destinations import Destination, of_target
from rep_ai.landing.errors import DestinationError
from replay import postgres_connection

REP_AI = (sys.executable, "-m", "rep_ai")
DBT = (sys.executable, "-c", "from dbt.cli.main import cli; cli()", "--quiet")

# what a session may leave behind for the next client that is given it; but for the last one, which
# the pooler sets for each client anew
LEFT = """
select
    (select count(*) from pg_locks where locktype = 'advisory') as locks,
    (select count(*) from pg_class where relpersistence = 't') as temporary_tables,
    (
        select string_agg(name, ', ') from pg_settings
        where source = 'session' and context = 'user' and name not in (
            'application_name', 'client_encoding', 'DateStyle', 'TimeZone'
        )
    ) as settings
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a dump."""
    write(tmp_path / "dumps" / "1.json", dump())
    return tmp_path


def run(
    *command: str, folder: Path, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """A command on the database that the variables lead to."""
    return subprocess.run(
        command,
        cwd=PROJECT,
        env={**environment(folder), **variables, "REP_AI_TARGET": "postgres"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def relations(variables: Mapping[str, str]) -> list[tuple[str, str]]:
    """What is in a database beside what PostgreSQL brings."""
    with closing(postgres_connection(variables)) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "select table_schema, table_name from information_schema.tables "
            "where table_schema not in ('pg_catalog', 'information_schema')"
        )
        return list(cursor.fetchall())


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_other_encodings_are_refused(postgres: dict[str, str], folder: Path, encoding: str) -> None:
    """Before anything is written, in a line that says what to do."""
    name = f"in_{encoding.lower()}"
    with closing(postgres_connection(postgres)) as connection:
        connection.cursor().execute(
            f"create database {name} encoding '{encoding}' template template0 "
            "locale_provider libc lc_collate 'C' lc_ctype 'C'"
        )
    variables = {**postgres, "PGDATABASE": name}
    done = run(*REP_AI, "run", str(folder / "dumps"), folder=folder, variables=variables)
    assert done.returncode == 1
    assert f"the encoding of the database is {encoding}" in done.stdout
    assert "create database NAME encoding 'UTF8' template template0" in done.stdout
    assert len(done.stdout.splitlines()) == 1, done.stdout
    done = run(*DBT, "build", folder=folder, variables=variables)
    assert done.returncode == 2
    assert f"the encoding of the database is {encoding}" in done.stdout
    assert relations(variables) == []


@contextmanager
def busy(variables: Mapping[str, str], count: int) -> Iterator[None]:
    """Other clients, each of which does one transaction after the other."""
    is_over = Event()

    def work() -> None:
        with closing(postgres_connection(variables)) as connection:
            while not is_over.is_set():
                connection.cursor().execute("select pg_sleep(random() / 100)")

    threads = [Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def at(variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Destination:
    """The database that the variables lead to."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return of_target("postgres")


@pytest.mark.parametrize("round_robin", [False, True], ids=["last", "first"])
@pytest.mark.parametrize("others", [0, 1, 5])
def test_shared_sessions_are_refused(
    postgres: dict[str, str], monkeypatch: pytest.MonkeyPatch, round_robin: bool, others: int
) -> None:
    """Whichever session the pooler gives, and whatever other clients do."""
    with pooler(postgres, "transaction", round_robin=round_robin) as variables:
        destination = at(variables, monkeypatch)
        with busy(variables, others):
            for connect in (destination.connect, destination.connect_to_read):
                for _ in range(5):
                    with pytest.raises(DestinationError, match=r"shares sessions .*itself"):
                        connect()
            with pytest.raises(DestinationError, match="shares sessions"), destination.lock():
                pass


def test_sessions_of_ones_own_are_not_refused(
    postgres: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pooler that keeps a session for each client is as good as none."""
    with pooler(postgres, "session") as variables, busy(variables, 2):
        for _ in range(5):
            at(variables, monkeypatch).connect().close()
        done = run(*REP_AI, "ingest", str(folder / "dumps"), folder=folder, variables=variables)
        assert done.returncode == 0, done.stdout
    assert (RAW_SCHEMA, "deliveries") in relations(postgres)


def test_nothing_is_left_in_shared_sessions(postgres: dict[str, str], folder: Path) -> None:
    """rep-ai is refused before it writes; plain dbt, which keeps to transactions, is not."""
    with closing(postgres_connection(postgres)) as connection:
        connection.cursor().execute("create database shared")
    direct = {**postgres, "PGDATABASE": "shared"}
    with pooler(direct, "transaction") as variables:
        done = run(*REP_AI, "run", str(folder / "dumps"), folder=folder, variables=variables)
        assert (done.returncode, len(done.stdout.splitlines())) == (1, 1), done.stdout
        assert "shares sessions of the server" in done.stdout
        assert relations(direct) == []

        done = run(*REP_AI, "ingest", str(folder / "dumps"), folder=folder, variables=direct)
        assert done.returncode == 0, done.stdout
        # the second one adds to what the first one makes
        for _ in range(2):
            done = run(*DBT, "run", folder=folder, variables=variables)
            assert done.returncode == 0, done.stdout
        with closing(postgres_connection(direct)) as connection, ExitStack() as stack:
            cursor = connection.cursor()
            cursor.execute(
                "select count(*) from pg_stat_activity "
                "where datname = current_database() and pid != pg_backend_pid()"
            )
            (count,) = cursor.fetchone()
            assert count > 0
            # all of them at once, so that each is looked at
            for _ in range(count):
                shared = stack.enter_context(closing(postgres_connection(variables)))
                shared.autocommit = False
                cursor = shared.cursor()
                cursor.execute(LEFT)
                assert cursor.fetchone() == (0, 0, None)
