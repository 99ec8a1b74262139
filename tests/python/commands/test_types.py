"""rep-ai types: what is not known, and types of the user's own."""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bucket import Bucket
from dumps import DAY, NIGHT, document, write
from processes import PROJECT


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Bucket:
    """A night of five actions: known, of a new type, odd, empty and of no type at all."""
    bucket = Bucket(tmp_path_factory.mktemp("types"))
    types = ("ALERT", "SCREEN_SHARE", "A \"b\", 'c'", "", None)
    actions = [{"id": f"a{n}", "action": type_} for n, type_ in enumerate(types)]
    talks = [{"id": "i", "interaction": "CO_BROWSE"}]
    members: dict[str, Any] = {"unique_visitor_session_actions": actions}
    members |= {"unique_visitor_session_interactions": talks}
    write(bucket.dumps / "dump.json", document(NIGHT, NIGHT + DAY, **members))
    bucket.rep_ai("ingest", str(bucket.dumps))
    bucket.build()
    return bucket


def facts(bucket: Bucket) -> set[object]:
    rows = bucket.query("select action_type from rep_ai.fct_rep_ai__actions")
    return {row[0] for row in rows} | {
        row[0]
        for row in bucket.query("select interaction_type from rep_ai.fct_rep_ai__interactions")
    }


def test_types_of_the_users_own(bucket: Bucket) -> None:
    listed = bucket.rep_ai("types")
    for line in (r"action +\(no type\) +1", r'action +"" +1', r"action +SCREEN_SHARE +1"):
        assert re.search(rf"^{line}$", listed, re.MULTILINE), listed
    # misspelt, so nothing is added
    said = bucket.rep_ai(
        "types", "--add", "action:SCREEN_SHARE", "--add", "action:SCREENSHARE", code=1
    )
    assert "no dump that is built has action:SCREENSHARE" in said and "--force" in said
    assert bucket.query("from rep_ai_raw.known_types") == []
    said = bucket.rep_ai("types", "--add", "action:SCREEN_SHARE", "--add", "action:ALERT")
    assert "action SCREEN_SHARE: added" in said and "action ALERT: known already" in said
    assert "known already" in bucket.rep_ai("types", "--add", "action:SCREEN_SHARE")
    bucket.build()
    assert facts(bucket) == {"ALERT", "SCREEN_SHARE"}
    said = bucket.rep_ai("types", "--add-all")
    assert "interaction CO_BROWSE: added" in said and said.count("it is no type") == 2
    bucket.build()
    assert facts(bucket) == {"ALERT", "SCREEN_SHARE", "A \"b\", 'c'", "CO_BROWSE"}
    assert "added" in bucket.rep_ai("types", "--add", "action:TO_COME", "--force")
    # no tracked file is changed by any of it
    changed = subprocess.run(
        ["git", "status", "--porcelain", "seeds"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert changed.stdout == ""


def test_types_of_a_variable(bucket: Bucket) -> None:
    own = {"rep_ai_known_types": {"action": ["FROM_CODE", "O'NEIL"], "interaction": []}}
    bucket.build("--vars", json.dumps(own))
    known = bucket.query(
        "select type from rep_ai_intermediate.int_rep_ai__known_types where type in "
        "('FROM_CODE', 'O''NEIL', 'ALERT') order by type"
    )
    assert known == [("ALERT",), ("FROM_CODE",), ("O'NEIL",)]
    said = bucket.build("--vars", "{rep_ai_known_types: {actions: [X]}}", code=2)
    assert "there is no kind actions" in said


@pytest.mark.parametrize("text", ["SCREEN_SHARE", "actions:SCREEN_SHARE", "action:"])
def test_what_names_no_kind_and_type_is_refused(bucket: Bucket, text: str) -> None:
    assert "is not KIND:TYPE" in bucket.rep_ai("types", "--add", text, code=2)


def test_misspelt_variables_are_refused(bucket: Bucket) -> None:
    said = bucket.build("--vars", "{rep_ai_timezon: UTC}", code=2)
    assert "there is no variable rep_ai_timezon" in said and "rep_ai_timezone" in said


def test_a_misspelt_collection_of_fields_is_refused(bucket: Bucket) -> None:
    said = bucket.build("--vars", "{rep_ai_fields: {session: [utm_source]}}", code=2)
    assert "rep_ai_fields: there is no session" in said
    said = bucket.build("--vars", "{rep_ai_fields: {sessions: [referrer]}}", code=2)
    assert "has a column referrer already" in said
    said = bucket.build("--vars", "{rep_ai_fields: {interactions: [accept]}}", code=1)
    assert "accept of interactions is a listed field already" in said
    said = bucket.build("--vars", "{rep_ai_fields: {sessions: [end_status]}}", code=2)
    assert "has a column end_status already" in said
    said = bucket.build("--vars", "{rep_ai_fields: {sessions: utm_source}}", code=2)
    assert "utm_source is no list; write [utm_source]" in said
    said = bucket.build("--vars", "{rep_ai_known_types: {action: X}}", code=2)
    assert "X is no list" in said


def test_nothing_is_there_yet(tmp_path: Path) -> None:
    assert "Every type is known" in Bucket(tmp_path).rep_ai("types")
