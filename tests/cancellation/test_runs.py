"""A run that is cancelled at whatever suspension leaves true books, and nothing else behind."""

from __future__ import annotations

import pytest

from tests.cancellation.scenarios import SCENARIOS
from tests.cancellation.stage import Scenario, staged, sweep


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_a_cancelled_run_leaves_true_books_and_nothing_else(tmp_path, scenario: Scenario, chosen):
    async with staged(scenario, tmp_path) as on:
        await sweep(on, scenario, chosen)
