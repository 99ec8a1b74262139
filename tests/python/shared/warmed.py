"""What rep-ai and dbt do when they first run, done once: others are forked from this process.

dbt makes code of each macro, and of each class that it reads and writes, when it meets it: 2.5 of
the 6.5 seconds of a build. dlt loads half of itself with the first load.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import redirect_stdout, suppress
from pathlib import Path

from marts import environment
from processes import PROJECT, call, let_go, settle

with tempfile.TemporaryDirectory() as name, Path(os.devnull).open("w") as nowhere:
    folder = Path(name)
    settle(environment(folder), str(PROJECT))
    for program, *arguments in (
        ("rep-ai", "sample", f"{folder}/dumps", "--days", "1", "--sessions-per-day", "5"),
        ("rep-ai", "ingest", "--quiet", f"{folder}/dumps"),
        # the static parser leaves threads, without which it stands still in what is forked
        ("dbt", "--quiet", "--no-static-parser", "build"),
    ):
        with redirect_stdout(nowhere), suppress(SystemExit):
            call(program, *arguments)
    let_go()
