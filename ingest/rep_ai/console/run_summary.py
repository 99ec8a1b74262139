"""What the commands say: a run's outcome, first contact with unknown data, and types."""

import csv
import fcntl
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import click
import duckdb
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rep_ai import project
from rep_ai.console.progress import on_line
from rep_ai.dump.document import RECORD_TABLES
from rep_ai.landing.destinations import (
    BusyError,
    Destination,
    DestinationError,
    DuckDB,
    qualified,
    tables,
)
from rep_ai.landing.packages import Report

MARTS_SCHEMA = "rep_ai"
INTERMEDIATE_SCHEMA = "rep_ai_intermediate"
FIRST_QUERY = (
    "select end_status, count(*) as session_groups "
    'from {{ ref("fct_rep_ai__session_groups") }} group by 1 order by 2 desc'
)
# rules that `run` says in words
FIRST_CONTACT = ("field_missing", "collection_missing")
# how many of a long list are shown
SHOWN = 10

_SEEDS = {
    "action": "rep_ai_action_types.csv",
    "interaction": "rep_ai_interaction_types.csv",
}

# they open the batches that the others wait for
_OPEN_BATCHES = {"int_rep_ai__deliveries", "int_rep_ai__known_types"}

_NUMBER = re.compile(r"([-+]?\d[\d,]*(\.\d+)?%?)?")

# where no terminal sets a width, a row stays on its line
_console = Console(highlight=False, width=None if sys.stdout.isatty() else 1000)


class UnknownType(NamedTuple):
    """A type that no seed lists."""

    kind: str
    type: str | None
    record_count: int


class Database:
    """Reads from the database behind a target; a table that is not there has no rows."""

    def __init__(self, connection: Any) -> None:
        """See which tables there are."""
        self._cursor = connection.cursor()
        self.tables = tables(self._cursor)

    def rows(self, schema: str, table: str, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query over one table, which stands as {table} in the text."""
        if (schema, table) not in self.tables:
            return []
        schema = qualified(self._cursor, schema)
        self._cursor.execute(sql.format(schema=schema, table=f"{schema}.{table}"))
        return list(self._cursor.fetchall())

    def mart(self, table: str, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query over one mart."""
        return self.rows(MARTS_SCHEMA, table, sql)

    def records(self, table: str) -> list[dict[str, Any]]:
        """All rows of a mart by the names of the columns, which an older build may lack."""
        rows = self.mart(table, "select * from {table}")
        names = [column[0] for column in self._cursor.description] if rows else []
        return [dict(zip(names, row, strict=True)) for row in rows]

    def marts(self) -> list[str]:
        """Names of the marts that are there, in order."""
        seeds = {Path(seed).stem for seed in _SEEDS.values()}
        return sorted(
            name for schema, name in self.tables if schema == MARTS_SCHEMA and name not in seeds
        )

    def models_behind(self) -> list[str]:
        """Names of the incremental models that have not seen the newest batch of changes."""
        behind = self.rows(
            INTERMEDIATE_SCHEMA,
            "rep_ai_watermarks",
            "select watermarks.model from {table} as watermarks "
            "inner join information_schema.tables as made on watermarks.model = made.table_name "
            "where made.table_catalog = current_database() and made.table_type = 'BASE TABLE' "
            f"and made.table_schema in ('{INTERMEDIATE_SCHEMA}', '{MARTS_SCHEMA}') "
            "and (watermarks.batch is null or watermarks.batch < "
            "(select max(batch) from {schema}.rep_ai_affected)) order by watermarks.model",
        )
        return [name for (name,) in behind if name not in _OPEN_BATCHES]

    def unknown_types(self) -> list[UnknownType]:
        """Types that no seed lists, the most frequent first."""
        sql = "select kind, type, record_count from {table} order by record_count desc, kind, type"
        return [UnknownType(*row) for row in self.mart("rep_ai__unknown_types", sql)]


@contextmanager
def opened(destination: Destination) -> Iterator[Database]:
    """Open a database to be looked at: nothing is made, changed, or kept from a writer."""
    with closing(_connected(destination)) as connection:
        yield Database(connection)


def _connected(destination: Destination) -> Any:
    if not isinstance(destination, DuckDB):
        connection = destination.connect()
        connection.cursor().execute("set default_transaction_read_only = on")
        return connection
    if not destination.path.exists():
        return duckdb.connect()
    try:
        return destination.look()
    except BusyError:
        if holder := _holder(destination):
            raise DestinationError(
                f"{destination.name}: another run holds it: {holder}; look again when it has ended"
            ) from None
        raise


def _holder(destination: DuckDB) -> str | None:
    """The run that holds the lock file now, in its own words."""
    with suppress(OSError), destination.path.with_name(f"{destination.path.name}.lock").open() as f:
        try:
            fcntl.flock(f, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return f.read().strip()
    return None


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table whose every text stays on its line; numbers stand to the right."""
    grid = Table(box=None, pad_edge=False)
    shown = [
        [
            f"{cell:,}" if isinstance(cell, int) else "" if cell is None else on_line(str(cell))
            for cell in row
        ]
        for row in rows
    ]
    for number, column in enumerate(columns):
        is_count = bool(shown) and all(_is_number(row[number]) for row in shown)
        grid.add_column(column, justify="right" if is_count else "left", overflow="fold")
    for row in shown:
        grid.add_row(*map(escape, row))
    _console.print(escape(title), style="bold")
    _console.print(grid)
    _console.print()


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


@dataclass
class Outcome:
    """What a command did, as far as it came."""

    command: str
    ingest: Report | None = None
    # numbers of dbt build by what they count
    dbt: dict[str, int] | None = None
    # mart -> rows
    marts: dict[str, int] | None = None
    # the file that is a copy of them now
    published: str | None = None
    # what in the marts is not as expected
    said: list[str] = field(default_factory=list)
    error: str | None = None
    exit_code: int = 1

    def read_build(self, results: Path) -> None:
        """Count what dbt ran, by its own record."""
        statuses: Counter[str] = Counter()
        kinds: Counter[str] = Counter()
        for result in json.loads(results.read_text(encoding="utf-8"))["results"]:
            kinds[result["unique_id"].partition(".")[0]] += 1
            statuses[result["status"]] += 1
        self.dbt = {
            "models": kinds["model"],
            "seeds": kinds["seed"],
            "tests": kinds["test"],
            "warnings": statuses["warn"],
            "failures": sum(statuses.values())
            - sum(statuses[s] for s in ("success", "pass", "warn", "skipped", "no-op")),
            "skipped": statuses["skipped"],
        }

    def warnings(self) -> list[str]:
        """What does not fail the run, but should be seen."""
        waiting = self.ingest.still_rejected if self.ingest else 0
        return [_passed_over(waiting)] * bool(waiting) + self.said

    def document(self) -> dict[str, Any]:
        """The same for machines; the keys are always there, those of dbt for `run` only."""
        ingest = self.ingest or Report()
        return {
            "command": self.command,
            "exit_code": self.exit_code,
            "error": self.error,
            "files": {
                "seen": ingest.seen,
                "loaded": len(ingest.loaded),
                "known": ingest.known,
                "duplicates": len(ingest.duplicates),
                "still_rejected": ingest.still_rejected,
                "rejected": len(ingest.rejected),
                "failed": len(ingest.failed),
            },
            "rejected": [{"url": url, "reason": reason} for url, reason in ingest.rejected],
            "failed": ingest.failed,
            "records": {table: ingest.records[table] for table in RECORD_TABLES},
            "bytes": ingest.bytes,
            "seconds": round(ingest.seconds, 3),
            "megabytes_per_second": round(_speed(ingest), 6),
            **(
                {"dbt": self.dbt, "marts": self.marts, "published": self.published}
                if self.command == "run"
                else {}
            ),
            "warnings": self.warnings(),
        }


def show_build(outcome: Outcome) -> None:
    """Say how many models and tests dbt ran, and how many of them warn."""
    if outcome.dbt:
        warned = outcome.dbt["warnings"]
        click.echo(
            f"dbt build: {outcome.dbt['models']} models, {outcome.dbt['tests']} tests"
            + (f", {warned} of them warn" if warned else "")
        )


def show_ingest(report: Report) -> None:
    """Say what became of the files of a run, which records they held, and how fast it went."""
    rows: list[tuple[str, Any]] = [
        ("files seen", report.seen),
        ("loaded", len(report.loaded)),
        ("skipped: known already", report.known),
        ("skipped: copies of loaded ones", len(report.duplicates)),
        ("skipped: rejected by an earlier run", report.still_rejected),
        ("rejected", len(report.rejected)),
        ("failed", len(report.failed)),
        ("records", report.records.total()),
        *((f"  {table}", report.records[table]) for table in RECORD_TABLES),
        ("MB", f"{report.bytes / 1e6:,.1f}"),
        ("seconds", f"{report.seconds:,.1f}"),
        ("MB/s", f"{_speed(report):,.1f}"),
    ]
    table("What was landed", ["", "count"], rows)
    if report.still_rejected:
        click.echo(_passed_over(report.still_rejected))


def _speed(report: Report) -> float:
    return report.bytes / 1e6 / report.seconds if report.seconds else 0.0


def _passed_over(files: int) -> str:
    return (
        f"{files:,} {'file was' if files == 1 else 'files were'} passed over, rejected by an "
        "earlier run: rep-ai status says why, --retry-rejected reads them again"
    )


def look_at_marts(
    outcome: Outcome, destination: Destination, settings: dict[str, Any], *, talks: bool
) -> None:
    """Count the rows of the marts, and note or say what in the data is not as expected."""
    from rep_ai.commands import status

    file = destination.name if isinstance(destination, DuckDB) else None
    with opened(destination) as database:
        outcome.marts = {
            name: database.mart(name, "select count(*) from {table}")[0][0]
            for name in database.marts()
        }
        nights = status.night_warnings(database)
        outcome.said = [*nights, *status.data_warnings(database)]
        if not talks:
            return
        click.echo()
        counts = [(f"{MARTS_SCHEMA}.{name}", rows) for name, rows in outcome.marts.items()]
        table("What came out", ["mart", "rows"], counts)
        for line in nights:
            click.echo(f"{line}\n")
        _say_first_contact(database, settings, project.command("rep-ai", file))
        broken = [row for row in violations(database) if row[1] not in FIRST_CONTACT]
        if broken:
            show_violations(broken)
    click.echo(f"The marts are in {destination.name}, schema {MARTS_SCHEMA}. A first query:\n")
    click.echo(f"  {project.command('dbt', file)} show --inline '{FIRST_QUERY}'")


def _say_first_contact(database: Database, settings: dict[str, Any], command: str) -> None:
    """Say in words where the data has other types and fields than the project knows."""
    unknown = database.unknown_types()
    if unknown:
        included = str(settings["rep_ai_include_unknown_types"]).lower() == "true"
        where = "all facts and counts" if included else "no fact or count"
        click.echo(f"{len(unknown)} types are not known yet, and their records are in {where}:")
        for kind, name, count in unknown[:SHOWN]:
            click.echo(f"  {kind} {type_name(name)}: {count:,}")
        if len(unknown) > SHOWN:
            click.echo(f"  and {len(unknown) - SHOWN} more")
        click.echo(f"Add them: {command} types --add-all (or --add KIND:TYPE), then run again.\n")
    missing = database.mart(
        "rep_ai__contract_violations",
        "select rule, entity, record_id, count(*) from {table} "
        "where rule in ('field_missing', 'collection_missing') "
        "group by rule, entity, record_id order by rule, entity, record_id",
    )
    if missing:
        click.echo("Dumps that differ from the vendor's page:")
        for rule, entity, name, count in missing:
            what = f"no {entity} at all" if rule == "collection_missing" else f"no {entity}.{name}"
            click.echo(f"  {what}: {count:,} dumps")
        for collection in sorted({entity for rule, entity, _, _ in missing if rule[0] == "f"}):
            _say_unlisted_fields(database, settings["rep_ai_source_schema"], collection)
        click.echo(
            "A field that has another name is one line in models/staging/_staging__sources.yml, "
            "see CONTRIBUTING.md.\n"
        )


def _say_unlisted_fields(database: Database, raw_schema: str, collection: str) -> None:
    """Say which unlisted fields the records of a collection carry instead."""
    rows = database.rows(
        raw_schema, collection, "select _extra from {table} where _extra is not null limit 1000"
    )
    names: Counter[str] = Counter()
    for (extra,) in rows:
        names.update(json.loads(extra).keys())
    if names:
        said = ", ".join(on_line(name) for name, _ in names.most_common(SHOWN))
        click.echo(f"  {collection} carries fields that are not listed: {said}")


def violations(database: Database) -> list[tuple[Any, ...]]:
    """Severity, rule, entity, number and an example of the broken promises, by rule."""
    return database.mart(
        "rep_ai__contract_violations",
        "select severity, rule, entity, count(*), min(record_id) from {table} "
        "group by severity, rule, entity order by severity, count(*) desc, rule, entity",
    )


def show_violations(rows: Iterable[Sequence[Any]]) -> None:
    """Show the broken promises."""
    title = "Broken promises (rep_ai.rep_ai__contract_violations)"
    table(title, ["severity", "rule", "entity", "rows", "such as"], rows)


def type_name(name: str | None) -> str:
    """A type as a person can see it; records may have none, or the empty text."""
    return "(no type)" if name is None else on_line(name) or '""'


def show_unknown_types(title: str, rows: Iterable[Sequence[Any]]) -> None:
    """Show kind, type and number of records of types that no seed lists."""
    shown = [(kind, type_name(name), records) for kind, name, records, *_ in rows]
    table(title, ["kind", "type", "records"], shown)


def types(destination: Destination, add: Sequence[str], *, add_all: bool) -> None:
    """List unknown types, or add some to the seeds.

    Raises:
        click.UsageError: `add` does not name a kind and a type.
    """
    with opened(destination) as database:
        unknown = database.unknown_types()
    wanted = [_parsed(text) for text in add]
    if add_all:
        wanted += [(kind, name) for kind, name, _ in unknown if name]
        for kind, name, _ in unknown:
            if not name:
                click.echo(
                    f"{kind} {type_name(name)}: not added, an empty cell of a seed is no type; "
                    "rep_ai_include_unknown_types lets its records in"
                )
    if not wanted:
        if unknown:
            show_unknown_types("Types that no seed lists", unknown)
        else:
            click.echo("Every type is known.")
        return
    for kind, name in dict.fromkeys(wanted):
        path = project.directory() / "seeds" / _SEEDS[kind]
        added = _add_to_seed(path, name)
        click.echo(f"{kind} {on_line(name)}: {'added to' if added else 'already in'} {path}")
    click.echo("Label and describe them there; rep-ai run or dbt build takes them up.")


def _parsed(text: str) -> tuple[str, str]:
    kind, colon, name = text.partition(":")
    if not colon or not name or kind not in _SEEDS:
        raise click.UsageError(f"{text!r} is not KIND:TYPE, such as action:SCREEN_SHARE")
    return kind, name


def _add_to_seed(path: Path, name: str) -> bool:
    with path.open(newline="", encoding="utf-8") as file:
        if name in {row["type"] for row in csv.DictReader(file)}:
            return False
    label = name.replace("_", " ").capitalize()
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerow([name, label, "Added by rep-ai types"])
    return True
