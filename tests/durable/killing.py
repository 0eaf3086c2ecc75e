"""Sails the voyage in a process of its own, kills it, sails on, and counts what was done twice."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import multiprocessing.forkserver
import os
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, text

from agentcache.accounting.usage import CallRecord
from agentcache.emulator.latency import Latency
from agentcache.emulator.server import Emulator, serve
from agentcache.runtime.calls import LOST
from agentcache.stores.opening import open_ledger
from agentcache.testing.ledger_audit import audit
from agentcache.workflow.durable_database import SCHEMA
from tests.durable import voyage

Key = tuple[str, int]

ROOT = Path(__file__).parents[2]


@cache
def processes() -> Any:
    """Return where processes are forked from: one that has imported everything, so that a life begins at once."""
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.durable.voyage"])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)
    return context


@dataclass
class Voyage:
    """One voyage, its database, and the model that answers it; `served` counts its answers by agent and turn.

    The captain answers once `ready` is set, as it is unless a test clears it.
    """

    ledger_url: str
    folder: Path
    emulator: Emulator
    served: Counter[Key]
    ready: asyncio.Event
    kills: int = 0
    repeated: list[str] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return self.folder / "result.json"

    @property
    def effects_db(self) -> str:
        return str(self.folder / "effects.db")

    def start(self) -> Any:
        """Return a new process that sails."""
        args = (self.ledger_url, self.effects_db, self.emulator.base_url, str(self.log))
        process = processes().Process(target=voyage.live, args=args)
        process.start()
        return process

    async def sail(self, *, kill_after: int | None = None, delay_s: float = 0.0) -> bool:
        """Sail on in a new process, killed so long after so many more answers; return whether it came to its end."""
        stored, before = self.stored_calls(), self.served.copy()
        process = self.start()
        while process.is_alive() and (kill_after is None or (self.served - before).total() < kill_after):  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        if kill_after is not None:
            await asyncio.sleep(delay_s)
            process.kill()
        await asyncio.to_thread(process.join)
        ended = process.exitcode == 0
        self.repeated += self.repetitions(stored, self.served - before, ended=ended)
        if ended:
            self.result = json.loads(self.log.read_text(encoding="utf-8"))
            return True
        assert process.exitcode == -signal.SIGKILL, "the voyage failed; what it said stands above"
        self.kills += 1
        return False

    def stored_calls(self) -> Counter[Key]:
        """Return how many answers are on record, by agent and turn."""
        outputs = self._record("SELECT output FROM {operation_outputs} WHERE function_name = 'call'")
        kept = [json.loads(output)["value"]["rows"][-1] for output in outputs]
        return Counter((row["agent"], row["turn"]) for row in kept)

    def forms(self) -> set[str]:
        """Return in what form the record holds its values."""
        steps = self._record("SELECT serialization FROM {operation_outputs}")
        return {*steps, *self._record("SELECT serialization FROM {workflow_status}")}

    def _record(self, question: str) -> list[str]:
        """Ask the database of DBOS; without tables there are no rows."""
        url = make_url(self.ledger_url)
        if url.get_backend_name() == "sqlite":
            path = f"{str(url.database).removesuffix('.db')}.durable.db"
            engine, schema = create_engine(f"sqlite:///{path}" if Path(path).exists() else "sqlite://"), None
        else:
            engine, schema = create_engine(url.set(drivername="postgresql+psycopg")), SCHEMA
        try:
            with engine.connect() as connection:
                if not connection.dialect.has_table(connection, "operation_outputs", schema=schema):
                    return []
                tables = {
                    name: f"{schema}.{name}" if schema else name for name in ("operation_outputs", "workflow_status")
                }
                return list(connection.execute(text(question.format(**tables))).scalars())
        finally:
            engine.dispose()

    @staticmethod
    def repetitions(stored: Counter[Key], served: Counter[Key], *, ended: bool) -> list[str]:
        """Say which calls were made though their answers were on record, or which were not made at all."""
        wrong = []
        for key, wanted in voyage.STEPS.items():
            open_calls = wanted - stored[key]
            if served[key] > open_calls or (ended and served[key] < open_calls):
                wrong.append(f"{key}: {wanted} wanted, {stored[key]} on record, {served[key]} made")
        return wrong

    async def audit(self) -> list[str]:
        """Say what is wrong with answer, side effects and ledger; nothing is."""
        ledger = await open_ledger(self.ledger_url)
        calls = await ledger.calls()
        runs = await ledger.runs()
        await ledger.close()
        wrong = [*self.repeated, *self._books(calls)]
        if self.result.get("output") != voyage.ANSWER or self.result.get("turns") != sum(voyage.STEPS.values()):
            wrong.append(f"the answer is {self.result}")
        if left := [run.name for run in runs if run.status != "finished"]:
            wrong.append(f"runs that never ended: {left}")
        with sqlite3.connect(self.effects_db) as database:
            effects = database.execute("SELECT count(*) FROM effects").fetchone()[0]
            attempts = database.execute("SELECT count(*) FROM attempts").fetchone()[0]
        database.close()
        if effects != voyage.EFFECTS:
            wrong.append(f"{effects} side effects instead of {voyage.EFFECTS}")
        if attempts > voyage.EFFECTS + 4 * self.kills:  # two bookers of at most two tools a turn
            wrong.append(f"{attempts} attempts at {voyage.EFFECTS} side effects after {self.kills} kills")
        return wrong

    def _books(self, calls: list[CallRecord]) -> list[str]:
        lost = [call for call in calls if call.error == LOST]
        found = audit(calls, self.emulator.statement.lines)
        wrong = list(found.problems)
        if found.unknown > len(lost) or found.broken_off:
            wrong.append(f"{found.unknown} bills without a row, {len(lost)} rows of lost answers: {found}")
        if any(call.usage is not None for call in lost):
            wrong.append("a lost answer has a usage")
        return wrong


@asynccontextmanager
async def afloat(ledger_url: str, folder: Path, *, latency_s: float = 0.02) -> AsyncIterator[Voyage]:
    """Open the model that answers a voyage."""
    served: Counter[Key] = Counter()
    ready = asyncio.Event()
    ready.set()

    async def answer(request: dict[str, Any]) -> Any:
        agent, _ = key = voyage.key_of(request)
        served[key] += 1
        if agent == "captain":
            await ready.wait()
        return voyage.script(request)

    async with serve(answer, latency=Latency(base_s=latency_s), keep_requests=1) as emulator:
        yield Voyage(ledger_url, folder, emulator, served, ready)


async def sail_with_kills(ledger_url: str, folder: Path, *, kills: int, chance: random.Random) -> Voyage:
    """Sail, killed so many times at random points, and then to the end."""
    async with afloat(ledger_url, folder) as sea:
        for _ in range(kills):
            left = sum(voyage.STEPS.values()) - sea.stored_calls().total()
            if await sea.sail(kill_after=chance.randint(0, max(left - 1, 0)), delay_s=chance.uniform(0, 0.04)):
                break
        if not sea.result:
            assert await sea.sail()
        return sea
