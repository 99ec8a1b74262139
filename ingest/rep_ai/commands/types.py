"""rep-ai types: what no seed lists, or a line more in a seed."""

import csv
from collections.abc import Sequence
from pathlib import Path

import click

from rep_ai import project
from rep_ai.console.tables import show_unknown_types, type_name
from rep_ai.landing.destinations import Destination
from rep_ai.warehouse.database import opened
from rep_ai.warehouse.health import unknown_types
from rep_ai.warehouse.names import SEEDS
from rep_ai.words import on_line


def types(destination: Destination, add: Sequence[str], *, add_all: bool) -> None:
    """List unknown types, or add some to the seeds.

    Args:
        destination: the database, which is only read.
        add: types as KIND:TYPE.
        add_all: add every type that is not known yet.

    Raises:
        DestinationError: the database cannot be read.
        click.UsageError: `add` does not name a kind and a type.
    """
    with opened(destination) as database:
        unknown = unknown_types(database)
    wanted = [_parsed(text) for text in add]
    for each in unknown if add_all else ():
        if each.type:
            wanted.append((each.kind, each.type))
        else:
            click.echo(
                f"{each.kind} {type_name(each.type)}: not added, an empty cell of a seed is no "
                "type; rep_ai_include_unknown_types lets its records in"
            )
    if not wanted:
        if unknown:
            show_unknown_types("Types that no seed lists", unknown)
        else:
            click.echo("Every type is known.")
        return
    for kind, name in dict.fromkeys(wanted):
        path = project.directory() / "seeds" / f"{SEEDS[kind]}.csv"
        added = _add_to_seed(path, name)
        click.echo(f"{kind} {on_line(name)}: {'added to' if added else 'already in'} {path}")
    click.echo("Label and describe them there; rep-ai run or dbt build takes them up.")


def _parsed(text: str) -> tuple[str, str]:
    kind, colon, name = text.partition(":")
    if not colon or not name or kind not in SEEDS:
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
