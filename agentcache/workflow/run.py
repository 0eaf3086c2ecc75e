"""A run: asks agents, fans out, nests. Python is the graph.

A workflow is a plain async function whose first parameter is its `Run`. Everything that it asks becomes a run of
its own below it, counts against its limits and is cancelled with it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Concatenate, Generic, ParamSpec, TypeVar, cast, overload

from agentcache.accounting.usage import RunRecord
from agentcache.errors import DeclarationError, SettingsError, Spent
from agentcache.runtime.agent import Agent
from agentcache.runtime.agent_run import AgentRun, Input
from agentcache.runtime.despite_cancellation import ended
from agentcache.runtime.events import EventSink
from agentcache.runtime.fork_point import ForkPoint
from agentcache.runtime.limits import NO_LIMITS, Limits, Meter
from agentcache.runtime.recorded_steps import RecordedSteps
from agentcache.runtime.results import RunResult
from agentcache.runtime.runner import Runner
from agentcache.workflow.asking import Asked, arguments_json, asked
from agentcache.workflow.durable_runs import DurableRun
from agentcache.workflow.opened import OpenRun, opened_run

P = ParamSpec("P")
T = TypeVar("T")
U = TypeVar("U")
U1 = TypeVar("U1")
U2 = TypeVar("U2")
U3 = TypeVar("U3")

Variables = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a workflow, and what the workflow asks through.

    Made by the runtime, and handed to a workflow as its first argument.

    run_id: stands in the ledger (`None` only above the topmost run). name: the workflow's. runner: performs agents;
    emit: takes events. meter: counts everything at and below this run. durable: what its asks are called where the run
    is durable. outermost: the id of the run above all others; `None` where this one is.
    """

    run_id: str | None
    name: str
    runner: Runner
    meter: Meter
    emit: EventSink
    durable: DurableRun | None = None
    outermost: str | None = None

    @property
    def spent(self) -> Spent:
        """What this run has used so far, everything nested in it included."""
        return self.meter.spent(at=self.runner.clock())

    @property
    def left(self) -> Limits:
        """What is left of the nearest bounds, of this run or one above it, less what calls under way may cost.

        `None` where nothing is bounded. `run.left.share(0.25)` gives a nested run a quarter of it. Raises
        `SettingsError` when dollars are bounded and a call had no known price.
        """
        return self.meter.left(at=self.runner.clock())

    async def ask(
        self,
        agent: Agent[T],
        input: Input,  # noqa: A002  # the word of the public surface
        *,
        session: Variables | None = None,
        turn: Variables | None = None,
        output: type[object] | None = None,
        conversation: str | None = None,
        fork_of: str | None = None,
        limits: Limits | None = None,
    ) -> T:
        """Run `agent` on `input` and return its output.

        `session` and `turn` bring the variables of those layers. `output` replaces the agent's declared output type for
        this run; `limits` adds bounds to the agent's own.
        `conversation` goes on with a history by id. `fork_of` goes on from a copy of one, which stays as it is: the
        same agent reads from the cache what the conversation sent, and forks may run beside each other.
        Raises a kind of `RunError` when the run cannot be finished.
        """
        result = await self.ask_result(
            agent,
            input,
            session=session,
            turn=turn,
            output=output,
            conversation=conversation,
            fork_of=fork_of,
            limits=limits,
        )
        return result.output

    async def ask_result(
        self,
        agent: Agent[T],
        input: Input,  # noqa: A002  # the word of the public surface
        *,
        session: Variables | None = None,
        turn: Variables | None = None,
        output: type[object] | None = None,
        conversation: str | None = None,
        fork_of: str | ForkPoint | None = None,
        repeated: bool = False,
        limits: Limits | None = None,
    ) -> RunResult[T]:
        """Do as `ask` does and return the whole result: output, usage, cost, run id.

        `input`, `session`, `turn`, `conversation`, `output` and `limits` are as there.

        `fork_of` may also be a point in the run of this agent that is waiting for the tool which asks. `repeated`: the
        same prompt is asked, or the same history forked, by others at about the same time, so all of it is worth
        writing to the cache.
        """
        if conversation is not None and fork_of is not None:
            raise SettingsError(f"agent {agent.name!r}: a fork of a history extends none; leave out `conversation`")
        what = asked(
            agent,
            input,
            session=session,
            turn=turn,
            output=output,
            conversation=conversation,
            fork_of=fork_of,
            repeated=repeated,
            limits=limits,
        )
        return cast("RunResult[T]", await self._ask(what))

    async def _ask(self, what: Asked, *, spread: bool = False) -> RunResult[object]:
        if self.durable is not None:
            return await self.durable.ask(what, self, spread=spread)
        child = await self.perform_ask(what)
        return child.result(child.output)

    async def perform_ask(
        self, what: Asked, *, run_id: str | None = None, steps: RecordedSteps | None = None
    ) -> OpenRun:
        """Run an agent below this run; `run_id` and `steps` are given where the run is durable."""
        agent, name = what.agent, what.agent.name
        below = self._below(name, what.limits, agent=name, conversation=what.conversation, run_id=run_id)
        async with below as child:
            outermost = self.outermost or self.run_id or child.run_id
            run = AgentRun(
                run_id=child.run_id,
                agent=agent,
                input=what.input,
                session=what.session,
                turn=what.turn,
                conversation=what.conversation,
                output=what.spec,
                meter=child.meter,
                emit=self.emit,
                repeated=what.repeated,
                fork_of=what.fork_of,
                steps=steps,
                outermost=outermost,
            )
            with _within(replace(self, run_id=child.run_id, name=name, meter=child.meter, outermost=outermost)):
                child.output = await self.runner.run(run)
        return child

    async def map(
        self,
        agent: Agent[T],
        inputs: Iterable[Input],
        *,
        concurrency: int | None = None,
        session: Variables | None = None,
        turn: Variables | None = None,
        output: type[object] | None = None,
        fork_of: str | None = None,
        limits: Limits | None = None,
    ) -> list[T]:
        """Run `agent` once for each input, at most `concurrency` at a time, and return the outputs in input order.

        `session`, `turn`, `output` and `limits` hold for each, as in `ask`. With `fork_of` each goes on from a copy of
        that conversation, as in `ask`. The first call writes the shared prefix, and where all inputs are equal the
        whole prompt; the others start when it can be read. When one run fails the rest are cancelled and its error is
        raised. In a durable run with `Durable(spread=True)` worker processes take the items of an agent that stands in
        a module.
        """
        if concurrency is not None and concurrency < 1:
            raise DeclarationError(f"map of agent {agent.name!r}: concurrency is {concurrency}; it must be at least 1")
        room = asyncio.Semaphore(concurrency) if concurrency else None

        items = list(inputs)
        repeated = len(items) > 1 and (fork_of is not None or all(item == items[0] for item in items))

        async def one(item: Input) -> T:
            what = asked(
                agent,
                item,
                session=session,
                turn=turn,
                output=output,
                fork_of=fork_of,
                repeated=repeated,
                limits=limits,
            )
            async with room or nullcontext():
                return cast("T", (await self._ask(what, spread=True)).output)

        return list(await self.gather(*(one(item) for item in items)))

    @overload
    async def gather(self, first: Awaitable[U1], second: Awaitable[U2], /) -> tuple[U1, U2]: ...
    @overload
    async def gather(
        self, first: Awaitable[U1], second: Awaitable[U2], third: Awaitable[U3], /
    ) -> tuple[U1, U2, U3]: ...
    @overload
    async def gather(self, *awaitables: Awaitable[U]) -> tuple[U, ...]: ...
    async def gather(self, *awaitables: Awaitable[object]) -> tuple[object, ...]:
        """Await `awaitables` all at once and return their values in order: `first`, `second`, `third`, and so on.

        When one fails the others are cancelled before its error is raised.
        """
        # The coroutines themselves: one inside another that is cancelled before it began would never be awaited.
        tasks = [asyncio.ensure_future(item) for item in awaitables]
        try:
            return tuple(await asyncio.gather(*tasks))
        except BaseException:
            for task in tasks:
                task.cancel()
            await ended(tasks)
            raise

    async def perform(self, flow: Workflow[P, T], limits: Limits, *args: P.args, **kwargs: P.kwargs) -> RunResult[T]:
        """Run the workflow `flow` below this run, within `limits`, and return the whole result."""
        durable = None
        if self.durable is not None:
            durable = self.durable.below(flow.name, arguments_json(flow.name, args, kwargs), self.meter)
        async with self._below(flow.name, limits, run_id=durable.run_id if durable else None) as child:
            outermost = self.outermost or self.run_id or child.run_id
            inner = replace(
                self, run_id=child.run_id, name=flow.name, meter=child.meter, durable=durable, outermost=outermost
            )
            value = await flow.function(inner, *args, **kwargs)
            child.output = value
        return child.result(value)

    def _below(
        self,
        name: str,
        limits: Limits,
        *,
        agent: str | None = None,
        conversation: str | None = None,
        run_id: str | None = None,
    ) -> AbstractAsyncContextManager[OpenRun]:
        return opened_run(
            self.runner.calls.caller.ledger,
            self.emit,
            record=RunRecord(
                run_id=run_id or self.runner.new_id("run"),
                parent_run_id=self.run_id,
                name=name,
                agent=agent,
                conversation=conversation,
                started_at=self.runner.clock(),
            ),
            limits=limits,
            above=self.meter,
            clock=self.runner.clock,
            reopen=run_id is not None,
        )


_current: ContextVar[Run] = ContextVar("current_run")


def current_run() -> Run:
    """Return the run of the agent that asked for the tool which is being executed; what it asks is nested there.

    Raises `SettingsError` outside of a tool that a run executes: a workflow is given its run.
    """
    try:
        return _current.get()
    except LookupError:
        raise SettingsError(
            "there is no current run: only a tool that an agent's run executes can ask for it"
        ) from None


@contextmanager
def _within(run: Run) -> Iterator[None]:
    token = _current.set(run)
    try:
        yield
    finally:
        _current.reset(token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow(Generic[P, T]):
    """A workflow as `@workflow` makes it: call it with a run to nest it, or give it to `Runtime.run`.

    name: the function's, which stands in the ledger; function: the function itself, whose first parameter is its run.
    limits: bounds of each of its runs, everything nested in them included.
    """

    name: str
    function: Callable[Concatenate[Run, P], Awaitable[T]]
    limits: Limits = NO_LIMITS

    def within(self, limits: Limits) -> Workflow[P, T]:
        """Return the same workflow with bounds of its own: each that `limits` sets replaces the declared one.

        `await review.within(run.left.share(0.5))(run, path)` gives one nested run half of what is left.
        """
        return replace(self, limits=self.limits.replaced_by(limits))

    async def __call__(self, run: Run, *args: P.args, **kwargs: P.kwargs) -> T:
        """Perform the workflow below `run` and return its value."""
        return (await run.perform(self, self.limits, *args, **kwargs)).output


@overload
def workflow(function: Callable[Concatenate[Run, P], Awaitable[T]], /) -> Workflow[P, T]: ...
@overload
def workflow(
    *, limits: Limits = NO_LIMITS
) -> Callable[[Callable[Concatenate[Run, P], Awaitable[T]]], Workflow[P, T]]: ...
def workflow(
    function: Callable[Concatenate[Run, P], Awaitable[T]] | None = None, /, *, limits: Limits = NO_LIMITS
) -> Workflow[P, T] | Callable[[Callable[Concatenate[Run, P], Awaitable[T]]], Workflow[P, T]]:
    """Make an async function, whose first parameter is its `Run`, a workflow: `@workflow` or `@workflow(limits=…)`.

    limits: bounds of each of its runs; `within` gives one run others.

    Raises `DeclarationError` for a function that is not async or takes no run.
    """
    if function is None:
        return lambda decorated: _made(decorated, limits)
    return _made(function, limits)


def _made(function: Callable[Concatenate[Run, P], Awaitable[T]], limits: Limits) -> Workflow[P, T]:
    name = getattr(function, "__name__", type(function).__name__)
    if not inspect.iscoroutinefunction(function):
        raise DeclarationError(f"workflow {name!r} is not an async function; write `async def {name}(run, …)`")
    if not inspect.signature(function).parameters:
        raise DeclarationError(
            f"workflow {name!r} takes no parameter; its first one is its run: `async def {name}(run, …)`"
        )
    return Workflow(name=name, function=function, limits=limits)
