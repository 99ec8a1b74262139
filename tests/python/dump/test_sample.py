"""The sample generator: deterministic, in the vendor's format, with what real days bring."""

import gzip
import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import zstandard

from rep_ai.sample import HOUR, Compression, write_sample

FIELDS = {
    "users": {"id", "email_address", "display_name", "title", "active"},
    "unique_visitors": {"id", "custom_id", "custom_metadata"},
    "unique_visitor_sessions": {
        *("id", "session_group", "unique_visitor_id", "referrer", "user_agent"),
        *("start_time", "end_time"),
    },
    "unique_visitor_session_actions": {"id", "action", "session_id", "timestamp"},
    "unique_visitor_session_interactions": {
        *("id", "interaction", "session_id", "user_id", "start_time", "end_time"),
        *("accept", "accept_time"),
    },
}
SESSIONS = "unique_visitor_sessions"
ACTIONS = "unique_visitor_session_actions"
INTERACTIONS = "unique_visitor_session_interactions"


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The default sample."""
    return write_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def dumps(paths: list[Path]) -> list[dict[str, Any]]:
    """All files, by arrival."""
    return [json.loads(path.read_bytes()) for path in paths]


@pytest.fixture(scope="module")
def nights(dumps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last delivery of each window, by window."""
    return [day for _, day in sorted({dump["start_time"]: dump for dump in dumps}.items())]


def records(dump: dict[str, Any], collection: str) -> list[dict[str, Any]]:
    """The records of a collection, keyed by id or not."""
    entries = dump.get(collection, [])
    return list(entries.values()) if isinstance(entries, dict) else entries


def versions(dump: dict[str, Any]) -> tuple[int, ...]:
    """Major, minor, patch."""
    return tuple(int(number) for number in dump["version"].split("."))


def test_same_arguments_same_bytes(paths: list[Path], tmp_path: Path) -> None:
    """Names, bytes and times depend on the arguments alone."""
    again = write_sample(tmp_path)
    assert [path.name for path in again] == [path.name for path in paths]
    for one, other in zip(paths, again, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert one.stat().st_mtime_ns == other.stat().st_mtime_ns
    other_seed = write_sample(tmp_path / "other", days=1, seed=2, redelivery=False)
    assert other_seed[0].read_bytes() != paths[0].read_bytes()


def test_files(paths: list[Path]) -> None:
    """What is returned is what lies in the folder, as it would have arrived."""
    assert len(paths) == 15
    assert set(paths[0].parent.iterdir()) == set(paths)
    arrivals = [path.stat().st_mtime for path in paths]
    assert arrivals == sorted(arrivals)


def test_shape(nights: list[dict[str, Any]]) -> None:
    """Keys in the vendor's order, every listed field, ids unique and text."""
    for dump in nights:
        known = ["version", "start_time", "end_time", *FIELDS]
        assert list(dump) in (known, [*known, "session_surveys"])
        for collection, fields in FIELDS.items():
            entries = records(dump, collection)
            assert fields <= {key for record in entries for key in record}
            ids = [record["id"] for record in entries]
            assert len(set(ids)) == len(ids) and all(isinstance(id, str) for id in ids)
            if isinstance(dump[collection], dict):
                assert ids == list(dump[collection])


def test_windows_follow_the_time_zone(nights: list[dict[str, Any]], tmp_path: Path) -> None:
    """Midnight to midnight: 23 hours in spring, 25 in autumn, no gap."""
    hours = [(dump["end_time"] - dump["start_time"]) / HOUR for dump in nights]
    assert hours == [24] * 7 + [23] + [24] * 6
    assert all(a["end_time"] == b["start_time"] for a, b in pairwise(nights))
    autumn = write_sample(tmp_path, days=1, first_day=date(2026, 11, 1), timezone="US/Central")
    dump = json.loads(autumn[0].read_bytes())
    assert dump["end_time"] - dump["start_time"] == 25 * HOUR


def test_nothing_outside_its_window(dumps: list[dict[str, Any]]) -> None:
    """Nothing is known in a dump that happened after it."""
    for dump in dumps:
        start, end = dump["start_time"], dump["end_time"]
        assert all(start <= action["timestamp"] < end for action in records(dump, ACTIONS))
        for record in records(dump, SESSIONS) + records(dump, INTERACTIONS):
            closed = record.get("end_time")
            assert record["start_time"] < end
            assert closed is None or max(start, record["start_time"]) <= closed < end


@pytest.mark.parametrize("collection", [SESSIONS, INTERACTIONS])
def test_across_midnight(nights: list[dict[str, Any]], collection: str) -> None:
    """Open in one dump, closed in the next; a few never close."""
    seen = defaultdict(list)
    for night, dump in enumerate(nights):
        for record in records(dump, collection):
            seen[record["id"]].append((night, record))
    ways, never_closed = set(), 0
    for occurrences in seen.values():
        days = [night for night, _ in occurrences]
        assert days == list(range(days[0], days[0] + len(days)))
        *open_ones, (last_day, last) = occurrences
        assert all(record.get("end_time") is None for _, record in open_ones)
        ways |= {"end_time" in record for _, record in open_ones}
        if last.get("end_time") is None and last_day < len(nights) - 1:
            never_closed += 1
            assert len(occurrences) == 1
    assert ways == {True, False}  # null, or no key
    assert 0 < never_closed < len(seen) / 50
    assert any(record.get("end_time") is None for record in records(nights[-1], collection))


def test_groups(nights: list[dict[str, Any]]) -> None:
    """A group is named by its earliest session; tabs overlap."""
    sessions = {s["id"]: s for dump in nights for s in records(dump, SESSIONS)}
    groups = defaultdict(list)
    for session in sessions.values():
        groups[session["session_group"]].append(session)
    overlaps = 0
    for group, members in groups.items():
        assert min(members, key=lambda s: (s["start_time"], s["id"]))["id"] == group
        assert len({s["unique_visitor_id"] for s in members}) == 1
        members.sort(key=lambda s: s["start_time"])
        overlaps += any((a.get("end_time") or 0) > b["start_time"] for a, b in pairwise(members))
    assert overlaps > len(groups) / 20
    assert len(groups) * 2 < len(sessions)


def test_references(nights: list[dict[str, Any]]) -> None:
    """Every id that is mentioned is delivered; few visitors return often."""
    sessions = {id for dump in nights for id in dump[SESSIONS]}
    for dump in nights:
        visitors = [s["unique_visitor_id"] for s in records(dump, SESSIONS)]
        assert set(visitors) == set(dump["unique_visitors"])
        assert {a["session_id"] for a in records(dump, ACTIONS)} <= set(dump[SESSIONS])
        for interaction in records(dump, INTERACTIONS):
            assert interaction["session_id"] in sessions
            assert interaction["user_id"] in dump["users"]
    visits = Counter(v["id"] for dump in nights for v in records(dump, "unique_visitors"))
    assert max(visits.values()) > 7 and list(visits.values()).count(1) > len(visits) / 2


def test_acceptance(nights: list[dict[str, Any]]) -> None:
    """Calls are accepted late, never, or after midnight; the rest at once."""
    seen: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for dump in nights:
        for i in records(dump, INTERACTIONS):
            assert i["accept"] == (i.get("accept_time") is not None)
            if i["interaction"] != "PROACTIVE_CALL":
                assert i["accept_time"] == i["start_time"]
            seen[i["id"]].append((i["interaction"], i["accept"], i.get("accept_time")))
    calls = [records for records in seen.values() if records[0][0] == "PROACTIVE_CALL"]
    accepted = sum(records[-1][1] for records in calls)
    assert 0.3 < accepted / len(calls) < 0.6
    # pending at midnight, accepted by the next dump
    assert any(not records[0][1] and records[-1][1] for records in calls)


def test_minor_versions(nights: list[dict[str, Any]]) -> None:
    """New keys, types and collections come with their version, not before."""

    def levels(holds: list[bool]) -> set[int]:
        return {versions(dump)[1] for dump, held in zip(nights, holds, strict=True) if held}

    assert [versions(dump)[1] for dump in nights] == [0] * 7 + [1] * 4 + [2] * 3
    assert levels([any("team" in u for u in records(d, "users")) for d in nights]) == {1, 2}
    assert levels([any("url" in a for a in records(d, ACTIONS)) for d in nights]) == {1, 2}
    assert levels(["session_surveys" in dump for dump in nights]) == {2}
    for collection, field, known, new in (
        (ACTIONS, "action", {"PAGE_VIEW", "REQUESTED_HELP", "ALERT"}, "SCREEN_SHARE"),
        (INTERACTIONS, "interaction", {"PROACTIVE_CALL", "TAKEOVER"}, "CO_BROWSE"),
    ):
        for dump in nights:
            later = {new} if versions(dump)[1] == 2 else set()
            assert {record[field] for record in records(dump, collection)} == known | later


def test_redelivery(dumps: list[dict[str, Any]], paths: list[Path], tmp_path: Path) -> None:
    """One day comes again later, with a higher patch version and corrections."""
    first_path = next(path for path in paths if path.name == "rep_ai_2026-03-10.json")
    second_path = first_path.with_name("rep_ai_2026-03-10_redelivered.json")
    assert second_path.stat().st_mtime > first_path.stat().st_mtime
    first, second = (dumps[paths.index(path)] for path in (first_path, second_path))
    assert (first["version"], second["version"]) == ("1.1.0", "1.1.1")
    assert (first["start_time"], first["end_time"]) == (second["start_time"], second["end_time"])
    for collection in (SESSIONS, INTERACTIONS):
        one, other = records(first, collection), records(second, collection)
        assert one != other
        assert [record["id"] for record in one] == [record["id"] for record in other]
    # without it, each day comes once, and right
    single = write_sample(tmp_path, redelivery=False)
    assert len(single) == 14
    day = json.loads((tmp_path / "rep_ai_2026-03-10.json").read_bytes())
    assert day == second | {"version": "1.1.0"}


def counted(dumps: list[dict[str, Any]]) -> Counter[str]:
    """The records of each collection over all dumps."""
    return Counter(name for dump in dumps for name in FIELDS for _ in dump[name])


def test_life(dumps: list[dict[str, Any]], paths: list[Path]) -> None:
    """Proportions, weekends, and the characters that break readers."""
    per_day = [len(dump[SESSIONS]) for dump in dumps]
    assert per_day[0] * 2 < per_day[1]  # a Sunday, a Monday
    counts = counted(dumps)
    assert 7.5 < counts[ACTIONS] / counts[SESSIONS] < 8.5
    assert 0.45 < counts[INTERACTIONS] / counts[SESSIONS] < 0.55
    text = "".join(path.read_text("utf-8") for path in paths)
    assert set(re.findall(r'@([^"]+)"', text)) == {"example.com", "example.org"}
    assert re.search(r":\d{30}[,}]", text) and "🚀" in text and '\\"' in text and '"notes"' in text
    actives = [user["active"] for user in dumps[0]["users"].values()]
    assert True in actives and False in actives


def test_records_scale(tmp_path: Path) -> None:
    """Ten times the sessions, ten times the records."""
    counts = [
        counted(
            [
                json.loads(path.read_bytes())
                for path in write_sample(tmp_path, days=2, sessions_per_day=n)
            ]
        )[SESSIONS]
        for n in (200, 2000)
    ]
    assert 8 < counts[1] / counts[0] < 12


@pytest.mark.parametrize(
    ("compression", "suffix", "decode"),
    [
        ("gzip", ".gz", gzip.decompress),
        (
            "zstd",
            ".zst",
            lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
        ),
    ],
)
def test_compression(
    paths: list[Path],
    tmp_path: Path,
    compression: Compression,
    suffix: str,
    decode: Callable[[bytes], bytes],
) -> None:
    """Compressed files hold the same documents."""
    packed = write_sample(tmp_path / "one", compression=compression)
    again = write_sample(tmp_path / "two", compression=compression)
    for plain, one, two in zip(paths, packed, again, strict=True):
        assert one.name == plain.name + suffix
        assert one.read_bytes() == two.read_bytes()
        assert decode(one.read_bytes()) == plain.read_bytes()
    sizes = [sum(path.stat().st_size for path in files) for files in (packed, paths)]
    assert sizes[0] < sizes[1] / 3


def test_small_and_odd(tmp_path: Path) -> None:
    """The smallest sample works, and so does a shift by half an hour."""
    one = write_sample(tmp_path / "one", days=1, sessions_per_day=1)
    assert len(one) == 2
    # half an hour of daylight saving time
    odd = write_sample(tmp_path / "odd", timezone="Australia/Lord_Howe", first_day=date(2026, 4, 5))
    dump = json.loads(odd[0].read_bytes())
    assert dump["end_time"] - dump["start_time"] == 24.5 * HOUR


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"timezone": "Mars/Olympus"}, "Unknown time zone 'Mars/Olympus'"),
        ({"timezone": "America"}, "Unknown time zone"),
        ({"timezone": "../etc"}, "Unknown time zone"),
        ({"timezone": ""}, "Unknown time zone"),
        ({"first_day": date(1969, 7, 20)}, "between 2001 and 2099"),
        ({"days": 10**9}, "between 2001 and 2099"),
    ],
)
def test_wrong_arguments(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    """Errors are sentences, and nothing is written."""
    with pytest.raises(ValueError, match=message):
        write_sample(tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


def test_failure_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be finished is not left behind."""

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "utime", full)
    with pytest.raises(OSError, match="No space"):
        write_sample(tmp_path, days=1)
    assert not list(tmp_path.iterdir())
