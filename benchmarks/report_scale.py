"""How long `agentcache report` takes on a ledger of many calls, per grouping.

    python benchmarks/report_scale.py [--calls 1000000] [--rounds 3]

Makes a SQLite ledger of so many calls (50 agents of 3 models over 30 days, 20 calls a run, four prefixes a call), and
times `report --format json` for each grouping; prints medians of interleaved rounds, seconds and ratios to `agent`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sqlalchemy import create_engine
from typer.testing import CliRunner

from agentcache.accounting.pricing import price_record
from agentcache.accounting.usage import CallRecord, RunRecord, RunStatus, Usage
from agentcache.cli import app
from agentcache.cli.report import By
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
        held_s={},
    )


def batches(calls: int) -> Iterator[list[CallRecord]]:
    for start in range(0, calls, BATCH):
        yield [price_record(made(number, calls)) for number in range(start, min(calls, start + BATCH))]


async def write_ledger(path: Path, calls: int) -> None:
    """Fill a ledger through the tables: a million awaited writes would measure the event loop."""
    await (await open_ledger(str(path))).close()
    engine = create_engine(f"sqlite:///{path}")
    run = RunRecord(run_id="", parent_run_id=None, name="task", agent=None, started_at=BEGAN, status=RunStatus.FINISHED)
    with engine.begin() as connection:
        numbers = range(0, calls, RUN_CALLS)
        connection.execute(
            schema.runs.insert(),
            [rows.run_row(replace(run, run_id=f"run_{n // RUN_CALLS:08}", ended_at=BEGAN)) for n in numbers],
        )
    for batch in batches(calls):
        with engine.begin() as connection:
            connection.execute(schema.calls.insert(), [rows.call_row(call) for call in batch])
    engine.dispose()


def timed(path: Path, by: By) -> float:
    start = time.perf_counter()
    result = CliRunner().invoke(app, ["report", "--db", str(path), "--by", by.value, "--format", "json"])
    span = time.perf_counter() - start
    assert result.exit_code == 0, result.output
    return span


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    groupings = (By.AGENT, By.MODEL, By.DAY, By.RUN)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        asyncio.run(write_ledger(path, options.calls))
        print(f"{options.calls:,} calls, {path.stat().st_size / 1e6:,.0f} MB")
        spans: dict[By, list[float]] = {by: [] for by in groupings}
        for _ in range(options.rounds):
            for by in groupings:
                spans[by].append(timed(path, by))
        first = statistics.median(spans[groupings[0]])
        for by in groupings:
            median = statistics.median(spans[by])
            print(f"by {by.value:<6} {median:8.2f} s   {median / first:5.2f} of by agent")


if __name__ == "__main__":
    main()
