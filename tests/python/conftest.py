"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from postgres import server

# HYPOTHESIS_PROFILE=long searches longer
settings.register_profile("ci", deadline=None, derandomize=False, print_blob=True)
settings.register_profile("long", settings.get_profile("ci"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[dict[str, str]]:
    """A running PostgreSQL server, as the PG* environment variables that lead to it."""
    with server() as variables:
        yield variables
