"""Plain dumps: where tests make a document of a few records, this does.

Documents that look for trouble are drawn in documents.py, histories.py and hostile.py.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from rep_ai.dump.format import COLLECTIONS

HOUR = 3_600_000
DAY = 24 * HOUR
# every collection, with nothing in it
EMPTY: dict[str, Any] = {c.name: {} if c.is_object else [] for c in COLLECTIONS}
NIGHT = 1_741_500_000_000  # the start of night 0


def document(start: int, end: int, version: str = "1.0.0", **members: Any) -> bytes:
    """A dump of a window, of the members that are given and no others."""
    header = {"version": version, "start_time": start, "end_time": end}
    return json.dumps({**header, **members}).encode()


def dump(night: int = 0, **members: Any) -> bytes:
    """A small dump of one of many nights; three users tell it from the others."""
    users = {f"{night}-{i}": {"id": f"{night}-{i}", "title": "x"} for i in range(3)}
    start = NIGHT + night * DAY
    return document(start, start + DAY, **{"users": users, **members})


def write(path: Path, content: bytes, modified_at: int = 1_780_000_000) -> Path:
    """A file of that age."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (modified_at, modified_at))
    return path
