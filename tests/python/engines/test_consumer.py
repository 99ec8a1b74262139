"""A project that imports this one: the same marts, under its own names, and nothing else of it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from test_engines import Table, fetch

import processes
from marts import RAW_SCHEMA, environment
from processes import PROJECT
from rep_ai.commands.ingest import ingest
from rep_ai.landing.destinations import Destination, DuckDB
from rep_ai.landing.destinations.postgres import Postgres
from rep_ai.sample import write_sample
from replay import postgres_connection

EXAMPLE = PROJECT / "docs" / "examples" / "package"
# what the example says in its own way, as the checkout is told it
VARIABLES = {
    "rep_ai_timezone": "America/Chicago",
    "rep_ai_known_types": {"action": ["SCREEN_SHARE"], "interaction": ["CO_BROWSE"]},
    "rep_ai_fields": {"actions": ["url", "title"]},
}
# marts that no other model is made of
LEAVES = {
    "dim_rep_ai__referrers",
    "dim_rep_ai__user_agents",
    "dim_rep_ai__users",
    "fct_rep_ai__events",
    "rep_ai__contract_violations",
    "rep_ai__daily_activity",
    "rep_ai__dump_calendar",
    "rep_ai__unknown_types",
    "rep_ai__user_daily_performance",
}
# how the project of the other side names schemas, where it does so itself
NAMES = """
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
"""
WITHOUT_TESTS = ("--exclude-resource-type", "test")


@dataclass
class Built:
    """What came of a project.

    Attributes:
        relations: The relations of this project's models, by name.
        marts: The rows of its marts after each night.
        own: The rows of the other project's models after each night.
        said: What dbt said while it built the first night.
        again: What it said of builds with nothing new, and of its own models alone.
        schemas: The schemas with anything in them.
        batches: The newest batch after the last night, and after what followed.
    """

    relations: dict[str, str] = field(default_factory=dict)
    marts: list[dict[str, Table]] = field(default_factory=list)
    own: list[dict[str, Table]] = field(default_factory=list)
    said: str = ""
    again: str = ""
    schemas: set[str] = field(default_factory=set)
    batches: list[int] = field(default_factory=list)


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """The dumps of two landings: new types and a corrected day come with the second one."""
    sample = write_sample(tmp_path_factory.mktemp("dumps"), days=4, sessions_per_day=60)
    paths = [str(path) for path in sample]
    return [paths[:2], paths[2:]]


def dbt(folder: Path, variables: dict[str, str], *commands: Sequence[str]) -> str:
    """Run commands of dbt in a folder; what they said."""
    said = ""
    for command in commands:
        done = processes.run("dbt", *command, variables=variables, cwd=folder)
        assert done.returncode == 0, done.stdout
        said += done.stdout
    return said


def consumer(folder: Path, change: Callable[[dict[str, Any]], None] | None = None) -> Path:
    """The example, which imports the checkout; its `dbt_project.yml` as a test wants it."""
    shutil.copytree(EXAMPLE, folder)
    packages = {"packages": [{"local": str(PROJECT)}]}
    (folder / "packages.yml").write_text(yaml.safe_dump(packages), encoding="utf-8")
    if change:
        project = yaml.safe_load((folder / "dbt_project.yml").read_text(encoding="utf-8"))
        change(project)
        (folder / "dbt_project.yml").write_text(yaml.safe_dump(project), encoding="utf-8")
    return folder


def build_nights(
    folder: Path,
    variables: dict[str, str],
    nights: Sequence[Sequence[str]],
    destination: Destination,
    connect: Callable[[], Any],
) -> Built:
    """Land and build two nights in a consumer, then build with nothing new."""
    built = Built()
    for number, paths in enumerate(nights):
        ingest(paths, destination, schema="rep_ai_landing")
        if number == 0:
            built.said = dbt(
                folder,
                variables,
                ["--quiet", "deps"],
                ["--no-use-colors", "build", *WITHOUT_TESTS],
            )
        else:
            dbt(folder, variables, ["build"])
        nodes = json.loads((folder / "target" / "manifest.json").read_text())["nodes"].values()
        models = [node for node in nodes if node["resource_type"] == "model"]
        ours = [node for node in models if node["package_name"] == "rep_ai"]
        built.relations = {node["name"]: node["relation_name"] for node in ours}
        with closing(connect()) as connection:
            built.marts.append(
                {
                    node["name"]: fetch(connection, node["relation_name"])
                    for node in ours
                    if node["fqn"][1] == "marts"
                }
            )
            built.own.append(
                {
                    node["name"]: fetch(connection, node["relation_name"])
                    for node in models
                    if node["package_name"] != "rep_ai"
                }
            )
    affected = built.relations["int_rep_ai__deliveries"].replace(
        "int_rep_ai__deliveries", "rep_ai_affected"
    )

    def newest() -> int:
        with closing(connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(f"select max(batch) from {affected}")
            (batch,) = cursor.fetchone()
            return int(batch)

    built.batches.append(newest())
    built.again = dbt(
        folder,
        variables,
        ["--quiet", "build", *WITHOUT_TESTS],
        ["--quiet", "build", "--select", "package:visits"],
    )
    built.batches.append(newest())
    with closing(connect()) as connection:
        cursor = connection.cursor()
        cursor.execute("select distinct table_schema from information_schema.tables")
        schemas = {schema for (schema,) in cursor.fetchall()}
        built.schemas = schemas - {"information_schema", "pg_catalog"}
    return built


@pytest.fixture(scope="module")
def checkout(nights: list[list[str]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Table]:
    """The marts of the checkout, from the same dumps in one build."""
    folder = tmp_path_factory.mktemp("checkout")
    variables = environment(folder)
    database = DuckDB(Path(variables["REP_AI_DUCKDB"]))
    ingest([path for paths in nights for path in paths], database, schema=RAW_SCHEMA)
    everywhere = ["--profiles-dir", str(PROJECT), "--vars", json.dumps(VARIABLES)]
    dbt(PROJECT, variables, ["--quiet", "build", *WITHOUT_TESTS, *everywhere])
    with database.connect() as connection:
        cursor = connection.cursor()
        cursor.execute("select table_name from duckdb_tables() where schema_name = 'rep_ai'")
        tables = cursor.fetchall()
        cursor.execute("select view_name from duckdb_views() where schema_name = 'rep_ai'")
        names = [name for (name,) in [*tables, *cursor.fetchall()]]
        return {name: fetch(connection, f"rep_ai.{name}") for name in names}


@pytest.fixture(scope="module")
def on_duckdb(nights: list[list[str]], tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A consumer with a second database for the models, and all off that can be."""
    folder = tmp_path_factory.mktemp("consumer") / "visits"

    def change(project: dict[str, Any]) -> None:
        models = project["models"]["rep_ai"]
        models["analysis"] = {"+enabled": False}
        models["marts"] |= {name: {"+enabled": False} for name in LEAVES}

    consumer(folder, change)
    profiles = yaml.safe_load((folder / "profiles.yml").read_text(encoding="utf-8"))
    dev = profiles["visits"]["outputs"]["dev"]
    dev["attach"] = [{"path": "store.duckdb", "alias": "store"}]
    (folder / "profiles.yml").write_text(yaml.safe_dump(profiles), encoding="utf-8")
    # the time zone of the machine decides nothing, and the profile sets none
    variables = {**os.environ, "VISITS_DATABASE": "store", "TZ": "Asia/Tokyo"}

    def connect() -> Any:
        connection = duckdb.connect(str(folder / "company.duckdb"))
        connection.execute(f"attach '{folder / 'store.duckdb'}' as store")
        return connection

    landing = DuckDB(folder / "company.duckdb")
    return build_nights(folder, variables, nights, landing, connect)


@pytest.fixture(scope="module")
def on_postgres(
    nights: list[list[str]], postgres: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Built:
    """A consumer that names schemas by a macro of its own."""
    folder = consumer(tmp_path_factory.mktemp("consumer") / "visits")
    (folder / "macros").mkdir()
    (folder / "macros" / "generate_schema_name.sql").write_text(NAMES, encoding="utf-8")
    variables = {**os.environ, **postgres, "VISITS_TARGET": "production"}
    address = {
        "host": postgres["PGHOST"],
        "port": postgres["PGPORT"],
        "user": postgres["PGUSER"],
        "password": postgres["PGPASSWORD"],
        "dbname": postgres["PGDATABASE"],
    }
    return build_nights(
        folder, variables, nights, Postgres(address), lambda: postgres_connection(postgres)
    )


@pytest.fixture(params=["on_duckdb", "on_postgres"])
def built(request: pytest.FixtureRequest) -> Built:
    """Each of the two."""
    of_engine: Built = request.getfixturevalue(request.param)
    return of_engine


def test_the_marts_of_a_consumer_are_those_of_the_checkout(
    built: Built, checkout: dict[str, Table]
) -> None:
    """Those that are on, with its types and fields, after the second night."""
    first, marts = built.marts
    assert {"fct_rep_ai__sessions", "fct_rep_ai__session_groups"} <= marts.keys()
    assert marts != first
    for name, (columns, rows) in marts.items():
        assert columns == checkout[name][0], name
        assert rows == checkout[name][1], name
    assert {"url", "title"} <= {*marts["fct_rep_ai__actions"][0]}
    kinds = "\n".join(marts["fct_rep_ai__actions"][1])
    assert "action_type='SCREEN_SHARE'" in kinds


def test_a_consumer_gives_the_names(on_duckdb: Built, on_postgres: Built) -> None:
    """By configuration, and by its own macro where it has one."""
    visits = on_duckdb.relations["fct_rep_ai__session_groups"]
    assert visits == '"store"."analytics_marts"."visits"'
    work = {"analytics_landed", "analytics_marts", "analytics_work"}
    assert on_duckdb.schemas == work | {"analytics", "rep_ai_landing"}
    visits = on_postgres.relations["fct_rep_ai__session_groups"]
    assert visits.partition(".")[2] == '"marts"."visits"'
    assert on_postgres.schemas == {"landed", "marts", "work", "analytics", "rep_ai_landing"}


def test_a_consumer_switches_marts_off(on_duckdb: Built, on_postgres: Built) -> None:
    """Each that no other model is made of."""
    assert not LEAVES & on_duckdb.relations.keys()
    assert LEAVES - on_postgres.relations.keys() == {"rep_ai__user_daily_performance"}


def test_a_consumer_is_read_without_a_warning(built: Built) -> None:
    """Nothing of what dbt warns of while it reads."""
    assert "WARNING" not in built.said


def test_models_of_a_consumer_are_its_own(built: Built) -> None:
    """They have its strategy, and grow with what they are made of."""
    first, last = built.own
    assert first.keys() == {"long_visits", "pages_by_day"}
    for name in first:
        assert 0 < first[name][1].total() < last[name][1].total(), name
    assert last["pages_by_day"][0] == ["activity_date", "title", "view_count"]


def test_a_build_with_nothing_new_says_nothing(built: Built) -> None:
    """Nor does one of the consumer's models alone; no batch is opened."""
    assert built.again == ""
    before, after = built.batches
    assert before == after


def test_a_consumer_with_all_of_it_off_builds_its_own(tmp_path: Path) -> None:
    """The hooks of a package run in each project that imports it."""
    off = {"rep_ai": {"+enabled": False}}

    def change(project: dict[str, Any]) -> None:
        project |= dict.fromkeys(("models", "seeds", "metrics", "semantic-models"), off)

    folder = consumer(tmp_path / "visits", change)
    shutil.rmtree(folder / "models")
    shutil.rmtree(folder / "seeds")
    (folder / "models").mkdir()
    (folder / "models" / "one.sql").write_text("select 1 as one", encoding="utf-8")
    said = dbt(folder, {**os.environ}, ["--quiet", "deps"], ["--no-use-colors", "build"])
    assert "WARNING" not in said
    with duckdb.connect(str(folder / "company.duckdb")) as connection:
        found = connection.execute("select table_schema, table_name from information_schema.tables")
        assert found.fetchall() == [("analytics", "one")]
