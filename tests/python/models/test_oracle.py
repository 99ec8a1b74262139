"""Examples computed by hand for the oracle, paragraph by paragraph of the design."""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from histories import BREAKAGES, STYLES, Obj, Style, broken, dumps, histories
from histories import document_bytes as spelled_bytes
from oracle import Delivery, Row, Value, marts, read_dump, version_key
from oracle import seconds as exact_seconds
from oracle.dumps import read_time
from oracle.json_text import canonical_json
from oracle.reports import percentile

Fields: TypeAlias = dict[str, object]
Marts: TypeAlias = dict[str, list[Row]]

MIDNIGHT = datetime(2025, 1, 1)
MIDNIGHT_MS = 1_735_689_600_000
DAY = 24 * 60
LISTED = {
    "users": "users",
    "visitors": "unique_visitors",
    "sessions": "unique_visitor_sessions",
    "actions": "unique_visitor_session_actions",
    "interactions": "unique_visitor_session_interactions",
}


def ms(minutes: float) -> int:
    """Epoch milliseconds, minutes after the first midnight."""
    return MIDNIGHT_MS + round(minutes * 60_000)


def at(minutes: float) -> datetime:
    """The same moment as a mart shows it."""
    return MIDNIGHT + timedelta(minutes=minutes)


def document(start: float, end: float, version: str = "1.0.0", **collections: object) -> bytes:
    """A dump for a window in minutes; collections that are not named are empty."""
    whole: Fields = {"version": version, "start_time": ms(start), "end_time": ms(end)}
    for name, full in LISTED.items():
        whole[full] = collections.get(name, [] if name in ("actions", "interactions") else {})
    return json.dumps(whole).encode()


def night(number: int, version: str = "1.0.0", **collections: object) -> Delivery:
    """The dump of a day; day 0 begins at MIDNIGHT."""
    return Delivery(document(number * DAY, (number + 1) * DAY, version, **collections), None)


def session(
    start: float | None, end: float | None, group: str | None = None, **fields: object
) -> Fields:
    """A session without its id; the object key stands in for that."""
    return {
        "start_time": None if start is None else ms(start),
        "end_time": None if end is None else ms(end),
        "session_group": group,
        **fields,
    }


def talk(
    name: str,
    start: float | None,
    end: float | None = None,
    accept: object = None,
    accepted: float | None = None,
    **fields: object,
) -> Fields:
    """An interaction."""
    return {
        "id": name,
        "interaction": "TAKEOVER",
        "start_time": None if start is None else ms(start),
        "end_time": None if end is None else ms(end),
        "accept": accept,
        "accept_time": None if accepted is None else ms(accepted),
        **fields,
    }


def read(*deliveries: Delivery, unknown: bool = False, timezone: str = "UTC") -> Marts:
    """All marts."""
    return marts(
        deliveries,
        action_types=["PAGE_VIEW", "ALERT"],
        interaction_types=["TAKEOVER"],
        include_unknown_types=unknown,
        timezone=timezone,
    )


def by(rows: list[Row], column: str) -> dict[Value, Row]:
    """Rows by their grain."""
    assert len({row[column] for row in rows}) == len(rows)
    return {row[column]: row for row in rows}


def sessions(*deliveries: Delivery) -> dict[Value, Row]:
    """fct_rep_ai__sessions by id."""
    return by(read(*deliveries)["fct_rep_ai__sessions"], "session_id")


def groups(*deliveries: Delivery) -> dict[Value, Row]:
    """fct_rep_ai__session_groups by id."""
    return by(read(*deliveries)["fct_rep_ai__session_groups"], "session_group_id")


def talks(*deliveries: Delivery) -> dict[Value, Row]:
    """fct_rep_ai__interactions by id."""
    return by(read(*deliveries)["fct_rep_ai__interactions"], "interaction_id")


def calendar(*deliveries: Delivery) -> list[tuple[Value, ...]]:
    """Start, status, deliveries and version of each row of the calendar."""
    rows = read(*deliveries)["rep_ai__dump_calendar"]
    columns = ("window_start_at", "status", "delivery_count", "version")
    return [tuple(row[column] for column in columns) for row in rows]


def broken_rules(rule: str, *deliveries: Delivery) -> list[tuple[Value, ...]]:
    """Entity, id and dump of the violations of one rule."""
    rows = read(*deliveries)["rep_ai__contract_violations"]
    columns = ("entity", "record_id", "dump_start_at")
    return [tuple(row[column] for column in columns) for row in rows if row["rule"] == rule]


def pick(row: Row, *columns: str) -> tuple[Value, ...]:
    """Some columns of a row."""
    return tuple(row[column] for column in columns)


# ------------------------------------------------------------------------------- section 3: reading


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"nonsense",
        document(0, DAY, "2.0.0"),
        document(0, DAY, "0.9.0"),
        document(0, DAY, "1.0"),
        document(0, DAY, "01.0.0"),
        document(0, DAY, "1.0.0-01"),
        document(0, DAY, "1.0.0\n"),
        document(0, DAY, "1.\u0660.0"),
        document(0, 0),
        document(DAY, 0),
        document(0, DAY).replace(str(MIDNIGHT_MS).encode(), b"1.7356896e12"),
        document(0, DAY, sessions=[]),
        document(0, DAY, actions={}),
        document(0, DAY, users="none"),
        document(0, DAY)[:-1],
        document(0, DAY) + b"{}",
        document(0, DAY)[:-1] + b',"x":NaN}',
        document(0, DAY)[:-1] + b',"x":-Infinity}',
        document(0, DAY)[:-1] + b',"x":01}',
        document(0, DAY)[:-1] + b',"x":[1,]}',
        document(0, DAY)[:-1] + b',"x":"\xff"}',
        document(0, DAY)[:-1] + b',"x":"a\nb"}',
        document(0, DAY).decode().encode("utf-16"),
        b"\xef\xbb\xbf\xef\xbb\xbf" + document(0, DAY),
    ],
)
def test_rejected_documents_change_nothing(content: bytes) -> None:
    assert read_dump(Delivery(content, None)) is None
    assert all(rows == [] for rows in read(Delivery(content, None)).values())


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + document(0, DAY),
        b" \r\n" + document(0, DAY) + b"\t",
        document(0, DAY, "1.0.0-0a.-+001"),
        document(0, DAY, users=None),
        document(0, DAY).replace(str(MIDNIGHT_MS).encode(), f'"{MIDNIGHT_MS}"'.encode()),
        b'{"version":"3.0.0","users":[],' + document(0, DAY)[1:],  # the last holds
        document(0, DAY)[:-1] + b',"x":"\\ud800","y":1E+400}',
    ],
)
def test_accepted_documents(content: bytes) -> None:
    dump = read_dump(Delivery(content, None))
    assert dump is not None
    assert dump.window == (MIDNIGHT_MS, MIDNIGHT_MS + DAY * 60_000)


def test_values_are_text_digit_for_digit() -> None:
    text = (
        '{"7": {"id": 7, "email_address": 1.10, "display_name": 1e2, "title": true},'
        ' "007": {"email_address": "", "active": "false"}, "k": 5, "s": {"title": "\\ud800"},'
        ' "\\u0000": {"id": "n"}, "x": {"more": "\\u0000", "title": "\\ud83d\\ude00"}}'
    )
    content = document(0, DAY).replace(b'"users": {}', b'"users": ' + text.encode())
    users = by(read(Delivery(content, None))["dim_rep_ai__users"], "user_id")
    assert set(users) == {"7", "007", "x"}
    assert pick(users["7"], "email_address", "display_name", "title") == ("1.10", "1e2", "true")
    assert pick(users["007"], "email_address", "title", "is_active") == ("", None, False)
    assert users["x"]["title"] == "\U0001f600"


def test_of_equal_keys_the_last_holds_at_the_place_of_the_first() -> None:
    text = (
        '{"k": {"id": "x", "title": "1"}, "m": {"id": "x", "title": "2", "title": "3"},'
        ' "k": {"id": "x", "title": "4"}}'
    )
    content = document(0, DAY).replace(b'"users": {}', b'"users": ' + text.encode())
    [user] = read(Delivery(content, None))["dim_rep_ai__users"]
    assert user["title"] == "3"


def test_canonical_json() -> None:
    assert canonical_json(' {"b": [1.10, 1e2],\n"a": null, "b": {"é": -0}}') == (
        '{"a":null,"b":{"\\u00e9":-0}}'
    )
    assert canonical_json("no json") == "no json"
    assert canonical_json("NaN") == "NaN"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("946684799999", None),
        ("946684800000", 946684800000),
        ("000946684800000", 946684800000),
        ("4102444799999", 4102444799999),
        ("4102444800000", None),
        ("9" * 5000, None),
        ("1735689600000.0", None),
        ("+1735689600000", None),
        (" 1735689600000", None),
        ("1735689600000\n", None),
        ("1735689\u0666\u0660\u0660\u0660\u0660\u0660", None),
        ("", None),
        (None, None),
    ],
)
def test_times(text: str | None, moment: int | None) -> None:
    assert read_time(text) == moment


def test_ids() -> None:
    delivery = night(
        0,
        visitors={
            "a": {"id": "", "custom_id": ""},
            "b": {"id": "c", "custom_id": "crm"},
            "": {"id": None},
            "d": {"id": "d", "custom_metadata": {"display_name": "", "displayName": "Di"}},
            "e": {"id": "d", "custom_metadata": {"display_name": 5, "email": "e@x"}},
        },
        actions=[{"action": "ALERT"}, {"id": "a1", "action": "ALERT", "session_id": "", "x": 1}],
    )
    all_marts = read(delivery)
    visitors = by(all_marts["dim_rep_ai__visitors"], "visitor_id")
    assert {key: row["person_id"] for key, row in visitors.items()} == {
        "a": "a",
        "c": "crm",
        "d": "d",
    }
    assert pick(visitors["d"], "display_name", "email") == (None, "e@x")  # the later one, whole
    [action] = all_marts["fct_rep_ai__actions"]
    assert pick(action, "session_id", "occurred_at", "properties") == (None, None, '{"x":1}')
    assert broken_rules("missing_id", delivery) == [
        ("unique_visitors", None, at(0)),
        ("unique_visitor_session_actions", None, at(0)),
    ]
    assert broken_rules("key_differs_from_id", delivery) == [
        ("unique_visitors", "c", at(0)),
        ("unique_visitors", "d", at(0)),
    ]
    assert broken_rules("duplicate_id", delivery) == [("unique_visitors", "d", at(0))]
    assert broken_rules("unknown_session", delivery) == []


# -------------------------------------------------------------------------- 4.1: current deliveries


def test_version_precedence() -> None:
    ascending = [
        "1.0.0--",
        "1.0.0-10",  # by text, not by number
        "1.0.0-9",
        "1.0.0-RC",
        "1.0.0-rc",
        "1.0.0",
        "1.9.3",
        "1.10.0-rc",
        "1.10.0",
        "1.99999999999999999999.0",
        "1.100000000000000000000.0",
    ]
    assert sorted(ascending[::2] + ascending[1::2], key=version_key) == ascending
    assert version_key("1.0.0+9") == version_key("1.0.0+10") == version_key("1.0.0")


def test_redelivery_with_a_higher_version_replaces_the_day() -> None:
    old = night(0, "1.9.3", users={"u": {"title": "old"}, "gone": {}})
    new = night(0, "1.10.0", users={"u": {"title": "new"}})
    pre = night(0, "1.10.0-rc.1", users={"u": {"title": "pre"}})
    for order in ([old, new, pre], [new, pre, old], [pre, old, new, old]):
        [user] = read(*order)["dim_rep_ai__users"]
        assert user["title"] == "new"
        assert calendar(*order) == [(at(0), "delivered", 3, "1.10.0")]


def test_equal_versions_go_by_modification_time_then_by_content() -> None:
    def user(title: str, version: str, when: datetime | None) -> Delivery:
        return Delivery(document(0, DAY, version, users={"u": {"title": title}}), when)

    def title(*deliveries: Delivery) -> Value:
        return read(*deliveries)["dim_rep_ai__users"][0]["title"]

    a, b = user("a", "1.0.0+2", at(5)), user("b", "1.0.0+10", at(4))
    assert title(a, b) == "a"
    assert title(a, user("b", "1.0.0+10", None)) == "a"
    # The earliest time seen with a content counts, in any order; an unknown one is the oldest.
    assert title(a, b, user("b", "1.0.0+10", at(6))) == "a"
    assert title(user("a", "1.0.0+2", at(3)), a, b) == "b"
    assert title(a, b, user("a", "1.0.0+2", None)) == "b"
    same = [user("a", "1.0.0", at(5)), user("b", "1.0.0", at(5))]
    dumps_read = [read_dump(delivery) for delivery in same]
    ids = [dump.delivery_id for dump in dumps_read if dump]
    assert title(*same) == title(*reversed(same)) == ("a" if ids[0] > ids[1] else "b")


def test_overlapping_windows_are_all_current() -> None:
    first = night(0, "1.0.0", sessions={"s": session(10, None, referrer="r0", user_agent="u0")})
    again = night(0, "1.1.0", sessions={"s": session(11, None, referrer="r1", user_agent="u1")})
    longer = Delivery(
        document(0, DAY + 60, sessions={"s": session(12, 30, referrer="r2", user_agent="u2")}), None
    )
    assert calendar(longer, first, again, night(1)) == [
        (at(0), "overlapping", 2, "1.1.0"),
        (at(0), "overlapping", 1, "1.0.0"),
        (at(DAY), "overlapping", 1, "1.0.0"),
    ]
    row = sessions(longer, first, again, night(1))["s"]
    assert pick(row, "referrer", "user_agent", "dump_count") == ("r1", "u2", 2)
    assert pick(row, "started_at", "ended_at") == (at(11), at(30))


# ------------------------------------------------------------------------------------ 4.3: midnight


def test_session_in_two_and_in_three_dumps() -> None:
    days = [
        night(
            0,
            sessions={
                "s": session(1430, None, unique_visitor_id="v", referrer=None, user_agent="one"),
                "t": session(1430, 1439),
            },
        ),
        night(1, sessions={"s": session(1431, None, unique_visitor_id="w", referrer="r")}),
        night(2, sessions={"s": session(1429.5, DAY * 2 + 10, referrer="q")}),
    ]
    [two, three] = [sessions(*days[:count])["s"] for count in (2, 3)]
    assert pick(two, "started_at", "ended_at", "end_status") == (at(1430), None, "ongoing")
    assert pick(two, "dump_count", "crossed_midnight", "duration_seconds") == (2, True, None)
    assert pick(three, "started_at", "ended_at") == (at(1429.5), at(2 * DAY + 10))
    assert pick(three, "end_status", "dump_count") == ("ended", 3)
    assert three["duration_seconds"] == Decimal("87630.000")  # 1460.5 minutes
    assert pick(three, "visitor_id", "referrer", "user_agent") == ("w", "r", "one")
    assert pick(sessions(*days)["t"], "crossed_midnight", "dump_count") == (False, 1)
    # The last dump says nothing of the end: the last known one holds.
    assert sessions(*days, night(3, sessions={"s": session(None, None)}))["s"]["ended_at"] == at(
        2 * DAY + 10
    )


def test_end_status() -> None:
    cut = night(0, sessions={"s": session(1430, None)})

    def status(*others: Delivery) -> Value:
        return sessions(cut, *others)["s"]["end_status"]

    assert status() == "ongoing"
    assert status(night(-1)) == "ongoing"
    assert status(night(1)) == "never_closed"
    assert status(night(2)) == "awaiting_dump"
    assert status(night(1), night(2)) == "never_closed"
    assert status(Delivery(document(60, DAY), None)) == "awaiting_dump"  # ends with it
    assert status(Delivery(document(60, DAY + 1), None)) == "never_closed"
    assert status(Delivery(document(DAY + 1, 2 * DAY), None)) == "awaiting_dump"


def test_a_covering_window_that_starts_no_later_leaves_it_ongoing() -> None:
    """`ongoing` is asked first: no current window starts later than the last one it was seen in."""
    cut = Delivery(document(60, DAY, sessions={"s": session(100, None)}), None)
    around = Delivery(document(0, DAY + 60), None)
    assert sessions(cut, around)["s"]["end_status"] == "ongoing"


def test_unreadable_values_are_null() -> None:
    row = sessions(
        night(0, sessions={"s": session(None, None, start_time="soon", end_time=1e2)}), night(1)
    )["s"]
    assert pick(row, "started_at", "ended_at", "crossed_midnight") == (None, None, True)


def test_actions_are_the_whole_record_of_the_last_window() -> None:
    first = {"id": "a", "action": "ALERT", "session_id": "s", "timestamp": ms(5), "x": 1}
    later = {"id": "a", "action": "PAGE_VIEW", "timestamp": None}
    known = {"s": session(0, 9, unique_visitor_id="v", group="g")}
    [row] = read(night(0, actions=[first], sessions=known))["fct_rep_ai__actions"]
    assert pick(row, "session_id", "session_group_id", "visitor_id") == ("s", "g", "v")
    [row] = read(night(1, actions=[later]), night(0, actions=[first], sessions=known))[
        "fct_rep_ai__actions"
    ]
    assert row == {
        "action_id": "a",
        "action_type": "PAGE_VIEW",
        "session_id": None,
        "session_group_id": None,
        "visitor_id": None,
        "occurred_at": None,
        "properties": None,
    }


# -------------------------------------------------------------------------------------- 4.4: groups


def test_label_chains_cycles_and_absent_anchors() -> None:
    rows = sessions(
        night(
            0,
            sessions={
                "root": session(5, 6),
                "one": session(7, 8, "root"),
                "two": session(1, 2, "one"),
                "self": session(1, 2, "self"),
                "lost": session(1, 2, "elsewhere"),
                "lost2": session(1, 2, "lost"),
                "x": session(30, 31, "y"),
                "y": session(20, 21, "z"),
                "z": session(None, None, "x"),
                "tail": session(1, 2, "x"),
                "p": session(None, None, "P"),
                "P": session(None, None, "p"),
            },
        )
    )
    assert {key: row["session_group_id"] for key, row in rows.items()} == {
        "root": "root",
        "one": "root",
        "two": "root",
        "self": "self",
        "lost": "elsewhere",
        "lost2": "elsewhere",
        "x": "y",
        "y": "y",
        "z": "y",
        "tail": "y",
        "p": "P",
        "P": "P",
    }
    numbers = {key: row["session_number_in_group"] for key, row in rows.items()}
    assert [numbers[key] for key in ("two", "root", "one")] == [1, 2, 3]
    assert [numbers[key] for key in ("tail", "y", "x", "z")] == [1, 2, 3, 4]
    assert [numbers[key] for key in ("lost", "lost2")] == [1, 2]


def test_ids_compare_by_code_point() -> None:
    rows = sessions(
        night(0, sessions={k: session(1, 2, "g") for k in ("\U0001f600", "\uffff", "a", "B")})
    )
    numbers = sorted((row["session_number_in_group"], key) for key, row in rows.items())
    assert [key for _, key in numbers] == ["B", "a", "\uffff", "\U0001f600"]


def test_the_first_label_holds() -> None:
    days = [
        night(0, sessions={"s": session(1, None, "")}),
        night(1, sessions={"s": session(1, None, "g1")}),
        night(2, sessions={"s": session(1, None, "g2")}),
    ]
    assert [sessions(*days[:n])["s"]["session_group_id"] for n in (1, 2, 3)] == ["s", "g1", "g1"]


def test_group_of_overlapping_tabs() -> None:
    row = groups(
        night(
            0,
            sessions={
                "a": session(0, 10, "g", referrer="ra", unique_visitor_id=None),
                "b": session(5, 8, "g", referrer="rb", unique_visitor_id="v"),
                "c": session(9, 12, "g"),
                "d": session(20, 21.5, "g"),
                "e": session(40, 30, "g"),  # not in order
                "f": session(None, 50, "g"),
            },
        )
    )["g"]
    assert row == {
        "session_group_id": "g",
        "visitor_id": None,
        "referrer": "ra",
        "started_at": at(0),
        "ended_at": at(50),
        "end_status": "ended",
        "elapsed_seconds": Decimal("3000.000"),
        "active_seconds": Decimal("810.000"),  # 12 and 1.5 minutes
        "session_count": 6,
        "crossed_midnight": False,
        "anchor_delivered": False,
        "action_count": 0,
        "interaction_count": 0,
        "accepted_interaction_count": 0,
    }


def test_group_end_status() -> None:
    cut = {"cut": session(1, None, "g")}
    done = {"done": session(1, 5, "g")}
    open_now = {"open": session(3 * DAY + 1, None, "g")}

    def status(*deliveries: Delivery) -> tuple[Value, ...]:
        row = groups(*deliveries)["g"]
        return pick(row, "end_status", "ended_at", "elapsed_seconds", "active_seconds")

    zero = Decimal("0.000")
    assert status(night(0, sessions=cut), night(1)) == ("never_closed", None, None, zero)
    assert status(night(0, sessions=cut), night(2)) == ("awaiting_dump", None, None, zero)
    four = Decimal("240.000")
    both = night(0, sessions=cut | done)
    assert status(both, night(1)) == ("ended", at(5), four, four)
    assert status(both, night(2)) == ("awaiting_dump", None, None, four)
    assert status(both, night(2), night(3, sessions=open_now)) == ("ongoing", None, None, four)
    backwards = night(0, sessions={"s": session(5, 1, "g")})
    assert status(backwards) == ("ended", at(1), None, zero)


# ---------------------------------------------------------------------------------- 4.5: acceptance


def test_acceptance_branches() -> None:
    rows = talks(
        night(
            0,
            interactions=[
                talk("unknown", 1, 9, accept=1, accepted=1),
                talk("refused", 1, 9, accept=False, accepted=1),
                talk("pending", 1, None, accept=False),
                talk("automatic", 1, 9, accept=True, accepted=1),
                talk("accepted", 1, 9, accept="true", accepted=1.025),
                talk("timeless", 1, 9, accept=True),
                talk("startless", None, 9, accept=True, accepted=3),
                talk("nothing", None, 9, accept=True),
                talk("early", 5, 9, accept=True, accepted=4),
            ],
        )
    )
    columns = ("acceptance", "is_accepted", "accepted_at", "seconds_to_accept")
    assert {key: pick(row, *columns) for key, row in rows.items()} == {
        "unknown": ("unknown", False, None, None),
        "refused": ("not_accepted", False, None, None),
        "pending": ("pending", False, None, None),
        "automatic": ("automatic", True, at(1), None),
        "accepted": ("accepted", True, at(1.025), Decimal("1.500")),
        "timeless": ("accepted", True, None, None),
        "startless": ("accepted", True, at(3), None),
        "nothing": ("accepted", True, None, None),
        "early": ("accepted", True, at(4), None),
    }


def test_pending_follows_the_end_status() -> None:
    cut = night(0, interactions=[talk("i", 1, None, accept=False)])
    found = [talks(*d)["i"]["acceptance"] for d in ([cut], [cut, night(2)], [cut, night(1)])]
    assert found == ["pending", "pending", "not_accepted"]


def test_acceptance_is_read_from_one_record() -> None:
    first = night(0, interactions=[talk("i", 1430, None, accept=True, accepted=1431)])
    second = night(1, interactions=[talk("i", DAY, None, accept=False)])
    third = night(2, interactions=[talk("i", 2 * DAY, 2 * DAY + 1, accept=True, accepted=2 * DAY)])
    fourth = night(3, interactions=[talk("i", None, None, accept=None, accepted=3 * DAY)])
    columns = ("acceptance", "accepted_at", "seconds_to_accept", "started_at")
    days = [first, second, third, fourth]
    assert [pick(talks(*days[:n])["i"], *columns) for n in (1, 2, 3, 4)] == [
        ("accepted", at(1431), Decimal("60.000"), at(1430)),
        ("pending", None, None, at(1430)),
        ("automatic", at(2 * DAY), None, at(1430)),  # equals its own start, not the least one
        ("automatic", at(2 * DAY), None, at(1430)),
    ]


def test_interactions_merge_each_column_on_its_own() -> None:
    row = talks(
        night(0, interactions=[talk("i", 1, None, session_id="s", user_id="u", x=1)]),
        night(1, interactions=[talk("i", 0, None, session_id="", user_id="w", interaction=None)]),
    )["i"]
    columns = ("interaction_type", "session_id", "user_id", "session_group_id", "properties")
    assert pick(row, *columns) == ("TAKEOVER", "s", "w", None, None)
    assert pick(row, "started_at", "crossed_midnight", "end_status") == (at(0), True, "ongoing")


# --------------------------------------------------------------------------------------- 4.6: types

TYPED = night(
    0,
    sessions={"s": session(0, 60, "g", unique_visitor_id="v")},
    visitors={"v": {}},
    users={"u": {"active": "no"}},
    actions=[
        {"id": "1", "action": "ALERT", "session_id": "s", "timestamp": ms(3)},
        {"id": "3", "action": "NEW", "session_id": "s", "timestamp": ms(4)},
        {"id": "20", "action": "NEW", "session_id": "s", "timestamp": ms(2)},
        {"id": "4", "session_id": "s"},
        {"id": "5", "action": "alert"},
    ],
    interactions=[
        talk("1", 1, 2, True, 1, session_id="s", user_id="u"),
        talk("2", 3, 4, False, session_id="s", user_id="u"),
        talk("3", 1, 2, True, 1, session_id="s", user_id="u", interaction="CHAT"),
    ],
)


def test_known_types_only() -> None:
    some, everything = read(TYPED), read(TYPED, unknown=True)
    columns = ("action_count", "interaction_count", "accepted_interaction_count")
    for model in ("fct_rep_ai__sessions", "fct_rep_ai__session_groups"):
        assert pick(some[model][0], *columns) == (1, 2, 1)
        assert pick(everything[model][0], *columns) == (4, 3, 2)
    assert pick(some["dim_rep_ai__users"][0], *columns[1:], "is_active") == (2, 1, None)
    assert [len(m["fct_rep_ai__actions"]) for m in (some, everything)] == [1, 5]
    assert some["rep_ai__unknown_types"] == everything["rep_ai__unknown_types"]
    kinds = ("kind", "type", "record_count", "first_seen_at", "last_seen_at", "example_id")
    assert [pick(row, *kinds) for row in some["rep_ai__unknown_types"]] == [
        ("action", "NEW", 2, at(2), at(4), "20"),
        ("action", None, 1, None, None, "4"),
        ("action", "alert", 1, None, None, "5"),
        ("interaction", "CHAT", 1, at(1), at(1), "3"),
    ]


# --------------------------------------------------------------------------------- section 5: marts


def test_events() -> None:
    accepted = night(
        1,
        interactions=[talk("y", DAY, None, True, DAY + 1, session_id="s", user_id="u")],
        sessions={"t": session(None, DAY + 3)},
    )
    events = by(read(TYPED, accepted)["fct_rep_ai__events"], "event_id")
    assert {key: row["occurred_at"] for key, row in events.items()} == {
        "session_started:s": at(0),
        "session_ended:s": at(60),
        "session_ended:t": at(DAY + 3),
        "action:1": at(3),
        "interaction_started:1": at(1),  # accepted by itself
        "interaction_ended:1": at(2),
        "interaction_started:2": at(3),
        "interaction_ended:2": at(4),
        "interaction_started:y": at(DAY),
        "interaction_accepted:y": at(DAY + 1),
    }
    assert events["interaction_accepted:y"] == {
        "event_id": "interaction_accepted:y",
        "event_kind": "interaction_accepted",
        "event_type": "TAKEOVER",
        "occurred_at": at(DAY + 1),
        "session_id": "s",
        "session_group_id": "g",
        "visitor_id": "v",
        "user_id": "u",
    }
    assert pick(events["session_started:s"], "event_type", "user_id") == (None, None)


def test_visitors() -> None:
    days = [
        night(
            0,
            visitors={
                "v": {"custom_id": "c", "custom_metadata": {"email": "a@x", "display_name": "A"}},
                "w": {"custom_metadata": {"email": "w@x"}},
            },
            sessions={
                "s": session(10, 5, "g", unique_visitor_id="v"),
                "t": session(20, None, "g", unique_visitor_id="v"),
                "x": session(1, 2, unique_visitor_id="stranger"),
            },
            interactions=[talk("i", 1, session_id="s"), talk("j", 1, session_id="t", user_id="v")],
        ),
        night(
            1,
            visitors={
                "v": {"custom_id": "", "custom_metadata": {"displayName": "B", "n": 1}},
                "w": {"custom_metadata": None},
            },
            sessions={"y": session(None, DAY + 5, unique_visitor_id="v")},
        ),
    ]
    visitors = by(read(*days)["dim_rep_ai__visitors"], "visitor_id")
    assert visitors == {
        "v": {
            "visitor_id": "v",
            "person_id": "c",
            "custom_id": "c",
            "display_name": "B",
            "email": None,  # the custom metadata is taken whole
            "custom_metadata": '{"displayName": "B", "n": 1}',
            "first_seen_at": at(10),
            "last_seen_at": at(DAY + 5),
            "session_count": 3,
            "session_group_count": 2,
            "interaction_count": 2,
        },
        "w": {
            "visitor_id": "w",
            "person_id": "w",
            "custom_id": None,
            "display_name": None,
            "email": "w@x",
            "custom_metadata": '{"email": "w@x"}',
            "first_seen_at": None,
            "last_seen_at": None,
            "session_count": 0,
            "session_group_count": 0,
            "interaction_count": 0,
        },
    }


def test_metadata_that_is_not_an_object() -> None:
    values = {"a": "text", "b": ["email"], "c": 5, "d": '{"email": "d@x"}', "e": {}, "f": "{"}
    delivery = night(0, visitors={key: {"custom_metadata": v} for key, v in values.items()})
    rows = by(read(delivery)["dim_rep_ai__visitors"], "visitor_id")
    assert [rows[key]["custom_metadata"] for key in "abcef"] == [
        "text",
        '["email"]',
        "5",
        "{}",
        "{",
    ]
    assert [rows[key]["email"] for key in "abcdef"] == [None, None, None, "d@x", None, None]


def test_users_take_the_last_non_null_value_of_each_column() -> None:
    [user] = read(
        night(0, users={"u": {"email_address": "a", "title": "t", "active": True}}),
        night(1, users={"u": {"email_address": "b", "title": None, "active": "?"}}),
    )["dim_rep_ai__users"]
    assert pick(user, "email_address", "title", "display_name", "is_active") == (
        "b",
        "t",
        None,
        True,
    )


def test_daily_activity_in_us_central() -> None:
    """The clocks go forward: 2025-03-09 has 23 hours there, from 06:00 to 05:00."""
    midnight = (datetime(2025, 3, 9, 6) - MIDNIGHT) // timedelta(minutes=1)
    next_midnight = midnight + 23 * 60
    first = Delivery(
        document(
            midnight,
            next_midnight,
            sessions={
                "before": session(midnight - 1, midnight, "g", unique_visitor_id="v"),
                "a": session(midnight, midnight + 10, "g", unique_visitor_id="v"),
                "b": session(next_midnight - 1, next_midnight, unique_visitor_id="v"),
                "never": session(None, None),
            },
            actions=[{"id": "1", "action": "ALERT", "timestamp": ms(next_midnight)}],
        ),
        None,
    )
    second = Delivery(
        document(
            next_midnight,
            next_midnight + DAY,
            interactions=[
                talk("i", next_midnight, next_midnight + 1, True, next_midnight, user_id="u"),
                talk("j", next_midnight, None, True, next_midnight + 1, user_id="u"),
                talk("k", next_midnight, None, False, user_id="u"),
                talk("l", next_midnight, next_midnight, False),
                talk("m", next_midnight),
                talk("n", None, None, True),
            ],
        ),
        None,
    )
    rows = by(read(first, second, timezone="US/Central")["rep_ai__daily_activity"], "activity_date")
    empty = dict.fromkeys(rows[date(2025, 3, 9)], 0) | {"active_seconds": Decimal("0.000")}
    assert rows == {
        date(2025, 3, 8): empty
        | {
            "activity_date": date(2025, 3, 8),
            "session_count": 1,
            "session_group_count": 1,
            "visitor_count": 1,
            "active_seconds": Decimal("660.000"),
        },
        date(2025, 3, 9): empty
        | {
            "activity_date": date(2025, 3, 9),
            "session_count": 2,
            "session_group_count": 1,
            "visitor_count": 1,
            "active_seconds": Decimal("60.000"),
        },
        date(2025, 3, 10): empty
        | {
            "activity_date": date(2025, 3, 10),
            "action_count": 1,
            "interaction_count": 5,
            "accepted_interaction_count": 2,
            "handled_interaction_count": 1,
            "automatic_interaction_count": 1,
            "pending_interaction_count": 1,
            "not_accepted_interaction_count": 1,
            "unknown_acceptance_interaction_count": 1,
        },
    }
    [cell] = read(first, second, timezone="US/Central")["rep_ai__user_daily_performance"]
    assert pick(cell, "user_id", "activity_date") == ("u", date(2025, 3, 10))
    assert pick(cell, "interaction_count", "accepted_interaction_count") == (3, 2)
    assert pick(cell, "median_seconds_to_accept", "p90_seconds_to_accept", "talk_seconds") == (
        Decimal("60.000"),
        Decimal("60.000"),
        Decimal("60.000"),
    )
    # The same moments by UTC fall on two days only.
    assert len(read(first, second)["rep_ai__daily_activity"]) == 2


def test_a_window_of_25_hours_follows_on() -> None:
    """US/Central midnight is 05:00 in summer; 2025-11-02 lasts from 05:00 to 06:00 the next day."""
    summer = (datetime(2025, 11, 1, 5) - MIDNIGHT) // timedelta(minutes=1)
    bounds = [summer, summer + DAY, summer + DAY + 25 * 60, summer + 2 * DAY + 25 * 60]
    days = [
        Delivery(document(a, b, sessions={"s": session(summer, None)}), None)
        for a, b in pairwise(bounds)
    ]
    assert [row[1] for row in calendar(*days)] == ["delivered"] * 3
    assert sessions(*days)["s"]["dump_count"] == 3
    assert broken_rules("outside_window", *days) == []


def test_percentiles_are_continuous() -> None:
    waits = [exact_seconds(n) for n in (1000, 4000, 2000, 2001)]
    assert percentile(waits, Fraction(1, 2)) == Decimal("2.001")  # 2.0005, half away from zero
    assert percentile(waits, Fraction(9, 10)) == Decimal("3.400")  # 2.001 + 0.7 * 1.999 = 3.4003
    assert percentile([], Fraction(1, 2)) is None


def test_user_without_known_talk_time() -> None:
    [cell] = read(night(0, interactions=[talk("i", 1, 5, False, user_id="u")]))[
        "rep_ai__user_daily_performance"
    ]
    assert pick(cell, "median_seconds_to_accept", "talk_seconds") == (None, Decimal("0.000"))


def test_calendar_gaps_and_counts() -> None:
    wide = Delivery(document(0, 3 * DAY), None)
    inside = night(1, users={"a": {}, "b": 5}, visitors=None, actions=[{}, [], {"id": "x"}])
    late = night(5, "1.2.0")
    assert calendar(late, inside, wide) == [
        (at(0), "overlapping", 1, "1.0.0"),
        (at(DAY), "overlapping", 1, "1.0.0"),
        (at(3 * DAY), "missing", 0, None),
        (at(5 * DAY), "delivered", 1, "1.2.0"),
    ]
    rows = read(late, inside, wide)["rep_ai__dump_calendar"]
    columns = ("user_count", "visitor_count", "session_count", "action_count", "interaction_count")
    assert pick(rows[1], *columns) == (1, None, 0, 2, 0)
    assert pick(rows[2], *columns, "window_end_at") == (None,) * 5 + (at(5 * DAY),)
    assert pick(rows[3], *columns) == (0, 0, 0, 0, 0)


# ---------------------------------------------------------------------------------- 4.7: violations


def test_duplicate_id_needs_other_content() -> None:
    same = {"id": "a", "action": "ALERT", "x": [1]}
    delivery = night(0, actions=[same, same, {"id": "b"}, {"id": "b", "y": 1}, {"id": "b"}])
    assert broken_rules("duplicate_id", delivery) == [
        ("unique_visitor_session_actions", "b", at(0))
    ]
    # Twice in two dumps is no duplicate.
    assert (
        broken_rules("duplicate_id", night(0, actions=[same]), night(1, actions=[{"id": "a"}]))
        == []
    )


def test_duplicate_id_compares_values_as_read() -> None:
    talks = [talk("i", 1, accept=True), talk("i", 1, accept="true"), talk("j", 1), talk("j", 1)]
    nested = [{"id": "s"}, {"id": "s", "session_id": ""}, {"id": "t"}, {"id": "t", "a": None}]
    delivery = night(0, interactions=talks, actions=nested)
    assert broken_rules("duplicate_id", delivery) == [
        ("unique_visitor_session_actions", "t", at(0))
    ]


def test_rejected_records() -> None:
    delivery = night(
        0,
        users={"u": 5, "\0\ud800": {"id": "w"}, "v": {"title": "\udc00"}, "x": {"y": "\0"}},
        actions=[[], {"id": "a", "action": "\0"}, {"id": "b", "\0": ""}, {"\ud800": 1}],
    )
    assert broken_rules("rejected_record", delivery) == [
        ("users", "u", at(0)),
        ("users", "\\u0000\\ud800", at(0)),
        ("users", "v", at(0)),
        *[("unique_visitor_session_actions", None, at(0))] * 2,
    ]


def test_unreadable_times() -> None:
    delivery = night(
        0,
        sessions={"s": session(None, None, start_time="x", end_time=1.5)},
        actions=[{"timestamp": "lost with its record"}, {"id": "a", "timestamp": 946684799999}],
        interactions=[talk("i", 1, accept_time="", start_time=None)],
    )
    assert broken_rules("unreadable_time", delivery) == [
        ("unique_visitor_sessions", "s", at(0)),
        ("unique_visitor_sessions", "s", at(0)),
        ("unique_visitor_session_actions", "a", at(0)),
        ("unique_visitor_session_interactions", "i", at(0)),
    ]


def test_end_before_start_is_dated_by_the_last_window() -> None:
    days = [
        night(0, sessions={"s": session(10, None), "t": session(5, 5)}),
        night(1, sessions={"s": session(None, 9)}),
    ]
    assert broken_rules("end_before_start", *days) == [("unique_visitor_sessions", "s", at(DAY))]


def test_unknown_references() -> None:
    days = [
        night(
            0,
            visitors={"v": {}},
            sessions={
                "s": session(1, 2, unique_visitor_id="v"),
                "t": session(1, 2, unique_visitor_id="V"),
                "x": session(1, 2),
            },
            actions=[{"id": "a", "session_id": "s"}, {"id": "b", "session_id": "S"}, {"id": "c"}],
            interactions=[talk("i", 1, session_id="q", user_id="later"), talk("j", 1, user_id="w")],
        ),
        night(1, users={"later": {}}),
    ]
    assert broken_rules("unknown_session", *days) == [
        ("unique_visitor_session_actions", "b", at(0)),
        ("unique_visitor_session_interactions", "i", at(0)),
    ]
    assert broken_rules("unknown_visitor", *days) == [("unique_visitor_sessions", "t", at(0))]
    assert broken_rules("unknown_user", *days) == [
        ("unique_visitor_session_interactions", "j", at(0))
    ]


def test_groups_in_disorder() -> None:
    days = [
        night(
            0,
            sessions={
                "a": session(5, 6, unique_visitor_id="v"),
                "b": session(4, 6, "a", unique_visitor_id="w"),
                "c": session(1, 2, "nowhere", unique_visitor_id="v"),
            },
        ),
        night(1, sessions={"d": session(DAY, DAY, "nowhere")}),
    ]
    assert broken_rules("anchor_missing", *days) == [("session_groups", "nowhere", at(DAY))]
    assert broken_rules("anchor_not_earliest", *days) == [("session_groups", "a", at(0))]
    assert broken_rules("several_visitors", *days) == [("session_groups", "a", at(0))]


def test_acceptance_violations() -> None:
    delivery = night(
        0,
        interactions=[
            talk("missing", 1, accept=None),
            talk("unreadable", 1, accept="yes", interaction="CHAT"),
            talk("timeless", 1, accept=True),
            talk("early", 2, accept=True, accepted=1),
            talk("refused", 2, accept=False, accepted=1),
            talk("good", 2, accept=True, accepted=2),
        ],
    )
    entity = "unique_visitor_session_interactions"
    assert broken_rules("accept_missing", delivery) == [
        (entity, "missing", at(0)),
        (entity, "unreadable", at(0)),
    ]
    assert broken_rules("accepted_without_time", delivery) == [(entity, "timeless", at(0))]
    assert broken_rules("accepted_before_start", delivery) == [(entity, "early", at(0))]


def test_outside_window() -> None:
    days = [
        night(
            0,
            sessions={
                "in": session(0, DAY),
                "start": session(DAY, None),
                "before": session(-1, None),
                "end": session(1, DAY + 1),
                "cut": session(1439, None),
            },
            actions=[
                {"id": "in", "timestamp": ms(0)},
                {"id": "out", "timestamp": ms(DAY)},
                {"id": "early", "timestamp": ms(-1)},
            ],
        ),
        night(
            1,
            sessions={
                "cut": session(1439, DAY + 5),
                "end": session(1, 2),
                "late": session(5, DAY + 1),
            },
        ),
    ]
    assert sorted(broken_rules("outside_window", *days), key=str) == sorted(
        [
            ("unique_visitor_sessions", "start", at(0)),
            ("unique_visitor_sessions", "before", at(0)),
            ("unique_visitor_sessions", "end", at(0)),
            ("unique_visitor_sessions", "end", at(DAY)),
            ("unique_visitor_sessions", "late", at(DAY)),
            ("unique_visitor_session_actions", "out", at(0)),
            ("unique_visitor_session_actions", "early", at(0)),
        ],
        key=str,
    )


def test_end_changed() -> None:
    def day(number: int, **ends: float | None) -> Delivery:
        return night(number, sessions={key: session(1, end) for key, end in ends.items()})

    days = [day(0, a=5, b=5, c=None), day(1, a=6, b=5, c=7), day(2, a=6, b=None, c=7), day(3, b=5)]
    assert broken_rules("end_changed", *days) == [
        ("unique_visitor_sessions", "a", at(DAY)),
        ("unique_visitor_sessions", "b", at(2 * DAY)),
    ]


def test_first_contact() -> None:
    delivery = night(
        0,
        users=None,
        visitors={},
        actions=[
            {"_id": "1", "action": "ALERT", "timestamp": 1},
            {"action": None, "session_id": ""},
        ],
    )
    assert broken_rules("collection_missing", delivery) == [("users", None, at(0))]
    assert broken_rules("field_missing", delivery) == [
        ("unique_visitor_session_actions", "id", at(0)),
        ("unique_visitor_session_actions", "session_id", at(0)),
    ]


# ---------------------------------------------------------------------------------------- histories


def key_of(row: Row) -> str:
    """Something to sort rows by."""
    return repr(sorted(row.items()))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories(), data=st.data())
def test_the_marts_are_a_function_of_the_set_of_deliveries(
    history: list[Delivery], data: st.DataObject
) -> None:
    again = data.draw(st.permutations([*history, *history[:1]]))
    one, other = read(*history), read(*again)
    assert {model: sorted(map(key_of, rows)) for model, rows in one.items()} == {
        model: sorted(map(key_of, rows)) for model, rows in other.items()
    }


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(document=dumps((ms(0), ms(DAY)), [(ms(0), ms(DAY))], ["a", "7"]))
def test_the_strategies_know_good_documents_from_bad(document: Obj) -> None:
    def shape(style: Style) -> object:
        dump = read_dump(Delivery(spelled_bytes(document, style), None))
        assert dump is not None
        records = [r for entity in dump.collections for r in dump.records(entity)]
        read_as = [(r.entity, r.id, r.key, r.properties) for r in records]
        return dump.version, dump.window, dump.rejected, read_as

    # nested values keep their spelling
    assert all(shape(style) == shape(STYLES[0]) for style in STYLES)
    for how in BREAKAGES:
        assert read_dump(Delivery(broken(document, how), None)) is None, how
