"""The dbt project that rep-ai works for: its folder, variables and profile, and how dbt is called.

It is this one, or one that imports this one as a package, as those of `rep-ai init` do. Where it
cannot be found, read or written, these functions raise a ProjectError.
"""

import json
import math
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple
from zoneinfo import available_timezones

import yaml

from rep_ai.dbt_options import option, option_value
from rep_ai.errors import ProjectError
from rep_ai.installed import IS_CHECKOUT, OURS, PACKAGE, renew_links
from rep_ai.words import one_line

# a file called as the schema rep_ai would make names ambiguous
DEFAULT_DUCKDB = "warehouse.duckdb"
# where `make run` keeps samples away from real dumps
SAMPLE_DUCKDB = "sample.duckdb"
# dlt would rename any other
SCHEMA_NAME = re.compile(r"[a-z](_?[a-z0-9])*")
# the variables there are, as macros/runs.sql has them for plain dbt
VARIABLES = (
    "rep_ai_source_schema",
    "rep_ai_source_database",
    "rep_ai_supported_major",
    "rep_ai_timezone",
    "rep_ai_include_unknown_types",
    "rep_ai_known_types",
    "rep_ai_fields",
    "rep_ai_allow_full_refresh",
    "rep_ai_windows_before",
    "rep_ai_violation_severity",
    "rep_ai_file_format",
    "rep_ai_unit_tests",
)
# those that REP_AI_<NAME> sets in the environment; others are mappings, or not for each run
OF_ENVIRONMENT = (
    "rep_ai_timezone",
    "rep_ai_source_schema",
    "rep_ai_supported_major",
    "rep_ai_include_unknown_types",
    "rep_ai_violation_severity",
    "rep_ai_allow_full_refresh",
)


class Profile(NamedTuple):
    """A target of the project's profile."""

    target: str  # its name
    output: dict[str, Any]  # its settings with all variables filled in, such as `path`


def directory() -> Path:
    """The project of DBT_PROJECT_DIR or of the working directory, else the package's checkout.

    As dbt does, it looks into the folders above the working directory too.
    """
    if named := option_value("PROJECT_DIR"):
        places = [Path(named).absolute()]
    else:
        places = [Path.cwd(), *Path.cwd().parents, *([OURS] if IS_CHECKOUT else [])]
    for path in places:
        if (path / "dbt_project.yml").is_file():
            return path
    raise ProjectError(
        f"no dbt_project.yml in {places[0]}{'' if named else ' or above it'}",
        to_do="rep-ai init DIR makes a project; run rep-ai there, or let DBT_PROJECT_DIR name it",
    )


def package_directory() -> Path:
    """This dbt project: the project itself, or the package of this name that it has installed."""
    settings = _read(directory() / "dbt_project.yml")
    if settings.get("name") == PACKAGE:
        return directory()
    installed: Path = directory() / settings.get("packages-install-path", "dbt_packages") / PACKAGE
    renew_links(directory(), installed)
    if not (installed / "dbt_project.yml").is_file():
        raise ProjectError(
            f"{directory() / 'dbt_project.yml'} is not the project {PACKAGE}, and has no such "
            "package",
            to_do="run dbt deps, or rep-ai init DIR for a project that has it",
        )
    return installed


def variables(overrides: dict[str, Any] | None = None) -> dict[str, Any]:
    """The variables as dbt resolves them: `overrides`, the project's own, then the package's.

    Raises:
        ProjectError: there is no variable of that name, or its value makes no sense.
    """
    (_, ours), *layers = variable_layers(overrides)
    set_by_user = {name: value for _, values in layers for name, value in values.items()}
    for name in set_by_user:
        # dbt would ignore it silently
        if name.startswith("rep_ai_") and name not in VARIABLES:
            likely = get_close_matches(name, VARIABLES, 1)
            raise ProjectError(
                f"there is no variable {name}",
                to_do=f"there is {likely[0]}" if likely else f"there are {', '.join(VARIABLES)}",
            )
    found = {**ours, **set_by_user}
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


def variable_layers(overrides: dict[str, Any] | None = None) -> list[tuple[str, dict[str, Any]]]:
    """Where variables are set, and to what; the last place that sets one counts."""
    ours, own = (
        _read(path / "dbt_project.yml").get("vars") or {}
        for path in (package_directory(), directory())
    )
    return [
        ("default", ours),
        ("dbt_project.yml", {**own, **(own.get(PACKAGE) or {})}),
        ("--vars", overrides or {}),
    ]


def variables_of_environment() -> dict[str, Any]:
    """The variables that REP_AI_<NAME> sets, as YAML would read them."""
    found = {name: os.environ.get(name.upper()) for name in OF_ENVIRONMENT}
    # dbt tells a number and true and false from their text
    return {
        name: json.loads(text) if re.fullmatch(r"true|false|[1-9]\d*|0", text) else text
        for name, text in found.items()
        if text
    }


def profile(target: str | None = None, environment: Mapping[str, str] = os.environ) -> Profile:
    """A target as dbt resolves it by the environment; dbt would take two seconds to say so.

    Without a name it is the one that `DBT_TARGET` or `REP_AI_TARGET` names, else the profile's own.
    """
    path, settings = _own_profile()
    try:
        target = target or option_value("TARGET") or environment.get("REP_AI_TARGET")
        target = target or filled(settings.get("target", "default"), environment)
        targets = settings["outputs"]
        if target not in targets:
            raise ProjectError(f"no target {target!r}", to_do=f"there are {' and '.join(targets)}")
        output = {k: filled(v, environment) for k, v in targets[target].items()}
        if output.get("type") == "duckdb":
            # one database from every working folder
            output["path"] = str(directory() / output["path"])
        return Profile(target, output)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ProjectError(f"{path} cannot be read: {one_line(error)}") from None


def target_of_type(kind: str, target: str | None) -> str | None:
    """A target for a kind of database: the one that is used anyway, else the profile's first."""
    used = profile(target)
    outputs = _own_profile()[1].get("outputs") or {}
    others = (name for name, output in outputs.items() if output.get("type") == kind)
    return used.target if used.output["type"] == kind else next(others, None)


def _own_profile() -> tuple[Path, dict[str, Any]]:
    """The file of the profiles, and the project's own in it."""
    name = option_value("PROFILE") or _read(directory() / "dbt_project.yml").get("profile")
    path = profiles_directory() / "profiles.yml"
    profiles = _read(path)
    if name not in profiles:
        raise ProjectError(
            f"{path} has no profile {name!r}, which dbt_project.yml or DBT_PROFILE names"
        )
    return path, profiles[name]


def filled(value: Any, environment: Mapping[str, str]) -> Any:
    """A setting of a profile with its Jinja filled in, by the names that dbt knows there."""
    if not isinstance(value, str):
        return value
    import jinja2

    def env_var(name: str, default: str | None = None) -> str:
        if (found := environment.get(name, default)) is None:
            raise ValueError(f"the environment variable {name} is not set")
        return found

    # none of it becomes HTML
    jinja = jinja2.Environment(undefined=jinja2.StrictUndefined)  # noqa: S701
    jinja.filters.update(dict.fromkeys(("as_native", "as_number", "as_bool"), str))
    flags = {"PROFILES_DIR": str(profiles_directory())}
    try:
        rendered = jinja.from_string(value).render(env_var=env_var, flags=flags)
    except jinja2.TemplateError as error:
        raise ValueError(f"{value}: {error}") from None
    # as dbt reads it
    return None if rendered == "None" else rendered


def profiles_directory() -> Path:
    """Where dbt finds the profiles: as it is told, beside the project, or in the home folder."""
    if named := option_value("PROFILES_DIR"):
        return Path(named).absolute()
    has_own = (directory() / "profiles.yml").is_file()
    return directory() if has_own else Path.home() / ".dbt"


def _read(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping, at the top and under `vars`."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        why = error.strerror if isinstance(error, OSError) else one_line(error)
        raise ProjectError(f"{path} cannot be read: {why}") from None
    if not isinstance(content, dict) or not isinstance(content.get("vars") or {}, dict):
        raise ProjectError(f"{path} cannot be read: it is no mapping of settings")
    return content


def first_step(database: str) -> str:
    """What to do where a database has nothing, and where the samples are if that is the default."""
    step = "rep-ai run SOURCE"
    samples = directory() / SAMPLE_DUCKDB
    if database == str(directory() / DEFAULT_DUCKDB) and samples.exists():
        step += f" (REP_AI_DUCKDB={_shown(samples)} has the samples of make run)"
    return step


def command(
    used: Profile, program: str, *words: str, variables: Mapping[str, Any] | None = None
) -> str:
    """What a shell in the working folder runs to call `rep-ai` or `dbt` on a target's database.

    Variables that lead this process there may be set for it alone, as `make` and schedulers do.
    """
    here = {k: v for k, v in os.environ.items() if not k.startswith("REP_AI_")}
    usual = profile(environment=here)
    set_before = {}
    for name, path in (("PROJECT_DIR", directory()), ("PROFILES_DIR", profiles_directory())):
        # it may be set, or empty, for this process alone, and not in the shell
        if {f"DBT_{name}", f"DBT_ENGINE_{name}"} & os.environ.keys():
            set_before[f"DBT_{name}"] = _shown(path.absolute())
    if named := option_value("PROFILE"):
        set_before["DBT_PROFILE"] = shlex.quote(named)
    alike = usual if used.target == usual.target else profile(used.target, environment=here)
    if used.output.get("path") != alike.output.get("path"):
        set_before["REP_AI_DUCKDB"] = _shown(Path(used.output["path"]))
    if used.output.get("schema") != alike.output.get("schema"):
        set_before["REP_AI_SCHEMA"] = shlex.quote(str(used.output.get("schema")))
    said = [f"{name}={value}" for name, value in set_before.items()]
    said += [_shown(Path(sys.executable).parent / program), shlex.join(words)]
    if used.target != usual.target or option("TARGET"):
        said += ["--target", shlex.quote(used.target)]
    if variables:
        said += ["--vars", shlex.quote(vars_text(variables))]
    line = " ".join(said)
    is_here = program != "dbt" or directory() == Path.cwd()
    return line if is_here else f"(cd {shlex.quote(str(directory()))} && {line})"


def vars_text(variables: Mapping[str, Any]) -> str:
    """Variables as `--vars` takes them, on one line."""
    text: str = yaml.safe_dump(dict(variables), default_flow_style=True, width=math.inf)
    return text.strip()


def _shown(path: Path) -> str:
    """A path as a shell takes it in the working folder, or in the project's."""
    here = Path.cwd()
    is_short = here == directory() and path.is_relative_to(here)
    return shlex.quote(str(path.relative_to(here) if is_short else path))


def target_path() -> Path:
    """Where dbt leaves its artifacts."""
    own = _read(directory() / "dbt_project.yml").get("target-path", "target")
    return directory() / (option_value("TARGET_PATH") or filled(own, os.environ))


def log_path() -> Path:
    """Where dbt writes its log: beside its artifacts, unless a variable says otherwise."""
    return directory() / (option_value("LOG_PATH") or target_path())


def make_target_path() -> None:
    """Make the folder of the artifacts, since dbt fails without a word where it cannot."""
    try:
        target_path().mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=target_path()).close()
    except OSError as error:
        raise ProjectError(
            f"{target_path()} cannot be written: {error.strerror}",
            to_do="DBT_TARGET_PATH names another folder for what dbt leaves",
        ) from None


def dbt(arguments: Sequence[str], *, target: str | None, say: Callable[[str], None]) -> int:
    """Run dbt on the project, and `say` each line of its output. Returns its exit code."""
    # dbt would not find a package whose virtual environment has moved
    package_directory()
    command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", *arguments]
    command += ["--target", profile(target).target, "--project-dir", str(directory())]
    command += ["--profiles-dir", str(profiles_directory()), "--log-path", str(log_path())]
    # rep-ai reads these afterwards, whatever the environment says
    command += ["--target-path", str(target_path()), "--write-json"]
    has_colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    with subprocess.Popen(  # noqa: S603
        command,
        env={"DBT_USE_COLORS": str(has_colors), **os.environ, "PYTHONIOENCODING": "utf-8"},
        # where a relative path of the profile starts
        cwd=directory(),
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
