"""`make start-over`: the databases of this folder are set aside; nothing is removed."""

import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import click

from rep_ai import project
from rep_ai.landing.destinations import DuckDB
from rep_ai.landing.errors import BusyError, DestinationError

NAMES = (project.SAMPLE_DUCKDB, project.DEFAULT_DUCKDB)


def set_aside(path: Path) -> Path:
    """Rename a DuckDB file, if no writer has it open, so that the next run begins with none."""
    database = DuckDB(path)
    with database.lock():
        try:
            database.connect_to_read().close()
        except DestinationError as error:
            # a damaged file is a reason to start over
            if isinstance(error, BusyError):
                raise
        aside = path.with_stem(f"{path.stem}-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}")
        if aside.exists():
            raise DestinationError(f"{aside} is there already", to_do="try again in a second")
        path.rename(aside)
        # what a killed writer has left in it is a part of the database
        with suppress(FileNotFoundError):
            Path(f"{path}.wal").rename(f"{aside}.wal")
    return aside


def main() -> None:
    """Set the databases of the working folder aside, and say how to go on, or back."""
    found = [Path(name) for name in NAMES if Path(name).exists()]
    if not found:
        click.echo(f"There is no {' and no '.join(NAMES)} here: the next run begins anew anyhow.")
    for path in found:
        size = path.stat().st_size / 1e6
        try:
            aside = set_aside(path)
        except (DestinationError, OSError) as error:
            sys.exit(f"{path} stays: {error}")
        click.echo(f"{path} ({size:,.1f} MB) is set aside, so the next run begins anew.")
        click.echo(f"  to have it back:   mv -n {aside} {path}")
        click.echo(f"  to be rid of it:   rm {aside}")
    named = os.environ.get("REP_AI_DUCKDB")
    if named and Path(named).absolute() not in [Path(name).absolute() for name in NAMES]:
        click.echo(f"{named}, which REP_AI_DUCKDB names, is left as it is.")


if __name__ == "__main__":
    main()
