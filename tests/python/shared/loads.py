"""The command as a process of its own, and what is in the database afterwards."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg2

import processes
from marts import RAW_SCHEMA, environment
from processes import PROJECT
from rep_ai.dump.format import RECORD_TABLES

# columns that tell one load from another
LOAD_COLUMNS = ("_dlt_load_id", "load_id")

# relation -> its rows as text, each with how often it is there
Tables = dict[str, Counter[str]]


@dataclass(frozen=True)
class Place:
    """A database, and a folder for all that rep-ai, dlt and dbt write beside it.

    Attributes:
        server: the PG* variables of a PostgreSQL server; {} for DuckDB.
        code: Python that runs before the command.
    """

    folder: Path
    server: Mapping[str, str]
    code: str = "pass"

    @property
    def database(self) -> Path:
        """The DuckDB file, called as a schema is, so that names are ambiguous."""
        return self.folder / "dumps.duckdb"

    @property
    def working(self) -> Path:
        """Where temporary files go."""
        return self.folder / "tmp"

    @property
    def variables(self) -> dict[str, str]:
        """The environment of the command."""
        return {
            **environment(self.folder),
            **self.server,
            "REP_AI_DUCKDB": str(self.database),
            "REP_AI_TARGET": "postgres" if self.server else "dev",
            "TMPDIR": str(self.working),
        }

    def start(
        self, *arguments: str | Path, before: Sequence[str] = (), **options: Any
    ) -> subprocess.Popen[str]:
        """Start the command, in a process group of its own."""
        self.working.mkdir(parents=True, exist_ok=True)
        code = f"{self.code}; from rep_ai.__main__ import main; main()"
        return subprocess.Popen(
            [*before, sys.executable, "-c", code, *map(str, arguments)],
            env=self.variables | options.pop("env", {}),
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,
        )

    def run(self, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run the command to its end; no bad input or broken database makes a traceback."""
        if options.keys() <= {"env"}:
            # nothing that needs a new interpreter
            self.working.mkdir(parents=True, exist_ok=True)
            variables = self.variables | options.get("env", {})
            # what an interpreter reads at its start would be without effect
            assert not [name for name in options.get("env", {}) if name.startswith("PYTHON")]
            done = processes.run(
                "rep-ai", *arguments, variables=variables, apart=True, code=self.code
            )
            assert "Traceback" not in done.stdout + done.stderr, done.stderr
            return done
        process = self.start(*arguments, **options)
        out, err = process.communicate()
        assert "Traceback" not in out + err
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def dbt(self, *arguments: str) -> None:
        """Run dbt on the project."""
        where = ("--profiles-dir", str(PROJECT))
        done = processes.run("dbt", "--quiet", *arguments, *where, variables=self.variables)
        assert done.returncode == 0, done.stdout

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """A cursor."""
        with closing(
            psycopg2.connect("", **{names[name]: each for name, each in self.server.items()})
            if self.server
            else duckdb.connect(str(self.database))
        ) as connection:
            yield connection.cursor()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        with self.connected() as cursor:
            cursor.execute(sql)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def tables(self) -> Tables:
        """All rows of all tables and views, but for what tells one run from another."""
        with self.connected() as cursor:
            return {
                f"{schema}.{name}": rows_of(cursor, f'"{database}"."{schema}"."{name}"')
                for database, schema, name in named(cursor)
                if not name.startswith("_") and name != "runs" and schema != "rep_ai_intermediate"
            }

    def check_whole(self) -> None:
        """What completed loads show is whole: as many rows as each delivery says, each once."""
        with self.connected() as cursor:
            names = {name for _, _, name in named(cursor)}
            if "_dlt_loads" in names and names.issuperset(["deliveries", *RECORD_TABLES]):
                cursor.execute(torn(RAW_SCHEMA))
                assert cursor.fetchall() == []


names = {
    "PGHOST": "host",
    "PGPORT": "port",
    "PGUSER": "user",
    "PGPASSWORD": "password",
    "PGDATABASE": "dbname",
}


def named(cursor: Any) -> list[tuple[str, str, str]]:
    """Database, schema and name of all tables and views that are the project's."""
    cursor.execute(
        "select table_catalog, table_schema, table_name from information_schema.tables "
        "where table_catalog = current_database() and table_schema like 'rep\\_ai%' escape '\\'"
    )
    return sorted(cursor.fetchall())


def rows_of(cursor: Any, relation: str) -> Counter[str]:
    """The rows of a table or view."""
    cursor.execute(f"select * from {relation}")
    kept = [n for n, column in enumerate(cursor.description) if column[0] not in LOAD_COLUMNS]
    return Counter(repr([row[n] for n in kept]) for row in cursor.fetchall())


def difference(tables: Tables, wanted: Tables) -> str:
    """What tells some tables from what is wanted; '' where nothing does."""
    lines = [f"{name} is missing" for name in sorted(wanted.keys() - tables.keys())]
    lines += [f"{name} is too many" for name in sorted(tables.keys() - wanted.keys())]
    for name in sorted(tables.keys() & wanted.keys()):
        for said, rows in (
            ("too many", tables[name] - wanted[name]),
            ("missing", wanted[name] - tables[name]),
        ):
            lines += [f"{name}: {said}: {row}" for row in sorted(rows.elements())[:5]]
    return "\n".join(lines)


def torn(schema: str) -> str:
    """A query that finds what completed loads show in part or twice, in one snapshot."""
    done = f"_dlt_load_id in (select load_id from {schema}._dlt_loads where status = 0)"
    told = " union all ".join(
        f"select '{table}' as name, _delivery_id, sum({table}_count) as row_count, "
        "count(*) as delivery_count "
        f"from {schema}.deliveries where {done} and status = 'loaded' and {table}_count > 0 "
        "group by _delivery_id"
        for table in RECORD_TABLES
    )
    held = " union all ".join(
        f"select '{table}' as name, _delivery_id, count(*) as row_count, "
        f"count(distinct {position}) as position_count "
        f"from {schema}.{table} where {done} group by _delivery_id"
        for table, position in (
            (name, "concat(collection, ':', _position)" if name in SHARED else "_position")
            for name in RECORD_TABLES
        )
    )
    return (
        f"with told as ({told}), held as ({held}) "
        "select coalesce(told.name, held.name), coalesce(told._delivery_id, held._delivery_id), "
        "told.row_count, held.row_count, held.position_count "
        "from told full join held "
        "on told.name = held.name and told._delivery_id = held._delivery_id "
        "where told.row_count is distinct from held.row_count "
        "or held.row_count is distinct from held.position_count or told.delivery_count > 1"
    )


# tables that hold the entries of several collections
SHARED = ("other_entries", "rejected_records")
