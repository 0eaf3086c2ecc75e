"""The judge: an emulator that answers from a scenario's recording, and what it charged for what it was really sent.

Time is the scenario's. The first token of an answer comes after 1 s and the next call cannot come before 4 s have
passed (3 s to write the answer, tools included); nobody waits for that in reality. When conversations run at once, the
clock stands until all of them, or all who are not held back, have asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from scenarios import MODEL, JsonObject, Scenario

from agentcache.accounting.pricing import cost_usd, plain_usd
from agentcache.accounting.usage import BilledPart, Usage
from agentcache.emulator.clock import VirtualClock
from agentcache.emulator.latency import Latency
from agentcache.emulator.messages_api import HttpAnswer, HttpCall, MessagesApi, Moment, PendingCall
from agentcache.emulator.recorded import RecordedReplies
from agentcache.emulator.replies import ScriptedReply
from agentcache.emulator.server import Emulator, serve
from agentcache.errors import UnexpectedCall, UnusedReply
from agentcache.simulate.cases import CaseReader
from agentcache.simulate.outcome import Simulation
from agentcache.simulate.reading import read_traffic
from agentcache.simulate.replay import Replay
from agentcache.simulate.traces import TraceOptions

FIRST_TOKEN_S = 1.0
ANSWER_S = 3.0
QUIET_S = 0.5
"""Real seconds without a new request after which whoever has not asked is taken to be held back."""


class ScenarioClock(VirtualClock):
    """Stands still but for what somebody waits for, and then goes there at once."""

    def __init__(self, together: int) -> None:
        """With `together` conversations at once, wait until so many have asked or nobody new comes."""
        super().__init__()
        self._together = together
        self._sleeping: list[float] = []
        self._going_on: asyncio.Task[None] | None = None

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0 or self._together == 1:
            await self.advance(max(0.0, seconds))
            return
        self._sleeping.append(self.now() + seconds)
        if self._going_on is not None:
            self._going_on.cancel()
        self._going_on = asyncio.create_task(self._go_on(len(self._sleeping) < self._together))
        await super().sleep(seconds)

    async def _go_on(self, some_may_come: bool) -> None:
        await asyncio.sleep(QUIET_S if some_may_come else 0)
        due, self._sleeping = self._sleeping, []
        await self.advance(max(due) - self.now())


class SteadyLatency(Latency):
    """The same time for every answer, however long."""

    __slots__ = ()

    def output_s(self, output_tokens: int) -> float:
        return ANSWER_S


class WatchedApi(MessagesApi):
    """An account that remembers what it refused."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[str] = []

    def begin(self, call: HttpCall, moment: Moment) -> HttpAnswer | PendingCall:
        begun = super().begin(call, moment)
        if isinstance(begun, HttpAnswer) and begun.status >= 400:
            self.refused.append(json.dumps(begun.body)[:300])
        return begun


@dataclass
class LoggedReplies:
    """Answers from the recording and keeps what came, with its time. A call off the record gets a short answer."""

    recorded: RecordedReplies
    clock: VirtualClock
    log: list[tuple[float, JsonObject]] = field(default_factory=list)
    strayed: list[str] = field(default_factory=list)

    async def reply(self, request: JsonObject) -> ScriptedReply:
        self.log.append((self.clock.now(), request))
        try:
            return await self.recorded.reply(request)
        except UnexpectedCall as error:
            self.strayed.append(str(error))
            return "This was not recorded."

    def finish(self) -> None:
        """Leave it to the row to say what was never asked for."""


@dataclass
class Bench:
    """One scenario's emulator while one peer plays on it."""

    scenario: Scenario
    emulator: Emulator
    api: WatchedApi
    replies: LoggedReplies
    lasts_s: float

    @classmethod
    @asynccontextmanager
    async def opened(cls, scenario: Scenario) -> AsyncIterator[Bench]:
        together = len(scenario.traces) if scenario.together else 1
        clock, api = ScenarioClock(together), WatchedApi()
        replies = LoggedReplies(RecordedReplies.from_traces(scenario.traces), clock)
        # Streams that end one by one would need a turn of the clock for every event.
        latency = Latency(base_s=FIRST_TOKEN_S) if scenario.together else SteadyLatency(base_s=FIRST_TOKEN_S)
        async with serve(replies, api=api, clock=clock, latency=latency) as emulator:
            lasts_s = FIRST_TOKEN_S + (0.0 if scenario.together else ANSWER_S)
            yield cls(scenario, emulator, api, replies, lasts_s)

    def row(self, log: Path, *, on: str) -> dict[str, Any]:
        """Return what was charged at the prices of the ISO date `on`, beside the bound; writes the request log."""
        lines = self.emulator.statement.lines
        usage, output = Usage(), Usage()
        for line in lines:
            usage += Usage(
                uncached_input_tokens=line.charge.plain_tokens,
                cache_write_5m_tokens=line.charge.write_5m_tokens,
                cache_write_1h_tokens=line.charge.write_1h_tokens,
                cache_read_tokens=line.charge.read_tokens,
            )
            output += Usage(output_tokens=line.output_tokens)
        cost, plain = _usd(usage, on), _usd(Usage(uncached_input_tokens=usage.input_tokens), on)
        bound, simulated = self._bound(log)
        points = [_breakpoints(body) for _, body in self.replies.log]
        return {
            "calls": len(lines),
            "calls_recorded": self.scenario.calls,
            "uncached_input_tokens": usage.uncached_input_tokens,
            "cache_write_5m_tokens": usage.cache_write_5m_tokens,
            "cache_write_1h_tokens": usage.cache_write_1h_tokens,
            "cache_read_tokens": usage.cache_read_tokens,
            "output_tokens": output.output_tokens,
            "input_cost_usd": plain_usd(cost),
            "input_cost_without_caching_usd": plain_usd(plain),
            "output_cost_usd": plain_usd(_usd(output, on)),
            "bound_usd": None if bound is None else plain_usd(bound),
            "ratio_to_bound": None if not bound else round(float(cost / bound), 4),
            "breakpoints_mean": round(sum(points) / len(points), 2) if points else 0.0,
            "breakpoints_max": max(points, default=0),
            "refused": len(self.api.refused),
            "refusals": sorted(set(self.api.refused))[:3],
            "strayed": len(self.replies.strayed),
            "first_stray": self.replies.strayed[0] if self.replies.strayed else None,
            "never_asked": self._never_asked(),
            "replay_agrees": simulated == usage,
        }

    def _never_asked(self) -> str | None:
        try:
            self.replies.recorded.finish()
        except UnusedReply as error:
            return str(error)
        return None

    def _bound(self, log: Path) -> tuple[Decimal | None, Usage | None]:
        """Return the bound of the calls that came, and their bill as `agentcache simulate` works it out."""
        if not self.replies.log:
            return None, None
        with log.open("w", encoding="utf-8") as file:
            for at_s, request in self.replies.log:
                line = {"t": at_s, "request": request, "first_token_s": FIRST_TOKEN_S, "end_s": self.lasts_s}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        simulation = Simulation(replays=[Replay.of("recorded")])
        for _ in simulation.run(CaseReader().cases(read_traffic([log], TraceOptions()))):
            pass
        outcome = simulation.outcome()
        return outcome.bound_usd, outcome.policies[0].usage


def _usd(usage: Usage, on: str) -> Decimal:
    cost = cost_usd(BilledPart(model=MODEL, usage=usage), on=on)
    assert cost is not None, f"{MODEL} has no price"
    return cost


def _breakpoints(body: JsonObject) -> int:
    """Return how many `cache_control` a request has, the one at its top included."""
    count = 0
    rest: list[object] = [{key: body.get(key) for key in ("cache_control", "tools", "system", "messages")}]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            count += item.get("cache_control") is not None
            rest.extend(value for key, value in item.items() if key not in ("input", "input_schema"))
        elif isinstance(item, list):
            rest.extend(item)
    return count
