"""Storms: a short one with every run of the suite, a long one with `make chaos`, and one errand alone to look at it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.storm import Storm, run_storm, table

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="memory and handles are read in /proc")

SHORT = 90
FAULT_RATE = 0.2
BOUND_MIB = 24.0


def weathered(storm: Storm) -> str:
    """Run a storm and return its numbers. Fails with all that was wrong, and how to see it again."""
    storm.folder.mkdir(exist_ok=True)
    result = run_storm(storm)
    numbers = table(storm, result)
    if result.verdict.problems:
        pytest.fail(f"{result.verdict.words(storm.seed)}\n\n{numbers}", pytrace=False)
    return numbers


def test_a_short_storm(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    only = pytestconfig.getoption("--chaos-run")
    seed = pytestconfig.getoption("--chaos-seed")
    numbers = range(SHORT) if only is None else [only]
    weathered(Storm(seed=seed, numbers=numbers, agents=50, rate=FAULT_RATE, folder=tmp_path / "storm"))


def test_a_long_storm(pytestconfig: pytest.Config, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    count = pytestconfig.getoption("--chaos-errands")
    if count is None:
        pytest.skip("takes minutes; run it with `make chaos`")
    storm = Storm(
        seed=pytestconfig.getoption("--chaos-seed"),
        numbers=range(count),
        agents=200,
        rate=FAULT_RATE,
        folder=tmp_path / "storm",
        bound_mib=BOUND_MIB,
    )
    numbers = weathered(storm)
    with capfd.disabled():
        print(f"\n{numbers}")
