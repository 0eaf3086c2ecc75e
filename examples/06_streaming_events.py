"""Watch a run while it happens: typed events, text piece by piece, tools, what each call used.

    agentcache run examples/06_streaming_events.py:storyteller "A story about a buoy" --emulate

The command line draws its progress from the same events. In a program of your own, `narrate` shows the way: iterate
over `runtime.stream(...)`; leaving the loop early cancels the run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from agentcache import Agent, CallFinished, FirstToken, Prompt, RunFinished, Runtime, TextDelta, tool
from agentcache import ToolFinished as Finished
from agentcache import ToolStarted as Started


@tool
async def tide(harbour: str) -> str:
    """Return the state of the tide in a harbour."""
    return f"{harbour}: rising"


storyteller = Agent(
    name="storyteller",
    model="claude-haiku-5-5",
    prompt=Prompt(static="You tell stories of three sentences. Look up the tide before you mention it."),
    tools=[tide],
)


async def narrate(runtime: Runtime, wish: str) -> AsyncIterator[str]:
    """Yield one line for each thing that happens, the story's text as it arrives."""
    async for event in runtime.stream(storyteller, wish):
        match event:
            case Started(tool=name, arguments=arguments):
                yield f"tool {name} {arguments}"
            case Finished(tool=name, outcome=outcome):
                yield f"tool {name}: {outcome}"
            case FirstToken():
                yield "first token"
            case TextDelta(text=text):
                yield f"text {text}"
            case CallFinished(record=record):
                yield f"call {record.turn} finished: {record.stop_reason}"
            case RunFinished(status=status, output=output):
                yield f"run {status}: {output}"


def emulated_replies(request: dict[str, Any]) -> str | list[dict[str, Any]]:
    """Stand in for the model: look up the tide, then tell the story."""
    if len(request["messages"]) == 1:
        return [{"type": "tool_use", "name": "tide", "input": {"harbour": "Northquay"}}]
    return "A buoy was lonely. The tide was rising. It met a seal."
