"""What the commands say: a run's outcome, first contact with unknown data, types and status."""

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click
import duckdb
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rep_ai import project
from rep_ai.destinations import Destination, DuckDB, qualified, tables
from rep_ai.load import Report

MARTS_SCHEMA = "rep_ai"
FIRST_QUERY = (
    "select end_status, count(*) as session_groups "
    'from {{ ref("fct_rep_ai__session_groups") }} group by 1 order by 2 desc'
)
# how many of a long list are shown
SHOWN = 10

_SEEDS = {
    "action": "rep_ai_action_types.csv",
    "interaction": "rep_ai_interaction_types.csv",
}

# where no terminal sets a width, a row stays on its line
_console = Console(highlight=False, width=None if sys.stdout.isatty() else 1000)


class UnknownType(NamedTuple):
    """A type that no seed lists."""

    kind: str
    type: str | None
    record_count: int


class _Database:
    """Reads from the database behind a target; a table that is not there has no rows."""

    def __init__(self, connection: Any) -> None:
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

    def unknown_types(self) -> list[UnknownType]:
        """Types that no seed lists, the most frequent first."""
        sql = "select kind, type, record_count from {table} order by record_count desc, kind, type"
        return [UnknownType(*row) for row in self.mart("rep_ai__unknown_types", sql)]


@contextmanager
def _database(destination: Destination) -> Iterator[_Database]:
    # a look must not make the file
    absent = isinstance(destination, DuckDB) and not destination.path.exists()
    with closing(duckdb.connect() if absent else destination.connect()) as connection:
        yield _Database(connection)


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    shown = [
        [
            f"{cell:,}" if isinstance(cell, int) else "" if cell is None else _line(str(cell))
            for cell in row
        ]
        for row in rows
    ]
    for number, column in enumerate(columns):
        is_count = bool(shown) and all(_is_number(row[number]) for row in shown)
        table.add_column(column, justify="right" if is_count else "left", overflow="fold")
    for row in shown:
        table.add_row(*map(escape, row))
    _console.print(escape(title), style="bold")
    _console.print(table)
    _console.print()


def _is_number(text: str) -> bool:
    return text.replace(",", "").isdigit()


def show_build(results: Path) -> None:
    """Say how many models and tests dbt ran, and how many of them warn."""
    statuses: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for result in json.loads(results.read_text(encoding="utf-8"))["results"]:
        kinds[result["unique_id"].partition(".")[0]] += 1
        statuses[result["status"]] += 1
    warned = f", {statuses['warn']} of them warn" if statuses["warn"] else ""
    click.echo(f"dbt build: {kinds['model']} models, {kinds['test']} tests{warned}")


def show_ingest(report: Report) -> None:
    """Say what became of the files of a run: one line each for those that are not loaded."""
    for url, reason in report.rejected:
        click.echo(f"rejected {_line(url)}: {_line(reason)}", err=True)
    for failure in report.failed:
        click.echo(f"failed {_line(failure)}", err=True)
    counts = {
        "loaded": len(report.loaded),
        "known already": report.known,
        "copies of loaded ones": len(report.duplicates),
        "rejected": len(report.rejected),
        "failed": len(report.failed),
    }
    said = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    megabytes = report.bytes / 1e6
    click.echo(
        f"{report.seen:,} files: {said or 'none of them new'}; {report.records.total():,} records, "
        f"{megabytes:,.1f} MB in {report.seconds:.1f} s"
    )
    if report.still_rejected:
        click.echo(
            f"{report.still_rejected:,} files were passed over, rejected by an earlier run: "
            "rep-ai status says why, --retry-rejected reads them again"
        )


def _line(text: str) -> str:
    """Text that stays on its line, whatever a file name holds."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def show_marts(destination: Destination, settings: dict[str, Any]) -> None:
    """Say what came out of dbt build, and what in the data is not as expected."""
    with _database(destination) as database:
        names = sorted(
            name
            for schema, name in database.tables
            if schema == MARTS_SCHEMA and name not in {Path(seed).stem for seed in _SEEDS.values()}
        )
        counts = [
            (f"{MARTS_SCHEMA}.{name}", database.mart(name, "select count(*) from {table}")[0][0])
            for name in names
        ]
        click.echo()
        _table("What came out", ["mart", "rows"], counts)
        _say_first_contact(database, settings)
        _say_violations(database)
    click.echo(f"The marts are in {destination.name}, schema {MARTS_SCHEMA}. A first query:\n")
    dbt = Path(sys.executable).parent / "dbt"
    shown = dbt.relative_to(Path.cwd()) if dbt.is_relative_to(Path.cwd()) else dbt
    click.echo(f"  {shown} show --inline '{FIRST_QUERY}'")


def _say_first_contact(database: _Database, settings: dict[str, Any]) -> None:
    """Say in words where the data has other types and fields than the project knows."""
    unknown = database.unknown_types()
    if unknown:
        included = str(settings["rep_ai_include_unknown_types"]).lower() == "true"
        where = "all facts and counts" if included else "no fact or count"
        click.echo(f"{len(unknown)} types are not known yet, and their records are in {where}:")
        for kind, name, count in unknown[:SHOWN]:
            click.echo(f"  {kind} {'without a type' if name is None else _line(name)}: {count:,}")
        if len(unknown) > SHOWN:
            click.echo(f"  and {len(unknown) - SHOWN} more")
        click.echo("Add them: rep-ai types --add-all (or --add KIND:TYPE), then run again.\n")
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
            "A field that has another name is one line in ingest/rep_ai/vendor.py and one in "
            "models/staging, see CONTRIBUTING.md.\n"
        )


def _say_unlisted_fields(database: _Database, raw_schema: str, collection: str) -> None:
    """Say which unlisted fields the records of a collection carry instead."""
    rows = database.rows(
        raw_schema, collection, "select _extra from {table} where _extra is not null limit 1000"
    )
    names: Counter[str] = Counter()
    for (extra,) in rows:
        names.update(json.loads(extra).keys())
    if names:
        said = ", ".join(_line(name) for name, _ in names.most_common(SHOWN))
        click.echo(f"  {collection} carries fields that are not listed: {said}")


def _say_violations(database: _Database) -> None:
    rows = database.mart(
        "rep_ai__contract_violations",
        "select severity, rule, entity, count(*), min(record_id) from {table} "
        "where rule not in ('field_missing', 'collection_missing') "
        "group by severity, rule, entity order by severity, count(*) desc, rule, entity",
    )
    if rows:
        _table(
            "Broken promises (rep_ai.rep_ai__contract_violations)",
            ["severity", "rule", "entity", "rows", "such as"],
            rows,
        )


def types(destination: Destination, add: Sequence[str], *, add_all: bool) -> None:
    """List unknown types, or add some to the seeds.

    Raises:
        click.UsageError: `add` does not name a kind and a type.
    """
    with _database(destination) as database:
        unknown = database.unknown_types()
    wanted = [_parsed(text) for text in add]
    if add_all:
        wanted += [(kind, name) for kind, name, _ in unknown if name]
    if not wanted:
        if unknown:
            _table("Types that no seed lists", ["kind", "type", "records"], unknown)
        else:
            click.echo("Every type is known.")
        return
    for kind, name in dict.fromkeys(wanted):
        path = project.directory() / "seeds" / _SEEDS[kind]
        added = _add_to_seed(path, name)
        click.echo(f"{kind} {_line(name)}: {'added to' if added else 'already in'} {path}")
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


def show_status(destination: Destination, raw_schema: str) -> None:
    """Show what is loaded, which nights are missing, what was rejected, and unknown types."""
    with _database(destination) as database:
        completed = (
            "where _dlt_load_id in (select load_id from {schema}._dlt_loads where status = 0)"
        )
        files = database.rows(
            raw_schema,
            "deliveries",
            "select status, count(distinct file_url), count(distinct _delivery_id) from {table} "
            f"{completed} group by status order by status",
        )
        if not files:
            click.echo(f"Nothing is loaded in {destination.name} yet: rep-ai run SOURCE")
            return
        _table(f"Files in {destination.name}", ["status", "files", "contents"], files)
        nights = database.mart(
            "rep_ai__dump_calendar",
            "select status, count(*), min(window_start_at), max(window_end_at) from {table} "
            "group by status order by status",
        )
        if nights:
            _table("Nights (UTC)", ["status", "windows", "first start", "last end"], nights)
        missing = database.mart(
            "rep_ai__dump_calendar",
            "select window_start_at, window_end_at from {table} where status = 'missing' "
            "order by window_start_at desc limit 10",
        )
        if missing:
            _table("Missing, the last ten", ["from", "until"], missing)
        # a file may have been mended, or read again, since: its last load counts
        states = database.rows(
            raw_schema,
            "deliveries",
            "select file_url, deliveries.status, reason from {table} as deliveries "
            "inner join {schema}._dlt_loads as loads on deliveries._dlt_load_id = loads.load_id "
            "where loads.status = 0 order by inserted_at",
        )
        rejected = [
            (url, reason)
            for url, (status, reason) in sorted({row[0]: row[1:3] for row in states}.items())
            if status == "rejected"
        ]
        if rejected:
            click.echo("Rejected")
        for url, reason in rejected:
            click.echo(f"{_line(url)}: {_line(reason)}")
        if rejected:
            click.echo()
        unknown = database.unknown_types()
        if unknown:
            _table("Unknown types", ["kind", "type", "records"], unknown)
        _say_violations(database)
