"""What a run says at its end: what was landed, what came out, and what is to be looked into."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from rep_ai.console.tables import show_table, show_violations
from rep_ai.dump.format import RECORD_TABLES
from rep_ai.errors import DONE, FAILED, SOME_REJECTED
from rep_ai.landing.results import Report
from rep_ai.warehouse import health
from rep_ai.warehouse.database import Database
from rep_ai.words import many, named, on_line, one_line, type_name

FIRST_QUERY = (
    "select end_status, count(*) as session_groups "
    'from {{ ref("fct_rep_ai__session_groups") }} group by 1 order by 2 desc'
)
# how many of a long list are shown
SHOWN = 10
# statuses of dbt that are no failure
FINE = ("success", "pass", "warn", "skipped", "no-op")


@dataclass
class Outcome:
    """What a command did, as far as it came."""

    command: str  # ingest or run
    ingest: Report | None = None  # what became of the files
    dbt: dict[str, int] | None = None  # numbers of dbt build by what they count
    warned: list[str] = field(default_factory=list)  # tests of dbt, and what each says
    marts: dict[str, int] | None = None  # mart -> rows
    published: str | None = None  # the file that is a copy of the marts now
    # what in the windows, and in the records, is not as expected
    window_lines: list[str] = field(default_factory=list)
    data_lines: list[str] = field(default_factory=list)
    unlisted_fields: list[health.Row] = field(default_factory=list)  # they have no column
    error: str | None = None
    build_seconds: float | None = None  # that dbt took
    run_lines: list[str] = field(default_factory=list)  # what could not be noted of the run

    @property
    def exit_code(self) -> int:
        """How the command ends."""
        if self.error or self.landed.failed:
            return FAILED
        return SOME_REJECTED if self.landed.rejected else DONE

    @property
    def landed(self) -> Report:
        """What became of the files, as far as that is known."""
        return self.ingest or Report()

    def read_build(self, results: Path) -> None:
        """Count what dbt ran, by its own record."""
        found = json.loads(results.read_text(encoding="utf-8"))["results"]
        kinds = Counter(result["unique_id"].partition(".")[0] for result in found)
        statuses = Counter(result["status"] for result in found)
        self.warned = [
            f"{result['unique_id'].split('.')[2]}: {one_line(result.get('message') or 'warns')}"
            for result in found
            if result["status"] == "warn"
        ]
        self.dbt = {
            "models": kinds["model"],
            "seeds": kinds["seed"],
            "tests": kinds["test"],
            "warnings": statuses["warn"],
            "failures": sum(n for status, n in statuses.items() if status not in FINE),
            "skipped": statuses["skipped"],
        }

    def warnings(self) -> list[str]:
        """What does not fail the run, but should be seen."""
        passed_over = _passed_over(self.landed)
        return [*passed_over, *self.window_lines, *self.data_lines, *self.run_lines]

    def document(self) -> dict[str, Any]:
        """The same for machines; the keys are always there, those of dbt for `run` only."""
        ingest = self.landed
        built = {
            "dbt": self.dbt,
            "warned": self.warned,
            "marts": self.marts,
            "published": self.published,
        }
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
                "passed_over": len(ingest.passed_over),
                "not_dumps": ingest.not_dumps,
                "gone": ingest.gone,
            },
            "rejected": [{"url": url, "reason": reason} for url, reason in ingest.rejected],
            "failed": ingest.failed,
            "records": {table: ingest.records[table] for table in RECORD_TABLES},
            "bytes": ingest.bytes,
            "seconds": round(ingest.seconds, 3),
            "megabytes_per_second": round(_speed(ingest), 6),
            **(built if self.command == "run" else {}),
            "warnings": self.warnings(),
        }


def show_build(counts: dict[str, int], warned: list[str]) -> None:
    """Say how many models and tests dbt ran, and which of them warn."""
    warn = f", {counts['warnings']} of them warn" if counts["warnings"] else ""
    click.echo(f"dbt build: {counts['models']} models, {counts['tests']} tests{warn}")
    for line in warned:
        click.echo(f"  {line}")


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
    show_table("What was landed", ["", "count"], rows)
    for line in _passed_over(report):
        click.echo(line)


def _speed(report: Report) -> float:
    return report.bytes / 1e6 / report.seconds if report.seconds else 0.0


def _passed_over(report: Report) -> Iterator[str]:
    if files := report.still_rejected:
        yield (
            f"{many(files, 'file was', 'files were')} passed over, rejected by an earlier run: "
            "rep-ai status says why, --retry-rejected reads them again"
        )
    if others := report.passed_over:
        yield (
            f"{many(len(others), 'file was', 'files were')} not looked at, as no --pattern takes "
            f"such names: {named(others)}"
        )


def show_marts(outcome: Outcome, database: Database, settings: dict[str, Any]) -> None:
    """Say how many rows the marts have, what is not as expected, and how to ask a first question.

    Of the outcome `marts`, `window_lines` and `unlisted_fields` are known.
    """
    click.echo()
    counts = [(database.shown(name), rows) for name, rows in (outcome.marts or {}).items()]
    show_table("What came out", ["mart", "rows"], counts)
    for line in outcome.window_lines:
        click.echo(f"{line}\n")
    _say_unknown_types(database, settings)
    _say_unlisted_fields(outcome.unlisted_fields)
    _say_missing_fields(database)
    broken = health.violations(database)
    if others := [each for each in broken if each["rule"] not in health.FIRST_CONTACT]:
        show_violations(database.shown(health.VIOLATIONS), others)
    schema = database.shown("fct_rep_ai__session_groups").partition(".")[0]
    click.echo(f"The marts are in {database.name}, schema {schema}. A first query:\n")
    click.echo(f"  {database.command('dbt', 'show', '--inline', FIRST_QUERY)}")


def _say_unknown_types(database: Database, settings: dict[str, Any]) -> None:
    """Say in words where the data has other types than the project knows."""
    if unknown := health.unknown_types(database):
        included = str(settings["rep_ai_include_unknown_types"]).lower() == "true"
        where = "all facts and counts" if included else "no fact or count"
        _say(
            f"{len(unknown)} types are not known yet, and their records are in {where}:",
            [
                f"{each['kind']} {on_line(type_name(each['type']))}: {each['records']:,}"
                for each in unknown
            ],
            f"Add them, then run again: {database.command('rep-ai', 'types', '--add-all')}\n"
            "Or some of them: --add KIND:TYPE in place of --add-all.",
        )


def _say_unlisted_fields(fields: list[health.Row]) -> None:
    """Say in words which fields the records carry beside those of the vendor's page."""
    if fields:
        _say(
            f"{many(len(fields), 'field is', 'fields are')} not listed, and in no column:",
            [
                f"{each['collection']}.{on_line(each['field'])}: "
                f"{many(each['records'], 'record', 'records')}"
                for each in fields
            ],
            f"Variable rep_ai_fields makes columns of them: {health.OWN_FIELDS}",
        )


def _say_missing_fields(database: Database) -> None:
    """Say in words where the dumps lack fields, and which they carry instead."""
    lacking = []
    for rule, entity, name, count in health.missing_fields(database):
        what = f"{entity} at all" if rule == "collection_missing" else f"{entity}.{name}"
        lacking.append(f"no {what}: {count:,} dumps")
    if lacking:
        _say(
            "Dumps that differ from the vendor's page:",
            lacking,
            "A field that has another name is one line in models/staging/_staging__sources.yml, "
            "see CONTRIBUTING.md.",
            shown=len(lacking),
        )


def _say(head: str, found: Sequence[str], to_do: str, shown: int = SHOWN) -> None:
    """Say what was found, the first of a list line by line, and what to do."""
    click.echo(head)
    for line in found[:shown]:
        click.echo(f"  {line}")
    if len(found) > shown:
        click.echo(f"  and {len(found) - shown} more")
    click.echo(f"{to_do}\n")
