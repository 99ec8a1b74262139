"""The host of a referrer: one answer on every engine, and that of the oracle, for any text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing

import duckdb
import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st

import processes
from loads import names
from marts import environment
from oracle.reports import host_of
from processes import PROJECT

PIECES = (
    *("https://", "HTTP://", "android-app://", "about:blank", "://", "//", "1x://", "a+b-c.d://"),
    *("www.Example.com", "bücher.É", "xn--bcher-kva", "[::1]", "[2001:DB8::F]", "[", "]", "[]"),
    *("user:pass@", "@", ":", ":80", ":080", "80", "/", "?", "#", "\\", " ", "\t", "\n", "\r"),
    *("a", ".", "%41", "<", "|", "^", "'", '"', "$", "(", "\u2028", "\xa0", "\U0001f600", "İ"),
)
ADDRESSES = st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40
)

Hosts = Callable[[list[str]], list[str | None]]


@pytest.fixture(scope="module")
def engines(
    postgres: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Hosts]]:
    """What each engine makes of addresses."""
    folder = tmp_path_factory.mktemp("hosts")
    macro = {
        target: processes.run(
            *("dbt", "--quiet", "compile", "--inline", "{{ rep_ai_host('address') }}"),
            *("--target", target, "--project-dir", PROJECT, "--profiles-dir", PROJECT),
            variables={**environment(folder), **postgres, "REP_AI_TARGET": target},
        ).stdout.strip()
        for target in ("dev", "postgres")
    }
    with (
        duckdb.connect() as duck,
        closing(psycopg2.connect("", **{names[k]: v for k, v in postgres.items()})) as server,
    ):

        def on_duckdb(addresses: list[str]) -> list[str | None]:
            sql = f"select {macro['dev']} from (select unnest(?::varchar[]) as address)"
            return [host for (host,) in duck.execute(sql, [addresses]).fetchall()]

        def on_postgres(addresses: list[str]) -> list[str | None]:
            cursor = server.cursor()
            sql = macro["postgres"].replace("%", "%%")
            cursor.execute(
                f"select {sql} from json_array_elements_text(%s) with ordinality as a(address, n) "
                "order by n",
                (json.dumps(addresses),),
            )
            return [host for (host,) in cursor.fetchall()]

        yield {"duckdb": on_duckdb, "postgres": on_postgres}


@given(st.lists(ADDRESSES, min_size=1, max_size=50))
def test_all_agree(engines: dict[str, Hosts], addresses: list[str]) -> None:
    """Whatever the text."""
    wanted = [host_of(address) for address in addresses]
    assert {name: hosts(addresses) for name, hosts in engines.items()} == {
        "duckdb": wanted,
        "postgres": wanted,
    }


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://www.example.com/" + "x" * 10_000, "www.example.com"),
        ("https://" + "user:pass@" * 1_000 + "www.example.com/", "www.example.com"),
        ("https://" + "x" * 10_000, "x" * 10_000),
        ("https://" + ":" * 10_000, None),
        ("https://" + "[" * 10_000, None),
        ("a" * 10_000 + "://", None),
        (" " * 10_000, None),
        ("x" * 1_000_000, None),
    ],
    ids=["path", "user", "host", "colons", "brackets", "scheme", "spaces", "no scheme"],
)
def test_long_ones(engines: dict[str, Hosts], address: str, host: str | None) -> None:
    """Ten thousand characters are no trouble, wherever they stand."""
    assert [hosts([address]) for hosts in engines.values()] == [[host], [host]]
