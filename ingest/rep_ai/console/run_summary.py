"""What a run says at its end: what was landed, what came out, and what is to be looked into."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from rep_ai.console.tables import show_table
from rep_ai.dump.format import RECORD_TABLES
from rep_ai.errors import DONE, EXIT_FAILED, SOME_REJECTED
from rep_ai.landing.results import Report
from rep_ai.warehouse import health
from rep_ai.warehouse.database import Database
from rep_ai.words import many, named, one_line

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
    talks: bool = False  # whether a person is told at once
    ingest: Report = field(default_factory=Report)  # what became of the files
    dbt: dict[str, int] | None = None  # numbers of dbt build by what they count
    warned: list[str] = field(default_factory=list)  # tests of dbt, and what each says
    marts: dict[str, int] | None = None  # mart -> rows
    published: str | None = None  # the file that is a copy of the marts now
    remarks: list[health.Remark] = field(default_factory=list)  # on windows and records
    error: str | None = None
    build_seconds: float | None = None  # that dbt took
    run_lines: list[str] = field(default_factory=list)  # what could not be noted of the run

    @property
    def exit_code(self) -> int:
        """How the command ends."""
        if self.error or self.ingest.failed:
            return EXIT_FAILED
        return SOME_REJECTED if self.ingest.rejected else DONE

    @property
    def files(self) -> dict[str, int]:
        """How many files it saw, and what became of them."""
        report = self.ingest
        return {
            "seen": report.seen,
            "loaded": len(report.loaded),
            "known": report.known,
            "duplicates": len(report.duplicates),
            "still_rejected": report.still_rejected,
            "rejected": len(report.rejected),
            "failed": len(report.failed),
            "passed_over": len(report.passed_over),
            "not_dumps": report.not_dumps,
            "gone": report.gone,
        }

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
        return [*_passed_over(self.ingest), *map(str, self.remarks), *self.run_lines]

    def document(self) -> dict[str, Any]:
        """The same for machines; the keys are always there, those of dbt for `run` only."""
        ingest = self.ingest
        built = {name: getattr(self, name) for name in ("dbt", "warned", "marts", "published")}
        return {
            "command": self.command,
            "exit_code": self.exit_code,
            "error": self.error,
            "files": self.files,
            "rejected": [{"url": url, "reason": reason} for url, reason in ingest.rejected],
            "failed": ingest.failed,
            "records": {table: ingest.records[table] for table in RECORD_TABLES},
            "bytes": ingest.bytes,
            "seconds": round(ingest.seconds, 3),
            "megabytes_per_second": round(_speed(ingest), 6),
            **(built if self.command == "run" else {}),
            "warnings": self.warnings(),
        }


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


def show_build(counts: dict[str, int], warned: list[str]) -> None:
    """Say how many models and tests dbt ran, and which of them warn."""
    warn = f", {counts['warnings']} of them warn" if counts["warnings"] else ""
    click.echo(f"dbt build: {counts['models']} models, {counts['tests']} tests{warn}")
    for line in warned:
        click.echo(f"  {line}")


def show_marts(outcome: Outcome, database: Database) -> None:
    """Say how many rows the marts have, what is not as expected, and how to ask a first query."""
    click.echo()
    counted = [(database.shown(name), rows) for name, rows in (outcome.marts or {}).items()]
    show_table("What came out", ["mart", "rows"], counted)
    for remark in (*outcome.remarks, *health.missing_fields(database)):
        _show(remark)
    schema = database.shown("fct_rep_ai__session_groups").partition(".")[0]
    click.echo(f"The marts are in {database.name}, schema {schema}. A first query:\n")
    click.echo(f"  {database.command('dbt', 'show', '--inline', FIRST_QUERY)}")


def _show(remark: health.Remark) -> None:
    """Say what was found, the first examples line by line, and what to do."""
    click.echo(f"{remark.what}:" if remark.examples else f"{remark.what}\n")
    shown = len(remark.examples) if remark.is_whole else SHOWN
    for line in remark.examples[:shown]:
        click.echo(f"  {line}")
    if (more := len(remark.examples) - shown) > 0:
        click.echo(f"  and {more:,} more")
    if remark.examples:
        click.echo(f"{remark.to_do[:1].upper()}{remark.to_do[1:]}\n")
