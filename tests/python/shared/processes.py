"""dbt and rep-ai in processes of their own, at the price of a fork.

To start dbt takes 2.6 seconds of a processor, and to parse the project another 4.5. So processes
are forked from one that has all of it loaded, and what one has parsed is there for the next. Tests
of what only a new interpreter shows (signals, terminals, kills) start one.
"""

from __future__ import annotations

import atexit
import gc
import json
import logging
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from itertools import pairwise
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from multiprocessing.util import get_temp_dir
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any, TextIO

import pytest

PROJECT = Path(__file__).resolve().parents[3]
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        *("__main__", "hypothesis", "duckdb", "pyarrow", "dlt"),
        *("rep_ai.cli", "rep_ai.commands.run", "rep_ai.console.progress"),
        *("dbt.cli.main", "dbt.adapters.duckdb", "dbt.adapters.postgres"),
        # it takes 12 seconds, which a few tests would not bring in
        *(["warmed"] if "PYTEST_XDIST_WORKER" in os.environ else []),
    ]
)
# a folder of what dbt has parsed: made once, so that all processes of one run have the same
if "REP_AI_TESTS_PARSED" not in os.environ:
    os.environ["REP_AI_TESTS_PARSED"] = tempfile.mkdtemp(prefix="rep_ai_parsed_")
    atexit.register(shutil.rmtree, os.environ["REP_AI_TESTS_PARSED"], ignore_errors=True)
PARSED = Path(os.environ["REP_AI_TESTS_PARSED"])
# the environment belongs to all threads
STARTS = Lock()
# how rep-ai starts dbt
DBT = (sys.executable, "-c", "from dbt.cli.main import cli; cli()")


def fork(what: Callable[..., None], *arguments: Any, daemon: bool = False) -> BaseProcess:
    """Start a process that calls a function; `daemon` lets it end with this one at the latest."""
    server: Any = forkserver._forkserver
    with STARTS, pytest.MonkeyPatch.context() as patch:
        # what all are forked from finds modules by this variable alone
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        server.ensure_running()
    begin = (server._forkserver_address, what, *arguments)
    process = PROCESSES.Process(target=_begin, args=begin, daemon=daemon)
    process.start()
    return process


def _begin(address: str, what: Callable[..., None], *arguments: Any) -> None:
    """Call a function in a process that forks from where it was itself forked from."""
    server: Any = forkserver._forkserver
    server._forkserver_address, server.ensure_running = address, lambda: None
    what(*arguments)


class Command:
    """A command of dbt or rep-ai that was started; as much of `subprocess.Popen` as is needed.

    Attributes:
        stdout: what it says.
        stderr: what it says to standard error; None where that is in `stdout`.
    """

    def __init__(
        self,
        program: str,
        arguments: Sequence[str],
        variables: Mapping[str, str],
        cwd: Path,
        *,
        apart: bool = False,
        code: str = "pass",
    ) -> None:
        """Start it; `apart` gives standard error a stream of its own, `code` is run before it."""
        pipes = [PROCESSES.Pipe(duplex=False) for _ in range(2 if apart else 1)]
        theirs = [sends for _, sends in pipes]
        self._process = fork(_run, theirs, code, [program, *arguments], dict(variables), str(cwd))
        for sends in theirs:
            sends.close()
        self.stdout, self.stderr, *_ = [*map(_text, [ours for ours, _ in pipes]), None]

    def __enter__(self) -> Command:
        """Use it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for its end."""
        self.stdout.close()
        self._process.join()

    @property
    def returncode(self) -> int:
        """How it ended."""
        self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode

    def kill(self) -> None:
        """End it."""
        self._process.kill()

    def done(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end: its exit code, and what it said."""
        with self, ThreadPoolExecutor() as readers:
            streams = [self.stdout, *([self.stderr] if self.stderr else [])]
            said, errors, *_ = [*readers.map(lambda stream: stream.read(), streams), ""]
        return subprocess.CompletedProcess([], self.returncode, said, errors)


def _text(pipe: Any) -> TextIO:
    """What comes out of a pipe, as text."""
    stream = os.fdopen(os.dup(pipe.fileno()), encoding="utf-8", errors="replace")
    pipe.close()
    return stream


def run(
    program: str,
    *arguments: str | Path,
    variables: Mapping[str, str],
    cwd: Path = PROJECT,
    apart: bool = False,
    code: str = "pass",
) -> subprocess.CompletedProcess[str]:
    """Run dbt or rep-ai to its end.

    Args:
        program: `dbt` or `rep-ai`.
        *arguments: its own.
        variables: all of its environment.
        cwd: its working folder.
        apart: whether standard error is kept apart.
        code: Python that runs before it.
    """
    command = Command(program, [*map(str, arguments)], variables, cwd, apart=apart, code=code)
    return command.done()


def _run(
    outputs: list[Any], code: str, command: list[str], variables: dict[str, str], cwd: str
) -> None:
    """What a process does."""
    for stream, output in ((1, outputs[0]), (2, outputs[-1])):
        os.dup2(output.fileno(), stream)
    for output in outputs:
        output.close()
    # those of the process that was forked may have led to files, which can be sought in
    sys.stdout, sys.stderr = (os.fdopen(os.dup(stream), "w") for stream in (1, 2))
    settle(variables, cwd)
    try:
        exec(code, {})
        call(*command)
    finally:
        let_go()


def settle(variables: Mapping[str, str], folder: str) -> None:
    """Make this process one that was started with some variables in a folder."""
    # sockets of what this process forks: below a TMPDIR of a test their paths would be too long
    get_temp_dir()
    tempfile.tempdir = None
    os.environ.clear()
    os.environ.update(variables)
    time.tzset()
    os.chdir(folder)
    # what the tests' own libraries have set up, a new interpreter has not
    logging.root.handlers.clear()
    # what is loaded stays, and what a command leaves is not much
    gc.freeze()
    gc.disable()
    # a part at a time, as dbt writes its manifest, JSON takes ten times as long
    vars(json)["dump"] = _dump
    _share_between_databases()
    from rep_ai import project

    vars(project)["subprocess"] = SimpleNamespace(
        Popen=_start_dbt,
        **{name: getattr(subprocess, name) for name in ("DEVNULL", "PIPE", "STDOUT")},
    )


def _dump(value: Any, file: TextIO, **options: Any) -> None:
    file.write(json.dumps(value, **options))


def _start_dbt(command: Sequence[str], *, env: dict[str, str], cwd: Path, **_: Any) -> Command:
    """What rep-ai starts."""
    assert tuple(command[:3]) == DBT
    return Command("dbt", command[3:], env, cwd)


def call(program: str, *arguments: str) -> None:
    """Call dbt or rep-ai; it leaves by SystemExit."""
    if program == "dbt":
        from dbt.cli.main import cli

        with _shared_parse(arguments):
            cli(list(arguments))
    else:
        from rep_ai.cli import main

        main(list(arguments))


def let_go() -> None:
    """Close the databases that dbt keeps open; a forked process ends without doing so."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.adapters.factory import reset_adapters

    reset_adapters()  # type: ignore[no-untyped-call]
    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
    gc.collect()


# ----------------------------------------------------------------------------------- parsing once


def _share_between_databases() -> None:
    """Let dbt parse once for all databases of one name: where they are changes nothing in it."""
    from dbt.adapters.duckdb.credentials import DuckDBCredentials
    from dbt.adapters.postgres.connections import PostgresCredentials

    for kind in (DuckDBCredentials, PostgresCredentials):
        kind._connection_keys = lambda _: ("database", "schema")  # type: ignore[method-assign]


@contextmanager
def _shared_parse(arguments: Sequence[str]) -> Iterator[None]:
    """Let dbt begin with what another process has parsed, if there is nothing of its own.

    dbt itself compares variables, profile and files, and parses anew what differs. A copy of the
    project has its own: what is parsed of a seed says where its file is.
    """
    options = dict(pairwise(arguments))
    folder = Path(options.get("--project-dir", "."))
    target = options.get("--target-path", os.environ.get("DBT_TARGET_PATH", "target"))
    own = folder / target / "partial_parse.msgpack"
    said = [
        str(folder.resolve()),
        *(options.get(name, "") for name in ("--vars", "--target")),
        *(os.environ.get(name, "") for name in ("REP_AI_TARGET", "PGDATABASE")),
        Path(os.environ.get("REP_AI_DUCKDB", "")).name,
    ]
    shared = PARSED / sha256("\0".join(said).encode()).hexdigest()
    if shared.exists() and not own.exists():
        own.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shared, own)
    try:
        yield
    finally:
        if own.exists() and not shared.exists():
            draft = shared.with_suffix(f".{os.getpid()}")
            shutil.copy(own, draft)
            draft.rename(shared)
