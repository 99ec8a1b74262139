"""The dbt project that rep-ai works for: its folder, variables and profile, and how dbt is called.

It is this one, or one that imports this one as a package.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple
from zoneinfo import available_timezones

import yaml

from rep_ai.errors import RepAiError
from rep_ai.words import one_line

# the name of this dbt project, as those that import it know it
PACKAGE = "rep_ai"
# a file called as the schema rep_ai would make names ambiguous
DEFAULT_DUCKDB = "warehouse.duckdb"
# where `make run` keeps samples away from real dumps
SAMPLE_DUCKDB = "sample.duckdb"
# dlt would make another name of any other
SCHEMA_NAME = re.compile(r"[a-z](_?[a-z0-9])*")


class ProjectError(RepAiError):
    """The dbt project cannot be found or read."""


class Profile(NamedTuple):
    """A target of the project's profile.

    Attributes:
        target: its name.
        output: its settings with all variables filled in; `path` and `schema`, for example.
    """

    target: str
    output: dict[str, Any]


def directory() -> Path:
    """The project in the working directory, else the checkout that this package lies in.

    Raises:
        ProjectError: there is none in either.
    """
    for path in (Path.cwd(), Path(__file__).resolve().parents[2]):
        if (path / "dbt_project.yml").is_file():
            return path
    raise ProjectError("no dbt_project.yml here", to_do="run rep-ai in a checkout of the project")


def package_directory() -> Path:
    """This dbt project: the project itself, or the package of this name that it has installed.

    Raises:
        ProjectError: it is neither.
    """
    settings = _read(directory() / "dbt_project.yml")
    if settings.get("name") == PACKAGE:
        return directory()
    installed: Path = directory() / settings.get("packages-install-path", "dbt_packages") / PACKAGE
    if not (installed / "dbt_project.yml").is_file():
        raise ProjectError(
            f"{directory() / 'dbt_project.yml'} is not the project {PACKAGE}, and has no such "
            "package",
            to_do="run dbt deps, or run rep-ai in a checkout of the project",
        )
    return installed


def variables(overrides: dict[str, Any] | None = None) -> dict[str, Any]:
    """The variables as dbt resolves them: `overrides`, the project's own, then the package's.

    Raises:
        ProjectError: the project cannot be read, or a variable has a value that cannot be meant.
    """
    ours, own = (
        _read(path / "dbt_project.yml").get("vars") or {}
        for path in (package_directory(), directory())
    )
    found = {**ours, **own, **(own.get(PACKAGE) or {}), **(overrides or {})}
    schema, major, zone = (
        str(found[f"rep_ai_{name}"]) for name in ("source_schema", "supported_major", "timezone")
    )
    if not SCHEMA_NAME.fullmatch(schema):
        raise ProjectError(
            f"rep_ai_source_schema is {schema!r}",
            to_do="use lower-case letters, digits and single underscores",
        )
    if not major.isdecimal():
        raise ProjectError(f"rep_ai_supported_major must be a whole number, not {major!r}")
    if zone not in available_timezones():
        raise ProjectError(
            f"rep_ai_timezone is {zone!r}, not the IANA name of a time zone such as Europe/Berlin"
        )
    return found


def profile(target: str | None = None, environment: Mapping[str, str] = os.environ) -> Profile:
    """A target as dbt resolves it; dbt itself would take a second to say so.

    Args:
        target: its name; None: the one that `REP_AI_TARGET` names, else the profile's own.
        environment: the environment variables that count.

    Raises:
        ProjectError: there is no such target, or the profile cannot be read.
    """
    name = _read(directory() / "dbt_project.yml").get("profile")
    path = _profiles_directory() / "profiles.yml"
    profiles = _read(path)
    if name not in profiles:
        raise ProjectError(f"{path} has no profile {name!r}, which dbt_project.yml names")
    try:
        settings = profiles[name]
        target = target or environment.get("REP_AI_TARGET")
        target = target or _filled(settings.get("target", "default"), environment)
        targets = settings["outputs"]
        if target not in targets:
            raise ProjectError(f"no target {target!r}", to_do=f"there are {' and '.join(targets)}")
        return Profile(target, {k: _filled(v, environment) for k, v in targets[target].items()})
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ProjectError(f"{path} cannot be read: {one_line(error)}") from None


def _filled(value: Any, environment: Mapping[str, str]) -> Any:
    """A setting of a profile with its Jinja filled in, by the names that dbt knows there."""
    if not isinstance(value, str):
        return value
    import jinja2

    def env_var(name: str, default: str | None = None) -> str:
        if (found := environment.get(name, default)) is None:
            raise ValueError(f"the environment variable {name} is not set")
        return found

    # nothing of it becomes HTML
    jinja = jinja2.Environment(undefined=jinja2.StrictUndefined)  # noqa: S701
    jinja.filters.update(dict.fromkeys(("as_native", "as_number", "as_bool"), lambda same: same))
    flags = {"PROFILES_DIR": str(_profiles_directory())}
    try:
        return jinja.from_string(value).render(env_var=env_var, flags=flags)
    except jinja2.TemplateError as error:
        raise ValueError(f"{value}: {error}") from None


def _profiles_directory() -> Path:
    """Where dbt finds the profiles: as it is told, beside the project, or in the home folder."""
    if named := os.environ.get("DBT_PROFILES_DIR"):
        return Path(named).absolute()
    has_own = (directory() / "profiles.yml").is_file()
    return directory() if has_own else Path.home() / ".dbt"


def _read(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping, at the top and under `vars`."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, yaml.YAMLError) as error:
        raise ProjectError(f"{path} cannot be read: {one_line(error)}") from None
    if not isinstance(content, dict) or not isinstance(content.get("vars") or {}, dict):
        raise ProjectError(f"{path} cannot be read: it is no mapping of settings")
    return content


def installs(extra: str) -> str:
    """What adds an extra; the package is on no index."""
    return f"pip install --editable '.[{extra}]' in a checkout of the project"


def first_step(database: str) -> str:
    """What to do where a database has nothing, and where the samples are if that is the default."""
    step = "rep-ai run SOURCE"
    samples = directory() / SAMPLE_DUCKDB
    if database == str(directory() / DEFAULT_DUCKDB) and samples.exists():
        step += f" (REP_AI_DUCKDB={_shown(samples)} has the samples of make run)"
    return step


def command(program: str, used: Profile) -> str:
    """How a shell in the working folder calls a program on the database of a profile.

    What leads this process there may be set for it alone, as `make` does.
    """
    usual = profile(
        environment={k: v for k, v in os.environ.items() if not k.startswith("REP_AI_")}
    )
    set_before = []
    if used.target != usual.target:
        set_before.append(f"REP_AI_TARGET={used.target}")
    elif used.output.get("path") != usual.output.get("path"):
        set_before.append(f"REP_AI_DUCKDB={_shown(Path(used.output['path']).absolute())}")
    return " ".join([*set_before, _shown(Path(sys.executable).parent / program)])


def _shown(path: Path) -> str:
    """A path as a shell in the working folder takes it."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def target_path() -> Path:
    """Where dbt leaves its artifacts."""
    return directory() / os.environ.get("DBT_TARGET_PATH", "target")


def log_path() -> Path:
    """Where dbt writes its log: beside its artifacts, unless a variable says otherwise."""
    return directory() / os.environ.get("DBT_LOG_PATH", target_path())


def make_target_path() -> None:
    """Make the folder of the artifacts, since dbt fails without a word where it cannot.

    Raises:
        ProjectError: it cannot be written.
    """
    try:
        target_path().mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=target_path()).close()
    except OSError as error:
        raise ProjectError(
            f"{target_path()} cannot be written: {error.strerror}",
            to_do="DBT_TARGET_PATH names another folder for what dbt leaves",
        ) from None


def dbt(arguments: Sequence[str], *, target: str | None, say: Callable[[str], None]) -> int:
    """Run dbt on the project; its exit code.

    Args:
        arguments: dbt's own.
        target: target of the profile; None: the usual one.
        say: called with each line of dbt's output.
    """
    command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", *arguments]
    command += ["--target", profile(target).target, "--project-dir", str(directory())]
    command += ["--profiles-dir", str(_profiles_directory()), "--log-path", str(log_path())]
    has_colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    with subprocess.Popen(  # noqa: S603
        command,
        env={"DBT_USE_COLORS": str(has_colors), **os.environ, "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        # the lock of the run is among the open files
        close_fds=False,
    ) as process:
        try:
            for line in process.stdout or ():
                say(line.rstrip("\n"))
        except BaseException:
            process.kill()
            raise
    return process.returncode
