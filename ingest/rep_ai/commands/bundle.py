"""What `rep-ai doctor --bundle` writes: enough for others to help, and nothing of any person."""

import json
import os
import re
import socket
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from rep_ai import project
from rep_ai.commands.doctor import Finding
from rep_ai.errors import RepAiError
from rep_ai.landing.urls import SCHEME

_SECRET = re.compile(r"USER|LOGNAME|PASS|TOKEN|SECRET|KEY|CREDENTIAL|CONNECTION_STRING|HOST")
_NOT_OURS = (
    # a file in a store may be called as anything
    (re.compile(rf"({SCHEME.pattern})[^\s'\",;]+"), r"\1..."),
    (re.compile(r"[^\s'\"<>/@:=]+@[^\s'\"<>/@:,;]+"), "(address)"),
    (re.compile(r"\b(?=[\w-]*\d)[0-9a-fA-F][0-9a-fA-F-]{14,}\b"), "(id)"),
)


def write(file: Path, findings: Sequence[Finding], target: str | None) -> None:
    """Write a zip file of what was found, and of how the last build ended; no text of dbt's.

    Args:
        file: replaced if it is there.
        findings: what `examine` found.
        target: target of the profile that was looked at.
    """
    hidden: set[str] = set()
    with suppress(RepAiError):
        # what stands in the profile itself; an error of a server names it
        output = project.profile(target).output
        hidden = {str(v) for k, v in output.items() if v and _SECRET.search(k.upper())}
    lines = ["\t".join(filter(None, finding)) for finding in findings]
    text = "".join(f"{without_persons(line, hidden)}\n" for line in lines)
    with ZipFile(file, "w", ZIP_DEFLATED) as bundle:
        bundle.writestr("doctor.txt", text)
        bundle.writestr("last_build.json", json.dumps(_last_build(), indent=1))


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


def _last_build() -> list[dict[str, object]]:
    """Each node's end and time; what dbt says of it may have values of records."""
    with suppress(OSError, ValueError, KeyError, RepAiError):
        results = json.loads((project.target_path() / "run_results.json").read_bytes())["results"]
        return [
            {key: result[key] for key in ("unique_id", "status", "execution_time", "failures")}
            for result in results
        ]
    return []
