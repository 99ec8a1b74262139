"""A folder of dumps and the warehouse made of it, by the commands that a user types."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb

from marts import PROJECT, environment


class Bucket:
    """A folder of dumps, and a DuckDB file beside it.

    Attributes:
        dumps: the folder, to be written to.
        database: the file.
    """

    def __init__(self, folder: Path) -> None:
        """Nothing is there yet."""
        self.dumps = folder / "dumps"
        self._environment = environment(folder)
        self.database = Path(self._environment["REP_AI_DUCKDB"])

    def rep_ai(self, *arguments: str, code: int = 0) -> str:
        """Run a command, and what it said."""
        return self._run("-m", "rep_ai", *arguments, code=code)

    def build(self, *arguments: str, code: int = 0) -> str:
        """Run plain dbt, without tests, and what it said."""
        command = ["-c", "from dbt.cli.main import cli; cli()", "--quiet", "--no-use-colors"]
        command += ["build", "--exclude-resource-type", "test", *arguments]
        where = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
        return self._run(*command, *where, code=code)

    def _run(self, *command: str, code: int) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=PROJECT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """Rows of a query."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            return connection.sql(sql).fetchall()
