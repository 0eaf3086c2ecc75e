"""How a durable run that is gone through again finds its conversation as it was, compacts it once and hands it in once.

Whoever saves a conversation leaves its name in it: a run when it hands its messages in, and before that when it
compacts the history. So a run whose process died knows how far it had come.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from agentcache.accounting.usage import CallKind
from agentcache.errors import StoreError
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.runtime.agent_run import AgentRun
from agentcache.runtime.continuing import GoingOn
from agentcache.runtime.conversation import Transcript
from agentcache.runtime.replies import json_object
from agentcache.stores.protocols import Ledger


async def begun(run: AgentRun, transcript: Transcript) -> None:
    """Write down where a conversation stood when a durable run of it began, or bring the transcript back to there.

    A run that had handed its conversation in before its process died is gone through again on what it began with, and
    hands nothing in. Raises `StoreError` when somebody else went on with the conversation meanwhile.
    """
    saved_by, transcript.saved_by = transcript.saved_by, run.run_id
    if run.steps is None or run.conversation is None:
        return

    async def produce() -> JsonValue:
        return {"version": transcript.version, "messages": len(transcript.messages)}

    began = json_object(await run.steps.next("conversation").run(produce), "the recorded start of a conversation")
    if transcript.version == began["version"] or saved_by == _compacting(run):
        return
    if saved_by != run.run_id:
        raise StoreError(
            f"conversation {run.conversation!r} went on since this durable run of it began; "
            "take another durable id to ask on from where it is now"
        )
    del transcript.messages[cast("int", began["messages"]) :]
    transcript.layout, transcript.sent, transcript.keep = None, None, False


async def compacted_once(
    run: AgentRun,
    transcript: Transcript,
    going: GoingOn,
    fresh: Sequence[RenderedSection],
    ledger: Ledger,
    compact: Callable[[], Awaitable[GoingOn]],
) -> GoingOn:
    """Compact a history as `compact` does; in a durable run as a step, so that it is weighed and paid for once.

    fresh: the system prompt as it is now.
    """
    if run.steps is None or run.conversation is None or run.agent.compaction is None:
        return await compact()
    transcript.saved_by = _compacting(run)
    step = run.steps.next("compaction")
    performed: GoingOn | None = None

    async def produce() -> JsonValue:
        nonlocal performed
        performed = await compact()
        return {"history": None if performed is going else list(performed.history)}

    history = json_object(await step.run(produce), "a recorded compaction")["history"]
    transcript.saved_by = run.run_id
    if performed is not None:
        return performed
    await _charge_summaries(run, ledger)
    if history is None:
        return going
    messages = cast("list[JsonObject]", history)
    transcript.messages, transcript.sent, transcript.layout = messages, None, None
    return GoingOn(system=tuple(fresh), history=tuple(messages), amended={})


async def _charge_summaries(run: AgentRun, ledger: Ledger) -> None:
    for row in await ledger.calls(run_id=run.run_id):
        if row.kind is CallKind.SUMMARY and row.run_id == run.run_id:
            run.meter.add(row)
            run.meter.begin_turn(run.agent.name)


def _compacting(run: AgentRun) -> str:
    return f"{run.run_id} compacted"
