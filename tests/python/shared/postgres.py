"""A throwaway PostgreSQL server for the tests, and a pooler before it."""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

MISSING = (
    "these tests need PostgreSQL's server programs: install the Python package pgserver, or "
    "PostgreSQL itself (Debian, Ubuntu: apt install postgresql)"
)

# In any of the first three `B` sorts after `a`, as on most real servers; the machine may lack them.
LOCALES = (
    ("--locale=C", "--locale-provider=icu", "--icu-locale=en-US"),
    ("--locale=en_US.utf8",),
    ("--locale=en_US.UTF-8",),
    ("--locale=C",),
)

CONFIG = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
# no model may lean on the time zone of the server
timezone = 'America/Chicago'
fsync = off
synchronous_commit = off
full_page_writes = off
jit = off
"""

NO_POOLER = "this test needs pgbouncer (Debian, Ubuntu: apt install pgbouncer)"

POOLER = """
[databases]
* = host={PGHOST} port={PGPORT} user={PGUSER} password={PGPASSWORD}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
server_round_robin = {round_robin}
ignore_startup_parameters = options
"""

# The shell holds the server as long as its standard input is open, so the server stops and is
# removed however the tests end, even by a kill.
SERVE = """
pg_ctl --wait --log=log start >&2 || exit 1
echo up
read -r _
pg_ctl --wait --mode=immediate stop >&2
cd / && rm -rf "$FOLDER"
"""


class _Account(NamedTuple):
    """What `subprocess` takes to run a program as another user; nothing but None: as oneself."""

    user: int | None = None
    group: int | None = None
    extra_groups: list[int] | None = None


@contextmanager
def server() -> Iterator[dict[str, str]]:
    """Run a server on a free port of the loopback interface.

    Yields:
        The PG* environment variables that lead a client to it.

    Raises:
        RuntimeError: no server can be had; says what to install, or what the server said.
    """
    account = _account()
    # a user other than root may not be let into root's own TMPDIR
    parent = None if account.user is None else "/tmp"
    with tempfile.TemporaryDirectory(prefix="rep_ai_postgres_", dir=parent) as name:
        folder = Path(name)
        password = secrets.token_hex(16)
        (folder / "password").write_text(password)
        installations = _installations(folder)
        if account.user is not None:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, account.user, -1)

        programs = _create(folder, installations, account)
        port = _free_port()
        with (folder / "data" / "postgresql.conf").open("a") as config:
            config.write(CONFIG.format(port=port))
        with _serve(folder, programs, account):
            yield {
                "PGHOST": "127.0.0.1",
                "PGPORT": str(port),
                "PGUSER": "postgres",
                "PGPASSWORD": password,
                "PGDATABASE": "postgres",
            }


@contextmanager
def pooler(
    variables: dict[str, str], mode: str, *, round_robin: bool = False
) -> Iterator[dict[str, str]]:
    """Run pgbouncer before a server.

    Args:
        variables: the PG* environment variables that lead to the server.
        mode: `session` or `transaction`.
        round_robin: whether the session that was used first is given next, else the last.

    Yields:
        The variables that lead a client to the pooler.

    Raises:
        RuntimeError: it cannot be had; says what to install, or what it said.
    """
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise RuntimeError(NO_POOLER)
    account = _account()
    parent = None if account.user is None else "/tmp"
    with tempfile.TemporaryDirectory(prefix="rep_ai_pooler_", dir=parent) as name:
        config, log = Path(name) / "pgbouncer.ini", Path(name) / "log"
        port = _free_port()
        config.write_text(
            POOLER.format(**variables, port=port, mode=mode, round_robin=int(round_robin))
        )
        if account.user is not None:
            for path in (config.parent, config):
                os.chown(path, account.user, -1)
        with (
            log.open("w") as said,
            subprocess.Popen([program, config], stderr=said, **account._asdict()) as process,
        ):
            try:
                _await_port(port, process, log)
                yield {**variables, "PGHOST": "127.0.0.1", "PGPORT": str(port)}
            finally:
                process.kill()


def _await_port(port: int, process: subprocess.Popen[str], log: Path) -> None:
    """Wait until a program listens."""
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"pgbouncer did not start:\n{log.read_text()}")


def _account() -> _Account:
    """The account to run as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return _Account()
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return _Account(entry.pw_uid, entry.pw_gid, [])
    raise RuntimeError("PostgreSQL does not run as root: run the tests as another user")


def _installations(folder: Path) -> list[Path]:
    """The folders of programs to be found, the one of the lock file first."""
    found = []
    spec = importlib.util.find_spec("pgserver")  # its own code would create a system user
    if spec and spec.origin:
        site = Path(spec.origin).parent.parent
        if os.geteuid() == 0:  # the virtual environment may lie where only root may read
            for part in ("pgserver", "pgserver.libs"):
                if (site / part).is_dir():
                    shutil.copytree(site / part, folder / part)
            site = folder
        found.append(site / "pgserver" / "pginstall" / "bin")
    on_path = shutil.which("initdb")
    if on_path:
        found.append(Path(on_path).resolve().parent)
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return [
        programs
        for programs in dict.fromkeys(found)
        if all((programs / program).exists() for program in ("initdb", "pg_ctl", "postgres"))
    ]


def _create(folder: Path, installations: list[Path], account: _Account) -> Path:
    """Make the data folder, sorted as far from code points as can be; return the programs used."""
    if not installations:
        raise RuntimeError(MISSING)
    said = ""
    for locale in LOCALES:
        for programs in installations:
            done = subprocess.run(
                [
                    programs / "initdb",
                    *locale,
                    "--encoding=UTF8",
                    "--username=postgres",
                    "--auth=scram-sha-256",
                    "--pwfile=password",
                    "--no-sync",
                    "--pgdata=data",
                ],
                cwd=folder,
                env={"PATH": os.defpath, "LC_ALL": "C"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                **account._asdict(),
            )
            if done.returncode == 0:
                return programs
            said = done.stdout
    raise RuntimeError(f"{MISSING}; the one found ({installations[-1]}) failed:\n{said}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _serve(folder: Path, programs: Path, account: _Account) -> Iterator[None]:
    with subprocess.Popen(
        ["/bin/sh", "-c", SERVE],
        cwd=folder,
        env={
            "PATH": f"{programs}:{os.defpath}",
            "LC_ALL": "C",
            "PGDATA": str(folder / "data"),
            "FOLDER": str(folder),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # Ctrl-C is for the tests, which then stop the server
        **account._asdict(),
    ) as shell:
        assert shell.stdout
        assert shell.stdin
        try:
            if shell.stdout.readline() != "up\n":
                log = folder / "log"
                said = log.read_text() if log.exists() else ""
                raise RuntimeError(f"PostgreSQL ({programs}) did not start:\n{said}")
            yield
        finally:
            shell.stdin.close()
            shell.wait()
