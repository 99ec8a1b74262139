"""Histories that are delivered bit by bit, and what may happen to a warehouse meanwhile.

`plan_of(seed)` makes a plan: steps, each of which lands files, changes settings or does harm, and
all of which can be played without the ones before. `Replay` plays them on two warehouses: one is
built upon what it holds, one anew from nothing, and after each step their marts must be equal, and
equal to the oracle's. Nothing here knows what a model looks like inside.
"""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import yaml
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning

from dumps import DAY, HOUR
from histories import (
    BREAKAGES,
    IDS,
    STARTS,
    STYLES,
    VERSIONS,
    Arr,
    Node,
    Num,
    Obj,
    Window,
    broken,
    document_bytes,
    dumps,
    revisions,
    sample,
    with_member,
)
from marts import difference, environment, known_types
from oracle import Delivery, Row, marts
from oracle.dumps import KIND, read_dump, version_key
from processes import PROCESSES, PROJECT, call, fork, let_go, settle

# ------------------------------------------------------------------------------------------- plans


@dataclass(frozen=True)
class File:
    """A file as it arrives; a name that is there already is overwritten."""

    name: str
    content: bytes = field(repr=False)
    modified_at: datetime


@dataclass(frozen=True)
class Deliver:
    """Files arrive, and a run lands them."""

    files: tuple[File, ...]
    killed_after_ms: int | None = None  # a run before that one is killed

    def __str__(self) -> str:
        """Names and versions."""
        killed = "" if self.killed_after_ms is None else f", killed after {self.killed_after_ms} ms"
        return f"land {', '.join(file.name for file in self.files)}{killed}"


@dataclass(frozen=True)
class Change:
    """Settings from now on."""

    variables: Mapping[str, object] = field(default_factory=dict)
    types: Mapping[str, Sequence[str]] = field(default_factory=dict)  # kind -> types in the seed

    def __str__(self) -> str:
        """What is set."""
        return f"set {dict(self.variables) or ''}{dict(self.types) or ''}"


@dataclass(frozen=True)
class Harm:
    """Something that happens to the incremental warehouse between two builds."""

    kind: str
    choice: float = 0.0  # which of those that it may happen to, from 0 up to 1
    delay_ms: int = 0

    def __str__(self) -> str:
        """What, and what tells it from others of its kind."""
        return f"{self.kind} ({self.choice:.3f}, {self.delay_ms} ms)"


@dataclass(frozen=True)
class Retire:
    """A delivery is taken out of the marts, or comes back."""

    choice: float  # from 0 up to 1: below a half one comes out, above it one that is out comes back

    def __str__(self) -> str:
        """Which."""
        return f"retire or restore ({self.choice:.3f})"


Operation: TypeAlias = Deliver | Change | Harm | Retire


@dataclass(frozen=True)
class Step:
    """What happens between two whole builds."""

    name: str
    operations: tuple[Operation, ...]

    def __str__(self) -> str:
        """One line."""
        return f"{self.name}: {'; '.join(map(str, self.operations)) or 'nothing'}"


@dataclass
class Sent:
    """A document that was delivered."""

    name: str
    document: Obj
    version: str
    modified_at: datetime


BASE = datetime(2026, 6, 1)  # after the last night that any plan delivers
EMPTY: dict[str, Node] = {name: Obj(()) if kind is dict else Arr(()) for name, kind in KIND.items()}
# nights 0, 1 and 3, and one a month later: what lies between comes late, or never
FIRST_NIGHTS = (0, 1, 3, 34)
LEAST_BYTES = 30_000  # Hypothesis begins with plans in which next to nothing is drawn
SHARED_IDS = 4  # ids that a night has with others, half of them with the next one


class Author:
    """Draws the deliveries of one history, each in the light of those before."""

    def __init__(self, draw: st.DrawFn) -> None:
        """Draw what all nights share."""
        self._draw = draw
        self._start = sample(draw, STARTS)
        self._ids = draw(st.permutations(IDS))
        self._sent: dict[Window, list[Sent]] = {}
        self._nights = set(FIRST_NIGHTS)
        self._files = 0

    # what is there

    def _window(self, night: int) -> Window:
        return self._start + night * DAY, self._start + (night + 1) * DAY

    def _some_window(self) -> Window:
        return sample(self._draw, list(self._sent))

    def _full_window(self) -> Window:
        """A window that loses something when it is delivered again."""

        def entries(window: Window) -> int:
            return sum(
                len(value.members) if isinstance(value, Obj) else len(value.items)
                for name, value in self._current(window).document.members
                if name in KIND and isinstance(value, Obj | Arr)
            )

        fullest = sorted(self._sent, key=entries, reverse=True)
        return sample(self._draw, fullest[: len(fullest) // 2])

    def _current(self, window: Window) -> Sent:
        return max(self._sent[window], key=lambda s: (version_key(s.version), s.modified_at))

    def _ids_of(self, window: Window) -> list[str]:
        """Ids of a night: some its alone, some that its neighbours have too, and one of any."""
        night = (window[0] - self._start) // DAY
        places = [(SHARED_IDS // 2 * night + n) % len(IDS) for n in range(SHARED_IDS)]
        shared = [self._ids[place] for place in places]
        own = [f"{night}{letter}" for letter in "abc"]
        return [*dict.fromkeys([*own, *shared, sample(self._draw, self._ids)])]

    def _times(self) -> tuple[datetime, datetime]:
        """Modification times before and after all others."""
        self._files += 1
        return BASE - timedelta(minutes=self._files), BASE + timedelta(minutes=self._files)

    # what comes

    def _send(
        self, window: Window, document: Obj, version: str, modified_at: datetime, name: str = ""
    ) -> File:
        night = (window[0] - self._start) / DAY
        name = name or f"{self._files:02} night {night:g} version {version}.json"
        document = with_member(document, "version", version)
        self._sent.setdefault(window, []).append(Sent(name, document, version, modified_at))
        return File(name, document_bytes(document, sample(self._draw, STYLES)), modified_at)

    def _dump(self, window: Window) -> File:
        windows = sorted({*self._sent, window})
        document = self._draw(dumps(window, windows, self._ids_of(window), scale=2))
        return self._send(window, document, sample(self._draw, VERSIONS), self._times()[1])

    def _night(self, night: int) -> File:
        self._nights.add(night)
        return self._dump(self._window(night))

    def _next(self, ahead: int = 1) -> File:
        return self._night(max(self._nights) + ahead)

    def _revised(self, window: Window) -> Obj:
        document = self._current(window).document
        return self._draw(revisions(document, window, list(self._sent), self._ids_of(window)))

    def first(self) -> list[list[File]]:
        """What there is at the first build."""
        return [[self._dump(self._window(night)) for night in FIRST_NIGHTS]]

    # what may come later: for each build the files of each run

    def next_night(self) -> list[list[list[File]]]:
        """The usual."""
        return [[[self._next()]]]

    def several_nights(self) -> list[list[list[File]]]:
        """A run that was left out for some days."""
        return [[[self._next(), self._next(), self._next()]]]

    def two_runs(self) -> list[list[list[File]]]:
        """Nights that land one after the other without a build in between."""
        return [[[self._next()], [self._next()]]]

    def night_left_out(self) -> list[list[list[File]]]:
        """A gap opens."""
        return [[[self._next(ahead=2)]]]

    def gap_closes(self) -> list[list[list[File]]]:
        """The one missing night between two; opened first where there is none."""
        gaps = [n + 1 for n in self._nights if n + 1 not in self._nights and n + 2 in self._nights]
        if gaps:
            return [[[self._night(sample(self._draw, sorted(gaps)))]]]
        opened = [[self._next(ahead=2)]]
        return [opened, [[self._night(max(self._nights) - 1)]]]

    def month_late(self) -> list[list[list[File]]]:
        """A night 30 days before the last one."""
        return [[[self._night(max(set(range(max(self._nights) - 29)) - self._nights))]]]

    def before_all(self) -> list[list[list[File]]]:
        """A night before all others."""
        return [[[self._night(min(self._nights) - 1)]]]

    def empty_night(self) -> list[list[list[File]]]:
        """A night in which nothing was."""
        night = max(self._nights) + 1
        self._nights.add(night)
        start, end = self._window(night)
        head = (("start_time", Num(str(start))), ("end_time", Num(str(end))))
        document = Obj((*head, *EMPTY.items()))
        return [[[self._send((start, end), document, "1.0.0", self._times()[1])]]]

    def higher_version(self) -> list[list[list[File]]]:
        """A night replaced."""
        window = self._full_window()
        version = f"1.200000000000000000000.{self._files}"
        return [[[self._send(window, self._revised(window), version, self._times()[0])]]]

    def emptied_by_version(self) -> list[list[list[File]]]:
        """A night replaced by one in which nothing was."""
        window = self._full_window()
        document = self._current(window).document
        for name, nothing in EMPTY.items():
            document = with_member(document, name, nothing)
        version = f"1.200000000000000000000.{self._files}"
        return [[[self._send(window, document, version, self._times()[0])]]]

    def lower_version(self) -> list[list[list[File]]]:
        """A version that is not current from the start."""
        window = self._some_window()
        version = f"1.0.0-{self._files}"
        return [[[self._send(window, self._revised(window), version, self._times()[1])]]]

    def equal_version(self) -> list[list[list[File]]]:
        """The same version, current because it is newer."""
        window = self._full_window()
        version = self._current(window).version
        return [[[self._send(window, self._revised(window), version, self._times()[1])]]]

    def copy_turns_the_tables(self) -> list[list[list[File]]]:
        """The same version, older; then a newer copy of it, which makes it the current one."""
        window = self._full_window()
        version = self._current(window).version
        old, new = self._times()
        file = self._send(window, self._revised(window), version, old)
        self._sent[window][-1].modified_at = new
        return [[[file]], [[File(f"{self._files:02} copy.json", file.content, new)]]]

    def same_again(self) -> list[list[list[File]]]:
        """What was there already, under another name, older: no change at all."""
        window = self._some_window()
        file = self._dump(window)
        return [[[file]], [[File(f"{self._files:02} again.json", file.content, self._times()[0])]]]

    def overwritten(self) -> list[list[list[File]]]:
        """A file replaced in its place by a version that counts."""
        window = self._full_window()
        sent = self._current(window)
        version = f"1.200000000000000000000.{self._files}"
        document = self._revised(window)
        return [[[self._send(window, document, version, self._times()[1], sent.name)]]]

    def overlapping(self) -> list[list[list[File]]]:
        """A window that lies across others."""
        start, end = self._some_window()
        half = (end - start) // 2
        windows = ((start + half, end + half), (start, end + HOUR), (start - HOUR, end + HOUR))
        return [[[self._dump(sample(self._draw, windows))]]]

    def broken_file(self) -> list[list[list[File]]]:
        """A file that is rejected, beside a good one."""
        good = self._next()
        window = self._some_window()
        content = broken(self._current(window).document, sample(self._draw, BREAKAGES))
        return [[[good, File(f"{self._files:02} broken.json", content, self._times()[1])]]]

    def nothing(self) -> list[list[list[File]]]:
        """A build with nothing new."""
        return [[]]


ARRIVALS: tuple[Callable[[Author], list[list[list[File]]]], ...] = (
    Author.next_night,
    Author.several_nights,
    Author.two_runs,
    Author.night_left_out,
    Author.gap_closes,
    Author.month_late,
    Author.before_all,
    Author.empty_night,
    Author.higher_version,
    Author.emptied_by_version,
    Author.lower_version,
    Author.equal_version,
    Author.copy_turns_the_tables,
    Author.same_again,
    Author.overwritten,
    Author.overlapping,
    Author.broken_file,
    Author.nothing,
)
# a history meets every other one of the changes and of the harms
CHANGES = (
    Change(variables={"rep_ai_include_unknown_types": True}),
    Change(variables={"rep_ai_timezone": "America/Chicago"}),
    Change(variables={"rep_ai_include_unknown_types": False}),
    Change(variables={"rep_ai_include_unknown_types": True, "rep_ai_timezone": "Asia/Kolkata"}),
    Change(types={"action": ("PAGE_VIEW", "REQUESTED_HELP", "ALERT", "SCROLLED")}),
    Change(types={"action": ("PAGE_VIEW", "SCROLLED"), "interaction": ("TAKEOVER",)}),
    Change(types={"interaction": ("TAKEOVER", "ALERT")}),
    Change(types={"interaction": ("TAKEOVER", "VIDEO", "ALERT", "PROACTIVE_CALL")}),
)
HARMS = (
    "build killed",
    "test fails in the middle",
    "landing killed",
    "build of the sessions alone",
    "build of staging and intermediate alone",
    "build of the days alone",
    "build of one model alone",
    "build of one model and what it needs",
    "builds of parts",
    "full refresh of one intermediate model",
    "full refresh of all",
    "violations fail the build",
    "mart dropped",
    "seeds alone",
    "build with all data tests",
)


@st.composite
def plans(draw: st.DrawFn, changes: Sequence[Change], harms: Sequence[str]) -> list[Step]:
    """A history in which all comes to pass that may, in any order."""
    author = Author(draw)
    steps = [Step("first build", (Deliver(tuple(author.first()[0])),))]
    for arrival in draw(st.permutations(ARRIVALS)):
        name = arrival.__name__.replace("_", " ")
        for build in arrival(author):
            step = Step(name, tuple([Deliver(tuple(files)) for files in build]))
            # mostly two things come together, which is faster, and worse
            last = steps[-1]
            pairs = draw(st.integers(0, 5)) > 0 and len(steps) > 1 and " + " not in last.name
            if pairs and step.operations and last.operations:
                steps.pop()
                step = Step(f"{last.name} + {name}", (*last.operations, *step.operations))
            steps.append(step)
    # the first build is whole, so that all harm has something to harm
    later = range(1, len(steps))
    landing = [place for place in later if steps[place].operations]
    places = draw(st.permutations(later))
    for place, change in zip(places, draw(st.permutations(changes)), strict=False):
        steps[place] = Step(steps[place].name, (*steps[place].operations, change))
    for place, kind in zip(draw(st.permutations(landing)), harms, strict=False):
        harm = Harm(kind, draw(st.integers(0, 999)) / 1000, draw(st.integers(0, 150)))
        steps[place] = harmed(steps[place], harm, comes_first=draw(st.integers(0, 3)) == 0)
    for place in draw(st.permutations(later))[:3]:
        retire = Retire(draw(st.integers(0, 999)) / 1000)
        steps[place] = Step(steps[place].name, (*steps[place].operations, retire))
    return steps


def harmed(step: Step, harm: Harm, *, comes_first: bool) -> Step:
    """A step with harm done to it after its files have landed, or before the last of them."""
    operations = list(step.operations)
    if harm.kind == "landing killed":
        for place, operation in enumerate(operations):
            if isinstance(operation, Deliver):
                operations[place] = Deliver(operation.files, int(harm.choice * 500))
    else:
        operations.insert(max(0, len(operations) - 1) if comes_first else len(operations), harm)
    return Step(f"{step.name} + {harm.kind}", tuple(operations))


def size(plan: Iterable[Step]) -> int:
    """How many bytes a plan delivers."""
    operations = [each for step in plan for each in step.operations if isinstance(each, Deliver)]
    return sum(len(file.content) for each in operations for file in each.files)


@cache
def plan_of(seed: int) -> list[Step]:
    """The plan of a seed, the same for the same version of Hypothesis."""
    with warnings.catch_warnings():
        # plans are long
        warnings.simplefilter("ignore", HypothesisWarning)
        return find(
            plans(CHANGES[seed % 2 :: 2], HARMS[seed % 2 :: 2]),
            lambda plan: size(plan) >= LEAST_BYTES,
            settings=settings(
                phases=[Phase.generate],
                max_examples=100,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
            random=random.Random(seed),
        )


# -------------------------------------------------------------------------------------- processes


@dataclass
class Worker:
    """A process that runs dbt and rep-ai, one command after the other."""

    process: BaseProcess
    connection: Connection

    @classmethod
    def start(cls, variables: dict[str, str], folder: Path) -> Worker:
        """Start one with some environment variables in a folder."""
        ours, theirs = PROCESSES.Pipe()
        process = fork(_work, theirs, variables, str(folder), daemon=True)
        theirs.close()
        return cls(process, ours)


def _work(connection: Connection, variables: dict[str, str], folder: str) -> None:
    """What a worker does: run the commands it is sent, and send back their exit codes."""
    settle(variables, folder)
    while True:
        (program, *arguments), output = connection.recv()
        said = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(said, stream)
        os.close(said)
        try:
            call(program, *arguments)
        except SystemExit as done:
            code = done.code or 0
        let_go()
        connection.send(code)


@dataclass
class Run:
    """A command that a worker is at, or was."""

    command: list[str]
    output: Path
    worker: Worker

    def ends_with(self, *codes: int) -> None:
        """Wait for its end, and fail unless the exit code is one of those."""
        try:
            code = self.worker.connection.recv()
        except (EOFError, ConnectionResetError):
            self.worker.process.join()
            code = self.worker.process.exitcode
        assert code in codes, f"{self.command} ended with {code}:\n{self.output.read_text()}"

    def kill(self, lines: int, delay_ms: int) -> bool:
        """Kill it a moment after it has said so many lines; whether it lived that long."""
        while self.output.read_bytes().count(b"\n") < lines:
            if self.worker.connection.poll(0.001):
                break
        time.sleep(delay_ms / 1000)
        self.worker.process.kill()
        self.worker.process.join()
        try:
            self.worker.connection.recv()
        except (EOFError, ConnectionResetError):
            return True
        return False


# -------------------------------------------------------------------------------------- warehouses

NO_TESTS = ("--exclude-resource-type", "test")
Table: TypeAlias = "tuple[tuple[tuple[str, str], ...], Counter[tuple[Any, ...]]]"


class Warehouse:
    """A database that dumps are landed in and that dbt builds."""

    def __init__(self, folder: Path, project: Path, variables: Mapping[str, str]) -> None:
        """Nothing is made yet.

        Args:
            folder: for the database, and all that dbt leaves.
            project: the dbt project.
            variables: environment variables that choose another engine than DuckDB.
        """
        folder.mkdir()
        self._folder = folder
        self.project = project
        self._environment = {**environment(folder), **variables}
        self.database = Path(self._environment["REP_AI_DUCKDB"])
        self.is_duckdb = self._environment["REP_AI_TARGET"] == "dev"
        self._runs = 0
        self._worker: Worker | None = None

    def start(self, *command: str) -> Run:
        """Start dbt or rep-ai."""
        if self._worker is None or not self._worker.process.is_alive():
            self._worker = Worker.start(self._environment, self.project)
        self._runs += 1
        output = self._folder / f"{self._runs:03} {' '.join(command[:2])}.log"
        output.touch()
        self._worker.connection.send((list(command), str(output)))
        return Run(list(command), output, self._worker)

    def stop(self) -> None:
        """Let go of the database."""
        if self._worker is not None:
            self._worker.process.kill()
            self._worker.process.join()

    def ingest(self, dumps: Path) -> Run:
        """Start to land all files of a folder."""
        return self.start("rep-ai", "ingest", str(dumps))

    def dbt(self, command: str, *arguments: str, variables: Mapping[str, object]) -> Run:
        """Start dbt."""
        quiet = ("--no-use-colors", "--log-level-file", "none", "--profiles-dir", ".")
        options = ("--vars", json.dumps(dict(variables)), "--threads", "2", *quiet)
        return self.start("dbt", command, *arguments, *options)

    def models(self) -> list[dict[str, Any]]:
        """The models of the last manifest, by name."""
        path = Path(self._environment["DBT_TARGET_PATH"]) / "manifest.json"
        nodes = json.loads(path.read_text(encoding="utf-8"))["nodes"].values()
        models = [node for node in nodes if node["resource_type"] == "model"]
        return sorted(models, key=lambda node: str(node["name"]))

    def marts(self) -> list[str]:
        """The names of all models in the public schema."""
        return [
            model["alias"]
            for model in self.models()
            if model["schema"] == "rep_ai" and model["config"]["materialized"] != "ephemeral"
        ]

    def statuses(self) -> Counter[str]:
        """How many nodes of the last dbt command met which fate."""
        path = Path(self._environment["DBT_TARGET_PATH"]) / "run_results.json"
        results = json.loads(path.read_text(encoding="utf-8"))["results"]
        return Counter(result["status"] for result in results)

    def _connect(self) -> Any:
        if self.is_duckdb:
            return duckdb.connect(str(self.database))
        return postgres_connection(self._environment)

    def execute(self, statement: str) -> None:
        """Run a statement."""
        with closing(self._connect()) as connection:
            connection.cursor().execute(statement)

    def tables(self, marts: Iterable[str]) -> dict[str, Table]:
        """Names and types of the columns of some marts, and their rows."""
        tables: dict[str, Table] = {}
        with closing(self._connect()) as connection:
            cursor = connection.cursor()
            # a DuckDB file may be called as the schema is
            cursor.execute("select current_database()")
            (database,) = cursor.fetchone()
            for mart in marts:
                cursor.execute(f'select * from "{database}".rep_ai.{mart}')
                columns = tuple((column[0], str(column[1])) for column in cursor.description)
                tables[mart] = columns, Counter(map(tuple, cursor.fetchall()))
        return tables

    def rows(self, marts: Iterable[str]) -> dict[str, list[Row]]:
        """The rows of some marts, as the oracle has them."""
        return {
            mart: [
                dict(zip((name for name, _ in columns), row, strict=True))
                for row in rows.elements()
            ]
            for mart, (columns, rows) in self.tables(marts).items()
        }


def postgres_connection(variables: Mapping[str, str], database: str | None = None) -> Any:
    """A connection to the PostgreSQL server that the variables lead to."""
    import psycopg2

    connection = psycopg2.connect(
        host=variables["PGHOST"],
        port=variables["PGPORT"],
        user=variables["PGUSER"],
        password=variables["PGPASSWORD"],
        dbname=database or variables["PGDATABASE"],
    )
    connection.autocommit = True
    return connection


SHOWN = 10  # rows of each kind
SIDES = ("incremental", "refreshed")


def unequal(one: Warehouse, other: Warehouse, names: Sequence[str]) -> tuple[list[str], int]:
    """What tells the marts of two warehouses apart, and how many rows were compared."""
    if one.is_duckdb:
        with duckdb.connect(":memory:") as connection:
            for side, warehouse in zip(SIDES, (one, other), strict=True):
                connection.execute(f"attach '{warehouse.database}' as {side} (read_only)")
            return unequal_tables(connection, names)
    lines: list[str] = []
    count = 0
    other_tables = other.tables(names)
    for mart, (columns, rows) in one.tables(names).items():
        other_columns, other_rows = other_tables[mart]
        if columns != other_columns:
            lines.append(f"{mart}: columns {columns} and {other_columns}")
        for side, surplus in zip(SIDES, (rows - other_rows, other_rows - rows), strict=True):
            lines += [f"{mart}: only {side}: {row}" for row in list(surplus.elements())[:SHOWN]]
        count += rows.total()
    return lines, count


def unequal_tables(connection: Any, names: Iterable[str]) -> tuple[list[str], int]:
    """The same for two attached DuckDB files, `incremental` and `refreshed`."""
    lines: list[str] = []
    count = 0
    for mart in names:
        columns = [
            connection.execute(f"describe {side}.rep_ai.{mart}").fetchall() for side in SIDES
        ]
        if columns[0] != columns[1]:
            lines.append(f"{mart}: columns {columns[0]} and {columns[1]}")
            continue
        for side, other in (SIDES, SIDES[::-1]):
            surplus = connection.execute(
                f"select * from {side}.rep_ai.{mart} except all select * from {other}.rep_ai.{mart}"
            )
            named = [column[0] for column in surplus.description]
            for row in surplus.fetchmany(SHOWN):
                lines.append(f"{mart}: only {side}: {dict(zip(named, row, strict=True))}")
        count += connection.execute(f"select count(*) from incremental.rep_ai.{mart}").fetchone()[0]
    return lines, count


# ------------------------------------------------------------------------------------------ replay


class UnequalError(AssertionError):
    """The marts are not what they should be after a step."""


class Replay:
    """Plays the steps of a plan."""

    def __init__(self, folder: Path, variables: Sequence[Mapping[str, str]] = ({}, {})) -> None:
        """Copy the project, and make room for two databases.

        Args:
            folder: where all of it goes.
            variables: environment variables for each of the two.
        """
        self._project = copy_project(folder / "project")
        self._dumps = folder / "dumps"
        self._dumps.mkdir()
        self.incremental = Warehouse(folder / "incremental", self._project, variables[0])
        self.refreshed = Warehouse(folder / "refreshed", self._project, variables[1])
        self._deliveries: list[Delivery] = []
        self._retired: set[str] = set()
        self._variables: dict[str, object] = {}
        self.counts: Counter[str] = Counter()

    def stop(self) -> None:
        """Let go of both databases."""
        self.incremental.stop()
        self.refreshed.stop()

    def play(self, step: Step) -> None:
        """Do what a step says, build both warehouses and compare them.

        Raises:
            UnequalError: what differs.
        """
        for operation in step.operations:
            match operation:
                case Deliver():
                    self._deliver(operation)
                case Change():
                    self._variables |= operation.variables
                    for kind, types in operation.types.items():
                        write_types(self._project, kind, types)
                case Harm():
                    self._harm(operation)
                case Retire():
                    self._retire(operation.choice)
        runs = [
            self._dbt("build", *NO_TESTS),
            # nobody reads what dbt would write beside the tables
            self.refreshed.dbt(
                "build",
                *("--full-refresh", "--no-write-json", *NO_TESTS),
                variables=self._variables,
            ),
        ]
        for run in runs:
            run.ends_with(0)
        self.compare()
        self.counts["steps"] += 1

    def compare(self) -> None:
        """Compare the marts of both warehouses with each other and with the oracle's.

        Raises:
            UnequalError: what differs.
        """
        names = self.incremental.marts()
        lines, count = unequal(self.incremental, self.refreshed, names)
        wanted = marts(
            # what is retired is as if it had never come
            [d for d in self._deliveries if sha256(d.content).hexdigest() not in self._retired],
            **known_types(self._project),
            include_unknown_types=bool(self._variables.get("rep_ai_include_unknown_types")),
            timezone=str(self._variables.get("rep_ai_timezone", "UTC")),
        )
        # a mart that the oracle does not know is not held against it
        assert wanted.keys() <= set(names), f"{sorted(names)} are built, {sorted(wanted)} wanted"
        for side, warehouse in zip(SIDES, (self.incremental, self.refreshed), strict=True):
            for mart, rows in warehouse.rows(wanted).items():
                found = difference({mart: rows}, {mart: wanted[mart]}).splitlines()
                lines += [f"{side} against the oracle: {line}" for line in found[:SHOWN]]
        self.counts["marts compared"] += len(names)
        self.counts["rows compared"] += count
        if lines:
            raise UnequalError("\n".join(lines))

    def _deliver(self, delivery: Deliver) -> None:
        for file in delivery.files:
            path = self._dumps / file.name
            path.write_bytes(file.content)
            moment = int(file.modified_at.replace(tzinfo=UTC).timestamp()) * 1_000_000_000
            os.utime(path, ns=(moment, moment))
            self._deliveries.append(Delivery(file.content, file.modified_at.replace(tzinfo=None)))
        if delivery.killed_after_ms is not None:
            run = self.incremental.ingest(self._dumps)
            self.counts["kills"] += run.kill(0, delivery.killed_after_ms)
        rejected = any(
            read_dump(
                Delivery(
                    path.read_bytes(),
                    datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(tzinfo=None),
                )
            )
            is None
            for path in self._dumps.iterdir()
        )
        for run in [w.ingest(self._dumps) for w in (self.incremental, self.refreshed)]:
            run.ends_with(0, 3 if rejected else 0)
        self.counts["files"] += len(delivery.files)

    def _retire(self, choice: float) -> None:
        loaded = sorted(
            {sha256(d.content).hexdigest() for d in self._deliveries if read_dump(d) is not None}
        )
        if not loaded:
            return
        action = "restore" if self._retired and choice >= 0.5 else "retire"
        among = sorted(self._retired) if action == "restore" else loaded
        delivery_id = among[int(choice * 2 % 1 * len(among))]
        for warehouse in (self.incremental, self.refreshed):
            warehouse.start("rep-ai", action, delivery_id).ends_with(0)
        (self._retired.discard if action == "restore" else self._retired.add)(delivery_id)
        self.counts["retirements"] += 1

    def _dbt(self, command: str, *arguments: str, **variables: object) -> Run:
        self.counts["builds"] += 1
        return self.incremental.dbt(command, *arguments, variables={**self._variables, **variables})

    def _harm(self, harm: Harm) -> None:
        models = self.incremental.models()
        tables = [model for model in models if model["config"]["materialized"] != "view"]
        self.counts["harms"] += 1
        match harm.kind:
            case "build killed":
                # a line before and one after each node, and some around them all
                lines = int(harm.choice * (2 * len(models) + 12))
                killed = self._dbt("build", *NO_TESTS).kill(lines, harm.delay_ms)
                self.counts["kills"] += killed
            case "test fails in the middle":
                needed = {name for model in models for name in model["depends_on"]["nodes"]}
                self._failing_test(
                    chosen([model for model in models if model["unique_id"] in needed], harm)
                )
            case "violations fail the build":
                run = self._dbt("build", rep_ai_violation_severity="error")
                # whether anything is violated is the history's affair
                run.ends_with(0, 1)
                assert not self.incremental.statuses()["error"], run.output.read_text()
            case "build of the sessions alone":
                self._dbt("run", "--select", "fct_rep_ai__sessions").ends_with(0)
            case "build of staging and intermediate alone":
                self._dbt("run", "--select", "staging", "intermediate").ends_with(0)
            case "build of the days alone":
                self._dbt("run", "--select", "rep_ai__daily_activity").ends_with(0)
            case "build of one model alone":
                self._dbt("run", "--select", chosen(tables, harm)["name"]).ends_with(0)
            case "build of one model and what it needs":
                name = chosen(tables, harm)["name"]
                self._dbt("build", *NO_TESTS, "--select", f"+{name}").ends_with(0)
            case "builds of parts":
                pick = random.Random(harm.choice)
                for share in (0.9, 0.1, 0.4):
                    part = [model["name"] for model in tables if pick.random() < share]
                    # dbt takes no selection for all
                    self._dbt("run", "--select", *part or ["int_rep_ai__deliveries"]).ends_with(0)
            case "full refresh of one intermediate model":
                inner = [model for model in tables if "intermediate" in model["fqn"]]
                name = chosen(inner, harm)["name"]
                self._dbt("run", "--full-refresh", "--select", name).ends_with(0)
            case "full refresh of all":
                self._dbt("build", "--full-refresh", *NO_TESTS).ends_with(0)
            case "mart dropped":
                marts_ = [model for model in tables if model["schema"] == "rep_ai"]
                self._drop(chosen(marts_, harm)["alias"])
            case "seeds alone":
                self._dbt("seed").ends_with(0)
            case "build with all data tests":
                self._dbt("build").ends_with(0)
            case _:
                raise ValueError(harm.kind)

    def _failing_test(self, model: dict[str, Any]) -> None:
        """A build that breaks off after one model: what is downstream is skipped."""
        path = self._project / "tests" / "replay_fails.sql"
        # of the project's group, as some models are private to it
        path.write_text(
            "{{ config(group='rep_ai') }}\n"
            f"select 1 as failing -- {{{{ ref('{model['name']}') }}}}\n"
        )
        run = self._dbt("build", "--exclude", "test_type:generic")
        run.ends_with(1)
        statuses = self.incremental.statuses()
        assert statuses["fail"] == 1, run.output.read_text()
        assert statuses["skipped"], run.output.read_text()
        path.unlink()

    def _drop(self, mart: str) -> None:
        database = f'"{self.incremental.database.stem}".' if self.incremental.is_duckdb else ""
        self.incremental.execute(f"drop table {database}rep_ai.{mart}")


def chosen(models: list[dict[str, Any]], harm: Harm) -> dict[str, Any]:
    """The model that harm is done to."""
    return models[int(harm.choice * len(models))]


def copy_project(folder: Path) -> Path:
    """The dbt project's files alone, in a folder where seeds and tests may change.

    Unit tests stay behind: they are not run, and take time to parse.
    """
    folder.mkdir()
    for path in PROJECT.glob("*.yml"):
        shutil.copy(path, folder)
    config = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))
    # dbt warns of a setting that applies to nothing
    del config["unit_tests"]
    (folder / "dbt_project.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    for paths in [value for key, value in config.items() if key.endswith("-paths")]:
        for name in paths:
            if (PROJECT / name).is_dir():
                ignored = shutil.ignore_patterns("python", "fixtures", "*unit_tests.yml", ".*")
                shutil.copytree(PROJECT / name, folder / name, ignore=ignored)
    return folder


def write_types(project: Path, kind: str, types: Iterable[str]) -> None:
    """Let a seed list some types and no others."""
    path = project / "seeds" / f"rep_ai_{kind}_types.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["type", "label", "description"])
        writer.writerows([name, name.capitalize(), f"Called {name}"] for name in types)
