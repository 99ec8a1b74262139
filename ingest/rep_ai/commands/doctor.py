"""rep-ai doctor: what is installed and set, whether all that a run needs is there, what to do."""

import json
import os
import platform
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZIP_DEFLATED, ZipFile
from zoneinfo import ZoneInfo

import click
import yaml

from rep_ai import project
from rep_ai.console.tables import show_table
from rep_ai.dbt_options import check_environment, option
from rep_ai.errors import RepAiError
from rep_ai.installed import installs
from rep_ai.landing.destinations import DuckDB, of_target
from rep_ai.landing.sources import find
from rep_ai.landing.urls import SCHEME, public, why
from rep_ai.words import many, on_line

PACKAGES = (
    *("dbt-core", "dbt-duckdb", "dbt-postgres", "dbt-spark", "dbt-metricflow", "dlt", "duckdb"),
    *("pyarrow", "fsspec", "s3fs", "gcsfs", "adlfs", "paramiko"),
)
# names beside those of variables that the environment may set
SETTINGS = ("DUCKDB", "DUCKDB_MEMORY", "PUBLISH", "TARGET", "TRACEBACK")
# a disk with less room is full before long
ROOM = 1 << 30
_UNITS = {"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
# what a bundle hides: values under such names, and texts of such forms
_SECRET = re.compile(r"USER|LOGNAME|PASS|TOKEN|SECRET|KEY|CREDENTIAL|CONNECTION_STRING|HOST")
_NOT_OURS = (
    # a file in a store may have any name
    (re.compile(rf"({SCHEME.pattern})[^\s'\",;]+"), r"\1..."),
    (re.compile(r"[^\s'\"<>/@:=]+@[^\s'\"<>/@:,;]+"), "(address)"),
    (re.compile(r"\b(?=[\w-]*\d)[0-9a-fA-F][0-9a-fA-F-]{14,}\b"), "(id)"),
)


class Finding(NamedTuple):
    """A thing that was looked at."""

    subject: str
    name: str
    value: str = ""
    where: str = ""  # what has set it, or where it is
    to_do: str = ""  # "" where nothing is wrong


def versions() -> Iterator[tuple[str, str]]:
    """Our version, and those of what we depend on, as far as it is installed."""
    system = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield "rep-ai", f"{version('rep-ai-marts')} ({system})"
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            yield name, version(name)


def examine(sources: Sequence[str], target: str | None, variables: dict[str, Any]) -> list[Finding]:
    """Look at everything; what fails hinders nothing else."""
    looks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("versions", lambda: _versions(target)),
        ("project", lambda: _project(target)),
        ("settings", lambda: _settings(variables)),
        ("environment", _environment),
        ("database", lambda: _database(target)),
        *((("sources", lambda each=each: _source(each))) for each in sources),
        ("machine", lambda: _machine(target)),
    ]
    found: list[Finding] = []
    for subject, look in looks:
        try:
            # what was found before it failed counts
            for each in look():
                found.append(each)
            continue
        except RepAiError as error:
            what = f"{error.where}: {error.what}" if error.where else error.what
            to_do = error.to_do or "mend it"
        except Exception as error:
            what, to_do = why(error), "mend it"
        # several looks fail for one reason, as where there is no project
        if (what, to_do) not in [(each.value, each.to_do) for each in found]:
            found.append(Finding(subject, "problem", what, "", to_do))
    return found


def _versions(target: str | None) -> Iterator[Finding]:
    for name, number in versions():
        yield Finding("versions", name, number)
    kind = project.profile(target).output.get("type") or "duckdb"
    if not find_spec(f"dbt.adapters.{kind}"):
        yield Finding("versions", f"dbt-{kind}", "missing", "", installs(kind))
    found = yaml.safe_load((project.package_directory() / "dbt_project.yml").read_text("utf-8"))
    if found["version"] != version("rep-ai-marts"):
        advice = "let both be of one version: pip install --upgrade rep-ai-marts, then dbt deps"
        yield Finding("versions", "package rep_ai of dbt", found["version"], "", advice)


def _project(target: str | None) -> Iterator[Finding]:
    folder = project.directory()
    where = "working folder" if Path.cwd().is_relative_to(folder) else "checkout"
    yield Finding("project", "project", str(folder), _set_by("PROJECT_DIR") or where)
    yield Finding("project", "package rep_ai", str(project.package_directory().resolve()))
    profiles = project.profiles_directory() / "profiles.yml"
    yield Finding("project", "profiles", str(profiles), _set_by("PROFILES_DIR"))
    where = "REP_AI_TARGET" if os.environ.get("REP_AI_TARGET") else "profile"
    where = "--target" if target else _set_by("TARGET") or where
    yield Finding("project", "target", project.profile(target).target, where)
    project.make_target_path()
    yield Finding("project", "dbt's artifacts and log", str(project.target_path()))


def _set_by(name: str) -> str:
    """The variable of the environment that sets an option of dbt."""
    found = option(name)
    return found[0] if found else ""


def _settings(variables: dict[str, Any]) -> Iterator[Finding]:
    layers = project.variable_layers(variables)
    of_environment = project.variables_of_environment()
    found = project.variables(variables)
    for name, value in found.items():
        if not name.startswith("rep_ai_"):
            continue
        where = next(where for where, values in reversed(layers) if name in values)
        if where == "--vars" and of_environment.get(name) == value:
            where = name.upper()
        yield Finding("settings", name, project.vars_text({name: value})[len(name) + 3 : -1], where)
    now = datetime.now(ZoneInfo(str(found["rep_ai_timezone"])))
    yield Finding("settings", "the time there", f"{now:%Y-%m-%d %H:%M %Z}")


def _environment() -> Iterator[Finding]:
    check_environment()
    known = sorted(
        [*(f"REP_AI_{name}" for name in SETTINGS), *(n.upper() for n in project.OF_ENVIRONMENT)]
    )
    profiles = (project.profiles_directory() / "profiles.yml").read_text("utf-8")
    for name in sorted(os.environ):
        if name in known:
            yield Finding("environment", name, public(os.environ[name]))
        elif name.startswith("REP_AI_") and name not in profiles:
            yield Finding("environment", name, "set", "", f"unset it: there is {', '.join(known)}")


def _database(target: str | None) -> Iterator[Finding]:
    if project.profile(target).output.get("type") == "spark":
        yield Finding("database", "database", "Spark, which dbt alone reaches: ask `dbt debug`")
        return
    destination = of_target(target)
    yield Finding("database", "database", destination.name)
    if isinstance(destination, DuckDB):
        path = destination.path
        folder = next(each for each in path.parents if each.exists())
        if not (folder.is_dir() and os.access(folder, os.W_OK)):
            yield Finding("database", "folder", str(folder), "", "let rep-ai write there")
        if not path.exists():
            step = project.first_step(destination.name)
            yield Finding("database", "file", f"not there yet, the first run makes it: {step}")
            return
        yield Finding("database", "size", f"{path.stat().st_size / 1e6:,.1f} MB")
        if holder := destination.holder():
            yield Finding("database", "held by a run", holder)
    # a server's encoding and poolers are looked at as it connects
    open_ = destination.connect_to_read if isinstance(destination, DuckDB) else destination.connect
    open_().close()


def _source(source: str) -> Iterator[Finding]:
    files = find([source]).files
    newest = max(files, key=lambda each: (each.modified_at or datetime.min, each.url))
    with newest.fs.open(newest.path, "rb") as file:
        file.read(1)
    size = sum(each.size or 0 for each in files) / 1e6
    said = f"{many(len(files), 'file', 'files')}, {size:,.1f} MB, and can be read"
    yield Finding("sources", on_line(public(source)), said, f"the newest of {newest.modified_at}")


def _machine(target: str | None) -> Iterator[Finding]:
    output = project.profile(target).output
    places = {
        "artifacts": project.target_path(),
        "temporary files (TMPDIR)": Path(tempfile.gettempdir()),
    }
    if output.get("type") == "duckdb":
        places["database"] = Path(output["path"]).absolute()
    for name, path in places.items():
        free = shutil.disk_usage(next(p for p in (path, *path.parents) if p.exists())).free
        advice = "make room there" if free < ROOM else ""
        yield Finding("machine", f"disk of {name}", f"{free / 1e9:,.1f} GB free", "", advice)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (bound := limit.read_text().strip()).isdecimal():
        memory = min(memory, int(bound))
    allowed = project.filled((output.get("settings") or {}).get("memory_limit", ""), os.environ)
    parts = re.fullmatch(r"([\d.]+)\s*([kmgt])i?b", str(allowed).lower())
    advice = ""
    if parts and float(parts[1]) * _UNITS[parts[2]] > memory:
        advice = f"set REP_AI_DUCKDB_MEMORY to less than the {allowed} that DuckDB may take now"
    yield Finding("machine", "memory", f"{memory / 1e9:,.1f} GB", "", advice)


def show(findings: Sequence[Finding]) -> None:
    """Show all of it to a person, and at the end what to do."""
    for subject, each in groupby(findings, key=lambda finding: finding.subject):
        show_table(subject.capitalize(), ["", "", "from"], [finding[1:4] for finding in each])
    wrong = [finding for finding in findings if finding.to_do]
    for finding in wrong:
        said = " ".join(filter(None, (finding.subject, finding.name, finding.value)))
        click.echo(f"wrong: {on_line(said)}; {finding.to_do}")
    if not wrong:
        click.echo("Nothing is wrong here.")


# --------------------------------------------------------------------------------------- the bundle


def write_bundle(file: Path, findings: Sequence[Finding], target: str | None) -> None:
    """Write a zip file of what was found, without personal data, in place of one that is there."""
    hidden: set[str] = set()
    with suppress(RepAiError):
        # what stands in the profile itself; an error of a server names it
        output = project.profile(target).output
        hidden = {str(v) for k, v in output.items() if v and _SECRET.search(k.upper())}
    lines = ["\t".join(filter(None, finding)) for finding in findings]
    with ZipFile(file, "w", ZIP_DEFLATED) as bundle:
        text = "".join(f"{without_persons(line, hidden)}\n" for line in lines)
        bundle.writestr("doctor.txt", text)
        bundle.writestr("last_build.json", json.dumps(_last_build(), indent=1))


def _last_build() -> list[dict[str, object]]:
    """Each node's end and time; what dbt says of it may have values of records."""
    with suppress(OSError, ValueError, KeyError, RepAiError):
        results = json.loads((project.target_path() / "run_results.json").read_bytes())["results"]
        kept = ("unique_id", "status", "execution_time", "failures")
        return [{key: result[key] for key in kept} for result in results]
    return []


def without_persons(text: str, secrets: Collection[str] = ()) -> str:
    """A text without names, addresses, ids, and what is secret, there or in the environment."""
    hidden = {os.environ[name] for name in os.environ if _SECRET.search(name)}
    hidden |= {*secrets, Path.home().name, socket.gethostname()}
    text = text.replace(str(Path.home()), "~")
    for pattern, instead in _NOT_OURS:
        text = pattern.sub(instead, text)
    # the longest first: one may be a part of another
    for value in sorted(hidden, key=len, reverse=True):
        if len(value) > 2:
            text = text.replace(value, "(hidden)")
    return text
