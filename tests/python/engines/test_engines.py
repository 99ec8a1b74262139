"""DuckDB and PostgreSQL: the same dumps land alike, and every mart comes out equal, row for row."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, pairwise, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg2.extras import execute_values

from dumps import DAY, HOUR
from histories import METADATA, STYLES, Arr, Node, Num, Obj, document_bytes, histories
from marts import (
    PARSED,
    RAW_SCHEMA,
    Compiled,
    Database,
    Load,
    environment,
    land,
    read_manifest,
    seed_rows,
)
from oracle import Delivery
from oracle.dumps import AFTER_LAST_TIME, FIRST_TIME, seconds, timestamp
from oracle.json_text import (
    as_text,
    canonical_json,
    engines_may_differ,
    members,
    object_text,
    read_json,
)
from oracle.reports import from_metadata
from processes import PROJECT, Command
from rep_ai.commands.ingest import ingest
from rep_ai.landing.destinations import Destination, of_target
from rep_ai.landing.errors import DestinationError
from rep_ai.landing.raw_tables import TABLES

ENGINES = ("dev", "postgres")
TIMEZONE = "America/Chicago"
VARIABLES = json.dumps({"rep_ai_timezone": TIMEZONE})
# the profiles of conftest.py: some for each thousand of the cheap examples
EXAMPLES = settings.default.max_examples if settings.default else 100

Table = tuple[list[str], "Counter[str]"]


# ---------------------------------------------------------------------------------------- engines


def variables_of(target: str, folder: Path, server: Mapping[str, str]) -> dict[str, str]:
    """Environment variables that lead to an engine, and keep what it writes in a folder."""
    place = folder / target
    place.mkdir(exist_ok=True)
    return {**environment(place), **server, "REP_AI_TARGET": target}


def together(
    commands: Mapping[str, Sequence[str]], environments: Mapping[str, dict[str, str]]
) -> dict[str, tuple[int, str]]:
    """Run a command for each engine at the same time: exit codes and what was said."""
    started = {
        target: Command(program, arguments, environments[target], PROJECT)
        for target, (program, *arguments) in commands.items()
    }
    ended = {target: command.done() for target, command in started.items()}
    return {target: (done.returncode, done.stdout) for target, done in ended.items()}


def manifest(variables: Mapping[str, str]) -> Compiled:
    """What dbt has compiled last."""
    return read_manifest(Path(variables["DBT_TARGET_PATH"]) / "manifest.json")


def dbt(*arguments: str, target: str) -> list[str]:
    """A dbt command on the project."""
    command = ["dbt", "--quiet", *arguments, "--target", target]
    return [*command, "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]


def rep_ai(*arguments: str) -> list[str]:
    """A command of rep-ai."""
    return ["rep-ai", *arguments]


@pytest.fixture(scope="module")
def environments(
    postgres: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, str]]:
    """The environment variables of each engine; its database is still empty."""
    folder = tmp_path_factory.mktemp("engines")
    return {target: variables_of(target, folder, postgres) for target in ENGINES}


def fetch(connection: Any, relation: str, without: Sequence[str] = ()) -> Table:
    """The columns of a table in their order, and its rows as text in which types show."""
    cursor = connection.cursor()
    cursor.execute(f"select * from {relation}")
    names = [column[0] for column in cursor.description]
    kept = [place for place, name in enumerate(names) if name not in without]
    rows: Counter[str] = Counter()
    for row in map(list, cursor.fetchall()):
        values = dict(zip(names, row, strict=True))
        if engines_may_differ(str(values.get("custom_metadata"))):
            for name in {"display_name", "email"} & values.keys():
                row[names.index(name)] = "as the engine reads it"
        rows[", ".join(f"{names[place]}={spelled(row[place])}" for place in kept)] += 1
    return [names[place] for place in kept], rows


def spelled(value: Any) -> str:
    """A value as text; moments in UTC."""
    return repr(value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value)


def differences(tables: Mapping[str, Mapping[str, Table]]) -> str:
    """What tells the tables of two engines apart; '' where nothing does."""
    one, other = ENGINES
    assert tables[one].keys() == tables[other].keys()
    lines: list[str] = []
    for name in tables[one]:
        (columns, rows), (other_columns, other_rows) = tables[one][name], tables[other][name]
        if columns != other_columns:
            lines.append(f"{name}: columns {columns} in {one}, {other_columns} in {other}")
        for engine, surplus in ((one, rows - other_rows), (other, other_rows - rows)):
            lines += [f"{name}: only in {engine} {row}" for row in sorted(surplus.elements())[:20]]
    return "\n".join(lines)


# ------------------------------------------------------------------------ files in, marts compared

HOSTILE_METADATA: list[Node] = [
    *METADATA,
    "{",
    "{not json}",
    '{"email": "trailing@comma",}',
    '{"email": "not@number", "n": NaN}',
    '{"email": "raw@newline", "n": "\n"}',
    '{"email": "raw@control", "n": "\\u0000\x01"}',
    '{"email": "two@texts"} {}',
    '{"email": "comment@json"} // no',
    ' \n{"email": "inside@text", "n": "\\ud83d"}\t',
    '{"email": "deep@text", "n": ' + "[" * 500 + "]" * 500 + "}",
    "[" * 500,
    "nan",
    "\ufeff{}",
    Obj((("email", "a\ud83d"), ("display_name", "sound"))),
    Obj((("email", "\ude00\ud83d"), ("display_name", "\U0001f600"))),
    Obj((("email", "\0"), ("email", "the last one"), ("displayName", "\0"))),
    Obj((("email", "the first one"), ("email", "\0"))),
    Obj((("email", "\\u0000 \\ud83d \\\\"), ("note", "\0"), ("display_name", "\ufdd0"))),
    Obj((("email\0", "no"), ("\ud800email", "no"), ("display_name", "\ufdd0\0"))),
    Obj((("email", "first"), ("email", Num("1")), ("display_name", "x"), ("display_name", None))),
    Obj((("note", Obj((("email", "inner\0"),))), ("email", "outer"))),
    Obj((("note", Arr(("\0", "\ud800", Obj((("email", "inner"),))))), ("email", "behind"))),
    Obj((("email", "x" * 1_000_000), ("note", "\0" * 1000))),
    Obj((("Email", "no"), ("e\u0301mail", "no"), ("email ", "no"))),
]
HOSTILE_IDS = (
    "B",
    "a",
    "A",
    "b",
    "_",
    "-",
    " a",
    "a ",
    "a b",
    "ab",
    "ä",
    "a\u0308",
    "z",
    "é",
    "ß",
    "ss",
    "\u0131",
    "I",
    "\uffff",
    "\U0001f600",
    "1",
    "10",
    "2",
    "02",
    "1e2",
    "1.10",
    "123456789012345678901234567890",
    "'; --",
    'q"\\',
    "%s",
)
NOON = int(datetime(2024, 3, 10, 12, tzinfo=UTC).timestamp()) * 1000  # a day of 23 hours


def number(value: object) -> Num:
    """A JSON number."""
    return Num(str(value))


def hostile_dump(start: int, version: str, members: Mapping[str, Node], end: int = 0) -> bytes:
    """A document of a window."""
    head: dict[str, Node] = {
        "version": version,
        "start_time": number(start),
        "end_time": number(end or start + DAY),
    }
    return document_bytes(Obj((*head.items(), *members.items())), STYLES[1])


def record(**fields: Node) -> Obj:
    """A record."""
    return Obj(tuple(fields.items()))


def hostile_dumps() -> Iterator[bytes]:
    """Documents full of what engines read, compare or sort in ways of their own."""
    start = NOON - 6 * HOUR
    times = [number(NOON + n) for n in range(-3, 4)]
    edges: list[Node] = [
        number(946_684_800_000),
        number(4_102_444_799_999),
        number(NOON - NOON % DAY + 6 * HOUR - 1),
        number(NOON - NOON % DAY + 6 * HOUR),
        "000" + str(NOON),
        "",
        None,
        number("1e2"),
        number("1.10"),
    ]
    everyone = list(HOSTILE_IDS)
    yield hostile_dump(
        start,
        "1.99999999999999999999999999.0",
        {
            "unique_visitors": Obj(
                tuple(
                    (f"v{n}", record(custom_id="" if n % 3 else f"{n:02}", custom_metadata=each))
                    for n, each in enumerate(HOSTILE_METADATA)
                )
            ),
            "users": Obj(
                tuple(
                    (each, record(id=each, title="", email_address=number("1e2"), active=True))
                    for each in everyone
                )
            ),
            # a cycle of all, at one moment, and a chain that leads into it
            "unique_visitor_sessions": Obj(
                (
                    *(
                        (
                            each,
                            record(
                                id=each,
                                session_group=following,
                                unique_visitor_id=f"v{place % 5}",
                                referrer="" if place % 2 else number("1.10"),
                                start_time=times[place // 8],
                                end_time=number(NOON + place * 1001),
                            ),
                        )
                        for place, (each, following) in enumerate(
                            pairwise([*everyone, everyone[0]])
                        )
                    ),
                    *(
                        (f"chain{n}", record(session_group=f"chain{n + 1}", start_time=times[0]))
                        for n in range(40)
                    ),
                    ("chain40", record(session_group="B", user_agent="x" * 1_000_000)),
                    ("nul", record(referrer="a\0b")),
                    ("half", record(referrer="\ud800")),
                    ("\ud800", record(id="half a key")),
                )
            ),
            "unique_visitor_session_actions": Arr(
                tuple(
                    record(
                        id=each,
                        action=kind,
                        session_id=each,
                        timestamp=edges[place % len(edges)],
                        page="/\0",
                        score=number("0.1000"),
                    )
                    for place, each in enumerate(everyone)
                    for kind in ("PAGE_VIEW" if place % 2 else "page_view",)
                )
            ),
            "unique_visitor_session_interactions": Arr(
                tuple(
                    record(
                        id=f"{each} {n}",
                        interaction="TAKEOVER",
                        session_id=each,
                        user_id=each,
                        start_time=times[n],
                        end_time=edges[n] if place % 3 else times[-1],
                        accept=n != 6,
                        accept_time=number(NOON + place * n * 7),
                    )
                    for place, each in enumerate(everyone)
                    for n in range(7)
                )
            ),
            "page_scores": Arr((record(id="1", text="\0"), number("1e2"))),
        },
    )
    # the same window, with less of a version
    yield hostile_dump(start, "1.99999999999999999999999998.99", {})
    yield hostile_dump(start, "1.99999999999999999999999999.0-rc.1", {})
    # one by text, and an overlap; the next night is missing
    for version in ("1.0.0-a", "1.0.0-B", "1.0.0-a.b", "1.0.0-1", "1.0.0--"):
        title = record(id="a", title=version, unknown=version)
        yield hostile_dump(start + 3 * DAY, version, {"users": Obj((("a", title),))})
    yield hostile_dump(start + 3 * DAY + HOUR, "1.0.0", {"users": None}, end=start + 4 * DAY)
    yield b'{"version": "2.0.0"}'


@dataclass(frozen=True)
class Bucket:
    """What each engine made of the same files."""

    landed: dict[str, dict[str, Table]]
    built: dict[str, dict[str, Table]]


@pytest.fixture(scope="module")
def bucket(
    environments: dict[str, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Bucket:
    """Sample dumps, a re-delivered day among them, and hostile ones, taken the user's way."""
    folder = tmp_path_factory.mktemp("bucket")
    sample = rep_ai("sample", str(folder), "--days", "4", "--sessions-per-day", "60")
    assert together({"dev": sample}, environments)["dev"][0] == 0
    for place, content in enumerate(hostile_dumps()):
        (folder / f"hostile_{place}.json").write_bytes(content)
    run = rep_ai("run", str(folder), "--vars", VARIABLES)
    for code, said in together(dict.fromkeys(ENGINES, run), environments).values():
        # some files are rejected
        assert code == 3, said
    landed: dict[str, dict[str, Table]] = {}
    built: dict[str, dict[str, Table]] = {}
    for target in ENGINES:
        project = manifest(environments[target])
        with connected(environments[target]) as connection:
            landed[target] = {
                name: fetch(connection, f"{RAW_SCHEMA}.{name}", ["_dlt_load_id"]) for name in TABLES
            }
            built[target] = {m.name: fetch(connection, m.relation) for m in project.marts}
    return Bucket(landed, built)


def connected(variables: Mapping[str, str]) -> closing[Any]:
    """A connection to the engine that environment variables lead to."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        return closing(of_target(variables["REP_AI_TARGET"]).connect())


def test_raw_tables_are_equal(bucket: Bucket) -> None:
    """Empty texts, long ones, odd characters and digits land alike."""
    assert differences(bucket.landed) == ""
    for name, (_, rows) in bucket.landed["postgres"].items():
        assert rows, name
    sessions = "\n".join(bucket.landed["postgres"]["unique_visitor_sessions"][1])
    for text in (
        "referrer=''",
        "referrer=None",
        "referrer='1.10'",
        "id='123456789012345678901234567890'",
        f"user_agent='{'x' * 1_000_000}'",
    ):
        assert text in sessions


def test_marts_are_equal(bucket: Bucket) -> None:
    """Every mart of the manifest, with every column in its place."""
    assert differences(bucket.built) == ""
    for name, (_, rows) in bucket.built["postgres"].items():
        assert rows, name


def test_two_builds_of_the_same_models_at_once_do_no_harm(
    bucket: Bucket, environments: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    """Windows go and come again. Two processes take it up, or one fails: then a third mends it."""
    server = environments["postgres"]
    model = next(m for m in manifest(server).marts if m.name == "fct_rep_ai__session_groups")
    processes = {
        name: {**server, "DBT_TARGET_PATH": str(tmp_path / name), "DBT_LOG_PATH": str(tmp_path)}
        for name in ("one", "other")
    }
    found = []
    for variables in ({"rep_ai_windows_before": "2026-03-03"}, {}):
        given = json.dumps({**json.loads(VARIABLES), **variables})
        build = dbt("run", "--vars", given, "--select", f"+{model.name}", target="postgres")
        together(dict.fromkeys(processes, build), processes)
        ((code, said),) = together({"one": build}, processes).values()
        assert code == 0, said
        with connected(server) as connection:
            found.append(fetch(connection, model.relation))
    without, again = found
    assert without != again
    assert again == bucket.built["postgres"][model.name]


@pytest.fixture
def landing(postgres: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Destination:
    """An empty PostgreSQL database."""
    for name, value in postgres.items():
        monkeypatch.setenv(name, value)
    with closing(of_target("postgres").connect()) as connection:
        connection.cursor().execute("drop database if exists landing")
        connection.cursor().execute("create database landing")
    monkeypatch.setenv("PGDATABASE", "landing")
    return of_target("postgres")


def test_postgres_has_one_run_at_a_time(landing: Destination) -> None:
    """A second run says who holds the database; the lock ends with its holder."""
    with (
        landing.lock(),
        pytest.raises(DestinationError, match=r"another run .* rep-ai \d+ on .*wait until"),
        of_target("postgres").lock(),
    ):
        pass
    with of_target("postgres").lock():
        pass


def test_postgres_forgets_loads_that_never_completed(landing: Destination, tmp_path: Path) -> None:
    """Their rows go, and their files land again."""
    (tmp_path / "1.json").write_bytes(next(hostile_dumps()))

    def run() -> tuple[int, list[tuple[int, int]]]:
        with landing.lock():
            loaded = len(ingest([str(tmp_path)], landing, schema=RAW_SCHEMA).loaded)
        with closing(landing.connect()) as connection:
            cursor = connection.cursor()
            counts = []
            for table in TABLES:
                cursor.execute(
                    f"select count(*), count(distinct _dlt_load_id) from {RAW_SCHEMA}.{table}"
                )
                counts.append(cursor.fetchone())
        return loaded, counts

    loaded, counts = run()
    assert loaded == 1
    assert run() == (0, counts)
    with closing(landing.connect()) as connection:
        connection.cursor().execute(f"delete from {RAW_SCHEMA}._dlt_loads")
    assert run() == (1, counts)


# ------------------------------------------------------------------- drawn histories, many a second


@dataclass(frozen=True)
class Sql:
    """What dbt makes of the project for one engine."""

    project: Compiled
    macros: dict[str, str]


MACROS = {
    "functions": "rep_ai_create_functions()",
    "json_text": "rep_ai_json_text('cases.value', 'email')",
    "member": "rep_ai_member('cases.value', 'email')",
    "without": "rep_ai_without('cases.value', ['email', 'note'])",
    "timestamp": "rep_ai_time('cast(cases.value as text)')",
    "difference": (
        f"rep_ai_seconds_between(rep_ai_time('cast({FIRST_TIME} as text)'), "
        "rep_ai_time('cast(cases.value as text)'))"
    ),
    "seconds": "rep_ai_seconds('cases.value')",
    "date": "rep_ai_local_date(rep_ai_time('cast(cases.value as text)'))",
    "code_point": "rep_ai_by_code_point('cases.value')",
    "first": "rep_ai_first_known('cases.value', 'cases.position')",
    "last": "rep_ai_last_known('cases.value', 'cases.position')",
}


@pytest.fixture(scope="module")
def compiled(
    environments: dict[str, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[dict[str, Sql], Any]]:
    """The project's SQL for each engine, and a connection to an empty PostgreSQL database."""
    with connected(environments["postgres"]) as connection:
        connection.cursor().execute("create database drawn")
    folder = tmp_path_factory.mktemp("compiled")
    server = {name: value for name, value in environments["postgres"].items() if name[:2] == "PG"}
    own = {
        target: variables_of(target, folder, {**server, "PGDATABASE": "drawn"})
        for target in ENGINES
    }
    options = ["--vars", VARIABLES]
    models = {t: dbt("compile", *options, "--select", "resource_type:model", target=t) for t in own}
    for code, said in together(models, own).values():
        assert code == 0, said
    projects = {target: manifest(own[target]) for target in own}
    calls = "\n---\n".join(f"{{{{ {call} }}}}" for call in MACROS.values())
    options += ["--output", "json", "--inline", calls]
    macros = together({t: dbt("compile", *options, target=t) for t in own}, own)
    sql = {}
    for target, (code, said) in macros.items():
        assert code == 0, said
        texts = json.loads(said)["compiled"].split("\n---\n")
        sql[target] = Sql(projects[target], dict(zip(MACROS, texts, strict=True)))
    with connected(own["postgres"]) as connection:
        connection.autocommit = False
        yield sql, connection


def spelled_rows(rows: list[dict[str, Any]]) -> Counter[str]:
    """Rows as text in which types show."""
    return Counter(
        ", ".join(f"{name}={spelled(value)}" for name, value in row.items()) for row in rows
    )


class PostgresDatabase:
    """What marts.Database is, on PostgreSQL: nothing stays behind a build."""

    def __init__(self, sql: Sql, connection: Any) -> None:
        """Make what does not change: schemas, seeds and what macros need."""
        self._project = sql.project
        self._connection = connection
        with connection, connection.cursor() as cursor:
            schemas = {m.relation.split(".")[1] for m in sql.project.models}
            for schema in sorted(schemas | {f'"{RAW_SCHEMA}"'}):
                cursor.execute(f"create schema {schema}")
            cursor.execute(sql.macros["functions"])
            for name, relation in sql.project.seeds.items():
                rows = pa.Table.from_pylist(seed_rows(name))
                self._create(cursor, relation, rows)

    def _create(self, cursor: Any, relation: str, rows: pa.Table) -> None:
        columns = [f'"{field.name}" {POSTGRES_TYPES[field.type]}' for field in rows.schema]
        cursor.execute(f"create table {relation} ({', '.join(columns)})")
        values = [tuple(row.values()) for row in rows.to_pylist()]
        execute_values(cursor, f"insert into {relation} values %s", values)

    def build(self, raw: Mapping[str, pa.Table]) -> dict[str, list[dict[str, Any]]]:
        """Build all models on some raw tables and read the marts."""
        with self._connection.cursor() as cursor:
            try:
                for name, rows in raw.items():
                    self._create(cursor, f"{RAW_SCHEMA}.{name}", rows)
                for model in self._project.models:
                    cursor.execute(f"create {model.kind} {model.relation} as {model.sql}")
                return {
                    mart.name: list(self._rows(cursor, mart.relation))
                    for mart in self._project.marts
                    if mart.name not in PARSED
                }
            finally:
                self._connection.rollback()

    def _rows(self, cursor: Any, relation: str) -> Iterator[dict[str, Any]]:
        cursor.execute(f"select * from {relation}")
        names = [column[0] for column in cursor.description]
        for values in cursor.fetchall():
            yield dict(zip(names, values, strict=True))


ARROW_TYPES = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "timestamptz": pa.timestamp("us", "UTC"),
    "timestamp": pa.timestamp("us"),
    "boolean": pa.bool_(),
}
POSTGRES_TYPES = {arrow_type: kind for kind, arrow_type in ARROW_TYPES.items()}


@pytest.fixture(scope="module")
def databases(compiled: tuple[dict[str, Sql], Any]) -> Iterator[tuple[Database, PostgresDatabase]]:
    """Both engines, ready to build on raw tables."""
    sql, connection = compiled
    with Database(sql["dev"].project) as database:
        yield database, PostgresDatabase(sql["postgres"], connection)


@settings(max_examples=EXAMPLES // 2)
@given(buckets=st.lists(histories(), min_size=1, max_size=2))
def test_drawn_histories_are_equal(
    databases: tuple[Database, PostgresDatabase], buckets: list[list[Delivery]]
) -> None:
    """Histories that look for trouble, one or two in a bucket."""
    with TemporaryDirectory() as folder:
        raw = land([Load(deliveries) for deliveries in buckets], Path(folder))
    built, other = (database.build(raw) for database in databases)
    assert built.keys() == other.keys()
    for row in (*built["dim_rep_ai__visitors"], *other["dim_rep_ai__visitors"]):
        if engines_may_differ(str(row["custom_metadata"])):
            row |= {"display_name": None, "email": None}
    for name in built:
        assert spelled_rows(built[name]) == spelled_rows(other[name]), name


# ----------------------------------------------------------------------------------------- macros


@pytest.fixture(scope="module")
def evaluate(
    databases: tuple[Database, PostgresDatabase], compiled: tuple[dict[str, Sql], Any]
) -> Iterator[Callable[..., list[list[Any]]]]:
    """Evaluate a macro on some values, on each engine."""
    sql, connection = compiled
    with duckdb.connect(":memory:") as other:

        def evaluated(macro: str, kind: str, values: Sequence[Any]) -> list[list[Any]]:
            rows = list(enumerate(values))
            query = f"select {{}} from cases {'' if macro in AGGREGATES else 'order by position'}"
            columns = pa.table(
                {"position": range(len(rows)), "value": pa.array(values, ARROW_TYPES[kind])}
            )
            other.register("columns_of_cases", columns)
            other.execute("create or replace table cases as from columns_of_cases")
            results = other.execute(query.format(sql["dev"].macros[macro])).fetchall()
            with connection.cursor() as cursor:
                cursor.execute(f"create temporary table cases (position bigint, value {kind})")
                execute_values(cursor, "insert into cases values %s", rows)
                cursor.execute(query.format(sql["postgres"].macros[macro]))
                other_results = cursor.fetchall()
                connection.rollback()
            return [[row[0] for row in results], [row[0] for row in other_results]]

        yield evaluated


AGGREGATES = ("first", "last")
# what texts of metadata may be made of where it matters to engines
ESCAPES = ("\\u0000", "\\uD83D", "\\ude00", "\\\\", "u0000", "ud83d", "x", "\ufdd0")
PIECES = (
    *ESCAPES,
    *("\\ud83d\\ude00", "\\u0041", "\\ufdd0", "\\n", '\\"', "\\/", "\U0001f600", "'", "%s", ""),
    # no JSON by themselves
    *("\\", '"', "\n", "\x01", "\\v", "{", "}", ",", ":"),
)
VALUES = (
    *("1", "-0", "1e400", "1.10", "true", "null", "{}", "[]", '"x"', '""', '{"email":"no"}'),
    *('["x", "y"]', '[{"email":"no"},["\\u0000"]]', '{"\\ud83d":[1 , "," ]}', '"in, ]NaN,}"'),
    # no JSON by themselves
    *("NaN", "Infinity", "-inf", "nan", "01", "1.", "[1,]", '["x",\n]', "nul", "'x'", "", "//"),
)
AROUND = ("", " \n\r\t", "\ufeff", "\xa0", "[", "]", "{", "}", ",", "\x01", "\\u0000", "//")


def metadata_texts() -> Iterator[str]:
    """Texts that are, or nearly are, JSON objects with an email address."""
    for body in map("".join, chain(product(ESCAPES, repeat=3), product(PIECES, repeat=2))):
        yield f'{{"email":"{body}"}}'
        yield f'{{"email":"x@y","note":"{body}"}}'
        yield f'{{"{body}":1,"email":"x@y"}}'
    for value, other in product(VALUES, repeat=2):
        yield f'{{"note": {value}, "email": {other}}}'
        yield f'{{"email": {value}, "email": {other}}}'
    for before, after in product(AROUND, repeat=2):
        yield f'{before}{{"email":"x@y"}}{after}'
        yield f'{before}"email":"x@y"{after}'
    yield f'{{"email":"x@y","note":{"[" * 200}{"]" * 200}}}'
    yield '{"email":"' + "x" * 1_000_000 + '","note":"' + "\\\\\\u0000" * 1000 + '"}'
    yield '{"\\u0065mail":"x@y","Email":"no","email ":"no"}'


def test_json_text(evaluate: Callable[..., list[list[Any]]]) -> None:
    """What a Python reading finds, whatever the text."""
    texts = [None, *dict.fromkeys(metadata_texts())]
    wanted = [from_metadata(text, "email") for text in texts]
    assert len(set(wanted)) > 100
    for found in evaluate("json_text", "text", texts):
        unequal = [each for each in zip(texts, found, wanted, strict=True) if each[1] != each[2]]
        assert [each for each in unequal if not engines_may_differ(str(each[0]))] == []


def unlisted_texts() -> Iterator[str]:
    """What `_extra` may be: an object as the landing writes it, of any members."""
    values = (
        *VALUES[:18],
        "1e2",
        "-0.0",
        "12345678901234567890123",
        '[1.10,{"a":1e2}]',
        '"\\u00e9"',
    )
    for value, other in product(values, repeat=2):
        yield f'{{"email":{value},"note":{other},"other":{other}}}'
        yield f'{{"other":{{"email":{value},"note":[{other}]}}}}'
    for body in map("".join, product((*PIECES[:8], '\\"email\\":1', "1.0"), repeat=2)):
        yield f'{{"email":"{body}","note":"{body}","z":"{body}"}}'
        yield f'{{"a":"{body}"}}'


def test_members_as_they_were_written(evaluate: Callable[..., list[list[Any]]]) -> None:
    """Numbers digit for digit, nested values but for white space; what cannot be read is none."""
    drawn = dict.fromkeys(unlisted_texts())
    texts = [None, *(t for t in drawn if is_json(t) and not engines_may_differ(t))]
    objects = [members(text) for text in texts]
    wanted = [as_text(each.get("email")) for each in objects]
    found = evaluate("member", "text", texts)
    assert len(set(wanted)) > 20
    for values in found:
        pairs = zip(
            texts, map(canonical_or_none, values), map(canonical_or_none, wanted), strict=True
        )
        assert [each for each in pairs if each[1] != each[2]] == []
    for values in evaluate("without", "text", texts):
        for text, each, value in zip(texts, objects, values, strict=True):
            left = {name: member for name, member in each.items() if name not in ("email", "note")}
            assert canonical_or_none(value) == canonical_or_none(object_text(left)), text


def is_json(text: str) -> bool:
    """Whether a text is JSON."""
    return read_json(text) is not None


def canonical_or_none(text: str | None) -> str | None:
    """The canonical spelling of a JSON text, None of none."""
    return None if text is None else canonical_json(text)


moments = st.integers(FIRST_TIME, AFTER_LAST_TIME - 1) | st.sampled_from(
    [FIRST_TIME, AFTER_LAST_TIME - 1, NOON, *(NOON - 4 * HOUR - 1 + n for n in range(3))]
)


@given(values=st.lists(moments | st.none(), max_size=50))
def test_times(evaluate: Callable[..., list[list[Any]]], values: list[int | None]) -> None:
    """Exact to the millisecond, and of the right day."""
    zone = ZoneInfo(TIMEZONE)

    wanted: dict[str, Callable[[int], Any]] = {
        "timestamp": timestamp,
        "difference": lambda value: seconds(timedelta(milliseconds=value - FIRST_TIME)),
        "seconds": lambda value: seconds(timedelta(milliseconds=value)),
        "date": lambda value: datetime.fromtimestamp(value // 1000, zone).date(),
    }
    for macro, meaning in wanted.items():
        expected = [None if value is None else meaning(value) for value in values]
        for found in evaluate(macro, "bigint", values):
            assert repr(found) == repr(expected), macro


@given(values=st.lists(st.sampled_from(HOSTILE_IDS) | st.none(), max_size=5))
def test_order(evaluate: Callable[..., list[list[Any]]], values: list[str | None]) -> None:
    """The first and the last that is known."""
    known = [value for value in values if value is not None]
    for found in evaluate("first", "text", values):
        assert found == [known[0] if known else None]
    for found in evaluate("last", "text", values):
        assert found == [known[-1] if known else None]
