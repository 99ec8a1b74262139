"""A folder of dumps and the warehouse made of it, by the commands that a user types."""

from __future__ import annotations

from pathlib import Path

import duckdb

import processes
from marts import environment
from processes import PROJECT


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
        return self._run("rep-ai", *arguments, code=code)

    def build(self, *arguments: str, code: int = 0) -> str:
        """Run plain dbt, without tests, and what it said."""
        command = ["--quiet", "--no-use-colors", "build", "--exclude-resource-type", "test"]
        where = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
        return self._run("dbt", *command, *arguments, *where, code=code)

    def _run(self, program: str, *arguments: str, code: int) -> str:
        done = processes.run(program, *arguments, variables=self._environment)
        assert done.returncode == code, done.stdout
        return str(done.stdout)

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """Rows of a query."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            return connection.sql(sql).fetchall()
