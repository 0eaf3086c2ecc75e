"""An office with two tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.toolsets.clerk import Office


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path / "tools.json")
    made.list("echo", "pid")
    return made
