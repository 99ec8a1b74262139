"""Benchmark of ingest: the same documents by other ways, as ratios measured in one run.

    python tests/bench/ingest.py [--large]

Every way is a process of its own on a fresh DuckDB file. Memory is the greatest anonymous memory
seen, so that a mapped file does not count. `--large` adds a document of 2 GB.
"""

import argparse
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

# sessions that make a document of about so many bytes
SESSIONS = {"40 MB": 22_700, "400 MB": 227_000, "2 GB": 1_140_000}
# a bucket of many small nights
NIGHTS, SMALL_SESSIONS = 365, 620

REP_AI = """
import sys
from pathlib import Path
from rep_ai import load
from rep_ai.destinations import DuckDB
report = load.ingest([sys.argv[1]], DuckDB(Path(sys.argv[2])), schema="rep_ai_raw")
assert not report.rejected and not report.failed
"""

READ_JSON = """
import sys, duckdb
from rep_ai.vendor import COLLECTIONS
connection = duckdb.connect(sys.argv[2])
types = {"version": "VARCHAR", "start_time": "VARCHAR", "end_time": "VARCHAR"}
types |= {c.name: "MAP(VARCHAR, JSON)" if c.is_object else "JSON[]" for c in COLLECTIONS}
connection.execute(
    f"create temp table document as select * from read_json($1, columns = {types}, "
    "format = 'unstructured', maximum_object_size = 4000000000)", [sys.argv[1]])
for c in COLLECTIONS:
    entries = f"unnest(map_values({c.name}))" if c.is_object else f"unnest({c.name})"
    fields = ", ".join(f"record ->> '$.{name}' as {name}" for name in c.fields)
    connection.execute(
        f"create table {c.name} as select {fields} from (select {entries} as record from document)")
"""

DICTS = """
import json, os, sys, tempfile
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
import dlt
from rep_ai.vendor import COLLECTIONS
document = json.load(open(sys.argv[1], encoding="utf-8"))
def resource(c):
    records = document[c.name]
    return dlt.resource(list(records.values()) if c.is_object else records, name=c.name,
                        max_table_nesting=0)
with tempfile.TemporaryDirectory() as folder:
    pipeline = dlt.pipeline("dicts", pipelines_dir=folder, dataset_name="raw",
                            destination=dlt.destinations.duckdb(sys.argv[2]))
    pipeline.run([resource(c) for c in COLLECTIONS])
"""


def measure(script: str, source: Path) -> tuple[float, float]:
    """Run a script on a source and a fresh database: seconds, and peak anonymous memory in MB."""
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(source), str(Path(folder) / "bench.duckdb")]
        )
        peak = [0]
        watcher = threading.Thread(target=_watch, args=(process, peak))
        watcher.start()
        code = process.wait()
        seconds = time.perf_counter() - started
        watcher.join()
        if code:
            raise SystemExit(f"a benchmark failed with exit code {code}")
        return seconds, peak[0] / 1e3


def _watch(process: "subprocess.Popen[bytes]", peak: list[int]) -> None:
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        try:
            text = status.read_text()
        except OSError:
            return
        for line in text.splitlines():
            if line.startswith("RssAnon:"):
                peak[0] = max(peak[0], int(line.split()[1]))
        time.sleep(0.005)


def sample(folder: Path, *, days: int, sessions: int, compression: str = "none") -> Path:
    """Write sample dumps and return their folder."""
    from rep_ai.sample import write_sample

    write_sample(
        folder,
        days=days,
        sessions_per_day=sessions,
        redelivery=False,
        compression=compression,  # type: ignore[arg-type]
    )
    return folder


def size(folder: Path) -> float:
    """Megabytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.iterdir()) / 1e6


def only(folder: Path) -> Path:
    """The one file of a folder."""
    (path,) = folder.iterdir()
    return path


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="also a document of 2 GB")
    large = parser.parse_args().large
    rows: list[tuple[Any, ...]] = []
    with TemporaryDirectory(prefix="rep_ai_bench_") as name:
        root = Path(name)
        for label, sessions in SESSIONS.items():
            if label == "2 GB" and not large:
                continue
            document = only(sample(root / label, days=1, sessions=sessions))
            megabytes = document.stat().st_size / 1e6
            ours, memory = measure(REP_AI, document)
            rows.append((f"{label}, rep-ai ingest", ours, megabytes / ours, memory, 1.0))
            others = {"DuckDB read_json and unnest": READ_JSON}
            if label == "40 MB":
                others["dlt fed with dicts"] = DICTS
            for way, script in others.items():
                seconds, memory = measure(script, document)
                rows.append(
                    (f"{label}, {way}", seconds, megabytes / seconds, memory, seconds / ours)
                )
            if label == "400 MB":
                for compression in ("gzip", "zstd"):
                    folder = root / compression
                    packed = only(
                        sample(folder, days=1, sessions=sessions, compression=compression)
                    )
                    seconds, memory = measure(REP_AI, packed)
                    rows.append(
                        (
                            f"{label} as {compression}, rep-ai ingest",
                            seconds,
                            megabytes / seconds,
                            memory,
                            seconds / ours,
                        )
                    )
        nights = sample(root / "nights", days=NIGHTS, sessions=SMALL_SESSIONS)
        seconds, memory = measure(REP_AI, nights)
        rows.append((f"{NIGHTS} files, rep-ai ingest", seconds, size(nights) / seconds, memory, 0))
    table = Table(box=None)
    for column in ("what", "seconds", "MB/s", "anonymous MB", "times ours"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for what, seconds, speed, memory, ratio in rows:
        table.add_row(
            what, f"{seconds:.2f}", f"{speed:.1f}", f"{memory:.0f}", f"{ratio:.2f}" if ratio else ""
        )
    Console().print(table)


if __name__ == "__main__":
    main()
