"""Prefect: land and build each night, then say whether the night is here and whole.

`python prefect_visits.py` serves the flow with its schedule.
"""

import os
import subprocess

from prefect import flow, task

PROJECT = os.environ.get("VISITS_PROJECT", "/srv/visits")
SOURCE = os.environ.get("VISITS_SOURCE", "s3://bucket/dumps")
BIN = os.environ.get("VISITS_BIN", f"{PROJECT}/.venv/bin")


def rep_ai(*arguments: str) -> int:
    """Run a command of rep-ai in the project's folder."""
    return subprocess.run([f"{BIN}/rep-ai", *arguments], cwd=PROJECT, check=False).returncode


@task(retries=2, retry_delay_seconds=600)
def run() -> None:
    """Land what is new and build; 3 says that some files were rejected, and all else is built."""
    if (code := rep_ai("run", "--quiet", SOURCE)) not in (0, 3):
        raise RuntimeError(f"rep-ai run ended with {code}")


@task
def status() -> None:
    """Fail where the newest window is late, a night is missing or a rejected file waits."""
    if code := rep_ai("status", "--max-age", "26h", "--within", "30d"):
        raise RuntimeError(f"rep-ai status ended with {code}")


@flow
def visits() -> None:
    """A night: the status is asked for whether or not the run has failed."""
    ran = run(return_state=True)
    status()
    ran.result()


if __name__ == "__main__":
    visits.serve(name="nightly", cron="0 4 * * *")
