"""A storm keeps its own books, call by call and errand by errand, so nobody else need watch its runtimes."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def ledger_equals_statement() -> None:
    """Take the place of the suite's guard, which would remember each result of thousands of runs."""
