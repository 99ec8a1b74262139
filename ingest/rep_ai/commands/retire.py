"""rep-ai retire and restore: a delivery out of the marts, and back."""

from pathlib import Path
from urllib.parse import unquote

import click

from rep_ai.errors import RepAiError
from rep_ai.landing import upkeep
from rep_ai.landing.destinations import Destination
from rep_ai.landing.results import LOADED, REJECTED
from rep_ai.warehouse.database import Database, opened
from rep_ai.warehouse.health import Row
from rep_ai.words import many, on_line

# so many digits of a delivery's id are enough
SHORTEST_ID = 8


def retire(
    destination: Destination, schema: str, named: str, *, action: str, reason: str | None
) -> None:
    """Take a delivery out of the marts (`retire`), or bring it back (`restore`).

    It is named by a file, as a path, a URL or the end of one, or by its id. The reason is for
    whoever reads the raw table `retirements`; the marts follow at the next build.
    """
    with opened(destination, schema) as database:
        delivery_id, url = _found(database, named)
        is_retired = delivery_id in {each["delivery"] for each in retired(database)}
    if is_retired == (action == "retire"):
        click.echo(f"{on_line(url)}: {'retired' if is_retired else 'not retired'} already")
        return
    upkeep.write(destination, schema, "retirements", [(delivery_id, action, reason)])
    said = "retired" if is_retired is False else "restored"
    click.echo(f"{on_line(url)}: {said} (delivery {delivery_id[:12]})")
    click.echo("The marts follow at the next rep-ai run or dbt build.")


def retired(database: Database) -> list[Row]:
    """The deliveries that are retired, each with a file that has its content, and why."""
    # the last row of a delivery holds
    return database.records(
        "select (select min(file_url) from {deliveries} as loaded where "
        f"loaded._delivery_id = last._delivery_id and status = '{LOADED}') as url, "
        "_delivery_id as delivery, reason, _at as retired_at from "
        "(select *, row_number() over (partition by _delivery_id order by _at desc, action desc) "
        "as age from {retirements}) as last where age = 1 and action = 'retire' order by _at, url"
    )


def _found(database: Database, named: str) -> tuple[str, str]:
    """The id of the delivery that is meant, and a file with its content."""
    rows = database.rows(
        "select distinct _delivery_id, file_url from {deliveries} where _dlt_load_id in "
        f"(select load_id from {{_dlt_loads}} where status = 0) and status != '{REJECTED}' "
        "order by file_url, _delivery_id",
    )
    if not rows:
        raise RepAiError("nothing is loaded yet: rep-ai run SOURCE")
    # as the landing writes it: not encoded
    path = f"file://{Path(unquote(named.removeprefix('file://'))).resolve()}"
    meant = [row for row in rows if row[1] in (named, path)]
    meant = meant or [row for row in rows if row[1].endswith(f"/{named}")]
    if not meant and len(named) >= SHORTEST_ID:
        meant = [row for row in rows if row[0].startswith(named.lower())]
    ids = list(dict.fromkeys(row[0] for row in meant))
    if len(ids) == 1:
        return ids[0], meant[0][1]
    if not ids:
        raise RepAiError(
            f"no loaded file is called {on_line(named)}",
            to_do="name it as rep-ai status and rep_ai__dump_calendar do, or by its delivery id",
        )
    listed = "; ".join(f"{row[0][:12]} {on_line(row[1])}" for row in meant)
    raise RepAiError(
        f"{on_line(named)} is {many(len(ids), 'delivery', 'deliveries')}: {listed}",
        to_do="name one by its id",
    )
