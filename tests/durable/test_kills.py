"""A process that is killed with -9 loses nothing: the next one goes on where it stopped."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.durable import voyage
from tests.durable.killing import afloat, sail_with_kills


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_voyage_killed_at_random_points_ends_well_and_pays_for_nothing_twice(
    durable_url: str, tmp_path: Path, seed: int
):
    sea = await sail_with_kills(durable_url, tmp_path, kills=3, chance=random.Random(seed))
    assert await sea.audit() == []


async def test_a_voyage_that_ended_is_not_sailed_again(durable_url: str, tmp_path: Path):
    async with afloat(durable_url, tmp_path, latency_s=0) as sea:
        assert await sea.sail()
        assert await sea.sail()
        assert sea.served.total() == sum(voyage.STEPS.values())
    assert await sea.audit() == []
