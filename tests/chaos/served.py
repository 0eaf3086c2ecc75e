"""The emulator of a storm: in this event loop, or behind a socket of a process of its own; and what it billed."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from time import monotonic

from agentcache.emulator.faults import Fault, SeededFaults, every_fault
from agentcache.emulator.json_values import JsonObject
from agentcache.emulator.messages_api import HttpAnswer, HttpCall, MessagesApi, Moment, PendingCall
from agentcache.emulator.server import Emulator, serve
from agentcache.emulator.statement import StatementLine
from tests.chaos.model import errand_in, reply

STARTS_AT = 1_800_000_000.0
FAULTS_WAIT_S = 2.0
JOIN_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class FastClock:
    """Counts `speed` seconds for each that passes; the same in every process that is given the same `began`."""

    speed: float
    began: float = field(default_factory=monotonic)

    def now(self) -> float:
        return STARTS_AT + (monotonic() - self.began) * self.speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What decides which calls go wrong: `rate` is the share of calls that do."""

    seed: str
    rate: float
    clock: FastClock


@dataclass(slots=True, kw_only=True)
class Bill:
    """What the account charged, by errand, and what went wrong, by kind. Filled when the emulator ends."""

    lines: dict[int, list[StatementLine]] = field(default_factory=dict)
    calls: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, other: Bill) -> None:
        for number, lines in other.lines.items():
            self.lines.setdefault(number, []).extend(lines)
        self.calls += other.calls
        self.faults += other.faults


@asynccontextmanager
async def emulated_here(weather: Weather, bill: Bill) -> AsyncIterator[str]:
    """Serve from this event loop; yield the address."""
    async with _served(weather, bill) as emulator:
        yield emulator.base_url


@asynccontextmanager
async def emulated_apart(weather: Weather, bill: Bill) -> AsyncIterator[str]:
    """Serve from a process of its own; yield the address."""
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_process, args=(theirs, weather), daemon=True)
    process.start()
    theirs.close()
    try:
        yield await asyncio.to_thread(ours.recv)
        ours.send("stop")
        bill.add(await asyncio.to_thread(ours.recv))
    finally:
        ours.close()
        await asyncio.to_thread(process.join, JOIN_S)
        if process.exitcode is None:
            process.kill()
            process.join()
        process.close()


def _process(pipe: Connection, weather: Weather) -> None:
    bill = Bill()

    async def until_stopped() -> None:
        async with _served(weather, bill) as emulator:
            pipe.send(emulator.base_url)
            stopped = asyncio.Event()
            asyncio.get_running_loop().add_reader(pipe.fileno(), stopped.set)  # a word, or the end of who asked
            await stopped.wait()

    asyncio.run(until_stopped())
    pipe.send(bill)


class _OwnedAccount(MessagesApi):
    """Remembers whose each message is."""

    def __init__(self, seed: str) -> None:
        super().__init__(seed=seed)
        self.owners: dict[str, int] = {}

    def begin(self, call: HttpCall, moment: Moment) -> HttpAnswer | PendingCall:
        begun = super().begin(call, moment)
        if isinstance(begun, PendingCall):
            self.owners[begun.message_id] = errand_in(begun.request.body)
        return begun


class _CountedFaults:
    """Faults of every kind, counted."""

    def __init__(self, faults: SeededFaults) -> None:
        self._faults = faults
        self.calls = 0
        self.met: Counter[str] = Counter()

    def next_fault(self, body: bytes) -> Fault | None:
        fault = self._faults.next_fault(body)
        self.calls += 1
        if fault is not None:
            self.met[label(fault)] += 1
        return fault


def label(fault: Fault) -> str:
    """Return a fault in a word or two."""
    if fault.kind in {"cut", "ended", "malformed", "error", "no_usage"}:
        return f"{fault.kind} {fault.place}"
    return fault.kind if fault.retry_after_s is None else f"{fault.kind} retry-after"


@asynccontextmanager
async def _served(weather: Weather, bill: Bill) -> AsyncIterator[Emulator]:
    account = _OwnedAccount(weather.seed)
    faults = _CountedFaults(every_fault(weather.rate, seed=weather.seed, delay_s=FAULTS_WAIT_S))
    async with AsyncExitStack() as stack:
        emulator = await stack.enter_async_context(
            serve(_reply, api=account, clock=weather.clock, faults=faults, keep_requests=1)
        )
        yield emulator
    for line in account.statement.lines:
        bill.lines.setdefault(account.owners[line.message_id], []).append(line)
    bill.calls += faults.calls
    bill.faults += faults.met


def _reply(request: JsonObject) -> JsonObject | list[JsonObject]:
    return reply(request)
