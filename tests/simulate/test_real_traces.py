"""The recorded traces: read whole, billed in order, with the differences between policies that they are known for."""

from __future__ import annotations

import gzip
import json
import lzma
from itertools import islice
from pathlib import Path

import pytest

from agentcache.simulate.arrivals import Arrivals
from agentcache.simulate.cases import CaseReader
from agentcache.simulate.outcome import Outcome
from agentcache.simulate.reading import read_traffic
from agentcache.simulate.replay import Replay
from agentcache.simulate.traces import TraceOptions
from tests.simulate.recordings import TRACES, needs_traces, simulated

FAMILIES = [
    "claude_code.jsonl.xz",
    "claude_code_multi.jsonl.xz",
    "swe_agent.jsonl.gz",
    "tau_airline.jsonl.gz",
    "tau_retail.jsonl.gz",
    "whowhen.jsonl.gz",
]
MODEL = "claude-sonnet-5-5"
FIXED = ["off", "automatic", "fixed-5m", "fixed-1h-prefix", "fixed-1h"]


def beginning(tmp_path: Path, family: str, traces: int) -> Path:
    """Return a file of the first traces of a family."""
    opened = gzip.open if family.endswith("gz") else lzma.open
    path = tmp_path / "traces.jsonl"
    with opened(TRACES / family, "rt", encoding="utf-8") as file:
        path.write_text("".join(islice(file, traces)), encoding="utf-8")
    return path


def ratios(outcome: Outcome) -> dict[str, float]:
    found = {policy.name: outcome.ratio_to_bound(policy) for policy in outcome.policies}
    known = {name: ratio for name, ratio in found.items() if ratio is not None}
    assert known.keys() == found.keys()
    return known


@needs_traces
@pytest.mark.parametrize("family", FAMILIES)
def test_every_policy_bills_every_call_and_none_is_cheaper_than_the_bound(tmp_path: Path, family: str) -> None:
    path = beginning(tmp_path, family, 4)
    outcome = simulated([path], [*FIXED, "layers", "auto"], model=MODEL)
    off = outcome.policies[0]
    assert off.usage.cache_read_tokens == off.usage.cache_write_tokens == 0
    for policy in outcome.policies:
        assert policy.calls == off.calls > 0
        assert policy.refused == 0
        if not policy.keep_alive_reads:
            assert policy.usage.input_tokens == off.usage.input_tokens
    assert all(ratio >= 1 for ratio in ratios(outcome).values())


@needs_traces
@pytest.mark.parametrize("family", ["claude_code.jsonl.xz", "claude_code_multi.jsonl.xz"])
def test_recorded_totals_are_billed_to_the_token(tmp_path: Path, family: str) -> None:
    path = beginning(tmp_path, family, 3)
    calls = read_traffic([path], TraceOptions())
    replay = Replay.of("fixed-5m")
    for call, case in zip(calls, CaseReader(totals_recorded=True).cases(calls), strict=True):
        usage = replay.bill(case).usage
        assert usage is not None
        assert usage.input_tokens == call.recorded_prompt_tokens


@needs_traces
def test_customers_who_answer_soon_make_five_minutes_enough(tmp_path: Path) -> None:
    path = beginning(tmp_path, "tau_airline.jsonl.gz", 25)
    found = ratios(simulated([path], FIXED, arrivals=Arrivals.BRISK, model="claude-sonnet-4-6"))
    assert 5.5 < found["off"] < 8.5
    assert 1.3 < found["automatic"] < 1.6
    assert 1.0 <= found["fixed-5m"] < 1.02
    assert found["fixed-5m"] < found["fixed-1h-prefix"] < 1.05 < found["fixed-1h"] < 1.3


@needs_traces
def test_customers_who_wander_off_make_the_hour_pay_for_the_prefix(tmp_path: Path) -> None:
    path = beginning(tmp_path, "tau_retail.jsonl.gz", 25)
    brisk, wandering = (
        ratios(simulated([path], FIXED, arrivals=arrivals, model="claude-sonnet-4-6"))
        for arrivals in (Arrivals.BRISK, Arrivals.WANDERING)
    )
    assert wandering["fixed-5m"] > brisk["fixed-5m"] + 0.01
    assert wandering["fixed-1h-prefix"] - wandering["fixed-5m"] < brisk["fixed-1h-prefix"] - brisk["fixed-5m"]


@needs_traces
def test_a_stand_in_prefix_is_written_once_and_shared(tmp_path: Path) -> None:
    standin = json.loads((TRACES.parent / "standin_claude_code_prompt.json").read_text(encoding="utf-8"))
    path = beginning(tmp_path, "claude_code.jsonl.xz", 2)
    system = [{"type": "text", "text": block} for block in standin["system_blocks"]]
    bare = read_traffic([path], TraceOptions())
    completed = read_traffic([path], TraceOptions(system=system, tools=standin["tools"]))
    assert all(call.lacks_prompt for call in bare)
    assert not any(call.lacks_prompt for call in completed)
    (without, *_), (within, *_) = (list(CaseReader().cases(calls)) for calls in (bare, completed))
    prefix = within.prompt.total_tokens - without.prompt.total_tokens
    assert abs(prefix / standin["measured_prefix_tokens"] - 1) < 0.25
