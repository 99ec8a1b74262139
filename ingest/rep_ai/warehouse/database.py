"""Reading from the database behind a target: nothing is made, changed, or kept from a writer."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from typing import Any

import duckdb

from rep_ai import project
from rep_ai.landing.destinations import Destination, DuckDB, qualified, tables
from rep_ai.landing.errors import BusyError, DestinationError
from rep_ai.warehouse import manifest
from rep_ai.warehouse.manifest import Node

# they open the batches that the others wait for
_OPEN_BATCHES = {manifest.DELIVERIES, "int_rep_ai__known_types"}


class Database:
    """Reads from the database behind a target.

    A query names raw tables, models and seeds in braces, as in `select * from {dim_rep_ai__users}`,
    and has no rows where one of them is not there.

    Attributes:
        name: where it is, as people read it.
        cursor: of the connection.
    """

    def __init__(
        self,
        connection: Any,
        destination: Destination,
        raw_schema: str = "",
        variables: dict[str, Any] | None = None,
    ) -> None:
        """See which tables there are; without `raw_schema` no raw table is asked for."""
        self.name = destination.name
        self.cursor = connection.cursor()
        self._tables = tables(self.cursor)
        self._target = destination.target
        self._is_duckdb = isinstance(destination, DuckDB)
        self._raw_schema = raw_schema
        self._variables = variables

    @cached_property
    def _nodes(self) -> dict[str, Node]:
        """What dbt builds, by name; where it can have built nothing, it is not asked."""
        if all(schema == self._raw_schema for schema, _ in self._tables):
            return {}
        return manifest.nodes(self._target or project.profile().target)

    def command(self, program: str, *words: str) -> str:
        """What a shell runs to call `rep-ai` or `dbt` on this database."""
        used = project.profile(self._target)
        return project.command(used, program, *words, variables=self._variables)

    def _place(self, name: str) -> tuple[str, str] | None:
        """Schema and table of a raw table, model or seed; None where it is not there."""
        place = (self._raw_schema, name)
        if place not in self._tables and (node := self._nodes.get(name)):
            place = (node.schema, node.alias)
        return place if place in self._tables else None

    def __getitem__(self, name: str) -> str:
        """A raw table, model or seed as SQL names it; KeyError where it is not there."""
        if place := self._place(name):
            return f"{qualified(self.cursor, place[0])}.{place[1]}"
        raise KeyError(name)

    def is_built(self, name: str) -> bool:
        """Whether a model or a seed is in the database."""
        return self._place(name) is not None

    def shown(self, name: str) -> str:
        """A model as a person writes it, with its schema; the name alone where nothing is built."""
        return f"{self._nodes[name].schema}.{self._nodes[name].alias}" if self._nodes else name

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        try:
            self.cursor.execute(sql.format_map(self))
        except KeyError:
            return []
        return list(self.cursor.fetchall())

    def records(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a query by the names of its columns."""
        rows = self.rows(sql)
        names = [column[0] for column in self.cursor.description] if rows else []
        return [dict(zip(names, row, strict=True)) for row in rows]

    def unlisted(self, table: str) -> list[tuple[str, int]]:
        """Fields of a raw table that no list has, and how many of its records carry each."""
        name = "unnest(json_keys(_extra))" if self._is_duckdb else "json_object_keys(_extra::json)"
        # a key may have an escape that no text type holds; such records are not counted
        return self.rows(
            f"select name, count(*) from (select {name} as name from {{{table}}} "
            "where _extra is not null and strpos(_extra, '\\u') = 0 and _dlt_load_id in "
            "(select load_id from {_dlt_loads} where status = 0)) as names "
            "group by name order by count(*) desc, name"
        )

    def marts(self) -> list[Node]:
        """The marts that are there, in the order of their names."""
        found = sorted(self._nodes.items())
        return [node for name, node in found if node.is_mart and self.is_built(name)]

    def models_behind(self) -> list[str]:
        """Names of the incremental models that have not seen the newest batch of changes."""
        behind = self.rows(
            "select model from {rep_ai_watermarks} where batch is null or batch < "
            "(select max(batch) from {rep_ai_affected}) order by model"
        )
        return [
            name
            for (name,) in behind
            if name not in _OPEN_BATCHES
            and name in self._nodes
            and self._nodes[name].config["materialized"] == "incremental"
            and self.is_built(name)
        ]


@contextmanager
def opened(
    destination: Destination, raw_schema: str = "", variables: dict[str, Any] | None = None
) -> Iterator[Database]:
    """Open a `Database`; a DuckDB file that is not there is an empty one.

    Raises:
        DestinationError: the database cannot be read, or a run holds it, which is named.
    """
    try:
        if isinstance(destination, DuckDB) and not destination.path.exists():
            connection = duckdb.connect()
        else:
            connection = destination.connect_to_read(raw_schema)
    except BusyError:
        holder = isinstance(destination, DuckDB) and destination.holder()
        if not holder:
            raise
        raise DestinationError(
            f"another run holds it: {holder}",
            where=destination.name,
            to_do="look again when it has ended",
        ) from None
    with closing(connection):
        yield Database(connection, destination, raw_schema, variables)
