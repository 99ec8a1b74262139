"""rep-ai types: what is not known, and types of the user's own."""

from collections.abc import Sequence

import click

from rep_ai.console.tables import show_unknown_types
from rep_ai.errors import RepAiError
from rep_ai.landing import upkeep
from rep_ai.landing.destinations import Destination
from rep_ai.warehouse.database import opened
from rep_ai.warehouse.health import unknown_types
from rep_ai.words import on_line, type_name

KINDS = ("action", "interaction")


def types(
    destination: Destination, schema: str, add: Sequence[str], *, add_all: bool, force: bool
) -> None:
    """List unknown types, or add some (KIND:TYPE) or all of them to the raw table `known_types`.

    With `force` types that no dump has shown are added, too.
    """
    wanted = [_parsed(text) for text in add]
    with opened(destination, schema) as database:
        unknown = unknown_types(database)
        known = set(database.rows("select kind, type from {int_rep_ai__known_types}"))
        known |= set(database.rows("select kind, type from {known_types}"))
    seen = {(each["kind"], each["type"]) for each in unknown}
    if add_all:
        wanted += [each for each in sorted(seen, key=str) if each[1]]
    elif unknown and not wanted:
        show_unknown_types("Types that are not known", unknown)
        return
    never = [f"{kind}:{on_line(name)}" for kind, name in wanted if (kind, name) not in seen | known]
    if never and not force:
        raise RepAiError(
            f"no dump that is built has {', '.join(never)}",
            to_do="check the spelling; --force adds it all the same",
        )
    new = [each for each in dict.fromkeys(wanted) if each not in known]
    if new:
        upkeep.write(destination, schema, "known_types", new)
    for kind, name in dict.fromkeys(wanted):
        said = "added" if (kind, name) in new else "known already"
        click.echo(f"{kind} {on_line(name)}: {said}")
    for each in unknown if add_all else ():
        if not each["type"]:
            click.echo(
                f"{each['kind']} {type_name(each['type'])}: not added, it is no type; "
                "rep_ai_include_unknown_types lets its records in"
            )
    if new:
        click.echo("The facts have them after the next rep-ai run or dbt build.")
    elif not wanted:
        click.echo("Every type is known.")


def _parsed(text: str) -> tuple[str, str]:
    kind, colon, name = text.partition(":")
    if not colon or not name or kind not in KINDS:
        raise click.UsageError(f"{text!r} is not KIND:TYPE, such as action:SCREEN_SHARE")
    return kind, name
