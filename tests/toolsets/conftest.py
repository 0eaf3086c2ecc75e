"""An office with two tools, and one process that serves all tests that leave it alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.toolsets.clerk import Office, serving


@pytest.fixture(scope="session")
def shared_office() -> Iterator[int]:
    with serving() as port:
        yield port


@pytest.fixture
def office(tmp_path: Path, shared_office: int) -> Office:
    made = Office(tmp_path / "tools.json", shared_office)
    made.list("echo", "pid")
    return made
