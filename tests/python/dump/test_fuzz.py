"""Damaged and hostile files: each is loaded whole or rejected, and stands in nobody's way.

`make fuzz` searches longer, and loads what takes minutes.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import duckdb
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from documents import chunks_of, documents, parts, rejection
from dumps import DAY, NIGHT, dump, write
from loads import Place
from marts import RAW_SCHEMA
from oracle import Delivery
from oracle.dumps import read_dump
from rebuild import read_plainly, rebuilt
from rep_ai.dump.chunks import MAX_ENTRY_BYTES
from rep_ai.dump.format import RECORD_TABLES

IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
# outcome -> damaged documents that had it
OUTCOMES: Counter[str] = Counter()
# what the summary says besides
SAID: list[str] = []


# ------------------------------------------------------------------ files, through the real command


class Case(NamedTuple):
    """A file, and whether it must be loaded; None: as the slow plain reading says."""

    content: bytes
    loads: bool | None = None


def members(text: str | bytes) -> bytes:
    """A sound document with some more members."""
    text = text.encode() if isinstance(text, str) else text
    return dump(0)[:-1] + b", " + text + b"}"


SMALL = (
    json.dumps(
        {
            "version": "1.0.0",
            "start_time": NIGHT,
            "end_time": NIGHT + DAY,
            "users": {"7": {"id": "7", "title": "é\ud83d\ude00", "active": True}, "8": None},
            "unique_visitor_session_actions": [{"id": "1", "x": [-1.5e3, {}]}, {"id": "1", "x": 1}],
            "more": {"a": [1]},
            "note": 'a\\"b',
        },
        ensure_ascii=False,
    )
    .encode(errors="surrogatepass")
    .replace(b"\xed\xa0\xbd\xed\xb8\x80", "😀".encode())
)


def truncated() -> Iterator[Case]:
    """A document cut off at every byte."""
    for length in range(len(SMALL)):
        yield Case(SMALL[:length], False)
    for length in range(1, len(SMALL)):
        yield Case(SMALL[length:], False)


def flipped() -> Iterator[Case]:
    """A document with each of its bytes changed."""
    bits = random.Random(1)
    for place, byte in enumerate(SMALL):
        for other in {byte ^ 1, byte ^ 0x20, byte ^ 0x80, bits.randrange(256)} - {byte}:
            yield Case(SMALL[:place] + bytes([other]) + SMALL[place + 1 :])


def cut_archives() -> Iterator[Case]:
    """Compressed documents, cut off and damaged at every byte."""
    for packed in (gzip.compress(SMALL, mtime=0), zstandard.ZstdCompressor().compress(SMALL)):
        for length in range(4, len(packed)):
            yield Case(packed[:length], False)
        yield Case(packed + packed, False)
        yield Case(packed + b"garbage", False)


def hostile() -> Iterator[Case]:
    """What breaks readers."""
    many, deep = 100_000, 100_000
    one = ",".join(f'"n{i}":{i}' for i in range(many))
    yield Case(members(one), True)
    yield Case(members(f'"unique_visitors": {{"1": {{"id": "1", {one}}}}}'), True)
    yield Case(members(",".join(f'"n{i}":[{i}]' for i in range(many))), True)
    yield Case(members(",".join(f'"n{i}":{{"a":{i}}}' for i in range(many))), True)
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        nested = opening * deep + "1" + closing * deep
        for text in (
            f'"x": {nested}',
            f'"unique_visitors": {{"1": {nested}}}',
            f'"unique_visitors": {{"1": {{"id": "1", "custom_metadata": {nested}}}}}',
            f'"unique_visitors": {{"1": {{"id": "1", "other": {nested}}}}}',
            f'"unique_visitor_session_actions": [{nested}]',
            f'"version": {nested}',
        ):
            yield Case(members(text), False)
        yield Case((opening * deep).encode(), False)
        yield Case(dump(0)[:-1] + b', "x": ' + (opening * deep).encode(), False)
    yield Case(closing.encode() * deep, False)
    for number in ("1e999999", "-1e-999999", "9" * 400, "-" + "9" * 400, "0." + "3" * 400):
        yield Case(members(f'"n": {number}'), True)
        yield Case(members(f'"users": {{"1": {{"id": {number}, "title": {number}}}}}'), True)
        yield Case(members(f'"start_time": {number}'), False)
    for text in ("NaN", "Infinity", "-Infinity"):
        yield Case(members(f'"n": {text}'), False)
        yield Case(members(f'"users": {{"1": {{"id": "1", "title": {text}}}}}'), False)
    for escape in (
        rb"\u0000",
        rb"\ud800",
        rb"\udc00",
        rb"\udc00\ud800",
        rb"\ud800\u0000",
        rb"\\u0000",
    ):
        for place in (
            b'"%s": 1',
            b'"%s": [1]',
            b'"x": "%s"',
            b'"x": ["%s"]',
            b'"users": {"%s": {"id": "1"}}',
            b'"users": {"1": {"id": "%s"}, "2": {"id": "2"}}',
            b'"users": {"1": {"id": "1", "%s": 1}}',
            b'"unique_visitors": {"1": {"custom_metadata": {"a": "%s"}}}',
            b'"unique_visitor_session_actions": ["%s", {"id": "1"}]',
        ):
            yield Case(members(place % escape), True)
    for raw in (
        b"\0",
        b"\x1f",
        b"\xff",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xc3",
    ):
        yield Case(members(b'"x": "' + raw + b'"'), False)
        yield Case(dump(0) + raw, False)
        yield Case(raw + dump(0), False)
    for text in (
        '"users": {"1": {"id": "1"}}, "users": {"2": {"id": "2"}}',
        '"users": [], "users": {"2": {"id": "2"}}',
        '"users": {"1": {"id": "1", "title": "a"}, "1": {"id": "1", "title": "b"}}',
        '"users": {"1": {"id": "1", "title": "a", "title": "b", "x": 1, "x": 2, "id": "3"}}',
        '"c": {"1": 1, "1": 2}, "c": {"3": 3}, "d": [], "d": 1, "d": {"x": 1}, "d": []',
        '"version": "2.0.0", "version": "1.0.0"',
        '"users": {"1": [], "2": "", "3": 3, "4": null, "5": true, "6": {}}',
        '"unique_visitor_session_actions": [[], "", 3, null, true, {}]',
        '"users": {"": {"id": ""}, " ": {"id": null}}',
    ):
        yield Case(members(text), True)
    for text in ('"users": [{"id": "1"}]', '"users": 1', '"unique_visitor_sessions": ""'):
        yield Case(members(text), False)
    for text in ('"unique_visitor_session_actions": {"1": {"id": "1"}}', '"version": ["1.0.0"]'):
        yield Case(members(text), False)
    good = dump(0).decode()
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"):
        yield Case(good.encode(encoding), False)
        yield Case(("\ufeff" + good).encode(encoding), False)
    yield Case(b"\xef\xbb\xbf" + dump(1), True)
    yield Case(b"\xef\xbb\xbf" * 2 + dump(1), False)
    for content in (b"", b" ", b"\n\t\r " * 100, b"\0", b"\0" * 1000, b"null", b'""', b"[]", b"{}"):
        yield Case(content, False)
    for content in (b" ".join([dump(0), dump(1)]), dump(0) + b",", dump(0) + b"}", dump(0) + b"x"):
        yield Case(content, False)
    yield Case(b"\n" + dump(2) + b"\n\n", True)
    yield Case(gzip.compress(bytes(30 << 20)), False)
    yield Case(zstandard.ZstdCompressor().compress(bytes(30 << 20)), False)
    yield Case(gzip.compress(gzip.compress(dump(0))), False)
    yield Case(gzip.compress(b""), False)
    yield Case(b"PK\x03\x04" + dump(0), False)


NAMES = (
    *("'.json", '"; drop table users; --.json', "a\nb.json", "\x1b[31m.json", "😀.json", "-.json"),
    *("--vars.json", "--.json", "%s%d.json", "{0}.json", "[a].json", "*.json", "?.json", ".json"),
    *(
        " .json",
        "\\.json",
        "$(x).json",
        "ü.json",
        "u\u0308.json",
        "\u202e.json",
        "a" * 250 + ".json",
    ),
    *("#.json", "a?b=c.json", "a::b.json", "s3:.json", "~.json", "\t.json", "\x7f.json"),
)
GROUPS: dict[str, Callable[[], Iterator[Case]]] = {
    "truncated": truncated,
    "flipped": flipped,
    "archives": cut_archives,
    "hostile": hostile,
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A DuckDB that is not there yet."""
    return Place(tmp_path, {})


@pytest.mark.parametrize("group", GROUPS)
def test_files(place: Place, group: str) -> None:
    """Each of many files beside a good one, in one run: as the plain reading says."""
    dumps = place.folder / "dumps"
    cases = {f"{number:05}.json": case for number, case in enumerate(GROUPS[group]())}
    for name, (content, _) in cases.items():
        write(dumps / name, content)
    write(dumps / "zz good.json", dump(3))
    run = place.run("ingest", dumps, "--max-bytes", str(20 << 20))
    assert run.returncode == 3, run.stderr
    lines = run.stderr.splitlines()
    assert all(re.match(r"rejected file:/\S+ ?\S*: ", line) for line in lines)
    assert all(line.isprintable() and len(line) < 500 for line in lines)
    statuses: dict[str, set[str]] = defaultdict(set)
    counts: Counter[str] = Counter()
    for url, status, reason in place.query(
        f"select file_url, status, reason from {RAW_SCHEMA}.deliveries"
    ):
        statuses[Path(url).name].add(status)
        counts[status] += 1
        assert bool(reason) == (status != "loaded")
    assert statuses.pop("zz good.json") == {"loaded"}
    assert statuses.keys() == cases.keys() and counts["rejected"] == len(lines)
    assert counts.total() == len(cases) + 1
    for name, (content, loads) in cases.items():
        expected = read_dump(Delivery(content, None)) is not None if loads is None else loads
        assert (statuses[name] != {"rejected"}) == expected, (name, content[:300])
    check_content(place, dumps)
    again = place.run("ingest", dumps, "--max-bytes", str(20 << 20))
    assert again.returncode == 0
    assert f"{len(lines):,} files were passed over" in again.stdout


def check_content(place: Place, dumps: Path) -> None:
    """From raw alone each loaded document can be rebuilt."""
    place.check_whole()
    with duckdb.connect(str(place.database), read_only=True) as connection:
        loaded = connection.sql(
            f"select * from {RAW_SCHEMA}.deliveries where status = 'loaded'"
        ).to_arrow_table()
        tables = {
            table: connection.sql(
                f"select {', '.join(schema.names)} from {RAW_SCHEMA}.{table}"
            ).to_arrow_table()
            for table, schema in RECORD_TABLES.items()
        }
        rows: dict[str, dict[str, Any]] = defaultdict(dict)
        for table, held in tables.items():
            for (delivery_id,), part in parted(held):
                rows[delivery_id][table] = part
    assert len(loaded) > 0
    for row in loaded.to_pylist():
        header = SimpleNamespace(
            **{name: row[name] for name in ("version", "start_time", "end_time")},
            extra=row["_extra"],
            counts={table: row[f"{table}_count"] for table in RECORD_TABLES},
        )
        held = {
            table: rows[row["_delivery_id"]].get(table, schema.empty_table())
            for table, schema in RECORD_TABLES.items()
        }
        content = (dumps / Path(row["file_url"]).name).read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        assert rebuilt(row["_delivery_id"], header, held) == read_plainly(content)


def parted(table: Any) -> Iterator[tuple[tuple[str], Any]]:
    """The rows of each delivery."""
    frame = table.sort_by([("_delivery_id", "ascending")])
    ids = frame.column("_delivery_id").to_pylist()
    start = 0
    for end in range(1, len(ids) + 1):
        if end == len(ids) or ids[end] != ids[start]:
            yield (ids[start],), frame.slice(start, end - start)
            start = end


def test_names(place: Place) -> None:
    """Nothing is read from a name, and none breaks a line, a query or an option."""
    dumps = place.folder / "dumps"
    written = {}
    for number, name in enumerate(NAMES):
        path = write(dumps / name, dump(number) if number % 2 else b"{")
        written[path.name] = number % 2
    run = place.run("ingest", dumps)
    assert run.returncode == 3
    lines = run.stderr.splitlines()
    assert len(lines) == sum(not good for good in written.values())
    assert all(line.startswith("rejected file://") and line.isprintable() for line in lines)
    rows = place.query(f"select file_url, status from {RAW_SCHEMA}.deliveries")
    assert {url.removeprefix(f"file://{dumps}/"): status == "loaded" for url, status in rows} == (
        written
    )
    one_by_one = place.run("ingest", "--", *(dumps / name for name in written))
    assert (one_by_one.returncode, one_by_one.stderr) == (0, "")
    status = place.run("status")
    assert status.returncode == 0 and "\x1b[31m" not in status.stdout
    place.check_whole()


# ----------------------------------------------------------------------------------- one huge value


def huge(path: Path, where: str, size: int) -> None:
    """A document with one text of so many bytes."""
    block = b"},{\\n\xc3\xa9" * (1 << 17)
    before, after = {
        "metadata": (b'"unique_visitors": {"1": {"id": "1", "custom_metadata": {"a": "', b'"}}}'),
        "field": (b'"users": {"1": {"id": "1", "title": "', b'"}}'),
        "unknown scalar": (b'"note": "', b'"'),
        "unknown entry": (b'"notes": ["', b'"]'),
        "key": (b'"users": {"', b'": {"title": "x"}}'),
        "name": (b'"', b'": 1'),
        "space": (b'"note": 1 ', b""),
    }[where]
    if where == "space":
        block = b" " * (1 << 20)
    with path.open("wb") as file:
        file.write(dump(0)[:-1] + b", " + before)
        for _ in range(size // len(block)):
            file.write(block)
        file.write(after + b"}")


def anonymous_memory(process: int) -> int:
    """The memory that a process holds, but for mapped files, in bytes."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    return int(found[1]) << 10 if found else 0


WHERE = ("metadata", "field", "unknown scalar", "unknown entry", "key", "name", "space")


@pytest.mark.parametrize("where", WHERE)
def test_a_huge_text(place: Place, where: str) -> None:
    """1 GB in one value (20 MB but for `make fuzz`): loaded or rejected, in bounded memory."""
    size = 1_000_000_000 if IS_LONG else 20_000_000
    dumps = place.folder / "dumps"
    good = write(dumps / "good.json", dump(1))
    path = dumps / "huge.json"
    huge(path, where, size)
    started, peak = time.monotonic(), 0
    run = place.start("ingest", dumps)
    while run.poll() is None:
        peak = max(peak, anonymous_memory(run.pid))
        time.sleep(0.01)
    out, err = run.communicate()
    seconds = time.monotonic() - started
    assert "Traceback" not in err and run.returncode in (0, 3), err
    statuses = dict(place.query(f"select file_url, status from {RAW_SCHEMA}.deliveries"))
    assert statuses[f"file://{good}"] == "loaded"
    assert statuses[f"file://{path}"] in ("loaded", "rejected")
    said = err.strip() or out.strip()
    figures = f"{size / 1e6:,.0f} MB in {where}: {seconds:.1f} s, {peak / 1e6:,.0f} MB"
    SAID.append(f"{figures}: {said.splitlines()[0][:200]}")
    place.check_whole()
    path.unlink()
    # a name is decoded before its length is known
    copies = 5 * size if where in ("key", "name") else 0
    assert peak < (400 << 20) + 16 * min(size, MAX_ENTRY_BYTES) + copies


# -------------------------------------------------------------------------------- damaged documents

TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[-+.0-9A-Za-z]+|[ \t\r\n]+|.', re.DOTALL)
BRACKETS = b"{}[]"
PIECES = (
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b" ", b"\n", b"\0", b"-", b"0", b"e", b"."),
    *(b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"-0", b"01", b"1.10", b"9" * 30, b'""'),
    *(b"{}", b"[]", b'"id"', b'"users"', b'"version"', b'"a":1,', b',"a":1', b"},{", b'"},{"'),
    *(rb"\u0000", rb"\ud800", rb"\udc00", rb"\ud83d\ude00", rb"\u00e9", rb"\/", rb"\x", rb"\u12"),
    *(b"\xff", b"\xc3", b"\xc3\xa9", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\x1f", b"/**/", b"//"),
)


def escaped(token: bytes) -> bytes:
    """A string with its first characters as escapes."""
    try:
        text = token.decode()
    except UnicodeDecodeError:
        return token
    units = text[1:4].encode("utf-16-be")
    codes = (units[n : n + 2].hex() for n in range(0, len(units), 2))
    return b'"' + "".join(f"\\u{code}" for code in codes).encode() + text[4:].encode()


SCALAR = re.compile(rb'"|-?[0-9]|true|false|null')
SCALARS = (
    *(b"null", b"true", b"false", b"0", b"-0", b"1.10", b"1e999", b"1E+2", b"7", b"9" * 30, b'""'),
    *(
        b'"1.0.0"',
        b'"2.0.0"',
        b'"7"',
        b"1741500000000",
        b'"1741586400000"',
        b'"\xc3\xa9\xf0\x9f\x98\x80"',
    ),
    *(
        rb'"\u0000"',
        rb'"\ud800"',
        rb'"\ud83d\ude00"',
        rb'"\\u0000"',
        rb'"\"},{"',
        b'"id"',
        b'"title"',
    ),
    *(b'"users"', b'"unique_visitors"', b'"unique_visitor_session_actions"', b'"start_time"'),
)
STRINGS = tuple(each for each in SCALARS if each.startswith(b'"'))
WRAPS = ((b"[", b"]"), (b"[[", b"]]"), (b'{"a":', b"}"), (b'{"id":', b"}"), (b"[null,", b",{}]"))
ENTRY = b'{"id": "%d", "title": "x", "active": true, "custom_metadata": {"n": %d}, "more": [%d]}'
BASES = (
    SMALL,
    SMALL,
    dump(0),
    members(
        b'"unique_visitors": {'
        + b",".join(b'"%d": ' % n + ENTRY % (n, n, n) for n in range(9))
        + b"}"
    ),
    members(
        b'"unique_visitor_sessions": {"1": {}}, "c": [{"a": 1}, [], 1], "d": {"x": {}}, "d": []'
    ),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A sound document after some damage to its values, tokens or bytes."""
    # drawn documents take long to make
    content = draw(
        documents() if IS_LONG and draw(st.integers(0, 19)) == 19 else st.sampled_from(BASES)
    )
    for _ in range(draw(st.integers(1, 4))):
        tokens = TOKEN.findall(content)
        if not tokens:
            return content
        first, second = sorted(draw(st.integers(0, len(tokens) - 1)) for _ in range(2))
        length = draw(st.integers(1, 5))
        place = draw(st.integers(0, len(content) - 1))
        scalars = [n for n, token in enumerate(tokens) if SCALAR.match(token)]
        behind = [b"".join(tokens[n + 1 : n + 3]).strip()[:1] for n in scalars]
        names = [n for n, mark in zip(scalars, behind, strict=True) if mark == b":"] or [first]
        values = [n for n, mark in zip(scalars, behind, strict=True) if mark != b":"] or [first]
        name, value = draw(st.sampled_from(names)), draw(st.sampled_from(values))
        # of most kinds of damage nothing is left to read
        match draw(st.sampled_from("vvvvvnnnwwwmmmsssqddrbbexpp,^")):
            case "v":  # another value
                tokens[value] = draw(st.sampled_from(SCALARS))
            case "n":  # another name
                tokens[name] = draw(st.sampled_from(STRINGS))
            case "w":  # a value in brackets
                opening, closing = draw(st.sampled_from(WRAPS))
                tokens[value] = opening + tokens[value] + closing
            case "m":  # one more member
                member = b":".join(draw(st.sampled_from(each)) for each in (STRINGS, SCALARS))
                tokens[name] = member + b"," + tokens[name]
            case "s":  # two values
                other = draw(st.sampled_from(values))
                tokens[value], tokens[other] = tokens[other], tokens[value]
            case "q":  # escapes
                chosen = draw(st.sampled_from([name, value]))
                if tokens[chosen].startswith(b'"'):
                    tokens[chosen] = escaped(tokens[chosen])
            case "d":  # delete
                del tokens[first : first + length]
            case "r":  # repeat
                tokens[first:first] = tokens[first : first + length]
            case "b":  # brackets
                at = [n for n, token in enumerate(tokens) if token in BRACKETS] or [first]
                tokens[draw(st.sampled_from(at))] = draw(st.sampled_from(PIECES[:4]))
            case "e":  # move
                tokens[second:second] = tokens[first : first + length]
            case "x":  # another document's
                others = TOKEN.findall(draw(st.sampled_from(BASES)))
                start = draw(st.integers(0, len(others) - 1))
                tokens[first : first + draw(st.integers(0, 5))] = others[start : start + length]
            case "p":  # a piece for a token
                tokens[first : first + draw(st.integers(0, 1))] = [draw(st.sampled_from(PIECES))]
            case ",":  # a piece for some bytes
                piece = draw(st.sampled_from(PIECES) | st.binary(max_size=3))
                tokens = [content[:place], piece, content[place + draw(st.integers(0, 3)) :]]
            case "^":  # a bit
                flipped = content[place] ^ 1 << draw(st.integers(0, 7))
                tokens = [content[:place], bytes([flipped]), content[place + 1 :]]
        content = b"".join(tokens)
    return content


def is_json(content: bytes) -> bool:
    """Whether Python takes it for JSON by RFC 8259, a byte order mark aside."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        text = content.removeprefix(b"\xef\xbb\xbf").decode()
        json.loads(text, parse_constant=refuse, parse_int=str, parse_float=str)
    except ValueError:
        return False
    return True


NO_OBJECT = "the document is not a JSON object"
NO_JSON = ("not JSON: ", "the text is ", "the file is empty", "the document is ")


def test_damage(tmp_path: Path) -> None:
    """After any damage a document is read, or rejected, exactly as by Python's own reader."""

    @settings(max_examples=10 * (settings.default.max_examples if settings.default else 100))
    @given(content=damaged(), sizes=st.sampled_from([(1, 1, 1, 0), (1, 1, 1, 8), (40, 99, 9, 8)]))
    def check(content: bytes, sizes: tuple[int, int, int, int]) -> None:
        path = tmp_path / "dump.json"
        # it may still be mapped: its bytes must not change
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        # a document alone has no time, before which its window would have to end
        expected = read_dump(Delivery(content, datetime(2100, 1, 1)))
        if expected is None:
            reason = rejection(path)
            # of what starts as something else no more needs to be known
            assert reason.startswith(NO_OBJECT) or reason.startswith(NO_JSON) != is_json(content)
            OUTCOMES["rejected, JSON" if is_json(content) else "rejected, no JSON"] += 1
        else:
            assert is_json(content)
            plain = read_plainly(content)
            for each in (sizes, (1 << 16, 1 << 24, 1 << 20, 8)):
                with chunks_of(*each):
                    assert rebuilt(*parts(path)) == plain
            OUTCOMES["loaded"] += 1

    check()
    # each of them is tried, and often
    assert all(OUTCOMES[each] > 50 for each in ("loaded", "rejected, no JSON", "rejected, JSON"))
