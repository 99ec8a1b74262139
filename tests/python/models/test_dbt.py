"""dbt as teams run it: dry runs, CI that defers to production, partial runs, steps, selectors."""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import itertools
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from dumps import DAY, HOUR, document
from rep_ai.sample import write_sample
from replay import NO_TESTS, Warehouse, copy_project, unequal_tables

NIGHTS = 3
CI = "ci_7"
HEALTH = {"rep_ai__dump_calendar", "rep_ai__contract_violations", "rep_ai__unknown_types"}

Thing = dict[str, Any]
Contents = dict[str, Counter[tuple[Any, ...]]]


@dataclass(frozen=True)
class Team:
    """A production warehouse, and its states that tests begin with."""

    folder: Path
    project: Path
    dumps: tuple[Path, ...]  # as they arrived; the last one is a night delivered again
    production: Warehouse

    def put(self, state: str) -> None:
        """Let production be as it was."""
        shutil.copy(self.folder / f"{state}.duckdb", self.production.database)

    def keep(self, state: str) -> None:
        """Remember production as it is."""
        shutil.copy(self.production.database, self.folder / f"{state}.duckdb")

    def land(self, *dumps: Path) -> None:
        """Let dumps arrive, and only those."""
        nights = self.folder / "nights"
        shutil.rmtree(nights, ignore_errors=True)
        nights.mkdir()
        for dump in dumps:
            shutil.copy2(dump, nights)
        self.production.ingest(nights).ends_with(0)

    def dbt(self, command: str, *arguments: str, code: int = 0, **variables: object) -> str:
        """Run dbt in production, and what it said."""
        return dbt(self.production, command, *arguments, code=code, **variables)

    def is_refreshed(self) -> None:
        """Compare the marts with those that one full refresh makes of all dumps."""
        with duckdb.connect(":memory:") as connection:
            sides = (self.production.database, self.folder / "refreshed.duckdb")
            for side, path in zip(("incremental", "refreshed"), sides, strict=True):
                connection.execute(f"attach '{path}' as {side} (read_only)")
            lines, count = unequal_tables(connection, self.production.marts())
        assert not lines, "\n".join(lines)
        assert count > 1000


def dbt(
    warehouse: Warehouse, command: str, *arguments: str, code: int = 0, **variables: object
) -> str:
    quiet = ("--no-use-colors", "--log-level-file", "none", "--profiles-dir", ".")
    run = warehouse.start("dbt", command, *arguments, "--vars", json.dumps(variables), *quiet)
    run.ends_with(code)
    return run.output.read_text()


def contents(database: Path) -> Contents:
    """All rows of all tables and views of a database."""
    with duckdb.connect(str(database), read_only=True) as connection:
        relations = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables"
        ).fetchall()
        return {
            name: Counter(connection.execute(f"select * from {name}").fetchall())
            for (name,) in relations
        }


def count_of(database: Path, relation: str) -> int:
    with duckdb.connect(str(database), read_only=True) as connection:
        return len(connection.execute(f"select 1 from {relation}").fetchall())


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("team")
    dumps = write_sample(folder / "dumps", days=NIGHTS, sessions_per_day=100)
    project = copy_project(folder / "project")
    production = Warehouse(folder / "production", project, {})
    team = Team(folder, project, tuple(dumps), production)
    try:
        team.land(*team.dumps[:2])
        team.keep("two nights landed")
        team.dbt("build", *NO_TESTS)
        team.keep("two nights")
        team.put("two nights landed")
        team.land(*team.dumps[2:])
        team.keep("landed")
        team.dbt("build", *NO_TESTS)
        team.keep("refreshed")
        manifest = project.parent / "production" / "target" / "manifest.json"
        (folder / "state").mkdir()
        shutil.copy(manifest, folder / "state")
        yield team
    finally:
        production.stop()


# ---------------------------------------------------------------------------------------- dry runs


@pytest.mark.parametrize("state", ["landed", "refreshed"])
def test_an_empty_build_leaves_no_trace(team: Team, state: str) -> None:
    team.put(state)
    database = team.production.database
    before = contents(database)
    team.dbt("build", "--empty", *NO_TESTS)
    after = contents(database)
    for model in team.production.models():
        relation = f"{model['schema']}.{model['alias']}"
        if state == "landed":
            assert not after[relation], relation
        elif model["config"]["materialized"] == "incremental":
            assert after[relation] == before[relation], relation
    for relation in before:
        if relation.startswith("rep_ai_raw."):
            assert after[relation] == before[relation], relation
    team.dbt("build", *NO_TESTS)
    team.is_refreshed()


def test_what_a_dry_run_empties_is_built_again(team: Team) -> None:
    team.put("refreshed")
    mart = "fct_rep_ai__sessions"
    team.dbt("run", "--empty", "--full-refresh", "--select", mart)
    assert count_of(team.production.database, f"rep_ai.{mart}") == 0
    team.dbt("run")
    team.is_refreshed()


def test_a_dry_run_says_of_no_test_that_it_has_passed(team: Team) -> None:
    team.put("refreshed")
    twice = "rep_ai_intermediate.int_rep_ai__sessions_stitched"
    team.production.execute(f"insert into {twice} from {twice} limit 1")
    tests = "int_rep_ai__sessions_stitched,test_type:data"
    assert "FAIL" in team.dbt("test", "--select", tests, code=1)
    team.dbt("build", "--empty")
    assert "FAIL" in team.dbt("test", "--select", tests, code=1)


def test_an_action_that_comes_twice_is_found_whichever_night_it_is_of(team: Team) -> None:
    table = "rep_ai_intermediate.int_rep_ai__actions"
    tests = ("test", "--select", "int_rep_ai__actions,test_type:data")
    team.put("two nights")
    team.dbt(*tests)
    team.land(*team.dumps[2:])
    team.dbt("run")
    # of the last night, which the test has not seen yet
    last = f"select * from {table} order by occurred_at desc limit 1"
    team.production.execute(f"insert into {table} {last}")
    said = team.dbt(*tests, code=1)
    assert "FAIL 1 rep_ai_unique_grain_int_rep_ai__actions_action_id" in said
    team.dbt("run", "--full-refresh")
    team.dbt(*tests)
    team.is_refreshed()


# ------------------------------------------------------------------------------------- a team's CI


@dataclass(frozen=True)
class Branch:
    """A copy of the project on which someone changes something, and the CI that builds it."""

    project: Path
    warehouse: Warehouse
    state: Path

    def change(self, model: str, old: str, new: str) -> None:
        """Change a model's SQL."""
        (path,) = self.project.rglob(f"{model}.sql")
        sql = path.read_text(encoding="utf-8")
        assert sql.count(old) == 1, f"{model}: {old}"
        path.write_text(sql.replace(old, new), encoding="utf-8")

    def dbt(self, command: str, *arguments: str, code: int = 0) -> str:
        """Run dbt for what has changed."""
        compared = ("--state", str(self.state), "--select", "state:modified+")
        return dbt(self.warehouse, command, *compared, *arguments, code=code)


@pytest.fixture
def branch(team: Team, tmp_path: Path) -> Iterator[Branch]:
    team.put("refreshed")
    project = copy_project(tmp_path / "project")
    # dbt looks for profiles in the folder of the project
    profiles = yaml.safe_load((project / "profiles.yml").read_text(encoding="utf-8"))
    profiles["rep_ai"]["outputs"]["dev"]["schema"] = CI
    (project / "profiles.yml").write_text(yaml.safe_dump(profiles), encoding="utf-8")
    variables = {"REP_AI_DUCKDB": str(team.production.database)}
    warehouse = Warehouse(tmp_path / "ci", project, variables)
    try:
        yield Branch(project, warehouse, team.folder / "state")
    finally:
        warehouse.stop()


def of_production(database: Path) -> Contents:
    return {name: rows for name, rows in contents(database).items() if not name.startswith(CI)}


def descendants(project: Warehouse, name: str) -> set[str]:
    """A model and all models made of it."""
    found = {name}
    models = project.models()
    for _ in models:
        for model in models:
            parents = {parent.rpartition(".")[2] for parent in model["depends_on"]["nodes"]}
            if parents & found:
                found.add(model["name"])
    return found


@pytest.mark.parametrize(
    ("model", "old", "new"),
    [
        (
            "fct_rep_ai__interactions",
            "        properties\n",
            "        coalesce(properties, '{}') as properties\n",
        ),
        (
            "int_rep_ai__sessions_stitched",
            "count(*) as dump_count",
            "count(*) + 0 as dump_count",
        ),
    ],
    ids=["mart", "intermediate"],
)
# neither change shows in what is made of the model
def test_ci_builds_what_has_changed_and_reads_the_rest_from_production(
    team: Team, branch: Branch, model: str, old: str, new: str
) -> None:
    assert "No nodes selected" in branch.dbt("ls")
    branch.change(model, old, new)
    before = of_production(team.production.database)
    said = branch.dbt("build", "--defer")
    assert " ERROR=0 " in said
    assert " WARN=0 " in said
    after = contents(team.production.database)
    assert {name: rows for name, rows in after.items() if not name.startswith(CI)} == before
    # production has the names of the project's schemas, CI its own before them
    built = {
        name.removeprefix(f"{CI}_"): rows for name, rows in after.items() if name not in before
    }
    wanted = {
        f"{each['schema']}.{each['alias']}"
        for each in team.production.models()
        if each["name"] in descendants(team.production, model)
    }
    own = {f"rep_ai_intermediate.rep_ai_{name}" for name in ("affected", "watermarks")}
    assert built.keys() == {*wanted, *own}
    for name, rows in built.items():
        if name == f"rep_ai.{model}":
            # properties are the last column of the mart that is changed
            rows_before = list(before[name].elements())
            assert rows == Counter((*row[:-1], row[-1] or "{}") for row in rows_before)
            assert rows != before[name]
        elif name.startswith("rep_ai."):
            assert rows == before[name], name


def test_ci_that_keeps_its_schema_sees_what_production_has_built_since(
    team: Team, branch: Branch
) -> None:
    team.put("two nights")
    name = "fct_rep_ai__interactions"
    branch.change(name, "        properties\n", "        properties as properties\n")
    branch.dbt("build", "--defer", *NO_TESTS)
    team.land(*team.dumps[2:])
    team.dbt("build", *NO_TESTS)
    team.is_refreshed()
    branch.dbt("build", "--defer", *NO_TESTS)
    built = contents(team.production.database)
    for mart in descendants(team.production, name) & set(team.production.marts()):
        assert built[f"{CI}_rep_ai.{mart}"] == built[f"rep_ai.{mart}"], mart


# --------------------------------------------------------------------------------------- freshness


def dump(path: Path, hours_ago: float, version: str) -> Path:
    """A dump of nothing, for a day that ended so many hours ago."""
    end = int(datetime.now(UTC).timestamp() * 1000 - hours_ago * HOUR)
    path.write_bytes(document(end - DAY, end, version))
    return path


def test_the_source_is_as_fresh_as_its_newest_window(team: Team, tmp_path: Path) -> None:
    team.production.database.unlink()

    def freshness(code: int) -> tuple[str, float]:
        team.dbt("source", "freshness", code=code)
        path = team.production.database.parent / "target" / "sources.json"
        results = json.loads(path.read_text(encoding="utf-8"))["results"]
        (deliveries,) = results
        assert deliveries["unique_id"] == "source.rep_ai.rep_ai.deliveries"
        return deliveries["status"], deliveries["max_loaded_at_time_ago_in_s"] / 3600

    def land(*dumps: tuple[float, str]) -> None:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for number, (hours_ago, version) in enumerate(dumps):
            dump(folder / f"{number}.json", hours_ago, version)
        team.production.ingest(folder).ends_with(3)

    rejected = (0, "2.0.0")
    land(rejected)
    assert freshness(1)[0] == "error"
    for hours, status in ((70, "error"), (40, "warn"), (1, "pass")):
        # what comes late is not the newest
        land(rejected, (hours, "1.0.0"), (200 + hours, "1.0.0"))
        said, age = freshness(int(status == "error"))
        assert said == status
        assert hours <= age < hours + 0.5


# ------------------------------------------------------------------------------------ full refresh


def test_a_full_refresh_that_is_not_allowed_changes_nothing(team: Team) -> None:
    team.put("refreshed")
    before = contents(team.production.database)
    for no in (False, "false"):
        said = team.dbt("build", "--full-refresh", *NO_TESTS, code=2, rep_ai_allow_full_refresh=no)
        assert said.count("a full refresh is not allowed here") == 1, said
        assert "OK created" not in said
    assert contents(team.production.database) == before
    team.dbt("build", *NO_TESTS, rep_ai_allow_full_refresh=False)
    team.is_refreshed()


def test_a_history_built_in_steps_is_one_built_at_once(team: Team) -> None:
    team.put("landed")
    counts: list[int] = []
    for day in ("2026-03-02", "2026-03-03", None):
        # a build of the first step must not see what a later one brings
        flags = ("--full-refresh",) if not counts else ()
        team.dbt("build", *flags, *NO_TESTS, rep_ai_windows_before=day)
        counts.append(count_of(team.production.database, "rep_ai.fct_rep_ai__actions"))
    assert counts == sorted(set(counts))
    assert counts[0]
    team.is_refreshed()


# ------------------------------------------------------------------------------------ partial runs


def test_partial_runs_are_made_up_for(team: Team) -> None:
    team.put("two nights")
    team.land(team.dumps[2])
    team.dbt("run", "--exclude", "fct_rep_ai__actions")
    team.land(team.dumps[3])
    team.dbt("run", "--select", "int_rep_ai__actions")
    team.dbt("run")
    team.is_refreshed()


@pytest.mark.parametrize(
    "parts",
    [
        ["--exclude int_rep_ai__deliveries", "--select int_rep_ai__deliveries"],
        ["--full-refresh --select int_rep_ai__sessions_stitched+"],
        [
            "--exclude int_rep_ai__actions",
            "--select int_rep_ai__actions fct_rep_ai__session_groups",
        ],
        [
            "--exclude fct_rep_ai__sessions",
            "--select fct_rep_ai__session_groups",
            "--select fct_rep_ai__sessions rep_ai__daily_activity",
        ],
        [
            "--exclude dim_rep_ai__visitors",
            "--select int_rep_ai__violations_of_references",
            "--select dim_rep_ai__visitors",
        ],
    ],
    ids=["deliveries left out", "one model anew", "facts", "sessions", "visitors"],
)
def test_a_build_in_parts_is_made_up_for(team: Team, parts: list[str]) -> None:
    team.put("two nights")
    team.land(*team.dumps[2:])
    for part in parts:
        team.dbt("run", *part.split())
    team.dbt("run")
    team.is_refreshed()


def test_other_raw_tables_build_all_anew(team: Team) -> None:
    team.put("refreshed")
    with duckdb.connect(str(team.production.database)) as connection:
        connection.execute("create schema other_raw")
        tables = connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'rep_ai_raw'"
        ).fetchall()
        for (table,) in tables:
            connection.execute(f"create table other_raw.{table} as from rep_ai_raw.{table}")
        connection.execute(
            "delete from other_raw.deliveries "
            "where start_time = (select max(start_time) from other_raw.deliveries)"
        )
    team.dbt("run", rep_ai_source_schema="other_raw")
    assert count_of(team.production.database, "rep_ai.rep_ai__dump_calendar") == NIGHTS - 1
    team.dbt("run")
    team.is_refreshed()


def test_marts_that_a_build_did_not_reach_are_named(team: Team, tmp_path: Path) -> None:
    team.put("two nights")
    team.land(team.dumps[2])
    team.dbt("run", "--select", "rep_ai__dump_calendar", "int_rep_ai__deliveries")
    for command in (["status", "--check"], ["export", str(tmp_path / "marts")]):
        run = team.production.start("rep-ai", *command)
        run.ends_with(1)
        said = " ".join(run.output.read_text().split())
        assert "the last build did not finish, dim_rep_ai__visitors, fct_rep_ai__" in said
    team.dbt("run")
    team.production.start("rep-ai", "status", "--check").ends_with(0)


def test_health_alone_now_and_then(team: Team) -> None:
    team.put("two nights landed")
    team.dbt("build", "--selector", "health")
    database = team.production.database
    assert count_of(database, "rep_ai.rep_ai__dump_calendar") == 2
    assert "rep_ai.rep_ai__daily_activity" not in contents(database)
    team.land(*team.dumps[2:])
    team.dbt("build", "--selector", "health")
    assert count_of(database, "rep_ai.rep_ai__dump_calendar") == NIGHTS
    team.dbt("run")
    team.is_refreshed()


# ----------------------------------------------------------------------------------- changed code


@pytest.fixture
def project(team: Team, tmp_path: Path) -> Iterator[Warehouse]:
    """A copy of the project, to be changed, on the production warehouse."""
    team.put("refreshed")
    variables = {"REP_AI_DUCKDB": str(team.production.database)}
    warehouse = Warehouse(tmp_path / "changed", copy_project(tmp_path / "project"), variables)
    try:
        yield warehouse
    finally:
        warehouse.stop()


def change(project: Warehouse, name: str, old: str, new: str) -> None:
    (path,) = project.project.rglob(name)
    sql = path.read_text(encoding="utf-8")
    assert sql.count(old) == 1, f"{name}: {old}"
    path.write_text(sql.replace(old, new), encoding="utf-8")


def test_changed_code_is_built_anew_with_what_is_made_of_it(team: Team, project: Warehouse) -> None:
    counts = (
        "coalesce(action_counts.action_count, 0) as",
        "coalesce(action_counts.action_count, 7) as",
    )
    change(project, "fct_rep_ai__sessions.sql", *counts)
    said = dbt(project, "run")
    assert "has changed: fct_rep_ai__sessions\n" in said
    with duckdb.connect(str(team.production.database)) as connection:
        groups, sessions = (
            connection.execute(
                f"select sum(action_count) from rep_ai.fct_rep_ai__{name}"
            ).fetchone()
            for name in ("session_groups", "sessions")
        )
    assert groups == sessions
    assert "has changed" not in dbt(project, "run")
    change(project, "fct_rep_ai__sessions.sql", *counts[::-1])
    # what is not selected is not built by the new code, so its code is not noted either
    dbt(project, "run", "--select", "fct_rep_ai__session_groups")
    assert "has changed: fct_rep_ai__sessions\n" in dbt(project, "run")
    team.is_refreshed()


def test_a_comment_is_no_changed_code(project: Warehouse) -> None:
    change(
        project, "fct_rep_ai__sessions.sql", "with\n\nmemberships", "-- why\nwith\n\n\nmemberships"
    )
    assert "has changed" not in dbt(project, "run")


@pytest.mark.parametrize(
    ("file", "edit", "model"),
    [
        ("reading.sql", ("nullif({{ text }}, '')", "nullif({{ text }}, 'no id')"), "sessions"),
        ("reading.sql", ("when 'true' then", "when 'no flag' then"), "interactions"),
        ("engines/duckdb.sql", ("'[0-9]+'", "'[0-7]+'"), "actions"),
        ("_staging__sources.yml", ("{pii: true, reads_as: id}", "{reads_as: text}"), "visitors"),
    ],
    ids=["id", "flag", "time", "field"],
)
def test_how_fields_are_read_is_code(
    team: Team, project: Warehouse, file: str, edit: tuple[str, str], model: str
) -> None:
    change(project, file, *edit)
    said = dbt(project, "run", "--select", f"stg_rep_ai__{model}")
    assert f"stg_rep_ai__{model}" in said.partition("has changed: ")[2].partition("\n")[0]
    change(project, file, *edit[::-1])
    dbt(project, "run")
    team.is_refreshed()


def test_a_killed_run_with_another_variable_leaves_nothing_of_it(team: Team) -> None:
    team.put("refreshed")
    zone = {"rep_ai_timezone": "Pacific/Kiritimati"}
    run = team.production.dbt("run", variables=zone)
    while "OK created sql incremental model rep_ai.rep_ai__daily_activity" not in (
        said := run.output.read_text()
    ):
        assert "Done." not in said
        time.sleep(0.01)
    team.production.stop()
    team.dbt("run")
    team.is_refreshed()


def test_a_list_that_is_lost_is_made_again(team: Team) -> None:
    team.put("two nights")
    team.production.execute("drop table rep_ai_intermediate.rep_ai_affected")
    team.land(*team.dumps[2:])
    team.dbt("run")
    team.is_refreshed()


def test_parts_that_follow_a_dry_run_lose_nothing(team: Team) -> None:
    team.put("two nights")
    team.land(*team.dumps[2:])
    team.dbt("run", "--empty")
    for model in ("+int_rep_ai__deliveries", "int_rep_ai__sessions_stitched"):
        team.dbt("run", "--select", model)
    team.dbt("run")
    team.is_refreshed()


def test_labels_that_lead_on_for_too_long_fail_the_build(team: Team, project: Warehouse) -> None:
    change(project, "int_rep_ai__sessions_grouped.sql", "set rounds = 20", "set rounds = 2")
    table = "rep_ai_raw.unique_visitor_sessions"
    with duckdb.connect(str(team.production.database)) as connection:
        ids = connection.execute(f"select distinct id from {table} limit 9").fetchall()
        for (one,), (other,) in itertools.pairwise(ids):
            connection.execute(f"update {table} set session_group = ? where id = ?", [other, one])
    said = dbt(project, "run", "--full-refresh", code=1)
    assert "labels lead on for over a million sessions" in said


def test_a_warehouse_of_an_older_version_is_made_again_or_refused(team: Team) -> None:
    team.put("refreshed")
    with duckdb.connect(str(team.production.database)) as connection:
        schema = "rep_ai_intermediate"
        for table in ("rep_ai_affected", "rep_ai_watermarks"):
            connection.execute(f"drop table {schema}.{table}")
        connection.execute(f"create table {schema}.rep_ai_builds (build_number bigint)")
        connection.execute(f"create table {schema}.int_rep_ai__changed_days (build_number bigint)")
        # a table that is a view by now, and one with other columns
        connection.execute("drop view rep_ai.fct_rep_ai__events")
        connection.execute("create table rep_ai.fct_rep_ai__events (event_id varchar)")
        connection.execute(
            f"alter table {schema}.int_rep_ai__deliveries add column changed_in bigint"
        )
    before = contents(team.production.database)
    for arguments, variables in (
        ([], {"rep_ai_allow_full_refresh": False}),
        # the others would be gone
        (["--select", "dim_rep_ai__users"], {}),
    ):
        said = team.dbt("run", *arguments, code=2, **variables)
        assert said.count("another version of this project made these tables") == 1, said
        after = contents(team.production.database)
        assert {name: rows for name, rows in after.items() if name in before} == before
    said = team.dbt("run")
    assert said.count("another version of this project made these tables") == 1, said
    left = contents(team.production.database)
    assert not {f"{schema}.rep_ai_builds", f"{schema}.int_rep_ai__changed_days"} & left.keys()
    team.is_refreshed()


# ---------------------------------------------------------------------------- warnings, selectors


def test_dbt_itself_warns_of_nothing(team: Team) -> None:
    team.put("landed")
    team.dbt("parse", "--warn-error", "--no-partial-parse")
    said = team.dbt("build", "--warn-error", "--log-format", "json")
    events = [json.loads(line)["info"] for line in said.splitlines()]
    assert "LogTestResult" in {event["name"] for event in events}
    assert not [event for event in events if event["level"] in ("warn", "error")]


def test_selectors_select_what_they_say(team: Team) -> None:
    team.put("refreshed")

    def nodes(*arguments: str) -> set[str]:
        keys = ("--output", "json", "--output-keys", "unique_id")
        lines = team.dbt("ls", "--quiet", *keys, *arguments).splitlines()
        return {json.loads(line)["unique_id"] for line in lines}

    path = team.production.database.parent / "target" / "manifest.json"
    everything = nodes()
    manifest = json.loads(path.read_text(encoding="utf-8"))
    known: dict[str, Thing] = manifest["nodes"]
    parents: dict[str, list[str]] = manifest["parent_map"]

    def with_parents(found: set[str]) -> set[str]:
        above = {parent for name in found for parent in parents[name]} - found
        return with_parents(found | above) if above else found

    def of(found: set[str], *kinds: str) -> set[str]:
        return {name for name in found if name.partition(".")[0] in kinds}

    assert nodes("--selector", "nightly") == {
        name for name in everything if not name.startswith("source.")
    }
    marts = {
        name for name, node in known.items() if node["config"].get("contract", {}).get("enforced")
    }
    assert {known[name]["name"] for name in marts} == set(team.production.marts())
    built = with_parents(marts)
    contracts = nodes("--selector", "contracts")
    assert of(contracts, "model", "seed") == of(built, "model", "seed")
    assert of(contracts, "test") == {
        test for test in of(everything, "test") if built & set(parents[test])
    }
    health = nodes("--selector", "health")
    judges = {name for name in marts if known[name]["name"] in HEALTH}
    built = with_parents(judges)
    assert of(health, "model", "seed") == of(built, "model", "seed")
    assert len(of(built, "model")) < len(of(everything, "model"))
    assert of(health, "test") == {
        test for test in of(everything, "test") if set(parents[test]) <= built
    }
    assert judges <= {parent for test in of(health, "test") for parent in parents[test]}
