"""Durable runs: what a run is called, what of it is on record, and how it goes on after its process died.

The engine behind them (`durable.py`) keeps tasks: a task has an id, a specification and, once it is performed, an
outcome; its steps are kept while it runs. Here is what the tasks of a run are. Every agent's run is a task of its own,
whose id comes from what is asked, so that it does not matter in which order the asks of a workflow start. The workflow
around them is plain Python and is simply run again: its asks find their outcomes or go on where they stopped.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, Protocol, TypeAlias, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from agentcache.accounting.usage import RunStatus
from agentcache.errors import SettingsError
from agentcache.prompt.canonical import JsonObject, JsonValue, canonical_json, digest
from agentcache.runtime.agent import Agent
from agentcache.runtime.events import EventSink, Notice, RunFinished, RunStarted
from agentcache.runtime.limits import Meter
from agentcache.runtime.nested_runs import NestedRuns, charged_run, note_run
from agentcache.runtime.recorded_steps import RecordedSteps
from agentcache.runtime.results import RunResult
from agentcache.runtime.tool_context import tool_call_around
from agentcache.stores.protocols import Ledger
from agentcache.workflow.asking import Asked, declaration
from agentcache.workflow.opened import OpenRun

T = TypeVar("T")

Found: TypeAlias = Literal["started", "finished", "failed", "cancelled", "abandoned", "running"]
"""What became of a task when it is asked for: begun now, ended before, left by a process that died, under way."""

Body: TypeAlias = Callable[[RecordedSteps, JsonObject], Awaitable[JsonValue]]
"""Performs a task, given its steps and the specification that it was first asked for with."""

MAX_ID_CHARS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Durable:
    """Makes the runs of a runtime survive its process.

    url: the database that keeps their progress. `None` takes the ledger's where that is PostgreSQL, else a SQLite file
    beside it. It holds replies and tool results, whatever `keep_text` says: without them nothing could go on.
    spread: `run.map` hands its items to worker processes (`agentcache worker`); needs PostgreSQL and agents that stand
    in a module.
    poll_s: how often, in seconds, queues and the outcomes of other processes are looked at.
    serves: agents whose spread items this process performs; for workers.
    concurrency: how many items a worker performs at once.

    Raises `SettingsError` for an interval or a concurrency that is not above zero.
    """

    url: str | None = field(default=None, repr=False)
    spread: bool = False
    poll_s: float = 0.1
    serves: tuple[Agent[object], ...] = ()
    concurrency: int = 16

    def __post_init__(self) -> None:
        if self.poll_s <= 0 or self.concurrency < 1:
            raise SettingsError("Durable: poll_s and concurrency are above zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What an engine is asked for.

    accept: takes the specification on record and what was found, before anything goes on; it may raise.
    retry: a task that failed goes on where it failed, instead of failing as it did.
    queue: where it waits for a worker process; `None` is performed here. unserved: called when no worker seems to serve
    that queue, for one of the tasks that wait there.
    """

    task_id: str
    spec: JsonObject
    accept: Callable[[JsonObject, Found], None]
    retry: bool = False
    queue: str | None = None
    unserved: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Performed:
    """The outcome of a task, and whether it was (or its last part was) performed in this process."""

    outcome: JsonValue
    here: bool


class Engine(Protocol):
    """Keeps tasks; `workflow/durable.py` has the one for DBOS."""

    async def perform(self, task: Task, body: Body) -> Performed:
        """Return the task's outcome, performing it with `body` if nobody else does; raise what it failed with."""
        ...

    async def drop_leftovers(self, prefix: str) -> None:
        """Cancel unfinished tasks whose id begins with `prefix`: those that nobody asks for any more."""
        ...

    async def close(self) -> None:
        """Let go of everything; unfinished tasks can then be taken over."""
        ...


class Asking(Protocol):
    """The run that asks: `workflow/run.py` has it."""

    @property
    def run_id(self) -> str | None:
        """Its id in the ledger."""
        ...

    @property
    def meter(self) -> Meter:
        """What counts it."""
        ...

    @property
    def emit(self) -> EventSink:
        """Who listens."""
        ...

    async def perform_ask(self, what: Asked, *, run_id: str | None, steps: RecordedSteps | None) -> OpenRun:
        """Run the agent below this run."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableRuns:
    """The durable runs of one runtime. `keeps_conversations`: whether they outlive the process as the runs do."""

    engine: Engine
    ledger: Ledger
    settings: Durable
    clock: Callable[[], float]
    new_id: Callable[[str], str]
    keeps_conversations: bool

    async def run(
        self,
        durable_id: str | None,
        *,
        target: list[JsonValue],
        output: TypeAdapter[object],
        meter: Meter,
        emit: EventSink,
        perform: Callable[[DurableRun], Awaitable[RunResult[object]]],
    ) -> RunResult[object]:
        """Run a target under an id of its own, or go on with what stands under it, or return how that ended.

        target: what identifies it and what it is given, its name second (`["workflow", name, …]`).

        Raises `SettingsError` for an id that stands for another target or other arguments, and for a result that JSON
        cannot hold.
        """
        root_id = _checked(self.new_id("durable") if durable_id is None else durable_id)
        found: list[Found] = []
        name, run_ids = str(target[1]), list[str]()
        spec: JsonObject = {"target": target, "seed": self.new_id("run")}

        def accept(recorded: JsonObject, state: Found) -> None:
            if recorded["target"] != target:
                raise SettingsError(
                    f"durable id {root_id!r} does not stand for {name!r} with these arguments; "
                    "take another id, or run what it was first used for"
                )
            found.append(state)
            run_id = _run_id(str(recorded["seed"]), _path("", 1, target))
            run_ids.append(run_id)
            message = f"durable run {root_id!r}: {_STATES[state]}"
            emit(Notice(run_id=run_id, agent=None, at=self.clock(), code="durable_run", message=message))

        async def body(_: RecordedSteps, recorded: JsonObject) -> JsonValue:
            root = DurableRun(
                runs=self, root_id=root_id, seed=str(recorded["seed"]), path="", retry=found[-1] in _ENDED_BADLY
            )
            try:
                result = await perform(root)
            except Exception:
                await self.engine.drop_leftovers(f"{root_id}/")
                raise
            await self.engine.drop_leftovers(f"{root_id}/")
            return {"output": as_json(output, result.output, name)}

        task = Task(task_id=root_id, spec=spec, accept=accept, retry=True)
        performed = await self.engine.perform(task, body)
        outcome = cast("JsonObject", performed.outcome)
        if not performed.here:
            meter = await charged_run(self.ledger, run_ids[-1], meter)
        return RunResult(
            output=from_json(output, outcome["output"], name),
            run_id=run_ids[-1],
            usage=meter.usage,
            cost_usd=meter.cost_usd,
            turns=meter.turns,
            durable_id=root_id,
        )


@dataclass(slots=True, kw_only=True)
class DurableRun:
    """A durable run seen from one workflow in it: knows what its asks are called.

    root_id: the id of the whole. seed: what ids in the ledger are made from. path: names this workflow within the
    whole. retry: what failed before is tried again.
    """

    runs: DurableRuns
    root_id: str
    seed: str
    path: str
    retry: bool
    _counts: Counter[str] = field(default_factory=Counter)

    @property
    def run_id(self) -> str:
        """The id of this workflow's run in the ledger."""
        return _run_id(self.seed, self.path)

    def below(self, name: str, arguments: JsonValue, meter: Meter) -> DurableRun:
        """Return the durable run as a workflow nested here sees it; `meter` counts it."""
        path = self._next_path(["workflow", name, arguments])
        note_run(_run_id(self.seed, path), meter)
        return DurableRun(runs=self.runs, root_id=self.root_id, seed=self.seed, path=path, retry=self.retry)

    async def ask(self, asked: Asked, run: Asking, *, spread: bool = False) -> RunResult[object]:
        """Run an agent as a task of its own, or take what became of it before."""
        if asked.conversation is not None and not self.runs.keeps_conversations:
            raise SettingsError(
                f"conversation {asked.conversation!r} would not outlive this process as its durable run does: "
                "give the runtime keep_text=True"
            )
        path = self._next_path(asked.identity())
        run_id, adapter = _run_id(self.seed, path), TypeAdapter(asked.output)
        note_run(run_id, run.meter)
        done: list[OpenRun] = []
        nested = NestedRuns(ledger=self.runs.ledger, meter=run.meter)

        async def body(steps: RecordedSteps, _: JsonObject) -> JsonValue:
            with nested.noted() as runs:
                child = await run.perform_ask(asked, run_id=run_id, steps=steps)
            done.append(child)
            return {"output": as_json(adapter, child.output, asked.agent.name), "runs": runs}

        task = Task(
            task_id=f"{self.root_id}/{path}",
            spec={**asked.to_json(), "run_id": run_id, "parent_run_id": run.run_id},
            accept=lambda recorded, found: self._accept(asked, run, recorded, found),
            retry=self.retry,
            queue=queue_of(asked.agent) if spread and self._can_spread(asked) else None,
            unserved=lambda: self._notice(asked, run, run_id, "no_worker", _unserved(asked.agent.name)),
        )
        performed = await self.runs.engine.perform(task, body)
        outcome = cast("JsonObject", performed.outcome)
        output = from_json(adapter, outcome["output"], asked.agent.name)
        if done:
            return done[-1].result(output)
        meter = await charged_run(self.runs.ledger, run_id, run.meter)
        await nested.charge_again(outcome.get("runs", []))
        self._tell(asked, run, run_id, output)
        return RunResult(output=output, run_id=run_id, usage=meter.usage, cost_usd=meter.cost_usd, turns=meter.turns)

    def _next_path(self, parts: list[JsonValue]) -> str:
        """Return the path of something begun here.

        What a tool begins belongs to that call of the tool: it is not begun again when the call's result is on record.
        """
        around = tool_call_around()
        here = self.path if around is None else f"{self.path} {around.idempotency_key}"
        self._counts[key := canonical_json([here, parts])] += 1
        return _path(here, self._counts[key], parts)

    def _accept(self, asked: Asked, run: Asking, recorded: JsonObject, found: Found) -> None:
        if found == "started" or recorded["declaration"] == declaration(asked.agent):
            return
        kept = "its answer on record stays" if found == "finished" else "it goes on as it is declared now"
        message = f"agent {asked.agent.name!r} was declared otherwise when this run began: {kept}"
        self._notice(asked, run, str(recorded["run_id"]), "declaration_changed", message)

    def _notice(self, asked: Asked, run: Asking, run_id: str, code: str, message: str) -> None:
        run.emit(Notice(run_id=run_id, agent=asked.agent.name, at=self.runs.clock(), code=code, message=message))

    def _tell(self, asked: Asked, run: Asking, run_id: str, output: object) -> None:
        """Tell of a run that was performed elsewhere, or before, as far as it is known here: that it was, and ended."""
        name, at = asked.agent.name, self.runs.clock()
        run.emit(RunStarted(run_id=run_id, agent=name, at=at, name=name, parent_run_id=run.run_id))
        run.emit(RunFinished(run_id=run_id, agent=name, at=at, name=name, status=RunStatus.FINISHED, output=output))

    def _can_spread(self, asked: Asked) -> bool:
        own_type = asked.output is asked.agent.output
        alone = asked.conversation is None and asked.fork_of is None
        return self.runs.settings.spread and own_type and alone and _stands_in_a_module(asked.agent)


def queue_of(agent: Agent[object]) -> str:
    """Return the name of the queue on which items for an agent wait: only workers that declare it alike serve it."""
    return f"agentcache {agent.name} {declaration(agent).rpartition(':')[2][:16]}"


def as_json(adapter: TypeAdapter[object], value: object, whose: str) -> JsonValue:
    """Return a result as JSON; raises `SettingsError` when it would not come back as what it is.

    A tuple, which is what `Run.gather` gives, may stand where a list is declared, and comes back as that list.
    """
    if type(value) is tuple and adapter.core_schema["type"] == "list":
        value = list(value)
    try:
        kept = adapter.dump_json(value, warnings="error")
        if adapter.validate_json(kept) == value:
            plain: JsonValue = TypeAdapter(object).validate_json(kept)  # type: ignore[assignment]  # JSON is a JsonValue
            return plain
    except (PydanticSerializationError, ValidationError, ValueError) as error:
        reason = str(error).partition("\n")[0]
    else:
        reason = "it comes back changed"
    raise SettingsError(
        f"{whose}: a durable run keeps its result as JSON, and this {type(value).__name__} cannot be kept ({reason}); "
        "return text, plain data, or a type that pydantic reads back, and annotate the return type"
    )


def from_json(adapter: TypeAdapter[object], kept: JsonValue, whose: str) -> object:
    """Return the result that `as_json` kept; raises `SettingsError` when its type no longer takes it."""
    try:
        return adapter.validate_json(TypeAdapter(object).dump_json(kept))
    except ValidationError as error:
        reason = str(error).partition("\n")[0]
        raise SettingsError(
            f"{whose}: the result on record does not fit the type of today ({reason}); take another durable id"
        ) from error


def _unserved(agent: str) -> str:
    return (
        f"items for agent {agent!r} wait and no worker has taken one: start `agentcache worker` for it with this "
        "database and code; those that run may declare it otherwise, or be busy with other runs"
    )


_STATES: Mapping[Found, str] = {
    "started": "it begins",
    "finished": "it had finished; its result is returned",
    "failed": "it had failed; it goes on where it failed",
    "cancelled": "it was cancelled; it goes on where it stopped",
    "abandoned": "its process ended before it did; it goes on where it stopped",
    "running": "it is under way elsewhere; its result is waited for",
}
_ENDED_BADLY: frozenset[Found] = frozenset({"failed", "cancelled"})


def _checked(durable_id: str) -> str:
    if not durable_id.strip() or "/" in durable_id or len(durable_id) > MAX_ID_CHARS:
        raise SettingsError(
            f"durable id {durable_id!r}: an id is 1 to {MAX_ID_CHARS} characters and has no '/', which parts the tasks "
            "below it"
        )
    return durable_id


def _path(above: str, number: int, parts: list[JsonValue]) -> str:
    """Return the path of the `number`-th of equal things begun at `above`."""
    return digest(canonical_json([above, number, parts])).rpartition(":")[2]


def _run_id(seed: str, path: str) -> str:
    return f"run_{digest(f'{seed}/{path}').rpartition(':')[2][:20]}"


@lru_cache(maxsize=256)
def _stands_in_a_module(agent: Agent[object]) -> bool:
    modules = list(sys.modules.values())
    return any(value is agent for module in modules for value in list(getattr(module, "__dict__", {}).values()))
