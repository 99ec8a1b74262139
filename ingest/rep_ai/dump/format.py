"""What the vendor's page says of a dump: its collections and their fields.

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


def _listed() -> list[dict[str, Any]]:
    # the loader in C is ten times as fast, and not everywhere
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    (source,) = yaml.load(_LIST.read_text(encoding="utf-8"), loader)["sources"]  # noqa: S506
    tables: list[dict[str, Any]] = source["tables"]
    return tables


# all raw tables, as dbt reads them
LISTED = _listed()


def _collections() -> tuple[Collection, ...]:
    found = []
    for table in LISTED:
        entries = table.get("config", {}).get("meta", {}).get("entries")
        if entries:
            names = [column["name"] for column in table["columns"]]
            fields = tuple(name for name in names if not name.startswith("_"))
            found.append(Collection(table["name"], entries == "object", fields))
    return tuple(found)


COLLECTIONS = _collections()

_OWN = [("_delivery_id", pa.string()), ("_position", pa.int64()), ("_key", pa.string())]
_COLUMNS = {
    **{each.name: (*each.fields, "_extra") for each in COLLECTIONS},
    "other_entries": ("collection", "record"),
    "rejected_records": ("collection", "record", "reason"),
}
# raw tables of records -> their columns
RECORD_TABLES: dict[str, pa.Schema] = {
    table: pa.schema([*_OWN, *((name, pa.string()) for name in names)])
    for table, names in _COLUMNS.items()
}
