"""What the vendor's page says of a dump: its collections and their fields; and the raw tables.

The one list of them is in models/staging/_staging__sources.yml, since dbt reads it too. A field
that is not listed there is kept in `_extra`; a collection that is not listed is kept in the raw
table `other_entries`. Action and interaction types are listed in `seeds/`.
"""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import yaml

from rep_ai.installed import OURS

_LIST = OURS / "models" / "staging" / "_staging__sources.yml"


@dataclass(frozen=True)
class Collection:
    """A top-level collection of the dump, and the raw table of the same name."""

    name: str
    is_object: bool  # an object (id -> record), else an array of records
    fields: tuple[str, ...]


HEADER_FIELDS = ("version", "start_time", "end_time")


# types of columns, by the names that DuckDB and PostgreSQL have for them
TYPES = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us"),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
}


def _read() -> dict[str, dict[str, Any]]:
    # the loader in C is ten times as fast, and not everywhere
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    (source,) = yaml.load(_LIST.read_text(encoding="utf-8"), loader)["sources"]  # noqa: S506
    return {table["name"]: table for table in source["tables"]}


def _schema(table: dict[str, Any]) -> pa.Schema:
    types = {each["name"]: TYPES[each.get("data_type", "text")] for each in table["columns"]}
    # dlt adds it with each load
    types.pop("_dlt_load_id", None)
    return pa.schema(list(types.items()))


def _collections() -> tuple[Collection, ...]:
    found = []
    for name, columns in RAW_TABLES.items():
        entries = _LISTED[name].get("config", {}).get("meta", {}).get("entries")
        if entries:
            fields = tuple(column for column in columns.names if not column.startswith("_"))
            found.append(Collection(name, entries == "object", fields))
    return tuple(found)


_LISTED = _read()
# the columns of each table, which never depend on the data
RAW_TABLES: dict[str, pa.Schema] = {name: _schema(table) for name, table in _LISTED.items()}
# the tables of records: each row has a position in its document
RECORD_TABLES = {name: each for name, each in RAW_TABLES.items() if "_position" in each.names}
COLLECTIONS = _collections()
# of the raw tables: one more with each new table or column; 1 is that of rep-ai 0.1.0
VERSION: int = _LISTED["_schema_version"]["config"]["meta"]["version"]
