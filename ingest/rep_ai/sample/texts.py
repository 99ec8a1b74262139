"""How often synthetic visitors do what; what they see, use and say is in texts.yml."""

import json
from pathlib import Path
from typing import Any, TypeVar

import yaml

T = TypeVar("T")

POOL = 1024
"""Length of the lists from which one `random()` draws a weighted choice."""


def as_json(value: object) -> str:
    """A value as JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _pool(weights: dict[T, int]) -> list[T]:
    """Repeats each value by its weight, to `POOL` values in all; the first value takes the rest."""
    values = [value for value, weight in weights.items() for _ in range(weight)]
    return [next(iter(weights))] * (POOL - len(values)) + values


def _tail(scale: float, most: int) -> list[int]:
    """The quantiles of a heavy-tailed count from 1 to `most`, its median near 1 + `scale`."""
    return [
        1 + min(int(scale * u / (1 - u)), most - 1) for u in ((i + 0.5) / POOL for i in range(POOL))
    ]


SESSIONS_IN_GROUP = _tail(0.9, 40)
ACTIONS_IN_SESSION = _tail(1.7, 150)
# 5,000 interactions for 10,000 sessions
INTERACTIONS_IN_SESSION = _pool({0: 0, 1: 260, 2: 80, 3: 26, 5: 3})

TEXTS = yaml.safe_load(Path(__file__).with_name("texts.yml").read_text(encoding="utf-8"))
# (URL, title, weight) of each page
PAGES: list[tuple[str, str, int]] = [
    (TEXTS["site"] + path, title, weight) for path, title, weight in TEXTS["pages"]
]
# JSON texts
USER_AGENTS = _pool({as_json(text): weight for text, weight in TEXTS["user_agents"].items()})
REFERRERS = _pool({as_json(url): weight for url, weight in TEXTS["referrers"].items()})
INNER_REFERRERS = _pool({as_json(url): weight for url, _, weight in PAGES})


def text(kind: str, number: int) -> Any:
    """The text of a kind, such as "titles", that a number stands for; None is one of them."""
    return TEXTS[kind][number % len(TEXTS[kind])]
