"""What holds for every traffic: no token is lost or invented, no policy beats the bound, nobody's markers leak."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.simulate.cases import Case
from agentcache.simulate.outcome import Outcome, Simulation
from agentcache.simulate.policies import RECORDED, policy_names
from agentcache.simulate.replay import Replay
from tests.simulate.recordings import Body
from tests.simulate.strategies import cases, logs


def outcome_of(ready: Sequence[Case], names: Sequence[str] = policy_names()) -> Outcome:
    simulation = Simulation(replays=[Replay.of(name) for name in names], keep_details=True)
    for _ in simulation.run(ready):
        pass
    return simulation.outcome()


@settings(max_examples=40, deadline=None)
@given(lines=logs(), totals_recorded=st.booleans())
def test_no_token_is_lost_or_invented(lines: list[Body], totals_recorded: bool) -> None:
    ready = cases(lines, totals_recorded=totals_recorded)
    for name in policy_names():
        replay = Replay.of(name, keep_alive=False)
        for case in ready:
            usage = replay.bill(case).usage
            if usage is not None:
                assert usage.input_tokens == case.prompt.total_tokens
                assert usage.output_tokens == 50
                assert totals_recorded is False or usage.input_tokens == case.call.recorded_prompt_tokens


@settings(max_examples=60, deadline=None)
@given(lines=logs())
def test_no_policy_is_cheaper_than_the_bound(lines: list[Body]) -> None:
    outcome = outcome_of(cases(lines))
    assert outcome.bound_usd is not None
    for policy in outcome.policies:
        assert policy.cost_usd is not None
        assert policy.refused or policy.cost_usd >= outcome.bound_usd
        ratio = outcome.ratio_to_bound(policy)
        assert (ratio is None) == (policy.refused > 0)
        assert ratio is None or ratio >= 1


@settings(max_examples=40, deadline=None)
@given(lines=logs())
def test_wasted_writes_were_written(lines: list[Body]) -> None:
    for policy in outcome_of(cases(lines)).policies:
        assert 0 <= policy.wasted_write_tokens <= policy.usage.cache_write_tokens


@settings(max_examples=40, deadline=None)
@given(lines=logs())
def test_the_records_markers_mean_nothing_to_other_policies(lines: list[Body]) -> None:
    ready = cases(lines)
    bare = cases([{**each, "request": case.bare} for each, case in zip(lines, ready, strict=True)])
    assert "cache_control" not in json.dumps([case.bare for case in ready])
    names = [name for name in policy_names() if name != RECORDED]
    assert outcome_of(ready, names).to_json(per_call=True) == outcome_of(bare, names).to_json(per_call=True)


@settings(max_examples=25, deadline=None)
@given(lines=logs(), names=st.permutations(policy_names()))
def test_policies_do_not_hear_of_each_other(lines: list[Body], names: list[str]) -> None:
    ready = cases(lines)
    together, outcome = outcome_of(ready), outcome_of(ready, names)
    assert together.bound_usd == outcome.bound_usd
    assert sorted(str(policy) for policy in together.policies) == sorted(str(policy) for policy in outcome.policies)


@settings(max_examples=25, deadline=None)
@given(lines=logs(), cut=st.integers(1, 6))
def test_a_policy_never_sees_what_comes(lines: list[Body], cut: int) -> None:
    whole, beginning = outcome_of(cases(lines)), outcome_of(cases(lines[:cut]))
    for policy, begun in zip(whole.policies, beginning.policies, strict=True):
        assert policy.details[: len(begun.details)] == begun.details


@settings(max_examples=25, deadline=None)
@given(lines=logs(), later_s=st.sampled_from([1000.0, 86_400.0]))
def test_a_clock_that_begins_elsewhere_changes_no_bucket(lines: list[Body], later_s: float) -> None:
    moved = [{**each, "t": float(str(each["t"])) + later_s} for each in lines]
    for policy, same in zip(outcome_of(cases(lines)).policies, outcome_of(cases(moved)).policies, strict=True):
        assert (policy.usage, policy.cost_usd) == (same.usage, same.cost_usd)
