"""Kills a durable workflow of 20 steps with -9 at random points, and counts what was lost or done twice.

    python -m benchmarks.durable_kills [--kills 50] [--seed 1] [--database sqlite|postgresql]

Each voyage (`tests/durable/voyage.py`: twelve model calls, eight tool calls with side effects) runs in a process of its
own against an emulator in this one, is killed once, and is run again to its end. The audit is the one of the tests:
the right answer, no call made again whose answer was on record, every side effect once, the ledger equal to the
emulator's statement by message id. PostgreSQL is taken from `AGENTCACHE_TEST_POSTGRES_URL`; each voyage has a database
of its own there. Exit code 1 when an audit found anything.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import make_url

from agentcache.runtime.calls import LOST
from agentcache.stores.opening import open_ledger
from tests.durable.killing import sail_with_kills
from tests.stores.conftest import POSTGRES_URL, on_the_server


async def main() -> int:
    options = _options()
    found = 0
    for database in options.database or ["sqlite", "postgresql"]:
        found += await voyages(database, options.kills, random.Random(options.seed))
    return 1 if found else 0


async def voyages(database: str, kills: int, chance: random.Random) -> int:
    done: Counter[str] = Counter()
    began = time.perf_counter()
    while done["kills"] < kills:
        with tempfile.TemporaryDirectory() as folder:
            async with database_at(database, Path(folder)) as url:
                sea = await sail_with_kills(url, Path(folder), kills=1, chance=chance)
                wrong = await sea.audit()
                lost = await lost_answers(url)
        done += Counter(
            voyages=1, kills=sea.kills, lost=lost, bills=len(sea.emulator.statement.lines), faults=len(wrong)
        )
        for each in wrong:
            print(f"{database}: {each}", file=sys.stderr)
    print(
        f"{database}: {done['kills']} kills in {done['voyages']} voyages; {done['bills']} answers billed "
        f"({done['voyages'] * 12} needed), {done['lost']} rows of answers lost in flight; {done['faults']} faults; "
        f"{time.perf_counter() - began:.0f} s",
        flush=True,
    )
    return done["faults"]


async def lost_answers(url: str) -> int:
    ledger = await open_ledger(url)
    calls = await ledger.calls()
    await ledger.close()
    return sum(call.error == LOST for call in calls)


@asynccontextmanager
async def database_at(database: str, folder: Path) -> AsyncIterator[str]:
    if database == "sqlite":
        yield f"sqlite:///{folder}/ledger.db"
        return
    name = f"agentcache_{uuid.uuid4().hex}"
    await on_the_server(f"CREATE DATABASE {name}")
    yield make_url(POSTGRES_URL).set(database=name).render_as_string(hide_password=False)
    await on_the_server(f"DROP DATABASE {name} WITH (FORCE)")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", action="append", choices=["sqlite", "postgresql"])
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
