"""Rows of a made-up ledger for pages: a team over some hours, with what pages must cope with."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from agentcache.accounting.pricing import price_record
from agentcache.accounting.usage import BilledPart, CallRecord, RunRecord, RunStatus, ToolCallRecord, Usage
from agentcache.prompt.spans import Span

NOON = 1_790_000_000.0
MODELS = {
    "planner": "claude-opus-5",
    "reviewer": "claude-sonnet-5-5",
    "searcher": "claude-haiku-5-5",
    "<script>alert('agent')</script>": "claude-sonnet-5-5",
}
TIERS = ("executed", "executed", "memory", "sqlite", "shared")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """Rows of a ledger."""

    runs: list[RunRecord]
    calls: list[CallRecord]
    tool_calls: list[ToolCallRecord]


def team(*, runs: int = 12, calls_each: int = 4, seed: int = 7) -> Spending:
    """Return workflows that began ten minutes apart, each with a run of every agent nested in it."""
    random = Random(seed)
    made = Spending(runs=[], calls=[], tool_calls=[])
    for number in range(runs):
        top = _run(f"run_{number}", "review </script><b>all</b>", None, NOON + 600 * number)
        made.runs.append(top)
        for agent in MODELS:
            nested = _run(f"{top.run_id}_{agent}", agent, top.run_id, top.started_at + 1)
            made.runs.append(nested)
            made.calls.extend(_calls(nested, agent, calls_each, random))
    made.tool_calls.extend(_tool_call(call, random.choice(TIERS)) for call in made.calls[::2])
    return made


def _calls(run: RunRecord, agent: str, number: int, random: Random) -> list[CallRecord]:
    at, found = run.started_at, []
    for turn in range(number):
        at += random.choice((0.5, 4, 30, 200, 500, 2_000, 5_000)) if turn else 1
        usage = Usage(
            uncached_input_tokens=random.randrange(40, 900),
            cache_write_5m_tokens=random.randrange(500, 6_000) if turn < 2 else 0,
            cache_write_1h_tokens=random.randrange(3_000) if agent == "planner" else 0,
            cache_read_tokens=random.randrange(4_000, 30_000) if turn else 0,
            output_tokens=random.randrange(80, 1_500),
        )
        found.append(_call(f"{run.run_id}_{turn}", run, agent, at, usage))
    return found


def _call(call_id: str, run: RunRecord, agent: str, at: float, usage: Usage) -> CallRecord:
    model = MODELS[agent]
    return price_record(
        CallRecord(
            call_id=call_id,
            run_id=run.run_id,
            agent=agent,
            model=model,
            sent_at=at,
            first_token_at=at + 0.4,
            ended_at=at + 3,
            usage=usage,
            parts=(BilledPart(model=model, usage=usage),),
            plan={"kept": [{"digest": f"p1:{agent}:static", "ttl": "5m", "tokens": 5_000}]},
            prompt_spans=(
                Span(layer="tools", section=None, where="tools[0]", tokens=800, digest=f"p1:{agent}:tools"),
                Span(layer="static", section="rules", where="system[0]", tokens=4_200, digest=f"p1:{agent}:static"),
                Span(layer="turn", section=None, where="messages[0]", tokens=600, digest=f"p1:{call_id}"),
            ),
        )
    )


def _run(run_id: str, name: str, parent: str | None, at: float) -> RunRecord:
    return RunRecord(
        run_id=run_id,
        parent_run_id=parent,
        name=name,
        agent=None if parent is None else name,
        started_at=at,
        status=RunStatus.FINISHED,
    )


def _tool_call(call: CallRecord, tier: str) -> ToolCallRecord:
    hit = tier != "executed"
    return ToolCallRecord(
        tool_call_id=f"tool_{call.call_id}",
        run_id=call.run_id,
        agent=call.agent,
        call_id=call.call_id,
        tool="read_file" if call.agent == "searcher" else "<img src=x onerror=alert(1)>",
        started_at=call.sent_at,
        ended_at=call.sent_at + 1.5,
        outcome="ok",
        memo_hit=hit,
        memo_tier=tier,
        memo_saved_s=1.5 if hit else 0.0,
        result_bytes=800,
        result_tokens=200,
        result_digest="p1:aa",
    )
