"""Which suspensions are tried: all of them with `--long`, else a few, other ones each time."""

from __future__ import annotations

import os
import random

import pytest

from tests.cancellation.stage import Chosen

MOST = 1
"""Suspensions of one scenario that are tried in each way without `--long`."""


@pytest.fixture
def chosen(request: pytest.FixtureRequest) -> Chosen:
    if request.config.getoption("--long"):
        return lambda fewest, most: range(1, most + 1)
    # In CI the same ones every time, so that what it says is about the change.
    luck = random.Random(request.node.name if os.environ.get("CI") else None)
    return lambda fewest, most: luck.sample(range(1, fewest + 1), min(MOST, fewest))
