"""Runs that are killed, doubled, starved of room or robbed of their database, and the next run.

`make chaos` kills some hundred times: REP_AI_KILLS says how often.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from shutil import copy, rmtree, which
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from dumps import dump, write
from loads import Place, Tables, difference, torn
from marts import RAW_SCHEMA
from rep_ai.dump import chunks
from rep_ai.landing import packages
from rep_ai.landing.raw_tables import TABLES
from rep_ai.landing.upkeep import WRITTEN
from rep_ai.sample import write_sample

KILLS = int(os.environ.get("REP_AI_KILLS", "7"))
IS_LONG = KILLS > 20
# phase -> kills that fell into it
FELL: Counter[str] = Counter()

# several packages, and several batches of a file
SMALL = (
    "from rep_ai.dump import chunks; from rep_ai.landing import packages; "
    "packages.PACKAGE_BYTES = 300_000; "
    "chunks.FIRST_CHUNK_BYTES = 5_000; chunks.CHUNK_BYTES = 50_000"
)
assert packages.PACKAGE_BYTES and chunks.FIRST_CHUNK_BYTES and chunks.CHUNK_BYTES


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some nights in several packages, with rejected and repeated files among them."""
    folder = tmp_path_factory.mktemp("nights")
    write_sample(folder, days=4, sessions_per_day=60)
    write(folder / "bad.json", b"{}")
    write(folder / "a.json", dump(0, note={"a": [1]}, users={"1": {}, "2": 7}))
    write(folder / "z.json", dump(0, note={"a": [1]}, users={"1": {}, "2": 7}))
    return folder


@pytest.fixture(scope="module")
def new_place(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Place]]:
    """A way to a database that holds nothing yet."""

    def place(target: str, code: str = SMALL) -> Place:
        folder = tmp_path_factory.mktemp(target)
        if target == "dev":
            return Place(folder, {}, code)
        server = request.getfixturevalue("postgres")
        name = f"chaos_{uuid4().hex}"
        with Place(folder, server).connected() as cursor:
            cursor.connection.autocommit = True
            cursor.execute(f"create database {name} template template0")
        return Place(folder, {**server, "PGDATABASE": name}, code)

    yield place


@dataclass(frozen=True)
class Whole:
    """What an undisturbed run makes, and the seconds it takes."""

    tables: Tables
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(new_place: Callable[[str], Place], nights: Path) -> Callable[[str, str], Whole]:
    """The nights in peace, once for each database and command."""
    known: dict[tuple[str, str], Whole] = {}

    def whole(target: str, command: str) -> Whole:
        if (target, command) not in known:
            place = new_place(target)
            started = time.monotonic()
            run = place.run(command, nights)
            seconds = time.monotonic() - started
            assert run.returncode == 3, run.stderr
            place.check_whole()
            known[target, command] = Whole(place.tables(), seconds)
            # not vacuous: all raw tables hold something, all marts are there
            tables = known[target, command].tables
            raw = [name for name in tables if name.startswith(f"{RAW_SCHEMA}.")]
            # nothing was written to them; others are not compared
            empty = {f"{RAW_SCHEMA}.{name}" for name in WRITTEN} & {*raw}
            assert empty == {f"{RAW_SCHEMA}.{name}" for name in ("retirements", "known_types")}
            raw = [name for name in raw if name not in empty]
            assert len(raw) == len(TABLES) + 1 and all(tables[name] for name in raw)
            assert sum(name.startswith("rep_ai.") for name in tables) >= 14 * (command == "run")
        return known[target, command]

    return whole


# ----------------------------------------------------------------------------- killed at any moment


def members(group: int) -> Iterator[Path]:
    """The processes of a group, in /proc."""
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError, ValueError):
            if int((path / "stat").read_text().rpartition(")")[2].split()[2]) == group:
                yield path


def is_open(process: Path, file: Path) -> bool:
    """Whether a process has a file open."""
    with suppress(OSError):
        return any(link.readlink() == file for link in (process / "fd").iterdir())
    return False


def phase(place: Place, run: subprocess.Popen[str]) -> str:
    """How far a halted run has come, told by what it has left."""
    if run.poll() is not None:
        return "after its end"
    processes = list(members(run.pid))
    wal = place.database.with_name(place.database.name + ".wal")
    logged = ", write-ahead log" * wal.exists()
    for process in processes:
        with suppress(OSError):
            if b"dbt.cli.main" in (process / "cmdline").read_bytes():
                writes = place.server or is_open(process, place.database)
                return f"dbt build{logged}" if writes else "dbt starts"
    folders = [
        path
        for path in place.working.glob("rep_ai_work_*/rep_ai_*/rep_ai")
        if is_new(path, processes)
    ]
    if not folders:
        return "start and ledger"
    # a walk that minds nothing that vanishes
    inside = {
        str(Path(parent, name).relative_to(folders[0]))
        for parent, below, files in os.walk(folders[0])
        for name in below + files
    }
    steps = (
        (r"load/loaded/", f"package completed{logged}"),
        (r"load/normalized/.*/(started|completed)_jobs/", f"load of tables{logged}"),
        (r"load/normalized/", f"schema{logged}"),
        (r"load", "normalize"),
        (r"", "extract"),
    )
    return next(said for sign, said in steps if any(re.match(sign, n) for n in {*inside, ""}))


def is_new(path: Path, processes: list[Path]) -> bool:
    """Whether a folder was made by a process that lives, not left behind by an earlier one."""
    with suppress(OSError):
        return path.stat().st_mtime >= min(process.stat().st_mtime for process in processes) - 0.1
    return False


def end(place: Place, run: subprocess.Popen[str], how: signal.Signals) -> tuple[str, str]:
    """Halt a run and its children, see how far they have come, and send them all a signal."""
    with suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGSTOP)
    fell = phase(place, run)
    with suppress(ProcessLookupError):
        os.killpg(run.pid, how)
        os.killpg(run.pid, signal.SIGCONT)
    said = run.communicate()[1]
    wait_for(lambda: not any(members(run.pid)))
    return fell, said


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something is so."""
    latest = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < latest, "it did not happen"
        time.sleep(0.005)


def check_recovery(place: Place, command: str, nights: Path, whole: Whole) -> None:
    """The next run makes everything as if nothing had happened."""
    run = place.run(command, nights)
    assert run.returncode in (0, 3), run.stderr
    assert difference(place.tables(), whole.tables) == ""
    place.check_whole()
    # nor is anything left of those that were killed
    assert list(place.working.iterdir()) == []


SHARES = {
    ("dev", "ingest"): 0.6,
    ("dev", "run"): 0.2,
    ("postgres", "ingest"): 0.15,
    ("postgres", "run"): 0.05,
}
PARTS = [(*which, round(KILLS * share)) for which, share in SHARES.items()]


@pytest.mark.parametrize("part", [part for part in PARTS if part[-1]], ids=str)
def test_kills(
    new_place: Callable[[str], Place],
    nights: Path,
    undisturbed: Callable[[str, str], Whole],
    part: tuple[str, str, int],
) -> None:
    """SIGKILL to all processes at any moments, also of the run that repairs, then one run."""
    target, command, kills = part
    whole = undisturbed(target, command)
    # spread over the whole run, in any order
    moments = [(number + random.random()) / kills for number in range(kills)]
    random.shuffle(moments)
    place, killed = new_place(target), 0
    while moments:
        run = place.start(command, nights)
        time.sleep(moments.pop() * whole.seconds)
        fell, _ = end(place, run, signal.SIGKILL)
        FELL[f"{target} {command}: {fell}"] += 1
        killed += 1
        if random.random() < 0.5:
            rmtree(place.working)
        if place.server or place.database.exists():
            place.check_whole()
        left = list(place.working.glob("*"))
        assert len(left) <= 1, left
        # every other time the run that repairs is killed as well
        if random.random() < 0.5 or not moments:
            check_recovery(place, command, nights, whole)
            rmtree(place.folder)
            place = new_place(target)
    assert killed == kills


def test_kills_at_system_calls(
    new_place: Callable[[str], Place],
    nights: Path,
    undisturbed: Callable[[str, str], Whole],
) -> None:
    """SIGKILL right before a write, a flush, a rename or a removal, then one run."""
    strace = which("strace")
    if strace is None:
        pytest.skip("kills at system calls need strace (Debian, Ubuntu: apt install strace)")
    whole = undisturbed("dev", "ingest")
    place = new_place("dev")
    log = place.folder / "calls"
    calls = ("pwrite64", "fdatasync", "rename", "unlink")
    traced = [strace, "--follow-forks", "--quiet=all"]
    run = place.run(
        *("ingest", nights), before=[*traced, f"--output={log}", f"--trace={','.join(calls)}"]
    )
    if run.returncode != 3:
        pytest.skip(f"strace may not trace here: {run.stderr.splitlines()[-1:]}")
    # each thread counts its own
    counts = Counter(re.findall(r"^(\d+) +(\w+)\(", log.read_text(), re.MULTILINE))
    most = {call: max(n for (_, each), n in counts.items() if each == call) for call in calls}
    for number in range(ceil(KILLS / 5)):
        call = calls[number % len(calls)]
        moment = random.randint(1, most[call])
        place = new_place("dev")
        inject = [f"--trace={call}", f"--inject={call}:signal=KILL:when={moment}"]
        run = place.run("ingest", nights, before=[*traced, "--output=/dev/null", *inject])
        # another thread may have taken over the work of the one that was counted
        assert run.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL, 3), run.stderr
        FELL[f"dev ingest, before {call}{': not reached' * (run.returncode == 3)}"] += 1
        if place.database.exists():
            place.check_whole()
        check_recovery(place, "ingest", nights, whole)


@pytest.mark.parametrize(
    ("command", "how"),
    [
        ("ingest", signal.SIGTERM),
        ("run", signal.SIGINT),
        *([("ingest", signal.SIGINT), ("run", signal.SIGTERM)] * IS_LONG),
    ],
)
def test_signals(
    new_place: Callable[[str], Place],
    nights: Path,
    undisturbed: Callable[[str, str], Whole],
    command: str,
    how: signal.Signals,
) -> None:
    """Ctrl-C and the wish to end, at any moments: nothing is left half done."""
    whole = undisturbed("dev", command)
    for _ in range(ceil(KILLS / 20)):
        place = new_place("dev")
        run = place.start(command, nights)
        wait_for(lambda place=place: is_locked(place))  # type: ignore[misc]
        time.sleep(random.random() * (whole.seconds - 0.3))
        fell, said = end(place, run, how)
        FELL[f"dev {command}, {how.name}: {fell}"] += 1
        if run.returncode != 3:
            assert run.returncode == 1, said
            line = "rep-ai: interrupted; nothing is half loaded, run it again"
            assert said.splitlines()[-1:] == [line]
            assert list(place.working.iterdir()) == []
        check_recovery(place, command, nights, whole)


def is_locked(place: Place) -> bool:
    """Whether a run has written its name into the lock file."""
    lock = place.database.with_name(place.database.name + ".lock")
    return lock.exists() and bool(lock.read_text())


def test_only_the_parent_is_killed(
    new_place: Callable[[str], Place], nights: Path, undisturbed: Callable[[str, str], Whole]
) -> None:
    """A dbt that outlives its run keeps the lock until it has ended."""
    whole = undisturbed("dev", "run")
    place = new_place("dev")
    run = place.start("run", nights)
    wait_for(lambda: any(b"dbt.cli.main" in cmdline(p) for p in members(run.pid)))
    (child,) = (int(p.name) for p in members(run.pid) if b"dbt.cli.main" in cmdline(p))
    os.kill(child, signal.SIGSTOP)
    run.kill()
    run.wait()
    second = place.run("ingest", nights)
    assert (second.returncode, second.stdout) == (1, "")
    assert f"another run holds {place.database}: process {run.pid} " in one_line(second)
    os.kill(child, signal.SIGCONT)
    wait_for(lambda: not any(members(run.pid)))
    run.communicate()
    check_recovery(place, "run", nights, whole)


def cmdline(process: Path) -> bytes:
    """The arguments of a process; b'' where it is gone."""
    with suppress(OSError):
        return (process / "cmdline").read_bytes()
    return b""


# ------------------------------------------------------------------------------------ two at a time


def one_line(run: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failed run says."""
    (line,) = run.stderr.splitlines()
    assert line.startswith("rep-ai: ") and line.isprintable()
    return line


def last_line(run: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failed run says, behind what packages before it rejected."""
    *rejected, line = run.stderr.splitlines(keepends=True)
    assert all(each.startswith("rejected ") and "/bad.json: " in each for each in rejected)
    return one_line(subprocess.CompletedProcess(run.args, run.returncode, run.stdout, line))


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("dev", "run"),
        ("postgres", "ingest"),
        *([("dev", "ingest"), ("postgres", "run")] * IS_LONG),
    ],
)
def test_two_runs(
    new_place: Callable[[str], Place],
    nights: Path,
    undisturbed: Callable[[str, str], Whole],
    target: str,
    command: str,
) -> None:
    """However long the first one takes: the second ends at once and names it."""
    whole = undisturbed(target, command)
    place = new_place(target)
    # of a run that was killed
    write(place.database.with_name(place.database.name + ".lock"), b"process 1 on elsewhere\n")
    first = place.start(command, nights)
    reached = "dbt build" if command == "run" else "extract"
    wait_for(lambda: phase(place, first).startswith(reached))
    os.killpg(first.pid, signal.SIGSTOP)
    for _ in range(2):
        second = place.run("ingest", nights)
        assert second.returncode == 1
        assert "another run holds" in one_line(second) and f" {first.pid} on " in one_line(second)
        assert "wait until it has ended" in one_line(second)
    os.killpg(first.pid, signal.SIGCONT)
    said = first.communicate()[1]
    assert first.returncode == 3, said
    assert difference(place.tables(), whole.tables) == ""
    check_recovery(place, command, nights, whole)


@pytest.mark.parametrize("target", ["dev", "postgres"])
def test_three_runs(
    new_place: Callable[[str], Place],
    nights: Path,
    undisturbed: Callable[[str, str], Whole],
    target: str,
) -> None:
    """Of three that start at once those that end badly name another; nothing is there twice."""
    whole = undisturbed(target, "ingest")
    place = new_place(target)
    runs = [place.start("ingest", nights) for _ in range(3)]
    said = [run.communicate()[1] for run in runs]
    codes = [run.returncode for run in runs]
    assert codes.count(3) == 1, said
    for run, text in zip(runs, said, strict=True):
        if run.returncode == 1:
            (line,) = text.splitlines()
            others = (f" {other.pid} on " for other in runs if other is not run)
            assert "another run holds" in line and any(other in line for other in others), line
        else:
            assert run.returncode in (0, 3)
    assert difference(place.tables(), whole.tables) == ""
    place.check_whole()


# ------------------------------------------------------------------------- as a whole or not at all


def test_readers_see_whole_deliveries(new_place: Callable[[str], Place], tmp_path: Path) -> None:
    """On PostgreSQL others read during a load; DuckDB lets no other process in meanwhile."""
    first = write(tmp_path / "dumps" / "0.json", dump(0, users=many_users(0)))
    place = new_place("postgres")
    assert place.run("ingest", first).returncode == 0
    place.dbt("run", "--select", "stg_rep_ai__deliveries", "stg_rep_ai__users")
    for night in range(1, 7):
        write(tmp_path / "dumps" / f"{night}.json", dump(night, users=many_users(night)))
    seen: set[tuple[int, ...]] = set()
    looks = 0
    staged = (
        "select (select count(*) from rep_ai_staging.stg_rep_ai__deliveries), "
        "(select count(*) from rep_ai_staging.stg_rep_ai__users)"
    )
    unseen = f"select count(distinct _dlt_load_id) from {RAW_SCHEMA}.users"
    loads: set[int] = set()
    run = place.start("ingest", tmp_path / "dumps")
    with place.connected() as cursor:
        cursor.connection.autocommit = True
        while run.poll() is None:
            cursor.execute(torn(RAW_SCHEMA))
            assert cursor.fetchall() == []
            cursor.execute(staged)
            seen.update(cursor.fetchall())
            cursor.execute(unseen)
            loads.update(*cursor.fetchall())
            looks += 1
    assert run.wait() == 0, run.communicate()
    run.communicate()
    assert looks > 20
    assert {users for _, users in seen} <= {2000 * n for n in range(8)}
    assert all(users == 2000 * deliveries for deliveries, users in seen)
    assert len(seen) > 2 and len(loads) > 2


def many_users(night: int) -> dict[str, Any]:
    """Enough of them for several batches."""
    return {f"{night}-{n}": {"id": f"{night}-{n}", "title": "x" * 50} for n in range(2000)}


# ------------------------------------------------------------- no room, no permission, no database


def limited(size: int) -> list[str]:
    """A command that runs another which can make no file larger than that."""
    return ["prlimit", f"--fsize={size}", "--"]


def test_no_room(
    new_place: Callable[[str], Place], nights: Path, undisturbed: Callable[[str, str], Whole]
) -> None:
    """Wherever a file cannot grow: one line, exit code 1, nothing in part, and the next run mends.

    The sizes let it happen to the lock, the new database, dlt's files, the database and its log.
    """
    whole = undisturbed("dev", "ingest")
    sizes = [0, 8192, 20_000, 640_000]
    if IS_LONG:
        sizes += [4096, *(10_000 * 2**n for n in range(6))]
    said = set()
    for size in sizes:
        place = new_place("dev")
        run = place.run("ingest", "--quiet", nights, before=limited(size))
        assert (run.returncode, run.stdout) == (1, ""), size
        line = last_line(run)
        assert "File too large" in line and str(place.folder) in line, size
        said.add(line.replace(str(place.folder), ""))
        if place.database.exists():
            place.check_whole()
        check_recovery(place, "ingest", nights, whole)
    assert any(".lock" in line for line in said)
    assert any("working folder" in line for line in said)
    assert any(".duckdb.wal" in line for line in said)


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[None]:
    """A disk of that size."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"a small disk can be mounted by root only: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize(
    ("what", "size"),
    [
        ("database", "1m"),
        ("working", "64k"),
        *([("database", "64k"), ("database", "200k"), ("database", "2m")] * IS_LONG),
        *([("working", "16k"), ("working", "150k")] * IS_LONG),
    ],
)
def test_disk_full(
    new_place: Callable[[str], Place],
    nights: Path,
    undisturbed: Callable[[str, str], Whole],
    what: str,
    size: str,
) -> None:
    """A disk that is full under the database, or under dlt's files."""
    whole = undisturbed("dev", "ingest")
    place = new_place("dev")
    disk = place.folder / "disk"
    with tmpfs(disk, size):
        name = {"database": "REP_AI_DUCKDB", "working": "TMPDIR"}[what]
        path = {"database": disk / place.database.name, "working": disk}[what]
        run = place.run("ingest", "--quiet", nights, env={name: str(path)})
        assert (run.returncode, run.stdout) == (1, "")
        line = last_line(run)
        assert "No space left on device" in line and str(disk) in line
        if what == "database":
            # a larger disk
            for file in disk.iterdir():
                copy(file, place.folder / file.name)
    if place.database.exists():
        place.check_whole()
    check_recovery(place, "ingest", nights, whole)


# root may do anything unless it gives that up
AS_USER = (
    ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
)


@pytest.mark.parametrize("what", ["file", "folder", "folder with the lock", "lock"])
def test_no_permission(
    new_place: Callable[[str], Place],
    nights: Path,
    undisturbed: Callable[[str, str], Whole],
    what: str,
) -> None:
    """What may not be written is named in one line, and is as it was."""
    whole = undisturbed("dev", "ingest")
    place = new_place("dev")
    lock = place.database.with_name(place.database.name + ".lock")
    place.working.mkdir()
    if what == "file":
        check_recovery(place, "ingest", nights, whole)
        place.database.chmod(0o444)
    elif what == "lock":
        write(lock, b"").chmod(0o444)
    else:
        if what == "folder with the lock":
            write(lock, b"")
        place.folder.chmod(0o555)
    run = place.run("ingest", "--quiet", nights, before=AS_USER)
    assert (run.returncode, run.stdout) == (1, "")
    assert "Permission denied" in one_line(run) and str(place.database) in one_line(run)
    place.folder.chmod(0o755)
    if lock.exists():
        lock.chmod(0o644)
    if what == "file":
        place.database.chmod(0o644)
    check_recovery(place, "ingest", nights, whole)


def backends(place: Place) -> list[tuple[int, str, str]]:
    """Process, name and last statement of each other connection to the database."""
    return [
        (pid, name, query)
        for pid, name, query in place.query(
            "select pid, application_name, query from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
    ]


@pytest.mark.parametrize("moment", ["copy", "lock"])
def test_the_server_dies(
    new_place: Callable[[str], Place],
    nights: Path,
    undisturbed: Callable[[str, str], Whole],
    moment: str,
) -> None:
    """PostgreSQL killed under a run: one line, nothing in part, and the next run mends."""
    whole = undisturbed("postgres", "ingest")
    wanted = {"copy": "copy", "lock": "pg_try_advisory_lock"}[moment]
    for _ in range(8):
        place = new_place("postgres")
        run = place.start("ingest", "--quiet", nights)
        victims: list[int] = []
        while not victims and run.poll() is None:
            victims = [pid for pid, _, query in backends(place) if wanted in query.lower()]
        # the server ends all connections and recovers when one of its processes is killed
        for victim in victims[:1]:
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        out, err = run.communicate()
        # else the run came to its end before
        if run.returncode != 3:
            break
    assert (run.returncode, out) == (1, ""), err
    *before, line = err.splitlines()
    # what the server says of itself, libpq passes on
    assert all(re.match(r"(WARNING|DETAIL|HINT): ", each) for each in before), err
    assert line.startswith("rep-ai: ") and line.isprintable() and "Traceback" not in line

    def is_up() -> bool:
        with suppress(psycopg2.OperationalError):
            return place.query("select 1") == [(1,)]
        return False

    wait_for(is_up)
    place.check_whole()
    check_recovery(place, "ingest", nights, whole)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"PGPORT": "1"}, "Connection refused"),
        ({"PGHOST": "nowhere.invalid"}, "nowhere.invalid"),
        ({"PGPASSWORD": "se'cret"}, "password authentication failed"),
        ({"PGDATABASE": "no such"}, 'database "no such" does not exist'),
    ],
)
def test_no_server(
    new_place: Callable[[str], Place], nights: Path, variables: dict[str, str], said: str
) -> None:
    """One line that names the server and no password."""
    place = new_place("postgres")
    run = place.run("ingest", "--quiet", nights, env=variables)
    assert (run.returncode, run.stdout) == (1, "")
    assert said in one_line(run)
    password = {**place.server, **variables}["PGPASSWORD"]
    assert password not in run.stderr
