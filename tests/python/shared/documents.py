"""Documents as the reader meets them: sound ones of any content, and what becomes of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import strategies as st

from histories import ABSENT, Arr, Num, Obj, Style, document_bytes
from oracle.dumps import FIELDS, KIND
from rebuild import HEADER
from rep_ai.dump import chunks
from rep_ai.dump.document import Document, EqualKeysError, Header
from rep_ai.dump.format import RECORD_TABLES
from rep_ai.dump.text import RejectedError

GOOD = b'{"version": "1.0.0", "start_time": 1741500000000, "end_time": 1741586400000%s}'
MIDNIGHT = 1741500000000


def dump(members: str | bytes = b"") -> bytes:
    """A sound document with more members."""
    members = members.encode() if isinstance(members, str) else members
    return GOOD % (b", " + members if members else b"")


def read(path: Path) -> tuple[Document, dict[str, pa.Table]]:
    """Read a document as the loader does; all rows, table by table."""
    for careful in (False, True):
        read_document = Document(path)
        assert read_document.rejection is None, read_document.rejection
        read_document.careful = careful
        tables = defaultdict(list)
        try:
            for name, rows in read_document.batches():
                rows.validate(full=True)
                tables[name].append(rows)
            break
        except EqualKeysError:
            assert not careful
    for name, count in read_document.header.counts.items():
        assert sum(map(len, tables[name])) == (count or 0)
    return read_document, {
        name: pa.concat_tables(tables[name] or [schema.empty_table()])
        for name, schema in RECORD_TABLES.items()
    }


def parts(path: Path) -> tuple[str, Header, dict[str, pa.Table]]:
    """What `rebuilt` needs."""
    read_document, tables = read(path)
    return read_document.delivery_id, read_document.header, tables


def rejection(path: Path) -> str:
    """Why a document is rejected, in one line, at once or while it is read."""
    read_document = Document(path)
    reason = read_document.rejection
    if reason is None:
        with pytest.raises(RejectedError) as caught:
            for _ in read_document.batches():
                pass
        reason = str(caught.value)
    assert reason.isprintable() and len(reason) < 300
    return reason


# ------------------------------------------------------------------------------ arbitrary documents

NUMBERS = ("0", "-0", "7", "1.10", "1e2", "-1E+05", "1741500000000", "9" * 30, "4" * 19, "1e999")
TEXTS = ("", "a", "7", "null", 'q"\\/\b', "},", '},{"id":"', "\0", "\ud800", "\udc00\ud83d", "😀")
NAMES = ("id", "a", "b", "", "x y", 'q"', "\n", "\0", "\ud800", "\udfff", "\ufffd", "é", "_extra")


def mixed(*strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One of some strategies."""
    return st.one_of(*strategies)


def objects(
    names: st.SearchStrategy[str], values: st.SearchStrategy[Any], max_size: int = 5
) -> st.SearchStrategy[Obj]:
    """JSON objects, equal keys included."""
    return st.lists(st.tuples(names, values), max_size=max_size).map(lambda m: Obj(tuple(m)))


def arrays(values: st.SearchStrategy[Any], max_size: int = 5) -> st.SearchStrategy[Arr]:
    """JSON arrays."""
    return st.lists(values, max_size=max_size).map(lambda items: Arr(tuple(items)))


names = mixed(st.sampled_from(NAMES), st.text(max_size=3))
scalars = mixed(
    st.sampled_from(TEXTS),
    st.sampled_from(NUMBERS).map(Num),
    st.integers(0, 1 << 70).map(lambda n: Num(str(n))),
    st.text(max_size=8),
    st.booleans(),
    st.none(),
)
values = st.recursive(
    scalars, lambda inner: mixed(objects(names, inner, 3), arrays(inner, 3)), max_leaves=6
)
plain_text = st.sampled_from(["a", "b", "7", "", "ü"])


@st.composite
def collections(draw: st.DrawFn, name: str) -> Any:
    """A known collection whose entries mostly have one shape, or null, or nothing at all."""
    if draw(st.integers(0, 9)) == 9:
        return draw(st.sampled_from([None, ABSENT]))
    kinds = {
        "text": plain_text,
        "integer": st.integers(1, 1 << 63).map(lambda n: Num(str(n))),
        "boolean": st.booleans(),
        "mixed": values,
        "nested": mixed(objects(names, scalars), arrays(scalars)),
        "absent": st.just(ABSENT),
    }
    kind_of = {field: draw(st.sampled_from(sorted(kinds))) for field in FIELDS[name]}
    unlisted = draw(st.lists(names.filter(lambda n: n not in FIELDS[name]), max_size=3))

    def field(kind: str) -> st.SearchStrategy[Any]:
        # mostly as ever, sometimes something else
        return st.integers(0, 15).flatmap(
            lambda n: {14: st.just(ABSENT), 15: values}.get(n, kinds[kind])
        )

    fields = [st.tuples(st.just(n), field(kind)) for n, kind in kind_of.items()]
    fields += [st.tuples(st.just(n), field("mixed")) for n in unlisted]
    entry = st.tuples(*fields).map(Obj)
    turned = entry.map(lambda obj: Obj(obj.members[::-1]))
    other = objects(mixed(names, st.sampled_from(FIELDS[name])), values)
    entries = st.integers(0, 15).flatmap(
        lambda n: {13: turned, 14: other, 15: values}.get(n, entry)
    )
    if KIND[name] is list:
        return draw(arrays(entries, max_size=12))
    # the keys differ, as a rule
    keys = mixed(plain_text, names) if draw(st.integers(0, 3)) == 3 else st.text(max_size=20)
    return draw(objects(keys, entries, max_size=12))


@st.composite
def styles(draw: st.DrawFn) -> Style:
    """Ways to write a document."""
    space = st.text(" \t\r\n", max_size=3)
    comma, colon = ("".join([draw(space), mark, draw(space)]) for mark in (",", ":"))
    return Style(
        comma=comma,
        colon=colon,
        pad=draw(space),
        strings=draw(st.sampled_from(["ascii", "unicode", "escaped"])),
        head=draw(st.sampled_from(["", "\ufeff"])) + draw(space),
        tail=draw(space),
    )


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """Sound documents of any content."""
    members = [(name, draw(collections(name))) for name in FIELDS]
    unknown = mixed(values, arrays(values), objects(names, values))
    members += draw(st.lists(st.tuples(mixed(names, st.sampled_from(["c", "d"])), unknown)))
    members += draw(st.lists(st.tuples(st.sampled_from(HEADER), values), max_size=1))
    members = draw(st.permutations(members))
    members += [
        ("version", draw(st.sampled_from(["1.0.0", "1.2.3-rc.1+b"]))),
        ("start_time", draw(st.sampled_from([Num(str(MIDNIGHT)), str(MIDNIGHT)]))),
        ("end_time", Num(str(MIDNIGHT + 1))),
    ]
    return document_bytes(Obj(tuple(members)), draw(styles()))


@contextmanager
def chunks_of(first: int, others: int, found: int, guesses: int) -> Iterator[pytest.MonkeyPatch]:
    """Read chunks of other sizes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "FIRST_CHUNK_BYTES", first)
        patch.setattr(chunks, "CHUNK_BYTES", others)
        patch.setattr(chunks, "FOUND_CHUNK_BYTES", found)
        patch.setattr(chunks, "GUESSES", guesses)
        yield patch
