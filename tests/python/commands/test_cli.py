"""The commands as a new user runs them, on sample dumps, and the README's own words."""

import fcntl
import io
import json
import os
import pty
import re
import resource
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest
from click.testing import CliRunner

import processes
from dumps import DAY, document
from rep_ai import cli
from rep_ai.cli.errors import handle_errors
from rep_ai.commands.ingest import ingest
from rep_ai.console import progress, run_summary
from rep_ai.dump.format import RECORD_TABLES
from rep_ai.errors import SIGNALS, RepAiError
from rep_ai.landing.destinations import DuckDB, of_target
from rep_ai.landing.errors import BusyError
from rep_ai.warehouse import health

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND = (sys.executable, "-m", "rep_ai")
STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ "
CSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# a Monday
MIDNIGHT = datetime(2025, 3, 3, 6)


class Place(NamedTuple):
    """A folder of dumps, the database beside it, and what `rep-ai run` said."""

    dumps: Path
    database: Path
    environment: dict[str, str]
    said: str


def rep_ai(
    *arguments: object, environment: dict[str, str], cwd: Path = ROOT, **options: Any
) -> "subprocess.CompletedProcess[str]":
    """Run the command as a process of its own; one with options gets a new interpreter."""
    if not options:
        return processes.run(
            "rep-ai", *map(str, arguments), variables=environment, cwd=cwd, apart=True
        )
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
        **options,
    )


class Terminal(NamedTuple):
    """What a terminal was sent, and how the process ended."""

    said: str
    code: int


def on_terminal(
    *arguments: object,
    environment: dict[str, str],
    interrupt_at: str = "",
    columns: int = 100,
    how: signal.Signals | None = None,
) -> Terminal:
    """Run the command on a terminal; type Ctrl-C or send a signal when it has shown a text."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        # tests in the background or under nohup ignore some, and so would their children
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        os.execve(COMMAND[0], [*COMMAND, *map(str, arguments)], environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    said = b""
    with os.fdopen(terminal, "r+b", buffering=0) as file, suppress(OSError):
        while select.select([file], [], [], 120)[0] and (block := file.read(65536)):
            said += block
            if interrupt_at and interrupt_at.encode() in said:
                if how:
                    os.kill(pid, how)
                else:
                    file.write(b"\x03")
                interrupt_at = ""
    _, ended = os.waitpid(pid, 0)
    return Terminal(said.decode(), os.waitstatus_to_exitcode(ended))


def screen(said: str) -> list[str]:
    """The lines that are left to be read, by the few codes that a bar needs."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", said):
        if part == "\r":
            column = 0
        elif part == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif part.endswith("A") and part[0] == "\x1b":
            row -= int(part[2:-1] or 1)
        elif part == "\x1b[2K":
            lines[row] = ""
        elif part[0] != "\x1b":
            lines[row] = lines[row][:column].ljust(column) + part + lines[row][column + len(part) :]
            column += len(part)
    return [line.rstrip() for line in lines]


def query(database: Path, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a query."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.sql(sql).fetchall()


def night(number: int, actions: int, **members: Any) -> bytes:
    """A dump of a day from 2025-03-03 on, with so many actions."""
    start = int((MIDNIGHT + timedelta(days=number)).replace(tzinfo=UTC).timestamp() * 1000)
    rows = [
        {"id": f"{number}-{i}", "action": "ALERT", "session_id": "s", "timestamp": start}
        for i in range(actions)
    ]
    return document(start, start + DAY, **{"unique_visitor_session_actions": rows, **members})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Sample dumps, run once."""
    folder = tmp_path_factory.mktemp("cli")
    environment = {
        **os.environ,
        "REP_AI_DUCKDB": str(folder / "warehouse.duckdb"),
        "REP_AI_TARGET": "dev",
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
    }
    sampled = rep_ai("sample", folder / "dumps", environment=environment)
    assert sampled.returncode == 0, sampled.stderr
    done = rep_ai("run", folder / "dumps", environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    yield Place(folder / "dumps", folder / "warehouse.duckdb", environment, done.stdout)


def test_run_says_what_came_out(place: Place) -> None:
    """The rows of each mart, where they are, and a query that runs."""
    with duckdb.connect(str(place.database), read_only=True) as connection:
        marts = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'rep_ai' "
            "and table_name not in ('rep_ai_action_types', 'rep_ai_interaction_types')"
        ).fetchall()
        assert len(marts) == 14
        for (mart,) in marts:
            found = re.search(rf"^rep_ai\.{mart} +([\d,]+)$", place.said, re.MULTILINE)
            assert found, mart
            (rows,) = connection.execute(f"select count(*) from rep_ai.{mart}").fetchall()
            assert rows == (int(found[1].replace(",", "")),)
        assert connection.execute(rendered(run_summary.FIRST_QUERY)).fetchall()
    assert str(place.database) in place.said
    assert run_summary.FIRST_QUERY in place.said


def test_run_names_unknown_types_and_the_command(place: Place) -> None:
    """The sample brings two types that no seed knows."""
    assert re.search(
        r"2 types are not known yet.*\n.*CO_BROWSE: [\d,]+\n.*SCREEN_SHARE", place.said
    )
    assert "rep-ai types --add-all" in place.said


def test_the_first_query_finds_the_database(place: Place) -> None:
    """It is shown as a shell takes it that knows nothing of the variables of the run."""
    (shown,) = re.findall(r"^  (REP_AI_DUCKDB=.* show --inline .*)$", place.said, re.MULTILINE)
    environment = {**place.environment}
    del environment["REP_AI_DUCKDB"]
    done = subprocess.run(
        ["/bin/sh", "-c", shown],
        cwd=ROOT,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"^\| ended +\| +\d+ \|$", done.stdout, re.MULTILINE)


def test_a_second_run_loads_nothing(place: Place) -> None:
    """What is known is not read again."""
    again = rep_ai("ingest", place.dumps, environment=place.environment)
    assert again.returncode == 0
    assert re.search("^skipped: known already +15$", again.stdout, re.MULTILINE)
    assert re.search("^records +0$", again.stdout, re.MULTILINE)


def test_status_and_types(place: Place) -> None:
    """Both read the same database."""
    status = rep_ai("status", environment=place.environment)
    assert status.returncode == 0
    assert re.search(r"^loaded +15$", status.stdout, re.MULTILINE)
    assert re.search(r"^delivered +14$", status.stdout, re.MULTILINE)
    listed = rep_ai("types", environment=place.environment)
    assert re.search(r"^action +SCREEN_SHARE +[\d,]+$", listed.stdout, re.MULTILINE)


def blocks() -> list[tuple[str, list[list[str]]]]:
    """The README's queries, each with the cells of the table behind it."""
    found = re.findall(r"```sql\n(.*?)```\n\n((?:\|[^\n]*\n)+)", README, re.DOTALL)
    return [
        (sql, [[c.strip() for c in row.strip("|").split("|")] for row in table.splitlines()])
        for sql, table in found
    ]


@pytest.mark.parametrize("number", range(3))
def test_the_readme_shows_real_output(place: Place, number: int) -> None:
    """Each query of the README gives what the README says."""
    sql, table = blocks()[number]
    with duckdb.connect(str(place.database), read_only=True) as connection:
        # as dbt show does
        result = connection.execute(f"{rendered(sql)}\nlimit 5")
        header = [column[0] for column in result.description or ()]
        rows = [[shown(value) for value in row] for row in result.fetchall()]
    assert [header, *rows] == [table[0], *table[2:]]


def rendered(sql: str) -> str:
    """A query as dbt runs it."""
    return re.sub(r"\{\{ ref\(['\"](\w+)['\"]\) \}\}", r"rep_ai.\1", sql)


def shown(value: object) -> str:
    """A value as the README's tables show it."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{Decimal(value):,.1f}" if isinstance(value, float | Decimal) else str(value)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["ingest"], 2, "Missing argument"),
        (["ingest", "--vars", "[1]", "x"], 2, "YAML mapping"),
        (["ingest", "--vars", "{a", "x"], 2, "YAML mapping"),
        (["ingest", "--vars", "{rep_ai_supported_major: x}", "x"], 1, "must be a whole number"),
        (["ingest", "no/such/folder"], 1, "no such file or folder"),
        (["ingest", "--target", "oracle", "x"], 1, "no target 'oracle'"),
        (["types", "--add", "SCREEN_SHARE"], 2, "not KIND:TYPE"),
        (["sample", "x", "--timezone", "Mars/Olympus"], 2, "Mars/Olympus"),
        (["status"], 0, "Nothing is loaded"),
    ],
)
def test_usage_and_failure(
    arguments: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit codes and a sentence, never a traceback."""
    monkeypatch.setenv("REP_AI_DUCKDB", str(tmp_path / "none.duckdb"))
    result = CliRunner().invoke(cli.main, arguments)
    assert result.exit_code == code
    assert said in result.output
    assert "Traceback" not in result.output
    assert list(tmp_path.glob("*.duckdb")) == []


def test_the_database_is_beside_the_project(tmp_path: Path) -> None:
    """Wherever the command is started; and where nothing is loaded the samples are not far."""
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    for folder in (project, elsewhere):
        folder.mkdir()
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(ROOT / name, project)
    for variables in ({}, {"REP_AI_DUCKDB": ""}):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("REP_AI")}
        environment |= variables
        said = rep_ai("status", environment=environment, cwd=project).stdout
        assert said == f"Nothing is loaded in {project}/warehouse.duckdb yet: rep-ai run SOURCE\n"
        said = rep_ai("status", environment=environment, cwd=elsewhere).stdout
        assert f" {ROOT}/warehouse.duckdb" in said
    (project / "sample.duckdb").touch()
    said = rep_ai("status", environment=environment, cwd=project).stdout
    assert "(REP_AI_DUCKDB=sample.duckdb has the samples of make run)" in said
    environment["REP_AI_DUCKDB"] = "other.duckdb"
    said = rep_ai("status", environment=environment, cwd=project).stdout
    assert said == f"Nothing is loaded in {project}/other.duckdb yet: rep-ai run SOURCE\n"
    assert list(elsewhere.iterdir()) == []


def test_status_forgets_what_was_mended(place: Place, tmp_path: Path) -> None:
    """A rejected file that was replaced by a good one is not called rejected."""
    environment = {**place.environment, "REP_AI_DUCKDB": str(tmp_path / "mended.duckdb")}
    night = tmp_path / "night \n\x1b[31m.json"
    night.write_bytes(b"")
    assert rep_ai("ingest", night, environment=environment).returncode == 3
    said = rep_ai("status", environment=environment).stdout
    assert "the file is empty" in said
    assert "\x1b" not in said
    assert r"night \n\x1b[31m.json: the file is empty" in said
    night.write_bytes(next(place.dumps.iterdir()).read_bytes())
    assert rep_ai("ingest", night, environment=environment).returncode == 0
    assert "the file is empty" not in rep_ai("status", environment=environment).stdout


def test_status_knows_a_touched_file(own: dict[str, str], tmp_path: Path) -> None:
    """A loaded file with a new time is loaded, a copy of it is a copy, and both are one dump."""
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    for name in ("a.json", "b.json"):
        (dumps / name).write_bytes(night(len(list(dumps.iterdir())), 3))
    assert rep_ai("ingest", dumps, environment=own).returncode == 0
    (dumps / "c.json").write_bytes(night(0, 3))
    for name in ("a.json", "b.json"):
        os.utime(dumps / name, (1, 1))
    again = json.loads(rep_ai("ingest", dumps, "--json", environment=own).stdout)
    assert again["files"]["known"] + again["files"]["duplicates"] == 3
    found = json.loads(rep_ai("status", "--json", environment=own).stdout)
    assert found["files"] == {"loaded": 2, "duplicate": 1, "rejected": 0}
    assert found["deliveries"] == 2
    said = rep_ai("status", environment=own).stdout
    assert said.startswith(f"2 dumps are loaded in {own['REP_AI_DUCKDB']}.\n")
    # a mended file that is the copy of another is one
    (dumps / "b.json").write_bytes(night(0, 3))
    assert rep_ai("ingest", dumps, environment=own).returncode == 0
    found = json.loads(rep_ai("status", "--json", environment=own).stdout)
    assert found["files"] == {"loaded": 1, "duplicate": 2, "rejected": 0}
    assert found["deliveries"] == 2


@pytest.fixture
def own(place: Place, tmp_path: Path) -> dict[str, str]:
    """An environment with a database that is not there yet."""
    return {
        **place.environment,
        "REP_AI_DUCKDB": str(tmp_path / "own.duckdb"),
        "DBT_TARGET_PATH": str(tmp_path / "target"),
        "DBT_LOG_PATH": str(tmp_path / "logs"),
        "TERM": "xterm-256color",
    }


def test_a_bar_on_a_terminal(place: Place, own: dict[str, str]) -> None:
    """It shows files, bytes and records, is gone at the end, and leaves the cursor visible."""
    shown = on_terminal("ingest", place.dumps, environment=own)
    assert shown.code == 0
    assert re.search(r"15/15 files 12/12 MB 57,818 records", CSI.sub("", shown.said))
    left = screen(shown.said)
    assert left[0].strip() == "What was landed", left
    assert re.search(r"^loaded +15$", "\n".join(left), re.MULTILINE)
    assert "MB 57,818" not in "\n".join(left)
    assert shown.said.rindex("\x1b[?25h") > shown.said.rindex("\x1b[?25l")


def test_the_bar_fits_a_narrow_terminal(place: Place, own: dict[str, str]) -> None:
    """A line that wrapped could not be wiped away."""
    shown = on_terminal("ingest", place.dumps, environment=own, columns=40)
    assert screen(shown.said)[0].strip() == "What was landed"


def test_the_bar_ends_before_dbt_speaks(place: Place, own: dict[str, str]) -> None:
    """What dbt says stands on lines of its own, and so does the error."""
    strict = "{rep_ai_violation_severity: error}"
    shown = on_terminal("run", place.dumps, "--vars", strict, environment=own)
    assert shown.code == 1
    left = screen(shown.said)
    assert any(re.match(r"\d\d:\d\d:\d\d .*FAIL", line) for line in left), left
    assert "rep-ai: dbt build failed" in " ".join(left)
    assert not any("━" in line or "15/15" in line for line in left)


@pytest.mark.parametrize("how", [None, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_on_a_terminal(
    place: Place, own: dict[str, str], tmp_path: Path, how: signal.Signals | None
) -> None:
    """The bar goes, one line says so, nothing is half loaded, and the next run does it all."""
    own = {**own, "TMPDIR": str(tmp_path / "temporary")}
    (tmp_path / "temporary").mkdir()
    shown = on_terminal("ingest", place.dumps, environment=own, interrupt_at="0/15 files", how=how)
    assert shown.code == 1
    assert list((tmp_path / "temporary").iterdir()) == []
    left = [line for line in screen(shown.said) if line]
    assert left == ["rep-ai: interrupted; nothing is half loaded, run it again"], left
    assert shown.said.rindex("\x1b[?25h") > shown.said.rindex("\x1b[?25l")
    again = rep_ai("ingest", place.dumps, "--json", environment=own)
    assert again.returncode == 0
    assert json.loads(again.stdout)["files"]["loaded"] == 15


@pytest.mark.parametrize("how", [None, signal.SIGTERM])
def test_ctrl_c_while_dbt_runs(
    place: Place, own: dict[str, str], how: signal.Signals | None
) -> None:
    """Dbt does not outlive the command, which would keep the database from the next run."""
    shown = on_terminal("run", place.dumps, environment=own, interrupt_at="dbt build", how=how)
    assert shown.code == 1
    assert "rep-ai: interrupted" in screen(shown.said)[-2]
    assert "Traceback" not in shown.said
    with duckdb.connect(own["REP_AI_DUCKDB"]) as connection:
        assert connection.sql("select count(*) from rep_ai_raw.deliveries").fetchall() == [(15,)]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_command_starts(own: dict[str, str], how: signal.Signals) -> None:
    """One line and one exit code, whichever module is being imported."""
    # as where nothing is ignored: neither in the background nor under nohup
    handler = "signal.default_int_handler" if how == signal.SIGINT else "signal.SIG_DFL"
    for module in ("rep_ai.cli", "click", "yaml", "rich", "pyarrow", "duckdb"):
        code = (
            "import os, signal, sys\n"
            "def hook(event, arguments):\n"
            f"    if event == 'import' and arguments[0] == {module!r}:\n"
            f"        os.kill(os.getpid(), {int(how)})\n"
            f"signal.signal({int(how)}, {handler})\n"
            "from rep_ai.__main__ import main\n"
            "sys.addaudithook(hook)\n"
            "main()\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "ingest", "no/such/file"],
            **{"cwd": ROOT, "env": own, "text": True},  # type: ignore[call-overload]
            capture_output=True,
            check=False,
        )
        line = "rep-ai: interrupted; nothing is half loaded, run it again\n"
        assert (done.returncode, done.stdout, done.stderr) == (1, "", line), module


def test_colours_and_dumb_terminals(place: Place, own: dict[str, str]) -> None:
    """NO_COLOR takes the colours; a terminal that cannot move the cursor gets lines."""
    plain = on_terminal("ingest", place.dumps, environment={**own, "NO_COLOR": "1"})
    assert "15/15 files" in CSI.sub("", plain.said)
    assert not re.search(r"\x1b\[[0-9;]*[34]\d[;m]", plain.said)
    dumb = on_terminal("ingest", place.dumps, environment={**own, "TERM": "dumb"})
    assert dumb.code == 0
    assert "\x1b" not in dumb.said
    assert re.match(f"{STAMP}found files: 15; to be read: 0", dumb.said)


def test_lines_elsewhere(place: Place, own: dict[str, str], tmp_path: Path) -> None:
    """A line with the time for each file; what is wrong is on stderr besides, on one line."""
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    (dumps / "a.json").write_bytes(night(0, 3))
    (dumps / "copy [bold]\n\x1b[31m.json").write_bytes(night(0, 3))
    (dumps / "broken \r\n.json").write_bytes(b"{")
    (dumps / "lost.json").symlink_to(tmp_path / "nowhere")
    done = rep_ai("ingest", dumps, environment={**own, "FORCE_COLOR": "1"})
    assert done.returncode == 1
    lines = [line for line in done.stdout.splitlines() if re.match(STAMP, line)]
    said = [line.removeprefix(lines[0][:21]).replace(f"file://{dumps}/", "") for line in lines]
    assert re.sub(STAMP, "", said[0]).startswith("found files: 4; to be read: 4, 0.0 MB")
    assert sorted(re.sub(STAMP, "", line) for line in said[1:]) == [
        "duplicate copy [bold]\\n\\x1b[31m.json",
        "failed lost.json",
        "loaded a.json: 3 records",
        "rejected broken \\r\\n.json",
    ]
    assert sorted(line.split(" ")[0] for line in done.stderr.splitlines()) == ["failed", "rejected"]
    assert r"broken \r\n.json: " in done.stderr
    assert "No such file" in done.stderr or "no such file" in done.stderr
    assert all(line.isprintable() for line in done.stderr.splitlines())
    quiet = rep_ai("ingest", dumps, "--quiet", environment=own)
    assert quiet.returncode == 1 and quiet.stdout == ""
    assert quiet.stderr.splitlines()[0].startswith("failed ")
    assert quiet.stderr.splitlines()[1].startswith("warning: 1 file was passed over")


def test_a_long_file_is_not_silent(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Now and then a line says how far it is; not at each step."""
    said = {}
    for patience in (0, 3600):
        monkeypatch.setattr(progress, "PATIENCE", patience)
        lines, database = io.StringIO(), DuckDB(tmp_path / f"{patience}.duckdb")
        with database.lock():
            done = ingest(
                [str(place.dumps)], database, schema="raw", observer=progress.Lines(lines)
            )
        assert len(done.loaded) == 15
        said[patience] = lines.getvalue()
    assert len(said[3600].splitlines()) == 1 + 15
    found = re.findall(r"reading \S+03-02\.json: (\d+)%, ([\d,]+) records", said[0])
    shares, records = [int(share) for share, _ in found], [count for _, count in found]
    assert shares == sorted(shares) and 90 <= shares[-1] <= 100
    assert records[-1] == "4,865"


def test_json_of_ingest(place: Place, own: dict[str, str], tmp_path: Path) -> None:
    """One document whose numbers are those of the tables, also when nothing could be done."""
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    for name, content in {
        "a.json": night(0, 3, users={"u": {"id": "u"}}),
        "b.json": night(0, 3, users={"u": {"id": "u"}}),
        "c.json": night(1, 4, more=[{"x": 1}], unique_visitors={"v": 7}),
        "d.json": b"{",
        "e.json.zip": b"PK",
        "._a.json": b"\0\5\x16\7",
    }.items():
        (dumps / name).write_bytes(content)
    beside = {"passed_over": 1, "not_dumps": 1, "gone": 0}
    done = rep_ai("ingest", dumps, "--json", environment=own)
    document = json.loads(done.stdout)
    assert done.returncode == document["exit_code"] == 3
    assert (document["command"], document["error"]) == ("ingest", None)
    assert document["files"] == {
        **{"seen": 4, "loaded": 2, "known": 0, "duplicates": 1},
        **{"still_rejected": 0, "rejected": 1, "failed": 0, **beside},
    }
    zipped = "1 file was not looked at, as no --pattern takes such names: e.json.zip"
    assert zipped in document["warnings"] and f"warning: {zipped}" in done.stderr
    database = Path(own["REP_AI_DUCKDB"])
    raw = f"{database.stem}.rep_ai_raw"
    assert document["rejected"] == [
        {"url": url, "reason": reason}
        for url, reason in query(
            database, f"select file_url, reason from {raw}.deliveries where status = 'rejected'"
        )
    ]
    assert document["records"] == {
        table: query(database, f"select count(*) from {raw}.{table}")[0][0]
        for table in RECORD_TABLES
    }
    assert document["records"]["rejected_records"] == 1
    assert document["bytes"] == sum((dumps / name).stat().st_size for name in ("a.json", "c.json"))
    assert document["megabytes_per_second"] > 0
    again = json.loads(rep_ai("ingest", dumps, "--json", "--quiet", environment=own).stdout)
    assert again["files"] == {
        **{"seen": 4, "loaded": 0, "known": 3, "duplicates": 0},
        **{"still_rejected": 1, "rejected": 0, "failed": 0, **beside},
    }
    assert again["exit_code"] == 0 and len(again["warnings"]) == 2
    with DuckDB(database).lock():
        locked = rep_ai("ingest", dumps, "--json", environment=own)
    failed = json.loads(locked.stdout)
    assert locked.returncode == failed["exit_code"] == 1
    assert f"process {os.getpid()} on " in failed["error"]
    assert failed.keys() == document.keys() == again.keys()


def test_json_of_run(place: Place) -> None:
    """What dbt ran, and the rows of each mart; a failed build says so."""
    done = rep_ai("run", place.dumps, "--json", "--quiet", environment=place.environment)
    document = json.loads(done.stdout)
    assert done.returncode == document["exit_code"] == 0, done.stderr
    assert document["dbt"]["models"] == len(list((ROOT / "models").glob("*/*.sql")))
    assert document["dbt"]["seeds"] == 2 and document["dbt"]["tests"] > 50
    assert (document["dbt"]["warnings"], document["dbt"]["failures"]) == (1, 0)
    assert len(document["marts"]) == 14
    assert document["marts"] == {
        mart: query(place.database, f"select count(*) from rep_ai.{mart}")[0][0]
        for mart in document["marts"]
    }
    assert [f"warning: {line}" for line in document["warnings"]] == done.stderr.splitlines()
    assert "2 types are not known yet" in document["warnings"][0]
    strict = "{rep_ai_violation_severity: error}"
    done = rep_ai(*("run", place.dumps, "--json", "--vars", strict), environment=place.environment)
    failed = json.loads(done.stdout)
    assert done.returncode == failed["exit_code"] == 1
    assert failed["dbt"]["failures"] == 1
    assert "dbt build failed" in failed["error"]
    assert failed.keys() == document.keys()


AUDIT = """
import os, sys, tempfile
log = os.open(os.environ["AUDIT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def hook(event, arguments):
    path, flags = arguments[0] if arguments else None, 0
    if event == "open" and isinstance(path, (str, bytes)):
        flags = arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if flags or event == "os.mkdir":
        os.write(log, os.fsencode(os.path.abspath(path)) + b"\\n")
sys.addaudithook(hook)
from rep_ai.cli import main
main()
"""


@pytest.mark.parametrize("home", ["empty", "absent", "full"])
def test_nothing_is_left_where_nobody_asked(place: Place, tmp_path: Path, home: str) -> None:
    """No telemetry's id, no .dlt: the database, its lock, the log and temporary files only."""
    folders = {name: tmp_path / name for name in ("cwd", "home", "data", "temporary")}
    for folder in folders.values():
        folder.mkdir()
    if home == "absent":
        folders["home"].rmdir()
    if home == "full":
        # with both of these dlt warns
        (folders["home"] / ".dlt").mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folders["home"]),
        "XDG_DATA_HOME": str(folders["home"] / "xdg"),
        "TMPDIR": str(folders["temporary"]),
        "REP_AI_DUCKDB": str(folders["data"] / "a.duckdb"),
        "DBT_LOG_PATH": str(tmp_path / "logs"),
        "AUDIT": str(tmp_path / "audit"),
        # what the interpreter would write itself
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", AUDIT, "ingest", "--quiet", str(place.dumps)],
        cwd=folders["cwd"],
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    written = (tmp_path / "audit").read_text().splitlines()
    mine = tuple(str(tmp_path / name) for name in ("temporary", "data", "logs"))
    mine += ("/dev/", "/proc/")
    assert [path for path in written if not path.startswith(mine)] == []
    assert any(path.endswith("a.duckdb.lock") for path in written)
    assert list(folders["temporary"].iterdir()) == list(folders["cwd"].iterdir()) == []
    left = {path.name for path in folders["home"].iterdir()} if home != "absent" else set()
    assert left == ({".dlt"} if home == "full" else set())
    looked = rep_ai("status", environment=environment, cwd=folders["cwd"])
    assert looked.returncode == 0
    assert sorted(path.name for path in folders["data"].iterdir()) == ["a.duckdb", "a.duckdb.lock"]


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five weeks with 100 actions a working day and 10 a day of the weekend, and their troubles."""
    dumps = tmp_path_factory.mktemp("nights")
    for number in range(35):
        actions = 10 if number % 7 >= 5 else 100
        if number == 31:
            actions = 9
        # two gaps, of one night and of two
        if number not in (10, 20, 21):
            (dumps / f"{number:02}.json").write_bytes(night(number, actions))
    (dumps / "33 again.json").write_bytes(night(33, 12, version="1.0.1"))
    shifted = json.loads(night(34, 100))
    shifted["start_time"] += 43_200_000
    shifted["end_time"] += 43_200_000
    (dumps / "34 shifted.json").write_text(json.dumps(shifted))
    (dumps / "broken\n.json").write_bytes(b"[]")
    return dumps


@pytest.mark.parametrize("target", ["dev", "postgres"])
def test_the_health_of_the_nights(  # noqa: PLR0917
    nights: Path,
    own: dict[str, str],
    tmp_path: Path,
    target: str,
    postgres: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing loaded, raw alone, marts: the same on both engines."""
    if target == "postgres":
        for name, value in postgres.items():
            monkeypatch.setenv(name, value)
        with closing(of_target("postgres").connect()) as connection:
            connection.cursor().execute("create database nights")
    own = {**own, **postgres, "PGDATABASE": "nights", "REP_AI_TARGET": target}
    for name, value in own.items():
        monkeypatch.setenv(name, value)

    def look(*options: str) -> tuple[int, dict[str, Any]]:
        done = rep_ai("status", "--json", *options, environment=own)
        document: dict[str, Any] = json.loads(done.stdout)
        assert (done.returncode, done.stderr) == (document["exit_code"], "")
        return done.returncode, document

    code, empty = look("--check")
    assert (code, empty["deliveries"], empty["marts_built"]) == (1, 0, False)
    assert empty["problems"] == ["nothing is loaded yet: rep-ai run SOURCE"]
    assert look()[0] == 0
    assert not (tmp_path / "own.duckdb").exists()

    assert rep_ai("ingest", nights, "--quiet", environment=own).returncode == 3
    code, raw = look("--check")
    assert code == 1
    assert raw["files"] == {"loaded": 34, "duplicate": 0, "rejected": 1}
    assert raw["deliveries"] == raw["deliveries_not_in_marts"] == 34
    assert (raw["marts_built"], raw["last_windows"]) == (False, [])
    assert [row["url"].rpartition("/")[2] for row in raw["rejected"]] == ["broken\n.json"]
    assert "the marts are not built yet" in raw["problems"][0]
    assert "1 rejected file waits" in raw["problems"]

    done = rep_ai("run", nights, "--quiet", environment=own)
    assert done.returncode == 0, done.stderr
    code, found = look("--check")
    assert found.keys() == raw.keys() == empty.keys()
    assert found["windows"] == {"delivered": 31, "overlapping": 2, "redelivered": 1, "missing": 3}
    assert [(gap["from"], gap["until"], gap["windows"]) for gap in found["missing"]] == [
        ("2025-03-13T06:00:00Z", "2025-03-14T06:00:00Z", 1),
        ("2025-03-23T06:00:00Z", "2025-03-25T06:00:00Z", 2),
    ]
    assert [row["from"] for row in found["overlapping"]] == [
        *("2025-04-06T06:00:00Z", "2025-04-06T18:00:00Z")
    ]
    assert [(row["deliveries"], row["version"]) for row in found["redelivered"]] == [(2, "1.0.1")]
    assert found["newest_window_end_at"] == "2025-04-07T18:00:00Z"
    by_start = {row["from"]: row["records"]["actions"] for row in found["last_windows"]}
    assert len(found["last_windows"]) == health.LAST_WINDOWS
    small = {"count": 9, "usual": 100, "change": -0.91}
    assert by_start["2025-04-03T06:00:00Z"] == small
    # a quiet day of the weekend is as usual
    assert by_start["2025-03-30T06:00:00Z"] == {"count": 10, "usual": 10, "change": 0}
    lines = [line for line in found["warnings"] if "actions" in line]
    assert len(lines) == 1 and "the window from 2025-04-03 06:00 UTC has 9 actions" in lines[0]
    assert {row["rule"] for row in found["violations"]} >= {"unknown_session"}
    assert code == 1
    assert found["problems"] == [
        "3 dumps are missing: the last in 2 gaps from 2025-03-23 06:00 to 2025-03-25 06:00 UTC",
        "1 rejected file waits",
    ]
    age = datetime.now(UTC).replace(tzinfo=None) - datetime(2025, 4, 7, 18)
    hours = int(age / timedelta(hours=1))
    assert "the newest window ended" in look(f"--max-age={hours - 1}h")[1]["problems"][-1]
    assert look(f"--max-age={hours + 2}h")[1]["problems"] == found["problems"]
    assert look("--within=1h")[1]["problems"] == ["1 rejected file waits"]

    text = rep_ai("status", environment=own).stdout
    assert re.search(r"^2025-03-23 06:00:00  2025-03-25 06:00:00 +2$", text, re.MULTILINE)
    assert re.search(r"^2025-04-03 06:00:00  delivered .* 9 +-91%", text, re.MULTILINE)
    assert r"broken\n.json: " in text
    for line in (*found["problems"], *found["warnings"]):
        assert line in text

    (tmp_path / "more").mkdir()
    (tmp_path / "more/late.json").write_bytes(night(10, 100))
    assert rep_ai("ingest", tmp_path / "more", "--quiet", environment=own).returncode == 0
    behind = look("--check")[1]
    assert behind["deliveries_not_in_marts"] == 1
    assert behind["problems"][0].startswith("1 loaded dump is not in the marts")


def test_status_and_a_run_do_not_meet(place: Place) -> None:
    """A look waits for no lock; where the run has the file open, the run is named."""
    before = sorted(path.name for path in place.database.parent.iterdir())
    database = DuckDB(place.database)
    with database.lock():
        assert rep_ai("status", environment=place.environment).returncode == 0
        with closing(database.connect()):
            met = rep_ai("status", "--json", environment=place.environment)
    assert met.returncode == 1
    assert f"process {os.getpid()} on " in json.loads(met.stdout)["error"]
    assert met.stderr == f"rep-ai: {json.loads(met.stdout)['error']}\n"
    assert sorted(path.name for path in place.database.parent.iterdir()) == before


READER = """
import duckdb, sys, time
while True:
    try:
        with duckdb.connect(sys.argv[1], read_only=True):
            time.sleep(0.3)
    except duckdb.Error:
        pass
    time.sleep(0.2)
"""


def test_readers_do_not_kill_a_run(own: dict[str, str], place: Place) -> None:
    """A file that is looked at again and again, by status and by a tool that holds it a while."""
    code = (
        "from rep_ai import cli; from rep_ai.landing import packages; "
        "packages.PACKAGE_BYTES = 300_000; cli.main()"
    )
    known = query(place.database, "select count(*) from rep_ai_raw.unique_visitors")
    reader = subprocess.Popen([sys.executable, "-c", READER, own["REP_AI_DUCKDB"]])
    run = subprocess.Popen(
        [sys.executable, "-c", code, "ingest", "--json", str(place.dumps)],
        **{"env": own, "cwd": ROOT, "text": True},  # type: ignore[call-overload]
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    looks = 0
    while run.poll() is None:
        look = rep_ai("status", "--json", environment=own)
        assert look.returncode == 0, look.stderr
        looks += 1
    reader.kill()
    reader.wait()
    out, err = run.communicate()
    assert run.returncode == 0, err
    assert json.loads(out)["files"]["loaded"] == 15
    assert looks > 3
    assert (
        query(Path(own["REP_AI_DUCKDB"]), "select count(*) from rep_ai_raw.unique_visitors")
        == known
    )


@contextmanager
def held(database: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another program that has the file open until its stdin is closed."""
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); print(flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{code}; sys.stdin.read()", str(database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdin and reader.stdout and reader.stdout.readline() == "\n"
        try:
            yield reader
        finally:
            reader.stdin.close()


def test_dbt_waits_for_a_reader(place: Place) -> None:
    """A tool that has the file open when dbt opens it does not fail the build."""
    dbt = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "--debug", "seed"]
    with (
        held(place.database) as reader,
        subprocess.Popen(
            [*dbt, "--profiles-dir", str(ROOT)],
            **{"cwd": ROOT, "env": place.environment, "text": True},  # type: ignore[call-overload]
            stdout=subprocess.PIPE,
        ) as build,
    ):
        said = ""
        while "Opening a new connection" not in said and (line := build.stdout.readline()):
            said += line
        assert reader.poll() is None
        reader.communicate()
        said += build.stdout.read()
    assert build.returncode == 0, said


def test_a_file_that_stays_open_elsewhere(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line names the process that has it open."""
    monkeypatch.setattr("rep_ai.landing.destinations.duckdb.WRITER_PATIENCE", 0.2)
    database = DuckDB(tmp_path / "a.duckdb")
    database.connect().close()
    with held(database.path) as reader, database.lock(), pytest.raises(BusyError) as failed:
        ingest([str(place.dumps)], database, schema="raw")
    assert str(failed.value) == (
        f"{database.path} is open in another program (process {reader.pid}): "
        "close it, then run again"
    )


def fails(done: "subprocess.CompletedProcess[str]", *said: str) -> None:
    """It ended with exit code 1 and one line that says so."""
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("rep-ai: ") and "Error:" not in line.partition(": ")[0]
    assert "REP_AI_TRACEBACK" not in line
    for words in said:
        assert words in line


def test_failures_in_words(place: Place, own: dict[str, str], tmp_path: Path) -> None:
    """One line each that says what is wrong, where, and what to do."""
    dumps = place.dumps

    def bad(value: str) -> tuple[str, ...]:
        return ("--vars", f"{{rep_ai_source_schema: {value}}}")

    for value in ("a b", "7", "null", "A"):
        fails(rep_ai("ingest", dumps, *bad(value), environment=own), "lower-case letters")
        fails(rep_ai("status", *bad(value), environment=own), "rep_ai_source_schema")
    down = {**own, "REP_AI_TARGET": "postgres", "PGHOST": "127.0.0.1", "PGPORT": "1"}
    for command in (("ingest", dumps), ("status",), ("types",)):
        fails(rep_ai(*command, environment=down), "127.0.0.1:1", "refused")
    (tmp_path / "not a database.duckdb").write_text("some text")
    wrong = {**own, "REP_AI_DUCKDB": str(tmp_path / "not a database.duckdb")}
    for command in (("ingest", dumps), ("status",), ("types",)):
        fails(rep_ai(*command, environment=wrong), "not a database.duckdb", "not a valid DuckDB")
    (tmp_path / "file").touch()
    nowhere = {**own, "DBT_TARGET_PATH": str(tmp_path / "file")}
    fails(rep_ai("run", dumps, environment=nowhere), "DBT_TARGET_PATH")
    project = tmp_path / "project"
    project.mkdir()
    for text in ("vars: {", "vars: [1]", "name: other", ""):
        (project / "dbt_project.yml").write_text(text)
        fails(rep_ai("run", dumps, environment=own, cwd=project), f"{project}/dbt_project.yml")


def test_a_full_disk(place: Place, own: dict[str, str]) -> None:
    """One line, nothing half loaded, and the next run does it all."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))

    done = rep_ai("ingest", place.dumps, "--quiet", environment=own, preexec_fn=limit)
    fails(done, os.strerror(27))
    found = json.loads(rep_ai("status", "--json", environment=own).stdout)
    assert found["deliveries"] == 0
    again = json.loads(rep_ai("ingest", place.dumps, "--json", environment=own).stdout)
    assert again["files"]["loaded"] == 15


def test_what_nobody_expects_shows_no_password() -> None:
    """A driver's message may have a URL in it."""
    message = "no route to s3://ada:hunter2@host/dumps"
    with pytest.raises(RepAiError) as failed, handle_errors():
        raise ValueError(message)
    assert "ValueError: no route to s3://host/dumps " in str(failed.value)


def test_advice_for_a_full_disk() -> None:
    """Where and how to make room."""
    with pytest.raises(RepAiError, match="make room where the database is"), handle_errors():
        raise OSError(28, os.strerror(28), "somewhere")


@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_full_output(place: Place, own: dict[str, str], buffered: str) -> None:
    """It is not the database's disk that is full."""
    own = {**own, "PYTHONUNBUFFERED": buffered}
    for command in (
        *(("ingest", place.dumps), ("ingest", "--json", place.dumps)),
        *(("status",), ("status", "--json"), ("types",)),
    ):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [*COMMAND, *map(str, command)],
                **{"cwd": ROOT, "env": own, "text": True},  # type: ignore[call-overload]
                stdout=full,
                stderr=subprocess.PIPE,
                check=False,
            )
        line = f"rep-ai: the output cannot be written: {os.strerror(28)}\n"
        assert (done.returncode, done.stderr.splitlines(True)[-1]) == (1, line), command


def test_the_reader_of_a_pipe_may_leave(place: Place) -> None:
    """No word of it."""
    with subprocess.Popen(
        [*COMMAND, "status", "--json"],
        env=place.environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
