"""Benchmark of ingest: the same documents by other ways, as ratios measured in one run.

Every way is a process of its own, start-up included, on a fresh DuckDB file; ways take turns, and
the best of some turns counts. The time of all cores together ("CPU") tells what a busy machine
blurs. Memory is the greatest anonymous memory of a process and all its
children together, so that a mapped file does not count.

Variables: REP_AI_BENCH_MB, sizes of the documents (400 2000); REP_AI_BENCH_TURNS (3);
REP_AI_BENCH_NIGHTS, files already loaded (4000).
"""

import gzip
import math
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import duckdb
import zstandard
from rich.console import Console
from rich.table import Table

from rep_ai.dump.format import COLLECTIONS
from rep_ai.sample import write_sample

SIZES = [int(size) for size in os.environ.get("REP_AI_BENCH_MB", "400 2000").split()]
TURNS = int(os.environ.get("REP_AI_BENCH_TURNS", "3"))
NIGHTS = int(os.environ.get("REP_AI_BENCH_NIGHTS", "4000"))
SMALL_FILES = 365
DICTS_MB = 40
SESSIONS_PER_MB = 572.5

REP_AI = "import sys; from rep_ai.cli import main; main(['ingest', sys.argv[1]])"

# every column of the raw tables, as plain SQL can fill it; the fastest of the ways tried
READ_JSON = """
import sys, duckdb
from rep_ai.dump.format import COLLECTIONS
connection = duckdb.connect(sys.argv[2])
connection.execute("set enable_progress_bar = false")
types = {"version": "VARCHAR", "start_time": "VARCHAR", "end_time": "VARCHAR"}
types |= {c.name: "MAP(VARCHAR, JSON)" if c.is_object else "JSON[]" for c in COLLECTIONS}
connection.execute(
    f"create temp table document as select * from read_json($1, columns = {types}, "
    "format = 'unstructured', maximum_object_size = 4294967295)", [sys.argv[1]])
for c in COLLECTIONS:
    keys, records = (f"map_{part}({c.name})" if c.is_object else c.name
                     for part in ("keys", "values"))
    key = "nullif(key, record ->> '$.id')" if c.is_object else "null::varchar"
    shape = "{" + ", ".join(f'"{name}": "VARCHAR"' for name in c.fields) + "}"
    nulls = "{" + ", ".join(f'"{name}": null' for name in c.fields) + "}"
    connection.execute(
        f"create table {c.name} as select 'delivery' as _delivery_id, _position, {key} as _key, "
        f"unnest(json_transform(record, '{shape}')), "
        f"nullif(json_merge_patch(record, '{nulls}'), '{{}}') as _extra "
        f"from (select unnest({keys}) as key, unnest({records}) as record, "
        f"unnest(range(len({records}))) as _position from document)")
"""

# the listed fields alone: what is not listed, places and keys are lost
READ_JSON_FIELDS = """
import sys, duckdb
from rep_ai.dump.format import COLLECTIONS
connection = duckdb.connect(sys.argv[2])
connection.execute("set enable_progress_bar = false")
types = {"version": "VARCHAR", "start_time": "VARCHAR", "end_time": "VARCHAR"}
for c in COLLECTIONS:
    record = "STRUCT(" + ", ".join(f"{name} VARCHAR" for name in c.fields) + ")"
    types[c.name] = f"MAP(VARCHAR, {record})" if c.is_object else f"{record}[]"
connection.execute(
    f"create temp table document as select * from read_json($1, columns = {types}, "
    "format = 'unstructured', maximum_object_size = 4294967295)", [sys.argv[1]])
for c in COLLECTIONS:
    records = f"map_values({c.name})" if c.is_object else c.name
    connection.execute(f"create table {c.name} as select record.* from "
                       f"(select unnest({records}) as record from document)")
"""

DICTS = """
import json, os, sys, tempfile
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
import dlt
from rep_ai.dump.format import COLLECTIONS
with open(sys.argv[1], encoding="utf-8") as file:
    # dlt takes no integer beyond 64 bits
    document = json.load(file, parse_int=lambda text: int(text) if len(text) < 19 else text)
def resource(c):
    records = document[c.name]
    return dlt.resource(list(records.values()) if c.is_object else records, name=c.name,
                        max_table_nesting=0)
with tempfile.TemporaryDirectory() as folder:
    pipeline = dlt.pipeline("dicts", pipelines_dir=folder, dataset_name="raw",
                            destination=dlt.destinations.duckdb(sys.argv[2]))
    pipeline.run([resource(c) for c in COLLECTIONS])
"""

DECOMPRESS = """
import shutil, sys, zstandard
from isal import igzip
opened = igzip.open if sys.argv[1].endswith(".gz") else zstandard.open
with opened(sys.argv[1], "rb") as source, open(sys.argv[2], "wb") as target:
    shutil.copyfileobj(source, target, 1 << 20)
"""


class Result(NamedTuple):
    """Wall and CPU time in seconds, greatest anonymous memory in MB, rows that came of it."""

    seconds: float
    cpu: float
    memory: float
    rows: int


def measure(script: str, source: Path, database: Path | None = None) -> Result:
    """Run a script on a source and a database, a fresh one unless given."""
    with TemporaryDirectory(prefix="rep_ai_bench_", dir=source.parent) as folder:
        target = database or Path(folder) / "bench.duckdb"
        environment = {**os.environ, "REP_AI_DUCKDB": str(target), "REP_AI_TARGET": "dev"}
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(source), str(target)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=(Path(folder) / "errors").open("wb"),
        )
        peak = [0]
        watcher = threading.Thread(target=_watch, args=(process, peak))
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        watcher.join()
        if process.returncode:
            errors = (Path(folder) / "errors").read_text(errors="replace")
            # read_json does where a document is large
            if "Out of Memory" in errors and script != REP_AI:
                return Result(math.inf, math.inf, peak[0] / 1e3, 0)
            raise SystemExit(f"exit code {process.returncode} of\n{script}\n{errors[-2000:]}")
        cpu = usage.ru_utime + usage.ru_stime
        return Result(seconds, cpu, peak[0] / 1e3, _rows(target) if script != DECOMPRESS else 0)


def _watch(process: "subprocess.Popen[bytes]", peak: list[int]) -> None:
    while process.returncode is None:
        peak[0] = max(peak[0], sum(map(_anonymous, _family(process.pid))))
        time.sleep(0.005)


def _family(pid: int) -> Iterator[int]:
    yield pid
    try:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                yield from _family(int(child))
    except OSError:
        return


def _anonymous(pid: int) -> int:
    try:
        found = re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0


def _rows(database: Path) -> int:
    """Rows of all collections, whatever schema they are in."""
    with duckdb.connect(str(database), read_only=True) as connection:
        names = connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables() "
            "where list_contains($1, table_name)",
            [[c.name for c in COLLECTIONS]],
        ).fetchall()
        return sum(
            connection.execute(f"select count(*) from {name}").fetchall()[0][0] for (name,) in names
        )


def in_turn(runs: dict[str, tuple[str, Path]], *, alike: bool = True) -> dict[str, Result]:
    """Run each (script, source) some times, one after the other, and keep the best time of each.

    The rows that come of them must be as many where they are `alike`.
    """
    results: dict[str, list[Result]] = {name: [] for name in runs}
    for _ in range(TURNS):
        for name, (script, source) in runs.items():
            results[name].append(measure(script, source))
    rows = {r.rows for way in results.values() for r in way if r.rows}
    if alike and len(rows) != 1:
        raise SystemExit(f"the ways disagree on the number of rows: {rows}")
    return {
        name: min(way)._replace(memory=max(r.memory for r in way)) for name, way in results.items()
    }


def sample(folder: Path, megabytes: float, *, days: int = 1) -> Path:
    """Write sample dumps of so many bytes in all: their folder, or the one file."""
    sessions = max(1, round(megabytes * SESSIONS_PER_MB / days))
    write_sample(folder, days=days, sessions_per_day=sessions, redelivery=False)
    return folder if days > 1 else next(folder.iterdir())


class Report:
    """One table of what was measured, and which targets hold."""

    def __init__(self) -> None:
        """Begin with the headings."""
        self._table = Table(box=None)
        for column in ("what", "seconds", "CPU", "MB/s", "anonymous MB", "times ours"):
            self._table.add_column(column, justify="left" if column == "what" else "right")
        self._targets = Table("target", "measured", "holds", box=None)

    def add(self, what: str, result: Result, megabytes: float, ours: Result | None = None) -> None:
        """Add what one way took, and how that compares; say it at once, for the rest takes long."""
        Console(stderr=True).print(f"{what}: {result.seconds:.2f} s, {result.cpu:.2f} s CPU")
        self._table.add_row(
            what,
            f"{result.seconds:.2f}",
            f"{result.cpu:.2f}",
            f"{megabytes / result.seconds:.1f}",
            f"{result.memory:.0f}",
            f"{result.seconds / ours.seconds:.2f}" if ours else "",
        )

    def target(self, what: str, measured: str, *, holds: bool | None) -> None:
        """Add a target; whether it holds is None where nothing could be compared."""
        self._targets.add_row(what, measured, {True: "yes", False: "NO", None: "?"}[holds])

    def show(self) -> None:
        """Print both tables."""
        console = Console(width=110)
        console.print(self._table)
        console.print()
        console.print(self._targets)


def compare_sizes(root: Path, report: Report) -> None:
    """Documents of some sizes against read_json."""
    for size in SIZES:
        document = sample(root / str(size), size)
        megabytes = document.stat().st_size / 1e6
        ways = {"rep-ai ingest": REP_AI, "DuckDB read_json, the same tables": READ_JSON}
        ways["DuckDB read_json, listed fields alone"] = READ_JSON_FIELDS
        results = in_turn({name: (script, document) for name, script in ways.items()})
        ours, same, _ = results.values()
        for name, result in results.items():
            report.add(f"{size} MB, {name}", result, megabytes, ours)
        ratio = same.seconds / ours.seconds
        report.target(
            f"{size} MB: 3 times as fast as read_json",
            f"{ratio:.2f} times" if ratio < math.inf else "read_json runs out of memory",
            holds=ratio >= 3 if ratio < math.inf else None,
        )
        report.target(
            f"{size} MB: under 700 MB anonymous", f"{ours.memory:.0f} MB", holds=ours.memory < 700
        )
        if size == SIZES[0]:
            compare_compressed(document, report)
        shutil.rmtree(document.parent)


def compare_compressed(document: Path, report: Report) -> None:
    """The same document as it is, as gzip and as zstd."""
    megabytes = document.stat().st_size / 1e6
    packed = [document.with_suffix(".json.gz"), document.with_suffix(".json.zst")]
    for path, opened in ((packed[0], gzip.open), (packed[1], zstandard.open)):
        with document.open("rb") as source, opened(path, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    runs = {"plain": (REP_AI, document)}
    runs |= {path.suffix: (REP_AI, path) for path in packed}
    runs |= {f"{path.suffix} decompressed, no more": (DECOMPRESS, path) for path in packed}
    results = in_turn(runs)
    plain = results["plain"]
    for name, result in results.items():
        report.add(f"{megabytes:.0f} MB, {name}", result, megabytes, plain)
    for path in packed:
        more = results[path.suffix].seconds - plain.seconds
        bare = results[f"{path.suffix} decompressed, no more"].seconds
        report.target(
            f"{path.suffix}: no more than decompression on top",
            f"{more:.2f} s, decompression {bare:.2f} s",
            holds=more <= bare,
        )


def compare_dicts(root: Path, report: Report) -> None:
    """A small document against dlt fed with dicts."""
    document = sample(root / "dicts", DICTS_MB)
    megabytes = document.stat().st_size / 1e6
    ours, dicts = in_turn({"ours": (REP_AI, document), "dicts": (DICTS, document)}).values()
    report.add(f"{DICTS_MB} MB, rep-ai ingest", ours, megabytes, ours)
    report.add(f"{DICTS_MB} MB, dlt fed with dicts", dicts, megabytes, ours)
    ratio = dicts.seconds / ours.seconds
    report.target("60 times as fast as dicts", f"{ratio:.1f} times", holds=ratio >= 60)


def compare_small_files(root: Path, report: Report) -> None:
    """Many small files against one of the same size."""
    size = SIZES[0]
    many = sample(root / "nights", size, days=SMALL_FILES)
    megabytes = sum(path.stat().st_size for path in many.iterdir()) / 1e6
    one = sample(root / "one", megabytes)
    whole, parts = in_turn({"one": (REP_AI, one), "many": (REP_AI, many)}, alike=False).values()
    report.add(f"{megabytes:.0f} MB in one file", whole, megabytes, whole)
    report.add(f"{megabytes:.0f} MB in {SMALL_FILES} files", parts, megabytes, whole)
    ratio = parts.seconds / whole.seconds
    report.target(f"{SMALL_FILES} files: 3 times one file", f"{ratio:.2f} times", holds=ratio <= 3)


def compare_known_files(root: Path, report: Report) -> None:
    """A night when nothing is new; what the files hold is gone, so that reading one would show."""
    folder, database = root / "known", root / "known.duckdb"
    sample(folder, 0, days=NIGHTS)
    before = measure(REP_AI, folder, database)
    for path in folder.iterdir():
        status = path.stat()
        path.write_bytes(b"\0" * status.st_size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    nights = [measure(REP_AI, folder, database) for _ in range(TURNS)]
    best = min(nights)
    report.add(f"{NIGHTS} files already loaded", best, 0)
    with duckdb.connect(str(database), read_only=True) as connection:
        ((seen,),) = connection.execute("select count(*) from rep_ai_raw.deliveries").fetchall()
    is_unread = seen == NIGHTS and best.rows == before.rows
    report.target(
        f"{NIGHTS} known files: none read, a few seconds",
        f"{best.seconds:.2f} s, {'none' if is_unread else 'some'} read",
        holds=is_unread and best.seconds < 5,
    )


def main() -> None:
    """Measure, and print what came out."""
    report = Report()
    with TemporaryDirectory(prefix="rep_ai_bench_") as name:
        for compare in (compare_sizes, compare_dicts, compare_small_files, compare_known_files):
            compare(Path(name), report)
    report.show()


if __name__ == "__main__":
    main()
