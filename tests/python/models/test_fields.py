"""Fields that nobody listed when their records were landed: when that was decides no value."""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

import processes
from dumps import DAY, NIGHT, document, write
from marts import environment
from oracle.json_text import canonical_json
from processes import PROJECT
from replay import copy_project

# collection -> the fields that are listed late
LATE = {
    "users": ["title", "active"],
    "unique_visitors": ["custom_id", "custom_metadata"],
    "unique_visitor_sessions": ["session_group", "referrer", "start_time", "end_time"],
    "unique_visitor_session_actions": ["action", "timestamp"],
    "unique_visitor_session_interactions": ["user_id", "accept", "accept_time"],
}
# names that our SQL has, or that SQL itself has
CLASHING = ("order", "recency_in_dump", "window_number", "delivery_id", "record_key")
# written as they stand: digit for digit; nested ones in the one spelling that engines keep
VALUES = (
    *("1.10", "1e2", "-0.0", "123456789012345678901234567890", "true", "null", '""', '"007"'),
    *('{"a":1.10,"b":["1.10",1e2,{"c":""}],"title":1}', '["x",1e2]', "[]", "{}"),
    *(
        '"say \\"1.10\\", \\\\ or \\u00e9"',
        '"\\ud83d\\ude00 \\n"',
        '"\\"title\\": 2, 3"',
        '"undefined"',
    ),
)
LIST = Path("models", "staging", "_staging__sources.yml")


def dumps() -> Iterator[bytes]:
    """Two nights whose late fields have all values, beside fields that are never listed."""
    start = NIGHT
    for night in range(2):
        members: dict[str, Any] = {}
        for collection, fields in LATE.items():
            records = {}
            for place in range(len(VALUES)):
                chosen = (VALUES[(place + n + night) % len(VALUES)] for n in range(len(fields) + 1))
                late = dict(zip([*fields, "unlisted"], chosen, strict=True))
                if place % 3 == 0:
                    late = {
                        f: str(start + place * 1000) if "time" in f else v for f, v in late.items()
                    }
                if place % 5 == 0:
                    late.pop("unlisted")
                body = ", ".join(f"{json.dumps(name)}: {value}" for name, value in late.items())
                records[f"{place}"] = f'{{"id": "{place}", {body}}}'
            entries = ", ".join(
                f'"{key}": {text}' if "action" not in collection else text
                for key, text in records.items()
            )
            members[collection] = f"[{entries}]" if "action" in collection else f"{{{entries}}}"
        head = document(start, start + DAY).decode().rstrip("}")
        body = ", ".join(f'"{name}": {text}' for name, text in members.items())
        yield f"{head}, {body}}}".encode()
        start += DAY


class Place:
    """A copy of the project, and a database that its own code lands and builds."""

    def __init__(self, folder: Path) -> None:
        """Copy the project, the Python package too."""
        self.project = copy_project(folder)
        shutil.copytree(PROJECT / "ingest", folder / "ingest")
        self._environment = {
            **environment(folder),
            "PYTHONPATH": os.pathsep.join([str(folder / "ingest"), str(folder)]),
        }
        self.database = Path(self._environment["REP_AI_DUCKDB"])

    def list_fields(self, late: bool) -> None:
        """Let the list of fields have the late ones, or not."""
        listed = yaml.safe_load((PROJECT / LIST).read_text(encoding="utf-8"))
        for table in listed["sources"][0]["tables"]:
            if names := LATE.get(table["name"]):
                always = table["config"]["meta"]["always_listed"]
                table["config"]["meta"]["always_listed"] = [n for n in always if n not in names]
                table["columns"] = [c for c in table["columns"] if late or c["name"] not in names]
        (self.project / LIST).write_text(yaml.safe_dump(listed), encoding="utf-8")

    def run(self, program: str, *arguments: str) -> None:
        """Run rep-ai or dbt of this copy."""
        if program == "dbt":
            done = processes.run("dbt", *arguments, variables=self._environment, cwd=self.project)
        else:
            # a new interpreter, which imports the package of this copy
            done = subprocess.run(
                [sys.executable, "-c", "from rep_ai.cli import main; main()", *arguments],
                cwd=self.project,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
        assert done.returncode == 0, done.stdout

    def rows(self, relation: str, *without: str) -> Counter[str]:
        """The rows of a relation as text, nested JSON in one spelling."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            found = connection.execute(f"select * from {relation}")
            names = [column[0] for column in found.description]
            return Counter(
                repr(
                    [
                        canonical_json(value) if str(value)[:1] in ("{", "[") else value
                        for name, value in zip(names, row, strict=True)
                        if name not in without
                    ]
                )
                for row in found.fetchall()
            )

    def relations(self) -> list[str]:
        """All that dbt has built of the records."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            rows = connection.execute(
                "select table_schema || '.' || table_name from information_schema.tables "
                "where regexp_matches(table_name, '^(stg|int|fct|dim)_rep_ai__')"
            ).fetchall()
        return sorted(name for (name,) in rows)


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nights")
    for number, content in enumerate(dumps()):
        write(folder / f"{number}.json", content)
    return folder


def test_when_a_field_was_listed_decides_no_value(nights: Path, tmp_path: Path) -> None:
    early, late = Place(tmp_path / "early"), Place(tmp_path / "late")
    early.list_fields(late=True)
    early.run("rep-ai", "ingest", str(nights))
    early.run("dbt", "run", "--quiet")
    late.list_fields(late=False)
    late.run("rep-ai", "ingest", str(nights / "0.json"))
    late.list_fields(late=True)
    # no file is new, and the columns come all the same
    late.run("rep-ai", "ingest", str(nights / "0.json"))
    late.run("dbt", "run", "--quiet")
    late.run("rep-ai", "ingest", str(nights))
    late.run("dbt", "run", "--quiet")
    relations = early.relations()
    assert relations == late.relations()
    unequal = {}
    for relation in relations:
        sides = [place.rows(relation, "load_id", "file_modified_at") for place in (early, late)]
        if sides[0] != sides[1]:
            unequal[relation] = [sides[0] - sides[1], sides[1] - sides[0]]
    assert not unequal
    assert early.rows("rep_ai_staging.stg_rep_ai__sessions").total() == 2 * len(VALUES)


def test_fields_of_the_users_own_are_filled_for_all_of_history(
    nights: Path, tmp_path: Path
) -> None:
    place = Place(tmp_path / "own")
    place.run("rep-ai", "ingest", str(nights))
    place.run("dbt", "build", "--quiet", "--exclude", "resource_type:test")
    entities = ("sessions", "actions", "interactions", "visitors", "users")
    own: dict[str, Any] = {"rep_ai_include_unknown_types": True}
    own |= {
        "rep_ai_fields": {entity: ["unlisted", "never-There", *CLASHING] for entity in entities}
    }
    for _ in range(2):
        place.run("dbt", "build", "--quiet", "--vars", json.dumps(own))
    with duckdb.connect(str(place.database), read_only=True) as connection:
        for mart, key in (
            ("fct_rep_ai__sessions", "session_id"),
            ("fct_rep_ai__interactions", "interaction_id"),
            ("dim_rep_ai__visitors", "visitor_id"),
            ("dim_rep_ai__users", "user_id"),
        ):
            found = connection.execute(
                f"select {key}, unlisted, never_there from rep_ai.{mart}"
            ).fetchall()
            assert {row[2] for row in found} == {None}
            if mart.startswith("dim"):
                width = len(LATE["users" if "users" in mart else "unique_visitors"])
                for identity, value, _ in found:
                    number = int(identity)
                    # the last night that has the field, and a value for it
                    said = [
                        text
                        for night in range(2)
                        if number % 5
                        and (text := VALUES[(number + width + night) % len(VALUES)]) != "null"
                    ]
                    wanted = said[-1] if said else None
                    if wanted and wanted.startswith('"'):
                        wanted = json.loads(wanted)
                    assert canonical_json(value or "") == canonical_json(wanted or ""), identity
