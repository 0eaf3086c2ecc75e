"""What the scheduler saves and costs: many workers over one prefix, with it and without it.

    python benchmarks/fan_out.py [--rounds 3] [--workers 8 64] [--gate 1000]

The emulator answers with the latency that it calls realistic, in this process. Each round plays every variant once,
on a fresh emulator and a fresh runtime; the table shows medians over the rounds. Dollars, writes and reads are those
of the emulator's own statement. "killed" cuts the leader's stream in its middle, "reset" its connection before any
answer, "refused" answers it with 529. The second table is the scheduler alone: what one call costs of CPU when nothing
holds it, and when it waits with many others for one leader.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from agentcache import Agent, Prompt, Run, Runtime, Scheduling, __version__, workflow
from agentcache.accounting.waiting import sum_waiting
from agentcache.emulator.faults import Fault, FaultKind, ScheduledFaults
from agentcache.emulator.latency import REALISTIC
from agentcache.emulator.server import serve
from agentcache.prompt.plans import Breakpoint
from agentcache.runtime.admission import CallToSend
from agentcache.workflow.scheduler import Scheduler

MODEL = "claude-sonnet-5-5"
HANDBOOK = "Answer briefly, name the paragraph that says so, and ask nothing back. " * 1075
PREFIX_AT_LEAST = 15_000
COLUMNS = (
    *("workers", "variant", "answers", "writes", "reads", "cost"),
    *("saved (estimate)", "wait median s", "wait p90 s", "wall s"),
)
WORKER = Agent(name="worker", model=MODEL, prompt=Prompt(static=HANDBOOK))


@workflow
async def fan_out(run: Run, workers: int) -> list[str]:
    return await run.map(WORKER, [f"Which paragraph covers case {number}?" for number in range(workers)])


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One fan-out: what the emulator charged, and what the ledger says of waiting."""

    answers: int
    writes: int
    reads: int
    prefix_tokens: int
    usd: Decimal
    saved_usd: Decimal | None
    waits_s: list[float]
    wall_s: float


@dataclass(frozen=True, kw_only=True)
class Variant:
    name: str
    workers: int
    scheduling: Scheduling | None
    fault: FaultKind | None = None


def variants(counts: Iterable[int]) -> list[Variant]:
    plain = [
        Variant(name=name, workers=workers, scheduling=scheduling)
        for workers in counts
        for name, scheduling in (("without", None), ("scheduled", Scheduling()))
    ]
    kinds: dict[str, FaultKind] = {"killed": "cut", "reset": "reset", "refused": "529"}
    hurt = [
        Variant(name=f"scheduled, leader {name}", workers=max(counts), scheduling=Scheduling(), fault=kind)
        for name, kind in kinds.items()
    ]
    return plain + hurt


async def play(variant: Variant) -> Outcome:
    faults = ScheduledFaults([] if variant.fault is None else [Fault(kind=variant.fault)])
    async with (
        serve(lambda request: "The third paragraph. " * 8, latency=REALISTIC, faults=faults) as emulator,
        Runtime("memory:", api_key="none", base_url=emulator.base_url, scheduling=variant.scheduling) as runtime,
    ):
        began = time.perf_counter()
        result = await runtime.run(fan_out, variant.workers)
        wall_s = time.perf_counter() - began
        calls = await runtime.ledger.calls()
        charges = [line.charge for line in emulator.statement.lines]
        known = [call.cost_usd for call in calls if call.cost_usd is not None]
    return Outcome(
        answers=len(result.output),
        writes=sum(charge.write_5m_tokens + charge.write_1h_tokens > PREFIX_AT_LEAST for charge in charges),
        reads=sum(charge.read_tokens > PREFIX_AT_LEAST for charge in charges),
        prefix_tokens=max(charge.write_5m_tokens + charge.write_1h_tokens for charge in charges),
        usd=sum(known, Decimal(0)),
        saved_usd=sum_waiting(calls).saved_usd,
        waits_s=[sum((call.held_s or {}).values()) for call in calls],
        wall_s=wall_s,
    )


def row(variant: Variant, outcomes: list[Outcome]) -> str:
    waits = sorted(wait for outcome in outcomes for wait in outcome.waits_s)
    p90 = waits[int(0.9 * (len(waits) - 1))]
    first = outcomes[0]
    wall_s = statistics.median(outcome.wall_s for outcome in outcomes)
    cells = (
        str(variant.workers),
        variant.name,
        _all(outcomes, lambda one: one.answers),
        _all(outcomes, lambda one: one.writes),
        _all(outcomes, lambda one: one.reads),
        f"${first.usd:.4f}",
        f"${first.saved_usd:.4f}",
        f"{statistics.median(waits):.2f}",
        f"{p90:.2f}",
        f"{wall_s:.2f}",
    )
    return f"| {' | '.join(cells)} |"


def _all(outcomes: list[Outcome], count: Callable[[Outcome], int]) -> str:
    """Return a count of all rounds: one number where they agree, else the least and the most."""
    counts = sorted({count(outcome) for outcome in outcomes})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]}-{counts[-1]}"


def asked(digest: str) -> CallToSend:
    mark = Breakpoint(
        where="system[0]",
        block=0,
        ttl="5m",
        prefix_tokens=20_000,
        prefix_digest=digest,
        reason="benchmark",
        origin="policy",
    )
    return CallToSend(run_id="run", model=MODEL, marks=(mark,), prompt_tokens=20_050)


async def unheld_us(calls: int) -> float:
    """Return the microseconds of CPU that the scheduler takes for a call that nothing holds."""
    scheduler = Scheduler(settings=Scheduling(), clock=time.time, sleep=asyncio.sleep)
    began = time.process_time()
    for number in range(calls):
        async with scheduler.entered(asked(str(number % 50))) as admission:
            admission.responded(200, {})
            admission.began()
            admission.answered(100)
    return 1e6 * (time.process_time() - began) / calls


async def held_us(calls: int) -> float:
    """Return the microseconds of CPU per call when so many wait for one leader, their tasks included."""
    scheduler = Scheduler(settings=Scheduling(), clock=time.time, sleep=asyncio.sleep)

    async def follow() -> None:
        async with scheduler.entered(asked("p")) as admission:
            admission.began()

    async with scheduler.entered(asked("p")) as leader:
        began = time.process_time()
        followers = [asyncio.create_task(follow()) for _ in range(calls)]
        await asyncio.sleep(0)
        leader.began()
        await asyncio.gather(*followers)
    took = time.process_time() - began
    await scheduler.aclose()
    return 1e6 * took / calls


async def task_us(calls: int) -> float:
    """Return what the tasks alone take: the floor of `held_us`."""
    release = asyncio.Event()

    async def follow() -> None:
        await release.wait()

    began = time.process_time()
    followers = [asyncio.create_task(follow()) for _ in range(calls)]
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(*followers)
    return 1e6 * (time.process_time() - began) / calls


async def gate_table(most: int, rounds: int) -> None:
    print("\nThe scheduler alone, microseconds of CPU per call (medians):\n")
    print("| calls | not held | waiting for one leader | tasks alone |\n|---|---|---|---|")
    for calls in (most // 10, most, most * 10):
        measured = [(await unheld_us(calls), await held_us(calls), await task_us(calls)) for _ in range(rounds)]
        unheld, held, floor = (statistics.median(column) for column in zip(*measured, strict=True))
        print(f"| {calls:,} | {unheld:.1f} | {held:.1f} | {floor:.1f} |")


async def main(rounds: int, counts: list[int], gate: int) -> None:
    played = variants(counts)
    outcomes: dict[str, list[Outcome]] = {}
    for _ in range(rounds):
        for variant in played:
            outcomes.setdefault(f"{variant.workers} {variant.name}", []).append(await play(variant))
    tokens = max(outcome.prefix_tokens for rows in outcomes.values() for outcome in rows)
    versions = f"agentcache {__version__}, Python {platform.python_version()}"
    print(f"{versions}, {MODEL}, a prefix of {tokens:,} tokens, {rounds} rounds\n")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for variant in played:
        print(row(variant, outcomes[f"{variant.workers} {variant.name}"]))
    await gate_table(gate, max(5, rounds))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What the scheduler saves and costs.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--gate", type=int, default=1000, help="calls that wait at once for the scheduler alone")
    chosen = parser.parse_args()
    asyncio.run(main(chosen.rounds, chosen.workers, chosen.gate))
