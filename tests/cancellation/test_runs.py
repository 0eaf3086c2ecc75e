"""A run that is cancelled at whatever suspension leaves true books, and nothing else behind."""

from __future__ import annotations

import pytest

from tests.cancellation.scenarios import SCENARIOS
from tests.cancellation.stage import Scenario, staged, sweep
from tests.cancellation.suspensions import Moment, from_on

EACH = pytest.mark.parametrize("scenario", SCENARIOS, ids=str)


@EACH
@pytest.mark.parametrize("when", ["asleep", "waking"])
async def test_cancelled_once(tmp_path, scenario: Scenario, when: Moment, chosen):
    async with staged(scenario, tmp_path) as on:
        await sweep(on, scenario, chosen, when=when)


@EACH
async def test_cancelled_again_and_again_while_it_cleans_up(tmp_path, scenario: Scenario, chosen):
    async with staged(scenario, tmp_path) as on:
        await sweep(on, scenario, chosen, from_on)
