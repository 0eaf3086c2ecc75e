"""Perform what `agentcache run` was asked for: open emulator and runtime, run, read the ledger back.

Decides who answers and what happens when a run ends badly: the ledger is still read, so that what was spent is
reported. Knows nothing of terminals.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TypedDict

from agentcache.accounting.summary import Summary, summarise
from agentcache.cli.arguments import agent_input, workflow_arguments
from agentcache.cli.progress import Tally
from agentcache.cli.settings import Settings
from agentcache.cli.target import Answering, Target, as_replies, load_replies, load_target, not_runnable
from agentcache.errors import SettingsError, TargetError
from agentcache.runtime.agent import Agent
from agentcache.runtime.approval import Approver
from agentcache.runtime.events import EventSink
from agentcache.runtime.limits import Limits
from agentcache.runtime.results import RunResult
from agentcache.stores.protocols import Ledger
from agentcache.workflow.durable_runs import Durable
from agentcache.workflow.run import Workflow
from agentcache.workflow.runtime import Runtime

MODULE_REPLIES = "emulated_replies"
"""The name under which a target's module brings the script that `--emulate` plays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to run, with what, against whom."""

    start: Callable[[Runtime], Awaitable[RunResult[object]]]
    """Runs the target with its arguments."""
    replies: Answering | None
    """What answers in the model's place: a script, or `None` for the echo. Without meaning unless `answered_by`."""
    answered_by: str | None
    """Who answers in the model's place, in words; `None` when Claude does."""
    settings: Settings
    durable: Durable | None = None
    """Makes the run outlive the command; `None` unless it was given an id."""
    approver: Approver | None = None
    """Who decides about tool calls that wait for approval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Performed:
    """How a run ended and what it used. `run_id` is `None` when it failed before it began."""

    run_id: str | None
    output: object
    error: Exception | None
    cancelled: bool
    report: Summary


def order(
    target: str,
    inputs: Sequence[str],
    *,
    session: Mapping[str, object],
    turn: Mapping[str, object],
    conversation: str | None,
    emulate: str | None,
    settings: Settings,
    durable_id: str | None = None,
    spread: bool = False,
    approver: Approver | None = None,
) -> Order:
    """Return the order that a command line gives; everything that can be wrong with it is found here.

    `emulate` is `None` for Claude, a script's target, or empty for the module's own script, else an echo.
    Raises `TargetError` when target, script, inputs or variables do not fit, `SettingsError` for a conversation that
    nothing would keep.
    """
    found = load_target(target)
    replies, answered_by = _who_answers(emulate, found.module)
    if conversation is not None and not settings.keep_text:
        raise SettingsError(f"conversation {conversation!r} would end with this command: add --keep-text to keep it")
    if spread and durable_id is None:
        raise SettingsError("--spread hands out items of a durable run; give it an id with --durable-id")
    variables = Variables(session=session, turn=turn, conversation=conversation)
    return Order(
        start=_starter(found, inputs, variables, durable_id),
        replies=replies,
        answered_by=answered_by,
        settings=settings,
        durable=None if durable_id is None else Durable(spread=spread),
        approver=approver,
    )


class Variables(TypedDict):
    """What `Runtime.run` takes beside an agent's input."""

    session: Mapping[str, object]
    turn: Mapping[str, object]
    conversation: str | None


def _starter(
    found: Target, inputs: Sequence[str], variables: Variables, durable_id: str | None
) -> Callable[[Runtime], Awaitable[RunResult[object]]]:
    runnable = found.value
    if isinstance(runnable, Agent):
        text = agent_input(inputs, runnable.name)
        if durable_id is not None:
            return lambda runtime: runtime.run_as(durable_id, runnable, text, **variables)
        return lambda runtime: runtime.run(runnable, text, **variables)
    if not isinstance(runnable, Workflow):
        raise not_runnable(found)
    if given := [f"--{name}" for name, value in variables.items() if value]:
        names = ", ".join(given)
        raise TargetError(f"workflow {runnable.name!r} gives its agents their variables itself; leave out {names}")
    arguments = workflow_arguments(runnable.function, inputs, runnable.name)
    if durable_id is not None:
        return lambda runtime: runtime.run_as(durable_id, runnable, *arguments)
    return lambda runtime: runtime.run(runnable, *arguments)


def _who_answers(emulate: str | None, module: ModuleType) -> tuple[Answering | None, str | None]:
    if emulate is None:
        return None, None
    if emulate:
        return load_replies(emulate), f"the script {emulate}"
    own = getattr(module, MODULE_REPLIES, None)
    if own is None:
        return None, f"an echo of the last message ({module.__name__} has no {MODULE_REPLIES})"
    return as_replies(own, f"{module.__name__}:{MODULE_REPLIES}"), f"the script {MODULE_REPLIES} of {module.__name__}"


async def perform(what: Order, emit: EventSink, tally: Tally) -> Performed:
    """Run the order and return how it ended; errors of the run itself are returned, not raised.

    Raises what keeps a run from being started: no credentials, a ledger that cannot be opened.
    """
    performed: Performed | None = None
    try:
        async with _answering(what) as base_url, _runtime(what, base_url, emit) as runtime:
            performed = await _run(runtime, what, tally)
    except Exception as failure:
        # A script that failed, or had replies left over, says so when the emulator closes; the run's own error is
        # then only the echo of it.
        if performed is None:
            raise
        performed = replace(performed, error=failure)
    return performed


def _runtime(what: Order, base_url: str | None, emit: EventSink) -> Runtime:
    settings = what.settings
    return Runtime(
        settings.db_url,
        api_key="emulated" if base_url else None,
        base_url=base_url,
        on_event=emit,
        keep_text=settings.keep_text,
        record_requests=settings.record_requests,
        limits=Limits(usd=settings.max_usd),
        durable=what.durable,
        approve=what.approver,
        memo=settings.memo_url,
    )


async def _run(runtime: Runtime, what: Order, tally: Tally) -> Performed:
    output: object = None
    error: Exception | None = None
    cancelled = False
    run_id: str | None = None
    try:
        result = await what.start(runtime)
        output, run_id = result.output, result.run_id
    except asyncio.CancelledError:
        cancelled = True
    except Exception as failure:  # noqa: BLE001  # handed back with what was spent; the command raises it
        error = failure
    run_id = run_id or tally.run_id  # a durable run that had ended tells no events
    return Performed(
        run_id=run_id,
        output=output,
        error=error,
        cancelled=cancelled,
        report=await _report(runtime.ledger, run_id),
    )


@asynccontextmanager
async def _answering(what: Order) -> AsyncIterator[str | None]:
    if what.answered_by is None:
        yield None
        return
    # Start-up time: the emulator's web server is of no use to a run against Claude.
    from agentcache.emulator.server import serve

    async with serve(what.replies) as emulator:
        yield emulator.base_url


async def _report(ledger: Ledger, run_id: str | None) -> Summary:
    if run_id is None:
        return summarise([], [], by="agent")
    return summarise(await ledger.calls(run_id=run_id), await ledger.tool_calls(run_id=run_id), by="agent")
