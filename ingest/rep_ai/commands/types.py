"""rep-ai types: what no seed lists, or a line more in a seed."""

import csv
from collections.abc import Sequence

import click

from rep_ai import project
from rep_ai.console.tables import show_unknown_types, type_name
from rep_ai.landing.destinations import Destination
from rep_ai.warehouse.database import opened
from rep_ai.warehouse.health import unknown_types
from rep_ai.words import on_line

KINDS = ("action", "interaction")


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
    wanted = [_parsed(text) for text in add]
    with opened(destination) as database:
        unknown = unknown_types(database)
    for each in unknown if add_all else ():
        if each["type"]:
            wanted.append((each["kind"], each["type"]))
        else:
            click.echo(
                f"{each['kind']} {type_name(each['type'])}: not added, an empty cell of a seed is "
                "no type; rep_ai_include_unknown_types lets its records in"
            )
    if wanted:
        for kind, name in dict.fromkeys(wanted):
            _add_to_seed(kind, name)
        click.echo("Label and describe them there; rep-ai run or dbt build takes them up.")
    elif unknown:
        show_unknown_types("Types that no seed lists", unknown)
    else:
        click.echo("Every type is known.")


def _parsed(text: str) -> tuple[str, str]:
    kind, colon, name = text.partition(":")
    if not colon or not name or kind not in KINDS:
        raise click.UsageError(f"{text!r} is not KIND:TYPE, such as action:SCREEN_SHARE")
    return kind, name


def _add_to_seed(kind: str, name: str) -> None:
    path = project.package_directory() / "seeds" / f"rep_ai_{kind}_types.csv"
    with path.open("r+", newline="", encoding="utf-8") as file:
        is_new = name not in {row["type"] for row in csv.DictReader(file)}
        if is_new:
            label = name.replace("_", " ").capitalize()
            csv.writer(file, lineterminator="\n").writerow([name, label, "Added by rep-ai types"])
    click.echo(f"{kind} {on_line(name)}: {'added to' if is_new else 'already in'} {path}")
