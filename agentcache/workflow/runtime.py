"""The runtime: opens the ledger and the client once, and runs agents and workflows with them.

This is where clock, ids and the network come in; everything below takes them as arguments.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import ParamSpec, TypeVar, overload

from agentcache.errors import SettingsError
from agentcache.prompt.reuse_history import ReuseHistory
from agentcache.runtime.agent import Agent
from agentcache.runtime.agent_calls import AgentCalls
from agentcache.runtime.approval import Approver
from agentcache.runtime.approving import Approve, CallbackApprover
from agentcache.runtime.budget import Budget
from agentcache.runtime.calls import Caller, ModelClient
from agentcache.runtime.compacting import Compactor
from agentcache.runtime.conversations import Conversations
from agentcache.runtime.despite_cancellation import despite_cancellation, ended
from agentcache.runtime.diagnostics import CacheDiagnostics
from agentcache.runtime.events import Event, EventSink, discard
from agentcache.runtime.limits import Limits, Meter
from agentcache.runtime.memo import ToolMemo
from agentcache.runtime.open_toolsets import OpenToolsets
from agentcache.runtime.past_calls import past_calls
from agentcache.runtime.request_log import RequestLog
from agentcache.runtime.results import RunResult
from agentcache.runtime.runner import Runner
from agentcache.runtime.snapshots import Snapshots
from agentcache.runtime.strict_prompts import StrictPrompts
from agentcache.runtime.warm_calls import Warmed
from agentcache.stores.memo_opening import open_memo
from agentcache.stores.memory_conversations import MemoryConversations
from agentcache.stores.opening import open_ledger
from agentcache.stores.protocols import Ledger
from agentcache.workflow.durable_runs import Durable, DurableRuns, Engine
from agentcache.workflow.ids import new_id
from agentcache.workflow.keep_warm import KeepAlive, KeepWarm
from agentcache.workflow.run import Run, Variables, Workflow
from agentcache.workflow.scheduler import Scheduler
from agentcache.workflow.scheduling import DEFAULT_SCHEDULING, NO_SCHEDULING, Scheduling
from agentcache.workflow.serving import Serving
from agentcache.workflow.targets import Args, Kwargs, identity, output_of, perform
from agentcache.workflow.warming import warm_agent

P = ParamSpec("P")
T = TypeVar("T")

REMEMBERED_S = 6 * 3600.0
"""How far back the ledger teaches a new runtime how soon prompts come back, in seconds."""


class Runtime:
    """Runs agents and workflows against Claude and keeps the ledger. An async context manager.

    store: database URL of the ledger; `None` is `./.agentcache/ledger.db`, `"memory:"` keeps nothing.
    api_key, base_url: as the SDK takes them; `None` reads `ANTHROPIC_API_KEY` and `ANTHROPIC_BASE_URL`.
    on_event: called with every event of every run.
    keep_text: also store requests, replies and conversations; by default the ledger has no prompt text.
    record_requests: a file to append a request log to, a JSON line a call; `.gz` and `.xz` are compressed.
    limits: bounds of every top-level run.
    strict: raise `PrefixMoved` before a call whose cached prefix moved within a conversation, where there would be a
        `Notice`, and `MistakesFound` before an agent's first run where the linter finds an error in its prompt; for
        tests (docs/strict.md). That another agent goes on with a conversation is no error.
    keep_alive: bounds within which silent prompts are kept alive by reads; `None` lets them expire.
    durable: makes every run survive this process (extra `durable`); `None` keeps runs in memory only.
    scheduling: when calls go out: whether they wait for a prefix that another call is writing, how many run at once,
        whether rate limits are learned; `None` sends every call at once.
    approve: decides about calls of tools with `approval`: a function of an `ApprovalRequest`, plain (it gets a thread)
        or async, that returns a `Decision` or a bool; or an `Approver`. Without it agents with such tools do not run.
    memo: where results of deterministic tools are kept beyond this process: a path that ends in `.db`, or `redis://…`
        (extra `redis`); `None` keeps them in memory only. tenant: whose results they are; others never see them.
    diagnostics: ask the API for its own diagnosis of each call against the conversation's previous one, and keep it in
        the `plan` of the call's row; the Claude API alone answers, and charges nothing for it.
    clock: Unix seconds, for tests with a clock of their own; sleep: waits for so many of them.

    Entering raises `Unauthenticated` without credentials and `StoreError` when the ledger cannot be opened; where runs
    are durable also `SettingsError` without the extra, or without a place to keep them.
    """

    def __init__(
        self,
        store: str | None = None,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        on_event: EventSink = discard,
        keep_text: bool = False,
        record_requests: str | os.PathLike[str] | None = None,
        limits: Limits | None = None,
        strict: bool = False,
        keep_alive: KeepAlive | None = None,
        durable: Durable | None = None,
        scheduling: Scheduling | None = DEFAULT_SCHEDULING,
        approve: Approve | Approver | None = None,
        memo: str | None = None,
        tenant: str = "",
        diagnostics: bool = False,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store, self._api_key, self._base_url = store, api_key, base_url
        self._on_event, self._keep_text, self._record_requests = on_event, keep_text, record_requests
        self._limits, self._strict, self._clock = limits or Limits(), strict, clock
        self._keep_alive, self._sleep = keep_alive, sleep
        self._durable, self._memo, self._tenant = durable, memo, tenant
        self._diagnostics = CacheDiagnostics() if diagnostics else None
        self._durable_runs: DurableRuns | None = None
        self._approver = CallbackApprover(approve) if callable(approve) else approve
        self._keep_warm: KeepWarm | None = None
        self._scheduler = Scheduler(settings=scheduling or NO_SCHEDULING, clock=clock, sleep=sleep)
        self._resources = AsyncExitStack()
        self._runner: Runner | None = None

    async def __aenter__(self) -> Runtime:
        async with AsyncExitStack() as opening:
            opening.callback(self._no_longer_open)
            await self._open(opening)
            self._resources = opening.pop_all()
        return self

    async def _open(self, opening: AsyncExitStack) -> None:
        """Open everything onto the stack, which lets go of it when that fails or is cancelled."""

        def closed_by(close: Callable[[], Coroutine[object, object, None]]) -> None:
            # To its end, however often whoever closes is cancelled: half-closed, a thread or a process would stay.
            opening.push_async_callback(lambda: despite_cancellation(close()))

        client = self._open_client()
        closed_by(client.aclose)
        ledger = await open_ledger(self._store)
        closed_by(ledger.close)
        opening.push_async_callback(self._scheduler.aclose)
        toolsets = OpenToolsets(clock=self._clock, sleep=self._sleep)
        closed_by(toolsets.aclose)
        shared = None if self._memo is None else open_memo(self._memo, clock=self._clock)
        memo = ToolMemo(clock=self._clock, shared=shared, tenant=self._tenant)
        closed_by(memo.close)
        recorder = None
        if self._record_requests is not None:
            recorder = opening.enter_context(RequestLog.appending(self._record_requests))
        history = ReuseHistory()
        history.learn(past_calls(await ledger.calls(since=self._clock() - REMEMBERED_S)))
        caller = Caller(
            client=client,
            ledger=ledger,
            gate=self._scheduler,
            clock=self._clock,
            new_id=new_id,
            keep_text=self._keep_text,
            recorder=recorder,
            diagnostics=self._diagnostics,
        )
        budget = Budget(clock=self._clock)
        if self._keep_alive is not None:
            caller.follower = self._keep_warm = KeepWarm(
                bounds=self._keep_alive,
                caller=caller,
                history=history,
                budget=budget,
                clock=self._clock,
                sleep=self._sleep,
            )
            # Not to its end: whoever is cancelled here waits for no reads, which are cancelled instead.
            opening.push_async_callback(self._keep_warm.aclose)
        calls = AgentCalls(caller=caller, history=history, budget=budget, clock=self._clock, strict=self._strict)
        conversations = Conversations(ledger if self._keep_text else MemoryConversations())
        self._runner = Runner(
            calls=calls,
            snapshots=Snapshots(clock=self._clock),
            conversations=conversations,
            compactor=Compactor(calls=calls, conversations=conversations),
            toolsets=toolsets,
            memo=memo,
            clock=self._clock,
            new_id=new_id,
            approver=self._approver,
            prompts=StrictPrompts(strict=self._strict),
        )
        if self._durable is not None:
            engine = await self._open_engine(self._durable)
            closed_by(engine.close)
            self._durable_runs = DurableRuns(
                engine=engine,
                ledger=ledger,
                settings=self._durable,
                clock=self._clock,
                new_id=new_id,
                keeps_conversations=self._keep_text,
            )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._no_longer_open()
        await self._resources.aclose()

    def _no_longer_open(self) -> None:
        self._runner = None

    def _open_client(self) -> ModelClient:
        # Start-up time: the SDK takes half a second to import, and declaring agents, lint and reports never need it.
        from agentcache.runtime.client import MessagesClient

        return MessagesClient(api_key=self._api_key, base_url=self._base_url, clock=self._clock, sleep=self._sleep)

    async def _open_engine(self, settings: Durable) -> Engine:
        try:
            # An optional extra, and the only way to it.
            from agentcache.workflow.durable import DbosEngine
            from agentcache.workflow.durable_database import database_of
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"durable runs need the package {error.name}; install it (pip install 'agentcache-claude[durable]')"
            ) from error
        serving = Serving(agents=settings.serves, top=lambda: self._top(self._emit))
        url = database_of(settings, self._store)
        return await DbosEngine.open(settings, url=url, name=new_id("process"), serve=serving.body)

    @property
    def ledger(self) -> Ledger:
        """The open ledger. Raises `SettingsError` outside `async with`."""
        return self._opened().calls.caller.ledger

    @property
    def conversations(self) -> Conversations:
        """Histories by id: list, read, fork, export, import, delete. Raises `SettingsError` outside `async with`.

        With `keep_text` they are those of the ledger, else of this runtime alone, gone when it closes.
        """
        return self._opened().conversations

    @property
    def memo(self) -> ToolMemo:
        """Kept results of tools: list, drop, count. Raises `SettingsError` outside `async with`."""
        return self._opened().memo

    @overload
    async def run(
        self,
        target: Agent[T],
        input: object,
        *,
        session: Variables | None = None,
        turn: Variables | None = None,
        conversation: str | None = None,
        fork_of: str | None = None,
        output: type[object] | None = None,
        limits: Limits | None = None,
    ) -> RunResult[T]: ...
    @overload
    async def run(self, target: Workflow[P, T], *args: P.args, **kwargs: P.kwargs) -> RunResult[T]: ...
    async def run(self, target: object, *args: object, **kwargs: object) -> RunResult[object]:
        """Run an agent on an input, or a workflow with its arguments, and return the whole result.

        target, input: the agent and what it is asked (text, content blocks, or what pydantic can write as JSON).
        For an agent: `session` and `turn` bring the variables of those layers, `conversation` continues a history by
        id, `fork_of` goes on from a copy of one, `output` replaces the declared output type, `limits` adds bounds. A
        workflow takes what its function takes; bound it with `Runtime(limits=…)`.

        Raises a kind of `RunError` when the run cannot be finished.
        """
        return await self._run(None, self._emit, target, args, kwargs)

    @overload
    async def run_as(
        self,
        durable_id: str,
        target: Agent[T],
        input: object,  # the word of the public surface
        *,
        session: Variables | None = None,
        turn: Variables | None = None,
        conversation: str | None = None,
        fork_of: str | None = None,
        output: type[object] | None = None,
        limits: Limits | None = None,
    ) -> RunResult[T]: ...
    @overload
    async def run_as(
        self, durable_id: str, target: Workflow[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> RunResult[T]: ...
    async def run_as(self, durable_id: str, target: object, *args: object, **kwargs: object) -> RunResult[object]:
        """Run as `run` does, durably and under `durable_id`: whoever asks for the same id gets the same run.

        target, input, session, turn, conversation, fork_of, output, limits: as for `run`.

        One that has finished returns its result; one that another process performs is waited for; one that failed, was
        cancelled or lost its process goes on where it stopped, and pays for nothing that has an answer on record.

        Raises `SettingsError` unless the runtime is durable, and for an id that stands for something else.
        """
        return await self._run(durable_id, self._emit, target, args, kwargs)

    async def _run(
        self, durable_id: str | None, emit: EventSink, target: object, args: Args, kwargs: Kwargs
    ) -> RunResult[object]:
        top = self._top(emit)
        if self._durable_runs is None:
            if durable_id is not None:
                raise SettingsError(f"durable id {durable_id!r} needs a durable runtime: Runtime(durable=Durable())")
            return await perform(top, target, args, kwargs)
        return await self._durable_runs.run(
            durable_id,
            target=identity(target, args, kwargs),
            output=output_of(target, kwargs),
            meter=top.meter,
            emit=emit,
            perform=lambda durable: perform(replace(top, durable=durable), target, args, kwargs),
        )

    async def warm(self, agent: Agent[T], *, session: Variables | None = None) -> Warmed:
        """Write what calls of `agent` share, tools and system prompt, to the cache before they come.

        session: variables of that layer; without them a layer that needs some is left out, and what is written serves
        every session. Returns what was written or read and what it cost; the ledger has it as a call of kind `warm`.

        Raises `SettingsError` for an agent that no warm-up can serve (a thinking budget, a structured output on a
        model that takes its schema beside the prompt, `cache="off"`, a prefix under the model's minimum), a
        `CallError` when the call fails.
        """
        return await warm_agent(self._top(self._emit), agent, session=session)

    async def stream(
        self, target: object, *args: object, durable_id: str | None = None, **kwargs: object
    ) -> AsyncGenerator[Event, None]:
        """Run `target` as `run` does (with a `durable_id` as `run_as`) and yield its events.

        The last `RunFinished` carries the output.

        Everything beneath the run is in the one stream; each event knows its run, and `RunStarted` the run above.

        Raises what the run raises, after its last event. Leaving the loop early cancels the run and all beneath it;
        with `contextlib.aclosing(…)` around the stream that is done when the block ends, and not some time later.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue()

        def listen(event: Event) -> None:
            queue.put_nowait(event)
            self._emit(event)

        task = asyncio.ensure_future(self._run(durable_id, listen, target, args, kwargs))
        task.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (event := await queue.get()) is not None:
                yield event
            await task
        finally:
            if not task.done():
                task.cancel()
                await ended([task])
            elif not task.cancelled():
                task.exception()  # heard here: who left the loop as it failed does not want to know why

    def _emit(self, event: Event) -> None:
        self._scheduler.take(event)
        if self._keep_warm is not None:
            self._keep_warm.take(event)
        self._on_event(event)

    def _top(self, emit: EventSink) -> Run:
        runner = self._opened()
        meter = Meter(limits=self._limits, started_at=self._clock(), name="runtime")
        return Run(run_id=None, name="runtime", runner=runner, meter=meter, emit=emit)

    def _opened(self) -> Runner:
        if self._runner is None:
            raise SettingsError("this Runtime is not open; use it as `async with Runtime() as runtime:`")
        return self._runner


def run_sync(
    target: object,
    *args: object,
    store: str | None = None,
    base_url: str | None = None,
    on_event: EventSink = discard,
    **kwargs: object,
) -> RunResult[object]:
    """Open a runtime, run `target` once and close it: the one door for code that is not async.

    store, base_url, on_event: as for `Runtime`, whose other settings have their defaults; the rest goes to
    `Runtime.run`. Raises `RuntimeError` (asyncio's own) inside a running event loop.
    """

    async def once() -> RunResult[object]:
        async with Runtime(store, base_url=base_url, on_event=on_event) as runtime:
            return await perform(runtime._top(runtime._emit), target, args, kwargs)  # noqa: SLF001  # its own module

    return asyncio.run(once())
