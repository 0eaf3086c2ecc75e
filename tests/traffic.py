"""Calls and tool calls of a few days, drawn at random, for what sums them up."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import strategies as st

from agentcache.accounting.pricing import price_record
from agentcache.accounting.usage import CallKind, CallRecord, RunRecord, ToolCallRecord, Usage

BEGAN = 1_700_006_400.0  # a midnight of 2023: a seal asks the clock whether a row is recent
DAY_S, HOUR_S = 86_400.0, 3_600.0
AGENTS = (None, "a", "b")
MODELS = ("claude-opus-5", "claude-sonnet-5-5", "acme-9")

RUNS = (
    RunRecord(run_id="run_1", parent_run_id=None, name="review", agent=None, started_at=BEGAN),
    RunRecord(run_id="run_2", parent_run_id="run_1", name="reviewer", agent="a", started_at=BEGAN),
    RunRecord(run_id="run_3", parent_run_id=None, name="other", agent="b", started_at=BEGAN),
)

times = st.builds(
    lambda hour, second: BEGAN + hour * HOUR_S + second, st.integers(0, 71), st.sampled_from([0.0, 0.5, 1799.0, 1800.0])
)
"""Three days, so coarse that times coincide and fall on the hour."""

_tokens = st.integers(0, 5000)
_digests = st.lists(st.sampled_from(["p1:a", "p1:b", "p1:c"]), max_size=3, unique=True).map(tuple)
_usages = st.none() | st.builds(
    Usage,
    uncached_input_tokens=_tokens,
    cache_write_5m_tokens=_tokens,
    cache_write_1h_tokens=_tokens,
    cache_read_tokens=_tokens,
    output_tokens=_tokens,
)
_held = st.sampled_from([None, {}, {"prefix": 0.25}, {"prefix": 0.1, "rate": 2.000001}])


def _call(sent_at: float, marks: tuple[str, ...], **fields: object) -> CallRecord:
    kept = [{"digest": digest, "tokens": 1000 * (place + 1), "ttl": "5m"} for place, digest in enumerate(marks)]
    record = CallRecord(call_id="", sent_at=sent_at, prefix_digests=marks, plan={"kept": kept}, **fields)  # type: ignore[arg-type,dict-item]  # drawn by name
    return price_record(record)


_calls = st.builds(
    _call,
    times,
    _digests,
    run_id=st.sampled_from(["run_1", "run_2", "run_3"]),
    kind=st.sampled_from([CallKind.MESSAGE, CallKind.KEEP_ALIVE]),
    agent=st.sampled_from(AGENTS),
    model=st.sampled_from(MODELS),
    conversation=st.sampled_from([None, "c-1"]),
    usage=_usages,
    found_digests=_digests,
    error=st.sampled_from([None, "CallRejected: 400"]),
    held_s=_held,
    held_saved_usd=st.sampled_from([None, Decimal("0.00125")]),
)


@st.composite
def traffic(draw: st.DrawFn, most: int = 14) -> tuple[list[CallRecord], list[ToolCallRecord]]:
    """Return calls, and tool calls that they asked for, or calls that are not known."""
    drawn = draw(st.lists(_calls, max_size=most))
    calls = [replace(call, call_id=f"call_{number:02}") for number, call in enumerate(drawn)]
    tools = []
    for number, (agent, delay, asked, hit) in enumerate(
        draw(
            st.lists(
                st.tuples(
                    st.sampled_from(AGENTS), st.sampled_from([0.0, 3.0, 3599.0]), st.integers(0, 20), st.booleans()
                ),
                max_size=6,
            )
        )
    ):
        call = calls[asked] if asked < len(calls) else None
        at = (BEGAN + 20 * HOUR_S if call is None else call.sent_at) + delay
        tools.append(
            ToolCallRecord(
                tool_call_id=f"tool_{number}",
                run_id="run_3" if call is None else call.run_id,
                agent=agent,
                call_id="gone" if call is None else call.call_id,
                tool="look_up",
                started_at=at,
                ended_at=at + 0.25,
                outcome="ok",
                memo_hit=hit,
            )
        )
    return calls, tools
