"""The last runs, as `rep-ai status` tells them."""

from collections.abc import Sequence

from rep_ai.console.tables import show_table
from rep_ai.warehouse.database import Database
from rep_ai.warehouse.health import Row
from rep_ai.words import many, on_line

# how many are told
LAST = 7


def last(database: Database) -> list[Row]:
    """The rows of the last runs in the raw table `runs`, the newest first."""
    return database.records(f"select * from {{runs}} order by started_at desc, run_id limit {LAST}")


def warnings(runs: Sequence[Row]) -> list[str]:
    """Which files no run has looked at; what is wrong with a source was said by the run itself."""
    if not runs or not (count := runs[0]["files_passed_over"]):
        return []
    return [
        f"{many(count, 'file was', 'files were')} not looked at by the last run, as no --pattern "
        f"takes such names: {on_line(runs[0]['passed_over_examples'])}"
    ]


def show(runs: Sequence[Row]) -> None:
    """Show when each run was, how long it took, what came and how it ended."""
    if not runs:
        return
    rows = [
        (
            f"{run['started_at']:%Y-%m-%d %H:%M}",
            run["command"],
            _took(run),
            run["files_loaded"],
            run["files_rejected"],
            run["records"],
            run["exit_code"] if run["ended_at"] else "killed, or at work",
            run["error"],
        )
        for run in runs
    ]
    columns = ["began", "command", "took", "loaded", "rejected", "records", "exit code", "error"]
    show_table("The last runs (UTC)", columns, rows)


def _took(run: Row) -> str | None:
    if run["ended_at"] is None:
        return None
    return f"{(run['ended_at'] - run['started_at']).total_seconds():,.0f} s"
