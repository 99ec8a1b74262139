"""What run and status say of fields that the vendor's page does not list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bucket import Bucket
from dumps import DAY, NIGHT, document, write

FIELDS = "{rep_ai_fields: {sessions: [utm-Source]}}"


def test_unlisted_fields_are_named_until_they_are_columns(tmp_path: Path) -> None:
    """With counts of their records and what to do, by run and by status."""
    bucket = Bucket(tmp_path)
    sessions = {f"s{i}": {"start_time": NIGHT, "utm-Source": "ad"} for i in range(3)}
    actions = [{"id": "a", "action": "ALERT", "ti\ntle": [1]}]
    members: dict[str, Any] = {"unique_visitor_session_actions": actions}
    members |= {"unique_visitor_sessions": sessions}
    members |= {"unique_visitor_session_interactions": [{"id": "i"}]}
    write(bucket.dumps / "first.json", document(NIGHT, NIGHT + DAY, **members))
    said = bucket.rep_ai("run", str(bucket.dumps))
    assert "2 fields are not listed, and in no column:\n" in said
    assert "  unique_visitor_sessions.utm-Source: 3 records\n" in said
    assert "  unique_visitor_session_actions.ti\\ntle: 1 record\n" in said
    assert "rep_ai_fields makes columns of them: docs/operate.md#fields-of-your-own" in said
    # at first contact all that is missing is named, however much it is
    missing = [line for line in said.splitlines() if line.startswith("  no unique_visitor_s")]
    assert "  no unique_visitor_session_interactions.accept_time: 1 dumps" in missing
    assert len(missing) > 10 and "\n  and " not in said
    found = json.loads(bucket.rep_ai("status", "--json"))
    (line,) = [each for each in found["warnings"] if "not listed" in each]
    assert "2 fields are not listed, and in no column: unique_visitor_sessions.utm-Source" in line
    assert "docs/operate.md#fields-of-your-own" in line
    assert found["unlisted_fields"][0] == {
        "collection": "unique_visitor_sessions",
        "field": "utm-Source",
        "records": 3,
    }
    assert "unique_visitor_sessions         utm-Source        3" in bucket.rep_ai("status")
    found = json.loads(bucket.rep_ai("status", "--json", "--vars", FIELDS))
    assert [each["field"] for each in found["unlisted_fields"]] == ["ti\ntle"]
