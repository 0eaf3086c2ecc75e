"""How authors write a length of time."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.errors import SettingsError
from agentcache.runtime.durations import Duration, seconds


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("2d", 172_800.0),
        ("500ms", 0.5),
        ("1.5 h", 5400.0),
        (" 90s ", 90.0),
        (90, 90.0),
        (0.25, 0.25),
        (timedelta(minutes=2), 120.0),
    ],
)
def test_a_duration_is_a_number_of_seconds(written: Duration, expected: float):
    assert seconds(written) == expected


@pytest.mark.parametrize(
    "nonsense",
    ["", "soon", "5", "5 minutes", "-5m", "1h30", "5M", "0s", 0, -1, True, math.inf, math.nan, 10**400, timedelta(0)],
)
def test_nonsense_is_refused_with_the_ways_to_write_it(nonsense: Duration):
    with pytest.raises(SettingsError, match="write '30s', '5m', '1h', '2d'"):
        seconds(nonsense)


@settings(max_examples=50)
@given(st.one_of(st.text(max_size=8), st.floats(), st.integers(), st.timedeltas()))
def test_whatever_is_accepted_is_finite_and_above_zero(value: Duration):
    try:
        length = seconds(value)
    except SettingsError:
        return
    assert 0 < length < math.inf
