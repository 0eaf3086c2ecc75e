"""Which suspensions are tried: all of them with `--long`, else a few, other ones each time."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Collection

import pytest

from tests.cancellation.suspensions import places

MOST = 2
"""Suspensions of one scenario that are tried in each way without `--long`."""


@pytest.fixture
def chosen(pytestconfig: pytest.Config) -> Callable[[int], Collection[int]]:
    if pytestconfig.getoption("--long"):
        return lambda count: range(1, count + 1)
    offset = 0 if os.environ.get("CI") else random.randrange(1000)
    return lambda count: places(count, most=MOST, offset=offset)
