"""The rules by examples computed by hand, in the order of docs/query.md: the marts say so."""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import pytest

from dumps import EMPTY
from dumps import document as dump_of
from marts import VARIANTS, Compiled, Database, Load, difference, land, wanted
from oracle import Delivery, Row
from oracle.dumps import Value

Fields: TypeAlias = dict[str, object]
Marts: TypeAlias = dict[str, list[Row]]
Rows: TypeAlias = dict[Value, Row]

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
    whole = {LISTED[name]: collection for name, collection in collections.items()}
    return dump_of(ms(start), ms(end), version, **{**EMPTY, **whole})


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


class Built:
    """The marts that the models make of some dumps; the oracle has to agree, whatever is asked."""

    def __init__(self, database: Database, variables: dict[str, object]) -> None:
        """With the project as it is compiled with those variables."""
        self._database = database
        self._variables = variables

    def __call__(self, *deliveries: Delivery) -> Marts:
        """All marts."""
        with TemporaryDirectory() as folder:
            built = self._database.build(land([Load(deliveries)], Path(folder)))
        assert not (found := difference(built, wanted(deliveries, **self._variables))), found
        return built

    def sessions(self, *deliveries: Delivery) -> Rows:
        """fct_rep_ai__sessions by id."""
        return by(self(*deliveries)["fct_rep_ai__sessions"], "session_id")

    def groups(self, *deliveries: Delivery) -> Rows:
        """fct_rep_ai__session_groups by id."""
        return by(self(*deliveries)["fct_rep_ai__session_groups"], "session_group_id")

    def talks(self, *deliveries: Delivery) -> Rows:
        """fct_rep_ai__interactions by id."""
        return by(self(*deliveries)["fct_rep_ai__interactions"], "interaction_id")

    def windows(self, *deliveries: Delivery) -> list[Row]:
        """rep_ai__dump_calendar in the order of time."""
        rows = self(*deliveries)["rep_ai__dump_calendar"]
        return sorted(rows, key=lambda row: str((row["window_start_at"], row["window_end_at"])))

    def calendar(self, *deliveries: Delivery) -> list[tuple[Value, ...]]:
        """Start, status, deliveries and version of each row of the calendar, in their order."""
        columns = ("window_start_at", "status", "delivery_count", "version")
        return [pick(row, *columns) for row in self.windows(*deliveries)]

    def violations(self, rule: str, *deliveries: Delivery) -> list[tuple[Value, ...]]:
        """Entity, id and dump of the violations of one rule, in the order of their text."""
        rows = self(*deliveries)["rep_ai__contract_violations"]
        columns = ("entity", "record_id", "dump_start_at")
        return sorted((pick(row, *columns) for row in rows if row["rule"] == rule), key=str)


@pytest.fixture(scope="module")
def built(projects: list[Compiled]) -> Iterator[Built]:
    """The marts by default: known types, days in UTC."""
    with Database(projects[0]) as database:
        yield Built(database, VARIANTS[0])


@pytest.fixture(scope="module")
def chicago(projects: list[Compiled]) -> Iterator[Built]:
    """The marts with all types, and days in US/Central."""
    with Database(projects[1]) as database:
        yield Built(database, VARIANTS[1])


def by(rows: list[Row], column: str) -> Rows:
    """Rows by their grain."""
    assert len({row[column] for row in rows}) == len(rows)
    return {row[column]: row for row in rows}


def pick(row: Row, *columns: str) -> tuple[Value, ...]:
    """Some columns of a row."""
    return tuple(row[column] for column in columns)


# ---------------------------------------------------------------- docs/query.md#how-values-are-read


def test_values_are_text_digit_for_digit(built: Built) -> None:
    text = (
        '{"7": {"id": 7, "email_address": 1.10, "display_name": 1e2, "title": true},'
        ' "007": {"email_address": "", "active": "false"}, "k": 5, "s": {"title": "\\ud800"},'
        ' "\\u0000": {"id": "n"}, "x": {"more": "\\u0000", "title": "\\ud83d\\ude00"}}'
    )
    content = document(0, DAY).replace(b'"users": {}', b'"users": ' + text.encode())
    users = by(built(Delivery(content, None))["dim_rep_ai__users"], "user_id")
    assert set(users) == {"7", "007", "x"}
    assert pick(users["7"], "email_address", "display_name", "title") == ("1.10", "1e2", "true")
    assert pick(users["007"], "email_address", "title", "is_active") == ("", None, False)
    assert users["x"]["title"] == "\U0001f600"


def test_ids(built: Built) -> None:
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
    all_marts = built(delivery)
    visitors = by(all_marts["dim_rep_ai__visitors"], "visitor_id")
    assert {key: row["person_id"] for key, row in visitors.items()} == {
        "a": "a",
        "c": "crm",
        "d": "d",
    }
    assert pick(visitors["d"], "display_name", "email") == (None, "e@x")  # the later one, whole
    [action] = all_marts["fct_rep_ai__actions"]
    assert pick(action, "session_id", "occurred_at", "properties") == (None, None, '{"x":1}')
    assert built.violations("missing_id", delivery) == sorted(
        [
            ("unique_visitors", None, at(0)),
            ("unique_visitor_session_actions", None, at(0)),
        ],
        key=str,
    )
    assert built.violations("key_differs_from_id", delivery) == [
        ("unique_visitors", "c", at(0)),
        ("unique_visitors", "d", at(0)),
    ]
    assert built.violations("duplicate_id", delivery) == [("unique_visitors", "d", at(0))]
    assert built.violations("unknown_session", delivery) == []


# ----------------------------------------------------------------- docs/query.md#current-deliveries


def test_redelivery_with_a_higher_version_replaces_the_day(built: Built) -> None:
    old = night(0, "1.9.3", users={"u": {"title": "old"}, "gone": {}})
    new = night(0, "1.10.0", users={"u": {"title": "new"}})
    pre = night(0, "1.10.0-rc.1", users={"u": {"title": "pre"}})
    for order in ([old, new, pre], [new, pre, old], [pre, old, new, old]):
        [user] = built(*order)["dim_rep_ai__users"]
        assert user["title"] == "new"
        assert built.calendar(*order) == [(at(0), "delivered", 3, "1.10.0")]


def test_overlapping_windows_are_all_current(built: Built) -> None:
    first = night(0, "1.0.0", sessions={"s": session(10, None, referrer="r0", user_agent="u0")})
    again = night(0, "1.1.0", sessions={"s": session(11, None, referrer="r1", user_agent="u1")})
    longer = Delivery(
        document(0, DAY + 60, sessions={"s": session(12, 30, referrer="r2", user_agent="u2")}), None
    )
    assert built.calendar(longer, first, again, night(1)) == [
        (at(0), "overlapping", 2, "1.1.0"),
        (at(0), "overlapping", 1, "1.0.0"),
        (at(DAY), "overlapping", 1, "1.0.0"),
    ]
    row = built.sessions(longer, first, again, night(1))["s"]
    assert pick(row, "referrer", "user_agent", "dump_count") == ("r1", "u2", 2)
    assert pick(row, "started_at", "ended_at") == (at(11), at(30))


# ----------------------------------------------------------- docs/query.md#sessions-across-midnight


def test_session_in_two_and_in_three_dumps(built: Built) -> None:
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
    [two, three] = [built.sessions(*days[:count])["s"] for count in (2, 3)]
    assert pick(two, "started_at", "ended_at", "end_status") == (at(1430), None, "ongoing")
    assert pick(two, "dump_count", "crossed_midnight", "duration_seconds") == (2, True, None)
    assert pick(three, "started_at", "ended_at") == (at(1429.5), at(2 * DAY + 10))
    assert pick(three, "end_status", "dump_count") == ("ended", 3)
    assert three["duration_seconds"] == Decimal("87630.000")  # 1460.5 minutes
    assert pick(three, "visitor_id", "referrer", "user_agent") == ("w", "r", "one")
    assert pick(built.sessions(*days)["t"], "crossed_midnight", "dump_count") == (False, 1)
    # The last dump says nothing of the end: the last known one holds.
    assert built.sessions(*days, night(3, sessions={"s": session(None, None)}))["s"][
        "ended_at"
    ] == at(2 * DAY + 10)


def test_end_status(built: Built) -> None:
    cut = night(0, sessions={"s": session(1430, None)})

    def status(*others: Delivery) -> Value:
        return built.sessions(cut, *others)["s"]["end_status"]

    assert status() == "ongoing"
    assert status(night(-1)) == "ongoing"
    assert status(night(1)) == "never_closed"
    assert status(night(2)) == "awaiting_dump"
    assert status(night(1), night(2)) == "never_closed"
    assert status(Delivery(document(60, DAY), None)) == "awaiting_dump"  # ends with it
    assert status(Delivery(document(60, DAY + 1), None)) == "never_closed"
    assert status(Delivery(document(DAY + 1, 2 * DAY), None)) == "awaiting_dump"


def test_a_covering_window_that_starts_no_later_leaves_it_ongoing(built: Built) -> None:
    """`ongoing` is asked first: no current window starts later than the last one it was seen in."""
    cut = Delivery(document(60, DAY, sessions={"s": session(100, None)}), None)
    around = Delivery(document(0, DAY + 60), None)
    assert built.sessions(cut, around)["s"]["end_status"] == "ongoing"


def test_unreadable_values_are_null(built: Built) -> None:
    row = built.sessions(
        night(0, sessions={"s": session(None, None, start_time="soon", end_time=1e2)}), night(1)
    )["s"]
    assert pick(row, "started_at", "ended_at", "crossed_midnight") == (None, None, True)


def test_actions_are_the_whole_record_of_the_last_window(built: Built) -> None:
    first = {"id": "a", "action": "ALERT", "session_id": "s", "timestamp": ms(5), "x": 1}
    later = {"id": "a", "action": "PAGE_VIEW", "timestamp": None}
    known = {"s": session(0, 9, unique_visitor_id="v", group="g")}
    [row] = built(night(0, actions=[first], sessions=known))["fct_rep_ai__actions"]
    assert pick(row, "session_id", "session_group_id", "visitor_id") == ("s", "g", "v")
    [row] = built(night(1, actions=[later]), night(0, actions=[first], sessions=known))[
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


# --------------------------------------------------------------------- docs/query.md#session-groups


def test_label_chains_cycles_and_absent_anchors(built: Built) -> None:
    rows = built.sessions(
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


def test_ids_compare_by_code_point(built: Built) -> None:
    rows = built.sessions(
        night(0, sessions={k: session(1, 2, "g") for k in ("\U0001f600", "\uffff", "a", "B")})
    )
    numbers = sorted((row["session_number_in_group"], key) for key, row in rows.items())
    assert [key for _, key in numbers] == ["B", "a", "\uffff", "\U0001f600"]


def test_the_first_label_holds(built: Built) -> None:
    days = [
        night(0, sessions={"s": session(1, None, "")}),
        night(1, sessions={"s": session(1, None, "g1")}),
        night(2, sessions={"s": session(1, None, "g2")}),
    ]
    assert [built.sessions(*days[:n])["s"]["session_group_id"] for n in (1, 2, 3)] == [
        "s",
        "g1",
        "g1",
    ]


def test_group_of_overlapping_tabs(built: Built) -> None:
    row = built.groups(
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


def test_group_end_status(built: Built) -> None:
    cut = {"cut": session(1, None, "g")}
    done = {"done": session(1, 5, "g")}
    open_now = {"open": session(3 * DAY + 1, None, "g")}

    def status(*deliveries: Delivery) -> tuple[Value, ...]:
        row = built.groups(*deliveries)["g"]
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


# ------------------------------------------------------------------------- docs/query.md#acceptance


def test_acceptance_branches(built: Built) -> None:
    rows = built.talks(
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


def test_pending_follows_the_end_status(built: Built) -> None:
    cut = night(0, interactions=[talk("i", 1, None, accept=False)])
    found = [built.talks(*d)["i"]["acceptance"] for d in ([cut], [cut, night(2)], [cut, night(1)])]
    assert found == ["pending", "pending", "not_accepted"]


def test_acceptance_is_read_from_one_record(built: Built) -> None:
    first = night(0, interactions=[talk("i", 1430, None, accept=True, accepted=1431)])
    second = night(1, interactions=[talk("i", DAY, None, accept=False)])
    third = night(2, interactions=[talk("i", 2 * DAY, 2 * DAY + 1, accept=True, accepted=2 * DAY)])
    fourth = night(3, interactions=[talk("i", None, None, accept=None, accepted=3 * DAY)])
    columns = ("acceptance", "accepted_at", "seconds_to_accept", "started_at")
    days = [first, second, third, fourth]
    assert [pick(built.talks(*days[:n])["i"], *columns) for n in (1, 2, 3, 4)] == [
        ("accepted", at(1431), Decimal("60.000"), at(1430)),
        ("pending", None, None, at(1430)),
        ("automatic", at(2 * DAY), None, at(1430)),  # equals its own start, not the least one
        ("automatic", at(2 * DAY), None, at(1430)),
    ]


def test_interactions_merge_each_column_on_its_own(built: Built) -> None:
    row = built.talks(
        night(0, interactions=[talk("i", 1, None, session_id="s", user_id="u", x=1)]),
        night(1, interactions=[talk("i", 0, None, session_id="", user_id="w", interaction=None)]),
    )["i"]
    columns = ("interaction_type", "session_id", "user_id", "session_group_id", "properties")
    assert pick(row, *columns) == ("TAKEOVER", "s", "w", None, None)
    assert pick(row, "started_at", "crossed_midnight", "end_status") == (at(0), True, "ongoing")


# ------------------------------------------------------------------------ docs/query.md#known-types

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


def test_known_types_only(built: Built, chicago: Built) -> None:
    some, everything = built(TYPED), chicago(TYPED)
    columns = ("action_count", "interaction_count", "accepted_interaction_count")
    for model in ("fct_rep_ai__sessions", "fct_rep_ai__session_groups"):
        assert pick(some[model][0], *columns) == (1, 2, 1)
        assert pick(everything[model][0], *columns) == (4, 3, 2)
    assert pick(some["dim_rep_ai__users"][0], *columns[1:], "is_active") == (2, 1, None)
    assert [len(m["fct_rep_ai__actions"]) for m in (some, everything)] == [1, 5]
    assert by(some["rep_ai__unknown_types"], "example_id") == by(
        everything["rep_ai__unknown_types"], "example_id"
    )
    kinds = ("kind", "type", "record_count", "first_seen_at", "last_seen_at", "example_id")
    found = [pick(row, *kinds) for row in some["rep_ai__unknown_types"]]
    assert sorted(found, key=str) == sorted(
        [
            ("action", "NEW", 2, at(2), at(4), "20"),
            ("action", None, 1, None, None, "4"),
            ("action", "alert", 1, None, None, "5"),
            ("interaction", "CHAT", 1, at(1), at(1), "3"),
        ],
        key=str,
    )


# ---------------------------------------------------------------------------------- the other marts


def test_events(built: Built) -> None:
    accepted = night(
        1,
        interactions=[talk("y", DAY, None, True, DAY + 1, session_id="s", user_id="u")],
        sessions={"t": session(None, DAY + 3)},
    )
    events = by(built(TYPED, accepted)["fct_rep_ai__events"], "event_id")
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


def test_visitors(built: Built) -> None:
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
    visitors = by(built(*days)["dim_rep_ai__visitors"], "visitor_id")
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


def test_metadata_that_is_not_an_object(built: Built) -> None:
    values = {"a": "text", "b": ["email"], "c": 5, "d": '{"email": "d@x"}', "e": {}, "f": "{"}
    delivery = night(0, visitors={key: {"custom_metadata": v} for key, v in values.items()})
    rows = by(built(delivery)["dim_rep_ai__visitors"], "visitor_id")
    assert [rows[key]["custom_metadata"] for key in "abcef"] == [
        "text",
        '["email"]',
        "5",
        "{}",
        "{",
    ]
    assert [rows[key]["email"] for key in "abcdef"] == [None, None, None, "d@x", None, None]


def test_users_take_the_last_non_null_value_of_each_column(built: Built) -> None:
    [user] = built(
        night(0, users={"u": {"email_address": "a", "title": "t", "active": True}}),
        night(1, users={"u": {"email_address": "b", "title": None, "active": "?"}}),
    )["dim_rep_ai__users"]
    assert pick(user, "email_address", "title", "display_name", "is_active") == (
        "b",
        "t",
        None,
        True,
    )


def test_daily_activity_in_us_central(built: Built, chicago: Built) -> None:
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
    rows = by(chicago(first, second)["rep_ai__daily_activity"], "activity_date")
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
    [cell] = chicago(first, second)["rep_ai__user_daily_performance"]
    assert pick(cell, "user_id", "activity_date") == ("u", date(2025, 3, 10))
    assert pick(cell, "interaction_count", "accepted_interaction_count") == (3, 2)
    assert pick(cell, "median_seconds_to_accept", "p90_seconds_to_accept", "talk_seconds") == (
        Decimal("60.000"),
        Decimal("60.000"),
        Decimal("60.000"),
    )
    # The same moments by UTC fall on two days only.
    assert len(built(first, second)["rep_ai__daily_activity"]) == 2


def test_a_window_of_25_hours_follows_on(built: Built) -> None:
    """US/Central midnight is 05:00 in summer; 2025-11-02 lasts from 05:00 to 06:00 the next day."""
    summer = (datetime(2025, 11, 1, 5) - MIDNIGHT) // timedelta(minutes=1)
    bounds = [summer, summer + DAY, summer + DAY + 25 * 60, summer + 2 * DAY + 25 * 60]
    days = [
        Delivery(document(a, b, sessions={"s": session(summer, None)}), None)
        for a, b in pairwise(bounds)
    ]
    assert [row[1] for row in built.calendar(*days)] == ["delivered"] * 3
    assert built.sessions(*days)["s"]["dump_count"] == 3
    assert built.violations("outside_window", *days) == []


def test_user_without_known_talk_time(built: Built) -> None:
    [cell] = built(night(0, interactions=[talk("i", 1, 5, False, user_id="u")]))[
        "rep_ai__user_daily_performance"
    ]
    assert pick(cell, "median_seconds_to_accept", "talk_seconds") == (None, Decimal("0.000"))


def test_calendar_gaps_and_counts(built: Built) -> None:
    wide = Delivery(document(0, 3 * DAY), None)
    inside = night(1, users={"a": {}, "b": 5}, visitors=None, actions=[{}, [], {"id": "x"}])
    late = night(5, "1.2.0")
    assert built.calendar(late, inside, wide) == [
        (at(0), "overlapping", 1, "1.0.0"),
        (at(DAY), "overlapping", 1, "1.0.0"),
        (at(3 * DAY), "missing", 0, None),
        (at(5 * DAY), "delivered", 1, "1.2.0"),
    ]
    rows = built.windows(late, inside, wide)
    columns = ("user_count", "visitor_count", "session_count", "action_count", "interaction_count")
    assert pick(rows[1], *columns) == (1, None, 0, 2, 0)
    assert pick(rows[2], *columns, "window_end_at") == (None,) * 5 + (at(5 * DAY),)
    assert pick(rows[3], *columns) == (0, 0, 0, 0, 0)


# ------------------------------------------------------------------------- docs/query.md#violations


def test_duplicate_id_needs_other_content(built: Built) -> None:
    same = {"id": "a", "action": "ALERT", "x": [1]}
    delivery = night(0, actions=[same, same, {"id": "b"}, {"id": "b", "y": 1}, {"id": "b"}])
    assert built.violations("duplicate_id", delivery) == [
        ("unique_visitor_session_actions", "b", at(0))
    ]
    # Twice in two dumps is no duplicate.
    assert (
        built.violations("duplicate_id", night(0, actions=[same]), night(1, actions=[{"id": "a"}]))
        == []
    )


def test_duplicate_id_compares_values_as_read(built: Built) -> None:
    talks = [talk("i", 1, accept=True), talk("i", 1, accept="true"), talk("j", 1), talk("j", 1)]
    nested = [{"id": "s"}, {"id": "s", "session_id": ""}, {"id": "t"}, {"id": "t", "a": None}]
    delivery = night(0, interactions=talks, actions=nested)
    assert built.violations("duplicate_id", delivery) == [
        ("unique_visitor_session_actions", "t", at(0))
    ]


def test_rejected_records(built: Built) -> None:
    delivery = night(
        0,
        users={"u": 5, "\0\ud800": {"id": "w"}, "v": {"title": "\udc00"}, "x": {"y": "\0"}},
        actions=[[], {"id": "a", "action": "\0"}, {"id": "b", "\0": ""}, {"\ud800": 1}],
    )
    assert built.violations("rejected_record", delivery) == sorted(
        [
            ("users", "u", at(0)),
            ("users", "\\u0000\\ud800", at(0)),
            ("users", "v", at(0)),
            *[("unique_visitor_session_actions", None, at(0))] * 2,
        ],
        key=str,
    )


def test_unreadable_times(built: Built) -> None:
    delivery = night(
        0,
        sessions={"s": session(None, None, start_time="x", end_time=1.5)},
        actions=[{"timestamp": "lost with its record"}, {"id": "a", "timestamp": 946684799999}],
        interactions=[talk("i", 1, accept_time="", start_time=None)],
    )
    assert built.violations("unreadable_time", delivery) == sorted(
        [
            ("unique_visitor_sessions", "s", at(0)),
            ("unique_visitor_sessions", "s", at(0)),
            ("unique_visitor_session_actions", "a", at(0)),
            ("unique_visitor_session_interactions", "i", at(0)),
        ],
        key=str,
    )


def test_end_before_start_is_dated_by_the_last_window(built: Built) -> None:
    days = [
        night(0, sessions={"s": session(10, None), "t": session(5, 5)}),
        night(1, sessions={"s": session(None, 9)}),
    ]
    assert built.violations("end_before_start", *days) == [
        ("unique_visitor_sessions", "s", at(DAY))
    ]


def test_unknown_references(built: Built) -> None:
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
    assert built.violations("unknown_session", *days) == [
        ("unique_visitor_session_actions", "b", at(0)),
        ("unique_visitor_session_interactions", "i", at(0)),
    ]
    assert built.violations("unknown_visitor", *days) == [("unique_visitor_sessions", "t", at(0))]
    assert built.violations("unknown_user", *days) == [
        ("unique_visitor_session_interactions", "j", at(0))
    ]


def test_groups_in_disorder(built: Built) -> None:
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
    assert built.violations("anchor_missing", *days) == [("session_groups", "nowhere", at(DAY))]
    assert built.violations("anchor_not_earliest", *days) == [("session_groups", "a", at(0))]
    assert built.violations("several_visitors", *days) == [("session_groups", "a", at(0))]


def test_acceptance_violations(built: Built) -> None:
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
    assert built.violations("accept_missing", delivery) == [
        (entity, "missing", at(0)),
        (entity, "unreadable", at(0)),
    ]
    assert built.violations("accepted_without_time", delivery) == [(entity, "timeless", at(0))]
    assert built.violations("accepted_before_start", delivery) == [(entity, "early", at(0))]


def test_outside_window(built: Built) -> None:
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
    assert sorted(built.violations("outside_window", *days), key=str) == sorted(
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


def test_end_changed(built: Built) -> None:
    def day(number: int, **ends: float | None) -> Delivery:
        return night(number, sessions={key: session(1, end) for key, end in ends.items()})

    days = [day(0, a=5, b=5, c=None), day(1, a=6, b=5, c=7), day(2, a=6, b=None, c=7), day(3, b=5)]
    assert built.violations("end_changed", *days) == [
        ("unique_visitor_sessions", "a", at(DAY)),
        ("unique_visitor_sessions", "b", at(2 * DAY)),
    ]


def test_first_contact(built: Built) -> None:
    delivery = night(
        0,
        users=None,
        visitors={},
        actions=[
            {"_id": "1", "action": "ALERT", "timestamp": 1},
            {"action": None, "session_id": ""},
        ],
    )
    assert built.violations("collection_missing", delivery) == [("users", None, at(0))]
    assert built.violations("field_missing", delivery) == [
        ("unique_visitor_session_actions", "id", at(0)),
        ("unique_visitor_session_actions", "session_id", at(0)),
    ]
