"""What every test of the client starts from."""

from __future__ import annotations

import pytest

from tests.runtime.loopback import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()
