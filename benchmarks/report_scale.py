"""How long `agentcache report` takes on a ledger of many calls: the first time, again, after more calls, and the page.

    python benchmarks/report_scale.py [--calls 1000000] [--ledger FILE] [--page]

Makes a SQLite ledger of so many calls (50 agents of 3 models over 30 days, 20 calls a run, three breakpoints and six
runs of blocks a call, a tool call for every other one), and starts `agentcache report` as a user would; prints seconds
on the wall and of CPU for each step, start-up included. `--ledger` makes the ledger there, or takes the one that is
there as it is, whatever of it is summed up already. `--page` builds the page, too (needs the extra `html`).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import create_engine

from agentcache.accounting.pricing import price_record
from agentcache.accounting.usage import CallRecord, RunRecord, RunStatus, ToolCallRecord, Usage
from agentcache.prompt.spans import Span
from agentcache.stores import rows, schema
from agentcache.stores.opening import open_ledger

MODELS = ("claude-opus-5", "claude-sonnet-5-5", "claude-haiku-5-5")
AGENTS, RUN_CALLS, DAYS = 50, 20, 30
BEGAN = 1_790_000_000.0
BATCH = 10_000


def made(number: int, calls: int) -> CallRecord:
    """Return one call: the first of a run writes, the others read and write a little."""
    run, turn = divmod(number, RUN_CALLS)
    agent = run % AGENTS
    usage = Usage(
        uncached_input_tokens=10 + number % 90,
        cache_write_5m_tokens=5000 if turn == 0 else 400,
        cache_read_tokens=0 if turn == 0 else 5000 + 400 * (turn - 1),
        output_tokens=100 + number % 300,
    )
    digests = tuple(f"p1:{run:08x}{step:08x}" for step in range(max(0, turn - 2), turn + 1))
    kept = [{"digest": digest, "tokens": 5000 + 400 * step, "ttl": "5m"} for step, digest in enumerate(digests)]
    return CallRecord(
        call_id=f"call_{number:09}",
        run_id=f"run_{run:08}",
        agent=f"agent_{agent:02}",
        model=MODELS[agent % len(MODELS)],
        turn=turn,
        sent_at=BEGAN + number * (DAYS * 86_400.0 / calls),
        usage=usage,
        prefix_digests=digests,
        found_digests=digests[:-1],
        plan={"policy": "auto", "kept": kept},
        section_tokens={"tools": 812, "persona": 44, "messages": 400 * turn},
        held_s={"prefix": 0.5} if turn == 1 and run % 10 == 0 else {},
        prompt_spans=_spans(run, turn),
    )


def _spans(run: int, turn: int) -> tuple[Span, ...]:
    """Return what a prompt is made of: layers that its agent shares, a session, and history that grows."""
    agent = run % AGENTS
    stable = (("tools", "tools[0]", 812), ("static", "system[0]", 3000), ("semi_static", "system[1]", 600))
    shared = [
        Span(layer=layer, section=layer, where=where, tokens=tokens, digest=f"{agent:02x}{layer}")
        for layer, where, tokens in stable
    ]
    return (
        *shared,
        Span(layer="session", section="persona", where="system[2]", tokens=44, digest=f"{run:08x}session"),
        Span(layer="history", section=None, where="messages[0]", tokens=400 * turn, digest=f"{run:08x}{turn:08x}"),
        Span(layer="turn", section=None, where=f"messages[{turn}]", tokens=400, digest=f"{run:08x}{turn + 1:08x}"),
    )


def asked(number: int, calls: int) -> ToolCallRecord:
    """Return the tool call that a call asked for; every fifth was answered from the memo."""
    call, hit = made(number, calls), number % 5 == 0
    return ToolCallRecord(
        tool_call_id=f"tool_{number:09}",
        run_id=call.run_id,
        agent=call.agent,
        call_id=call.call_id,
        tool=f"tool_{number % 12:02}",
        started_at=call.sent_at + 1.0,
        ended_at=call.sent_at + 1.0 + (number % 97) / 100,
        outcome="ok" if number % 50 else "error",
        memo_hit=hit,
        result_chars=800,
        memo_tier="memory" if hit else "executed",
        memo_saved_s=0.4 if hit else 0.0,
        result_bytes=800,
        result_tokens=200,
        result_digest=f"{number % 5000:08x}",
    )


def batches(first: int, last: int) -> Iterator[range]:
    for start in range(first, last, BATCH):
        yield range(start, min(last, start + BATCH))


async def write_ledger(path: Path, first: int, last: int, calls: int) -> None:
    """Write calls through the tables: a million awaited writes would measure the event loop."""
    await (await open_ledger(str(path))).close()
    engine = create_engine(f"sqlite:///{path}")
    run = RunRecord(run_id="", parent_run_id=None, name="task", agent=None, started_at=BEGAN, status=RunStatus.FINISHED)
    with engine.begin() as connection:
        numbers = range(first, last, RUN_CALLS)
        connection.execute(
            schema.runs.insert(),
            [rows.run_row(replace(run, run_id=f"run_{n // RUN_CALLS:08}", ended_at=BEGAN)) for n in numbers],
        )
    for batch in batches(first, last):
        with engine.begin() as connection:
            new = [rows.call_row(price_record(made(number, calls))) for number in batch]
            connection.execute(schema.calls.insert(), new)
            tools = [rows.tool_call_row(asked(number, calls)) for number in batch if number % 2 == 0]
            connection.execute(schema.tool_calls.insert(), tools)
    engine.dispose()


def report(path: Path, *arguments: str) -> str:
    """Start `agentcache report` and return its seconds on the wall and of CPU."""
    command = [sys.executable, "-m", "agentcache", "report", "--db", str(path), *arguments]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    assert os.waitstatus_to_exitcode(status) == 0, command
    return f"{wall:8.2f} s wall {used.ru_utime + used.ru_stime:8.2f} s CPU {used.ru_maxrss / 1024:8,.0f} MB"


def steps(path: Path, calls: int, *, page: bool) -> Iterator[tuple[str, str]]:
    """Do one thing after the other and tell of each."""
    json = ("--format", "json")
    yield "first report", report(path, *json)
    for by in ("agent", "model", "day", "run"):
        yield f"again, by {by}", report(path, "--by", by, *json)
    yield "of one agent", report(path, "--agent", "agent_07", *json)
    yield "since noon of the last day", report(path, "--since", "2026-10-21T12:17", *json)
    asyncio.run(write_ledger(path, calls, calls + 1000, calls))
    yield "after 1,000 more calls", report(path, *json)
    if page:
        for name in ("first page", "page again"):
            yield name, report(path, "--format", "html")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--ledger", type=Path)
    parser.add_argument("--page", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        path = options.ledger or Path(folder) / "ledger.db"
        if not path.exists():
            asyncio.run(write_ledger(path, 0, options.calls, options.calls))
        print(f"{options.calls:,} calls, {path.stat().st_size / 1e6:,.0f} MB", flush=True)
        for name, told in steps(path, options.calls, page=options.page):
            print(f"{name:<28} {told}", flush=True)


if __name__ == "__main__":
    main()
