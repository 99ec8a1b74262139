"""Run `dbt build` for a warehouse that is not there, and write down each statement it would send.

Runs by the Python of `.venv/warehouses`, which has dbt's adapters. The adapter is the real one, but
for what speaks to the warehouse: connections, and what asks for tables, columns and rows. Two runs,
an empty warehouse at first, then a night in which every model has its table and lags by one batch.

    python record.py TARGET PROJECT FOLDER
"""

from __future__ import annotations

import json
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import agate
from dbt.adapters.base.impl import BaseAdapter
from dbt.adapters.contracts.connection import AdapterResponse, ConnectionState
from dbt.cli.main import dbtRunner
from dbt_common.clients.agate_helper import Integer

ADAPTERS = {
    "snowflake": ("SnowflakeAdapter", "SnowflakeConnectionManager"),
    "databricks": ("DatabricksAdapter", "DatabricksConnectionManager"),
    "bigquery": ("BigQueryAdapter", "BigQueryConnectionManager"),
    "redshift": ("RedshiftAdapter", "RedshiftConnectionManager"),
}
NEWEST = 5  # batches


class Warehouse:
    """What the warehouse would hold, and what it has been sent."""

    def __init__(self) -> None:
        """It is empty."""
        self.sent: list[str] = []
        self.relations: dict[str, dict[str, str]] = {}  # schema -> name -> table or view
        self.codes: dict[str, str] = {}
        self.is_night = False

    def answer(self, sql: str) -> agate.Table:
        """The rows of a query that decide what dbt does next; none of all others."""
        self.sent.append(sql)
        if " as newest," in sql:
            parents = re.search(r"where model in \(([^)]*)\)", sql)
            count = len(re.findall("'[^']+'", parents[1])) if parents else 0
            since = NEWEST - 1 if self.is_night else None
            return table(
                newest=NEWEST, oldest=1, since=since, least=NEWEST, count=count, changes=0, moment=1
            )
        if sql.strip().startswith("select model, code from"):
            return agate.Table(list(self.codes.items()), ["model", "code"])
        if "as failures" in sql:
            return table(failures=0, should_warn=False, should_error=False)
        if "select max(version) from" in sql:
            return table(version=1)
        if "db_collation()" in sql:
            return table(collation="case_sensitive")
        self.codes |= re.findall(r"select '([^']+)' as model, '([^']+)' as code", sql)
        return agate.Table([])


def table(**row: Any) -> agate.Table:
    """A table with one row, typed as dbt types it."""
    types = {bool: agate.Boolean, str: agate.Text}
    kinds = [types.get(type(value), Integer)() for value in row.values()]
    return agate.Table([list(row.values())], list(row), kinds)


def stub(target: str, warehouse: Warehouse) -> None:
    """Let the adapter of a target speak to the warehouse that is not there."""
    adapter_name, manager_name = ADAPTERS[target]
    adapter: Any = getattr(import_module(f"dbt.adapters.{target}.impl"), adapter_name)
    manager: Any = getattr(import_module(f"dbt.adapters.{target}.connections"), manager_name)

    def open_(_: Any, connection: Any) -> Any:
        connection.handle, connection.state = MagicMock(), ConnectionState.OPEN
        return connection

    def execute(_: Any, sql: str, *__: Any, **___: Any) -> tuple[AdapterResponse, agate.Table]:
        return AdapterResponse("OK"), warehouse.answer(sql)

    def relations(self: Any, schema: Any, *_: Any, **__: Any) -> list[Any]:
        held = warehouse.relations.get(schema.schema.lower(), {})
        # what is not quoted is in upper case there
        cased = str.upper if target == "snowflake" else str
        return [
            self.Relation.create(
                database=cased(schema.database or ""),
                schema=cased(schema.schema),
                identifier=cased(name),
                type=kind,
                quote_policy=dict.fromkeys(("database", "schema", "identifier"), True),
            )
            for name, kind in held.items()
        ]

    def columns(self: Any, *_: Any, **__: Any) -> list[Any]:
        return [self.Column("some_column", "string"), self.Column("other_column", "string")]

    def schema_of_query(_: Any, sql: str, *__: Any) -> list[Any]:
        warehouse.sent.append(sql)
        return []

    manager.open = classmethod(open_)
    adapter.execute = execute
    manager.begin = manager.commit = lambda self: self.get_thread_connection()

    def add_query(_: Any, sql: str, *__: Any, **___: Any) -> tuple[None, None]:
        # rows of seeds go beside the statement
        warehouse.sent.append(sql.replace("%s", "null"))
        return None, None

    adapter.add_query = add_query
    adapter.list_relations_without_caching = relations
    adapter.get_columns_in_relation = columns
    adapter.get_column_schema_from_query = schema_of_query
    adapter.expand_target_column_types = lambda *_, **__: None
    adapter.list_schemas = lambda *_, **__: []
    adapter.check_schema_exists = lambda *_, **__: False
    for name in OWN.get(target, {}):
        setattr(adapter, name, OWN[target][name])


# what some adapters ask for by ways of their own
OWN: dict[str, dict[str, Any]] = {
    "bigquery": {
        "get_relation": BaseAdapter.get_relation,
        "create_schema": lambda *_, **__: None,
        "drop_relation": lambda *_, **__: None,
        "load_dataframe": lambda *_, **__: None,
        "is_replaceable": lambda *_, **__: True,
        "update_columns": lambda *_, **__: None,
        "get_missing_columns": lambda *_, **__: [],
    },
    "databricks": {
        "has_dbr_capability": lambda *_, **__: True,
        "is_cluster": lambda *_, **__: False,
        "compare_dbr_version": lambda *_, **__: 1,
    },
}


def main(target: str, project: str, folder: str) -> None:
    """Both runs, as statements in a file of JSON."""
    warehouse = Warehouse()
    stub(target, warehouse)
    options = ["--project-dir", project, "--profiles-dir", project, "--target", target, "--quiet"]
    options += ["--target-path", folder, "--log-path", folder]
    parsed = dbtRunner().invoke(["parse", *options])
    assert parsed.success, parsed.exception
    manifest: Any = parsed.result
    for source in manifest.sources.values():
        warehouse.relations.setdefault(source.schema, {})[source.name] = "table"
    models = sum(node.resource_type == "model" for node in manifest.nodes.values())
    result: dict[str, Any] = {"models": models}
    for night in (False, True):
        warehouse.is_night, warehouse.sent = night, []
        # tests are sent in one of them, to save time
        less = [] if night else ["--exclude-resource-type", "test"]
        build: Any = dbtRunner(manifest=manifest).invoke(["build", *options, *less])
        failed = [str(r.message) for r in build.result or [] if r.status in ("error", "fail")]
        assert build.success, (build.exception, failed[:5])
        result["night" if night else "first"] = warehouse.sent
        for node in manifest.nodes.values():
            if node.resource_type in ("model", "seed"):
                kind = "view" if node.config.materialized == "view" else "table"
                warehouse.relations.setdefault(node.schema, {})[node.name] = kind
                if node.name == "int_rep_ai__deliveries":
                    beside = {"rep_ai_affected": "table", "rep_ai_watermarks": "table"}
                    warehouse.relations[node.schema] |= beside
    Path(folder, "statements.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
