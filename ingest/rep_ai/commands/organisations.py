"""--all: one command for each organisation of rep_ai.yml, each in a file or schema of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from threading import Thread
from typing import IO, Any, NamedTuple

import click
import yaml

from rep_ai import project
from rep_ai.errors import DONE, EXIT_FAILED, SOME_REJECTED, ProjectError
from rep_ai.words import one_line

NAME = "rep_ai.yml"
KEYS = ("sources", "target", "database", "schema", "vars", "environment")
# the command ends with the first of these that an organisation ended with; 2 is wrong usage
WORST = (EXIT_FAILED, 2, SOME_REJECTED, DONE)


class Organisation(NamedTuple):
    """An organisation as rep_ai.yml has it, and where a target puts it."""

    name: str
    sources: list[str]  # files, folders, globs or URLs
    target: str  # of the profile
    variables: dict[str, Any]  # dbt's, for it alone
    environment: dict[str, str]  # leads to its file or schema, and to a folder for what dbt leaves
    place: list[str]  # its database and schema


def read(target: str | None = None) -> list[Organisation]:
    """The organisations of rep_ai.yml, beside dbt_project.yml; no two of them in one place.

    A `target` of the profile is for all of them; without it each has its own, or the usual one.
    """
    path = project.directory() / NAME
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        listed = content["organisations"]
        items = [(str(name), dict(settings)) for name, settings in listed.items()]
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProjectError(
            f"{path} cannot be read: {one_line(error)}",
            to_do="it holds `organisations:`, and of each its name and `sources:`",
        ) from None
    if not items:
        raise ProjectError(f"{path} has no organisation", to_do="name one, and its `sources:`")
    found: list[Organisation] = []
    for name, settings in items:
        organisation = _organisation(name, settings, target)
        for other in found:
            if other.place == organisation.place:
                raise ProjectError(
                    f"{name} and {other.name} would be in one place",
                    where=str(path),
                    to_do="give each a database or a schema of its own",
                )
        found.append(organisation)
    return found


def _organisation(name: str, settings: dict[str, Any], target: str | None) -> Organisation:
    wrong = [key for key in settings if key not in KEYS]
    variables = settings.get("vars") or {}
    environment = settings.get("environment") or {}
    schema, database = settings.get("schema"), settings.get("database")
    sources = settings.get("sources")
    sources = [sources] if isinstance(sources, str) else sources
    flaw = None
    if not project.SCHEMA_NAME.fullmatch(name):
        flaw = "use lower-case letters, digits and single underscores for its name"
    elif wrong:
        flaw = f"there is no setting {wrong[0]}; there are {', '.join(KEYS)}"
    elif not sources or not isinstance(sources, list):
        flaw = "it has no list of sources"
    elif schema and not project.SCHEMA_NAME.fullmatch(str(schema)):
        flaw = "use lower-case letters, digits and single underscores for its schema"
    elif not isinstance(environment, dict):
        flaw = "environment is a mapping of names and values"
    elif not isinstance(variables, dict) or "rep_ai_source_schema" in variables:
        flaw = "vars is a mapping, and has no rep_ai_source_schema: schema decides that"
    if flaw:
        raise ProjectError(flaw, where=f"{NAME}: {name}")
    own = {str(k): str(v) for k, v in environment.items()}
    used = project.profile(target or settings.get("target"), {**os.environ, **own})
    is_file = used.output.get("type") == "duckdb"
    if is_file:
        database = database or f"{name}.duckdb"
    else:
        schema = schema or name
    # as dbt names the other schemas
    raw = "rep_ai_raw" if schema == "rep_ai" else f"{schema}_rep_ai_raw"
    leading = {
        # a copy for readers of one would be replaced by that of the next
        "REP_AI_PUBLISH": "",
        "DBT_TARGET_PATH": str(project.target_path() / name),
        "DBT_LOG_PATH": str(project.log_path() / name),
        **({"REP_AI_DUCKDB" if is_file else "PGDATABASE": str(database)} if database else {}),
        **({"REP_AI_SCHEMA": schema, "REP_AI_SOURCE_SCHEMA": raw} if schema else {}),
        **own,
    }
    output = project.profile(used.target, {**os.environ, **leading}).output
    if schema and output.get("schema") != schema:
        raise ProjectError(
            f"target {used.target!r} has the schema {output.get('schema')!r} for all",
            where=f"{NAME}: {name}",
            to_do="in profiles.yml write schema: \"{{ env_var('REP_AI_SCHEMA', 'rep_ai') }}\"",
        )
    place = [str(output.get(k)) for k in ("path", "host", "port", "dbname", "database", "schema")]
    texts = [str(source) for source in sources or ()]
    return Organisation(name, texts, used.target, variables, leading, place)


def run_all(command: str, words: Sequence[str], target: str | None, variables: Any) -> int:
    """Run a command for each organisation, one after the other. Returns the worst exit code.

    `words` are its options. A --target and --vars among them do no harm, since those of each
    organisation are appended: `target` and `variables`, else what rep_ai.yml says of it.
    """
    codes: dict[str, int] = {}
    documents: dict[str, Any] = {}
    as_json = "--json" in words
    for each in read(target):
        arguments = [command, *words, "--target", each.target]
        if merged := {**each.variables, **variables}:
            arguments += ["--vars", project.vars_text(merged)]
        if command != "status":
            arguments += ["--", *each.sources]
        code, said = _run(each, arguments, as_json=as_json)
        codes[each.name] = code if code in WORST else EXIT_FAILED
        try:
            documents[each.name] = json.loads(said)
        except ValueError:
            error = "it ended without a document"
            documents[each.name] = {"error": error, "exit_code": code}
    worst = min(codes.values(), key=WORST.index, default=DONE)
    if as_json:
        click.echo(json.dumps({"exit_code": worst, "organisations": documents}))
    else:
        ended = ", ".join(f"{name} {code}" for name, code in codes.items())
        click.echo(f"exit codes: {ended}", err="--quiet" in words)
    return worst


def _run(organisation: Organisation, arguments: list[str], *, as_json: bool) -> tuple[int, str]:
    """How a command ended, and its output if that is one document; other output is passed on."""
    said = ""
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "rep_ai", *arguments],
        env={**os.environ, **organisation.environment, "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            errors = Thread(target=_hand_on, args=(organisation.name, process.stderr, True))
            errors.start()
            if as_json and process.stdout:
                said = process.stdout.read()
            else:
                _hand_on(organisation.name, process.stdout, False)
            errors.join()
        except BaseException:
            # it ends in good order, is heard out, and waited for
            process.terminate()
            _hand_on(organisation.name, process.stdout, as_json)
            raise
    return process.returncode, said


def _hand_on(name: str, pipe: IO[str] | None, is_error: bool) -> None:
    for line in pipe or ():
        click.echo(f"{name} | {line.rstrip()}", err=is_error)
