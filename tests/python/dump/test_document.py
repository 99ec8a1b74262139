"""The reader: any document goes into the raw tables whole, and what is no dump is told so."""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import io
import json
import lzma
import resource
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import example, given

from documents import MIDNIGHT, chunks_of, documents, dump, read, rejection
from histories import Arr, Num, Obj, Style, document_bytes
from rebuild import json_members, read_plainly, rebuilt
from rep_ai.dump import chunks, records
from rep_ai.dump.document import Document, EqualKeysError
from rep_ai.dump.records import Shape
from rep_ai.dump.text import RejectedError


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], Path]:
    """A way to put bytes into a file."""
    path = tmp_path_factory.mktemp("documents") / "dump.json"

    def write_bytes(content: bytes) -> Path:
        # a document may still be mapped: its bytes must not change
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        return path

    return write_bytes


@given(content=documents())
@example(content=dump(r'"\ud800": "\udc00", "x": "\ud800", "x": 1, "\udc00": [{"\ud800": 1}]'))
@example(content=dump(r'"users": {"\ud800": {"id": "1"}, "\udc00": {"id": "2"}, "\ufffd": {}}'))
@example(content=dump(r'"users": {"a": {"\ud800": 1, "\udc00": "\ud800", "id": "a"}, "\u0000": 7}'))
@example(content=dump(r'"\u0000": [1], "\\u0000": [2], "a\"\ud800": {"\u0000": 1, "\\u0000": 2}'))
@example(content=dump('"users": {"a": {}}, "users": {"b": {}}, "version": "1.0.1"'))
@example(content=dump('"unique_visitor_session_actions": [[],{},{"id":[]},{"id":null},null,1,""]'))
def test_nothing_is_lost(write: Callable[[bytes], Path], content: bytes) -> None:
    """From raw alone each document can be rebuilt, whatever way its chunks are read."""
    path = write(content)
    expected = read_plainly(content)
    read_document, tables = read(path)
    assert read_document.delivery_id == hashlib.sha256(content).hexdigest()
    assert rebuilt(read_document.delivery_id, read_document.header, tables) == expected
    for sizes in ((40, 40, 40, 8), (1, 200, 1, 8), (40, 40, 1, 0)):
        with chunks_of(*sizes) as patch:
            assert read(path)[1] == tables
            patch.setattr(Shape, "is_plain", False)
            assert read(path)[1] == tables


# --------------------------------------------------------------------------------- what is rejected


def test_every_truncation(write: Callable[[bytes], Path]) -> None:
    """A document cut off anywhere is no document."""
    whole = document_bytes(
        Obj(
            (
                ("version", "1.0.0"),
                ("users", Obj((("1", Obj((("id", "1"), ("title", "é\ud800")))),))),
                ("unique_visitor_session_actions", Arr((Obj((("id", "2"),)), Num("-1.5e3")))),
                ("start_time", Num(str(MIDNIGHT))),
                ("end_time", Num(str(MIDNIGHT + 1))),
            )
        ),
        Style(comma=" , ", strings="unicode"),
    )
    read(write(whole))
    for length in range(len(whole)):
        reason = rejection(write(whole[:length]))
        assert "ask for the dump again" in reason


@pytest.mark.parametrize(
    "value",
    [
        *("NaN", "Infinity", "-Infinity", "nan", "undefined", "tru", "True", "nul", "'a'", "a"),
        *("01", "-01", "1.", ".5", "+1", "-", "1e", "1e+", "1.e5", "0x1", "1_0", "٣", "1 2", "--1"),
        *('"', '"\n"', '"\t"', '"\x00"', '"\x1f"', r'"\x"', r'"\u12"', r'"\u12G4"', r'"\U00e9"'),
        *('"\\', r'"\'"', r'"\ud800', r'"\ud8"'),
        *("", "[", "[1,]", "[,1]", "[1 2]", "[1}", "]", '{"a":1,}', "{,}", '{"a"}', '{"a":}'),
        *("{a:1}", "{1:2}", '{"a" 1}', '{"a":1 "b":2}', '{"a":1]', "{null:1}"),
        *("1 // c", "/* c */ 1", "1 # c", "\x0b1", "\x0c1", "\xa01", "\u20281", "\ufeff1"),
    ],
)
def test_not_json(write: Callable[[bytes], Path], value: str) -> None:
    """What RFC 8259 does not allow is rejected, wherever it stands."""
    for text in (value, f"[{value}]", f'{{"a": {value}}}'):
        if text != "[]":
            assert "not JSON" in rejection(write(dump(f'"x": {text}')))
            assert "not JSON" in rejection(write(dump(f'"users": {{"1": {{"title": {text}}}}}')))
    # and not because of what is mended
    assert "not JSON" in rejection(write(dump(rf'"y": "\ud800", "x": {value}')))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}", "not JSON"),
        (dump() + b" ]", "not JSON: trailing characters"),
        (dump()[:-1], "not JSON: input data was truncated"),
        (dump() + b"\0", "NUL bytes follow the document"),
        (dump() + b"\n" + bytes(9000), "NUL bytes follow the document"),
        (bytes(9000), "begins with NUL bytes"),
        (b"\0" + dump(), "not JSON"),
        (b"[" + dump() + b"]", "not a JSON object, but an array"),
        (b"null", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b"7", "not a JSON object"),
        (b" \r\n", "the file is empty"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (dump(b'"x": NaN'), "NaN is no number"),
        (b"\xef\xbb\xbf" + dump(b'"x": -Infinity'), "-Infinity is no number"),
        (dump(b'"users": []'), "`users` is not an object"),
        (dump(b'"unique_visitors": "text"'), "`unique_visitors` is not an object"),
        (dump(b'"unique_visitor_session_actions": {}'), "is not an array"),
        (dump(b'"unique_visitor_session_interactions": false'), "is not an array"),
    ],
)
def test_no_dump(write: Callable[[bytes], Path], content: bytes, reason: str) -> None:
    """What is no dump is rejected, with a reason and what to do."""
    said = rejection(write(content))
    assert reason in said
    assert "ask for the dump again" in said or "check the source" in said


def packed(kind: str) -> bytes:
    """A dump in an archive."""
    whole = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(whole, "w") as archive:
            archive.writestr("dump.json", dump())
    else:
        with tarfile.open(fileobj=whole, mode="w", format=TAR_FORMATS[kind]) as archive:
            member = tarfile.TarInfo("dump.json")
            member.size = len(dump())
            archive.addfile(member, io.BytesIO(dump()))
    return whole.getvalue()


TAR_FORMATS = {"gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT, "ustar": tarfile.USTAR_FORMAT}
APPLE_DOUBLE = b"\0\x05\x16\x07\0\2\0\0Mac OS X        " + bytes(40)
DENIED = b"<?xml version='1.0'?>\n<Error><Code>AccessDenied</Code><Message>No</Message></Error>"
HTML = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"
RECORDS = b'{"id": "1", "action": "ALERT"}\n{"id": "2", "action": "ALERT"}\n'


@pytest.mark.parametrize(
    ("content", "reason", "to_do"),
    [
        (gzip.compress(dump(), mtime=0), "is compressed twice", "unpack it once"),
        (zstandard.compress(dump()), "is compressed twice", "unpack it once"),
        (packed("zip"), "is a zip archive", "unpack it"),
        *((packed(kind), "is a tar archive", "unpack it") for kind in TAR_FORMATS),
        (bz2.compress(dump()), "is compressed by bzip2", "unpack it"),
        (lzma.compress(dump()), "is compressed by xz", "unpack it"),
        (lzma.compress(dump(), lzma.FORMAT_ALONE), "is compressed by lzma", "unpack it"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "is a 7z archive", "unpack it"),
        (b"PAR1\x15\x04", "is a Parquet file", "check the source"),
        (b"-----BEGIN PGP MESSAGE-----\n\nhQEM", "is encrypted by PGP", "decrypt it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS", "fetch the file"),
        (base64.b64encode(dump()), "is JSON in base64", "decode it"),
        (APPLE_DOUBLE, "what macOS keeps beside a file (AppleDouble)", "delete it"),
        (
            DENIED,
            "an XML answer of a store that tells of an error (AccessDenied)",
            "fetch the dump",
        ),
        (b"\xef\xbb\xbf\n" + DENIED, "an XML answer of a store", "fetch the dump"),
        (HTML, "an HTML page", "fetch the dump"),
        (b"<html>" + 9000 * b"<p>", "an HTML page", "fetch the dump"),
        (b"<dump><version>1.0.0</version></dump>", "not JSON, but XML", "check the source"),
        (b"id,action\r\n1,ALERT\r\n", "not JSON, but CSV", "check the source"),
        (b'"id";"action"\n"1";"ALERT"\n', "not JSON, but CSV", "check the source"),
        (b"callback(" + dump() + b");", "JSONP", "keep what is in its brackets"),
        (repr(json.loads(dump())).encode(), "as Python writes it", "write it as JSON"),
        (dump() + dump(), "several JSON documents; a file is one dump", "split it into files"),
        (dump() + b"\n" + dump() + b"\n", "one a line (NDJSON)", "each line to a file of its own"),
        (RECORDS, "(NDJSON), and the first one is no dump", "check the source"),
        (json.dumps(dump().decode()).encode(), "a text with JSON in it", "decode it once more"),
        (b'{"data": ' + dump() + b"}", "the dump is within 'data'", "take it out"),
        (b'{"message": "Forbidden"}', "this is no dump: it has 'message'", "check the source"),
        (dump().decode().encode("utf-16"), "UTF-16", "ask for it in UTF-8"),
        (dump().decode().encode("utf-16-le"), "UTF-16", "ask for it in UTF-8"),
        (dump().decode().encode("utf-32"), "UTF-32", "ask for it in UTF-8"),
        (
            dump('"x": "Zoë"').decode().encode("latin-1"),
            "not UTF-8",
            "ask for it in UTF-8",
        ),
        (b"\x80", "not UTF-8", "ask for it in UTF-8"),
        *(
            (
                dump(b'"x": "' + 70 * b"a" + text + b'"'),
                "not UTF-8",
                "ask for it in UTF-8",
            )
            for text in (
                *(b"\xff", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xc3", b"\xe2\x82"),
                *(b"\xed\xa0\x80", b"\xed\xa0\x80\xed\xb0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88"),
            )
        ),
    ],
)
def test_something_else(
    write: Callable[[bytes], Path], content: bytes, reason: str, to_do: str
) -> None:
    """What is mistaken for a dump is named as what it is, with what helps."""
    said = rejection(write(content))
    assert reason in said and to_do in said
    assert "ask for the dump again" not in said


def test_a_dump_that_holds_the_marks_of_others(write: Callable[[bytes], Path]) -> None:
    """What tells a tar archive or a page apart may be text of a dump."""
    for text in ("<html><Error><Code>", *(("a" * n) + "ustar" for n in range(150, 200))):
        content = dump(f'"x": "{text}"')
        assert Document(write(content)).rejection is None
    assert b"ustar" in {
        content[257:262] for content in (dump(f'"x": "{"a" * n}ustar"') for n in range(200))
    }


SPELLED_VERSIONS = {
    **dict.fromkeys(
        ('"1.0"', "1.0", '"1"', "1", '"v1.0.0"', '"V1"', '" 1.0.0"', '"1.0.0\\n"'), "1.0.0"
    ),
    '"v1.10"': "1.10.0",
    '"1.2-rc.1"': None,
    **dict.fromkeys(('"1.0.0.0"', '"latest"', '""', "null", '"01.0"', '"v"', '"1."', "[1]"), None),
}


@pytest.mark.parametrize(("version", "meant"), SPELLED_VERSIONS.items())
def test_how_a_version_is_spelled(
    write: Callable[[bytes], Path], version: str, meant: str | None
) -> None:
    """Where it can only mean one version, the reason has that one."""
    said = rejection(write(dump(f'"version": {version}')))
    if meant is None:
        assert "can only mean" not in said and "ask for the dump again" in said
    else:
        assert f'ask for the dump with "version": "{meant}"' in said


SPELLED_TIMES = {
    **dict.fromkeys(
        (
            *("1741500000000.0", "1.7415e12", "1.7415E+12", "1741500000", '"1741500000"'),
            *("1741500000.0", "1741500000000000", "1741500000000000000", '"+1741500000000"'),
            *('" 1741500000000 "', '"1741500000000\\n"', '"2025-03-09T06:00:00Z"'),
            *(
                '"2025-03-09T06:00:00.000+00:00"',
                '"2025-03-09 00:00:00-06:00"',
                '"20250309T060000Z"',
            ),
        ),
        1_741_500_000_000,
    ),
    **dict.fromkeys(
        (
            *(
                "1741500000000.5",
                '"2025-03-09T06:00:00"',
                '"2025-03-09"',
                '"yesterday"',
                "null",
                '""',
            ),
            *("1e99", "-1741500000000", "[1]", "0", '"1999-01-01T00:00:00Z"', '"09/03/2025"'),
            f'"{"9" * 10_000}"',
        ),
        None,
    ),
}


@pytest.mark.parametrize(("time", "meant"), SPELLED_TIMES.items())
def test_how_a_time_is_spelled(
    write: Callable[[bytes], Path], time: str, meant: int | None
) -> None:
    """Where it can only mean one moment, the reason has the spelling that is needed."""
    said = rejection(write(dump(f'"start_time": {time}')))
    assert "no readable window" in said and "epoch milliseconds" in said
    if meant is None:
        assert "ask for the dump again" in said
    else:
        assert f"ask for it with `start_time` as {meant}" in said
    both = rejection(write(dump(f'"start_time": {time}, "end_time": {time}')))
    assert ("`end_time` as" in both) == (meant is not None)


def test_byte_order_mark(write: Callable[[bytes], Path]) -> None:
    """A byte order mark is passed over."""
    content = b"\xef\xbb\xbf \n" + dump('"users": {"1": {"id": "1"}}')
    read_document, tables = read(write(content))
    assert rebuilt(read_document.delivery_id, read_document.header, tables) == read_plainly(content)


@pytest.mark.parametrize(
    "version",
    [
        *('"1.0"', '"1"', '"v1.0.0"', '"1.0.0.0"', '"01.0.0"', '"1.00.0"', '"1.0.0-"', '"1.0.0+"'),
        *('"1.0.0-01"', '"1.0.0 "', '"1.0.0\\n"', '"1.0.0-ä"', '"1.٣.0"', '""', '"-1.0.0"'),
        *("1", "1.0", "null", "true", "[]", "{}", '["1.0.0"]', '{"major": 1}', '"latest"'),
        *(r'"1.0.0\u0000"', r'"1.0.0\ud800"', f'"{"1" * 100_000}"', f'"1.0.0-{"1" * 99_999}é"'),
    ],
)
def test_no_semantic_version(write: Callable[[bytes], Path], version: str) -> None:
    """Only a text that semver 2.0.0 takes is a version."""
    content = dump().replace(b'"1.0.0"', version.encode())
    assert "`version`" in rejection(write(content))
    assert "`version`" in rejection(write(dump(f'"version": {version}')))


@pytest.mark.parametrize(
    "version", ["1.0.0", "1.10.0", "1.0.0-rc.1", "1.0.0+b.01", "1.99999999999999999999.0-a-.-"]
)
def test_version(write: Callable[[bytes], Path], version: str) -> None:
    """Minor, patch, pre-release and build do not matter."""
    read_document, _ = read(write(dump(f'"version": "{version}"')))
    assert read_document.header.version == version


@pytest.mark.parametrize("version", ["0.9.0", "2.0.0", "11.0.0", "99999999999999999999.0.0"])
def test_other_major(write: Callable[[bytes], Path], version: str) -> None:
    """Another major is not read, unless it is the one supported."""
    path = write(dump(f'"version": "{version}"'))
    assert f"'{version}' is not 1.x" in rejection(path)
    assert Document(path, int(version.partition(".")[0])).rejection is None
    assert Document(write(dump()), 2).rejection is not None


TIMES = {
    "946684800000": True,
    "4102444799999": True,
    '"1741500000000"': True,
    '"00000000000000000000001741500000000"': True,
    "946684799999": False,
    "4102444800000": False,
    "1741500000000.0": False,
    "1.7415e12": False,
    "-1741500000000": False,
    "1741500000": False,
    '"+1741500000000"': False,
    '" 1741500000000"': False,
    '"1741500000000\\n"': False,
    '"١٧٤١٥٠٠٠٠٠٠٠٠"': False,
    '"²741500000000"': False,
    '"2025-03-09T06:00:00Z"': False,
    "null": False,
    "true": False,
    '""': False,
    f'"{"0" * 10_000}"': False,
    "9" * 10_000: False,
    "[1741500000000]": False,
    r'"\u0000"': False,
}


@pytest.mark.parametrize(("time", "readable"), TIMES.items())
def test_window(write: Callable[[bytes], Path], time: str, readable: bool) -> None:
    """The window is two readable times in order."""
    for start, end in ((time, "4102444799999"), ("946684800000", time)):
        path = write(dump(f'"start_time": {start}, "end_time": {end}'))
        if readable and start != end:
            assert Document(path).rejection is None
        else:
            assert "`start_time`" in rejection(path) or "`end_time`" in rejection(path)
    assert "no readable window" in rejection(write(dump(f'"end_time": {MIDNIGHT - 1}')))
    assert "no readable window" in rejection(write(dump(f'"end_time": {MIDNIGHT}')))


# ------------------------------------------------------------------------------------ what is large


def test_deep_nesting(write: Callable[[bytes], Path]) -> None:
    """However deep the values and the stack: all is read, or rejected in words."""
    read_depths: list[int] = []
    rejected_depths: list[int] = []

    def attempt(depth: int) -> None:
        read_document = Document(path)
        try:
            if read_document.rejection is not None:
                raise RejectedError(read_document.rejection)
            rows = sum(len(rows) for _, rows in read_document.batches())
        except RejectedError as error:
            assert "nested deeper" in str(error)
            rejected_depths.append(depth)
        else:
            assert rows == 3
            read_depths.append(depth)

    for depth in (100, *range(700, 1000, 20), *range(900, 1000, 2), 12_000, 100_000, 1_000_000):
        for opening, closing in (("[", "]"), ('{"id":', "}")):
            nested = opening * depth + "1" + closing * depth
            damage = r', "\ud800": 1'
            for more in ("", damage):
                record = f'{{"custom_metadata": {nested}, "more": {nested}{more}}}'
                path = write(
                    dump(f'"unique_visitors": {{"1": {record}, "2": {nested}}}, "c": [{nested}]')
                )
                attempt(depth)
    assert 100 in read_depths and {12_000, 100_000, 1_000_000} <= set(rejected_depths)
    assert "nested deeper" in rejection(write(dump(f'"x": {"[" * 100_000}')))


def test_many_unknown_names(write: Callable[[bytes], Path]) -> None:
    """100,000 unknown names in one record, over the records, and at the top."""
    count = 100_000
    one = ", ".join(f'"n{i}": {i}' for i in range(count))
    each = ", ".join(f'{{"id": "{i}", "n{i}": {i}}}' for i in range(count))
    _, tables = read(write(dump(f'"users": {{"1": {{{one}}}, "2": {{"id": "2", "n7": 8}}}}')))
    first, second = tables["users"].column("_extra").to_pylist()
    assert json.loads(first) == {f"n{i}": i for i in range(count)} and second == '{"n7":8}'
    _, tables = read(write(dump(f'"unique_visitor_session_actions": [{each}]')))
    rows = tables["unique_visitor_session_actions"].select(["id", "_extra"]).to_pylist()
    assert rows == [{"id": f"{i}", "_extra": f'{{"n{i}":{i}}}'} for i in range(count)]
    read_document, _ = read(write(dump(one)))
    assert len(json_members(read_document.header.extra)) == count
    batches = 0
    some = ", ".join(f'"n{i}": [{i}]' for i in range(count))
    for _, rows in Document(write(dump(some))).batches():
        batches += 1
        assert len(rows) > 1000
    assert 0 < batches < 10


def test_equal_keys_far_apart(write: Callable[[bytes], Path]) -> None:
    """The last of equal keys holds, also where they lie in different chunks."""
    entries = ", ".join(f'"{i % 60_000}": {{"id": "{i}"}}' for i in range(100_000))
    path = write(dump(f'"users": {{{entries}}}, "c": {{{entries}}}'))
    with chunks_of(1 << 10, 1 << 20, 1 << 10, 8):
        with pytest.raises(EqualKeysError):
            list(Document(path).batches())
        _, tables = read(path)
    ids = [f"{i + 60_000 if i < 40_000 else i}" for i in range(60_000)]
    assert tables["users"].column("id").to_pylist() == ids
    assert tables["other_entries"].column("_key").to_pylist() == [f"{i}" for i in range(60_000)]


@pytest.mark.parametrize(
    "entry",
    [
        "1",
        '"},{"',
        '{"id": 1, "orders": [' + ", ".join(['{"id": {"a": 1}}'] * 50) + "]}",
        '[{"a": [{}, {}]}, {}]',
    ],
)
def test_chunks_stay_small(write: Callable[[bytes], Path], entry: str) -> None:
    """Entries that are hard to tell apart do not make chunks grow."""
    count = (512 << 10) // (len(entry) + 2)
    path = write(dump(f'"unique_visitor_session_actions": [{", ".join([entry] * count)}]'))
    with chunks_of(1 << 10, 32 << 10, 16 << 10, 8):
        largest = total = 0
        for _, rows in Document(path).batches():
            largest, total = max(largest, len(rows)), total + len(rows)
    assert total == count and largest * (len(entry) + 2) < 128 << 10


def test_large_string(write: Callable[[bytes], Path]) -> None:
    """A text of 200 MB is one value, and held but a few times."""
    size = 200 << 20
    before = peak_memory()
    text = b'"title": "' + b"},{" * (size // 3) + b'"'
    path = write(dump(b'"users": {"1": {"id": "1", ' + text + b'}, "2": {"id": "2"}}'))
    del text
    found = {}
    for _, rows in Document(path).batches():
        for row in rows.select(["id", "title"]).to_pylist():
            found[row["id"]] = len(row["title"] or "")
    assert found == {"1": size // 3 * 3, "2": 0}
    assert peak_memory() - before < 12 * size


def peak_memory() -> int:
    """The most memory that this process has held, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def test_entry_too_large(write: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """What no Arrow column can hold is rejected."""
    monkeypatch.setattr(chunks, "MAX_ENTRY_BYTES", 1000)
    path = write(dump(f'"users": {{"1": {{"title": "{"x" * 1000}"}}}}'))
    assert "larger than 256 MB" in rejection(path)


# ---------------------------------------------------------------------------------- small questions


def test_quick_way_is_taken(
    write: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain collection is read carefully once only."""
    careful = []
    read_carefully = records._read_carefully

    def count(*arguments: Any) -> Any:
        careful.append(arguments)
        return read_carefully(*arguments)

    monkeypatch.setattr(records, "_read_carefully", count)
    entries = ", ".join(f'{{"id": "{i}", "timestamp": {i + 1}, "x": "é"}}' for i in range(10_000))
    path = write(dump(f'"unique_visitor_session_actions": [{entries}]'))
    with chunks_of(1 << 10, 64 << 10, 64 << 10, 8):
        _, tables = read(path)
    assert len(tables["unique_visitor_session_actions"]) == 10_000 and len(careful) == 1


def test_known_collections_absent_null_and_empty(write: Callable[[bytes], Path]) -> None:
    """None where a collection is absent or null, else how many entries it has."""
    read_document, _ = read(
        write(dump('"users": null, "unique_visitors": {}, "e": [ ], "n": null'))
    )
    counts = read_document.header.counts
    assert counts["users"] is counts["unique_visitor_sessions"] is None
    assert counts["unique_visitors"] == counts["other_entries"] == counts["rejected_records"] == 0
    assert read_document.header.extra == '{"e":[ ],"n":null}'


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("7", "the entry is not an object"),
        ("null", "the entry is not an object"),
        ('[{"id": "1"}]', "the entry is not an object"),
        (r'{"title": "a\u0000"}', "`title` holds a NUL character"),
        (r'{"id": "\ud800"}', "`id` holds half a surrogate pair"),
    ],
)
def test_rejected_records(write: Callable[[bytes], Path], entry: str, reason: str) -> None:
    """What is no record is kept with a reason, and stands in nobody's way."""
    _, tables = read(write(dump(f'"users": {{"a": {{}}, "b": {entry}, "c": {{"id": "c"}}}}')))
    assert tables["users"].column("_position").to_pylist() == [0, 2]
    (row,) = tables["rejected_records"].to_pylist()
    del row["_delivery_id"]
    assert row == {
        "_position": 1,
        "_key": "b",
        "collection": "users",
        "record": entry,
        "reason": reason,
    }
