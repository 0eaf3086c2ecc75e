"""What comes after a reply: run tools, go on, ask for a repair, finish or fail.

The decision is a function of the reply's content and stop reason, so that it can be read and tested as a table;
`runner.py` performs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from agentcache.errors import OutputInvalid, OutputTruncated, Refused, ReplyMalformed, RunError
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.runtime.output import OutputSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTools:
    """Run these `tool_use` blocks, then call again with their results."""

    blocks: tuple[JsonObject, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAgain:
    """Send the conversation back as it is: the server paused a long turn (`pause_turn`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """Tell the model why its answer does not fit, and call again."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The run has its output."""

    output: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """The run ends without output."""

    error: RunError


Step: TypeAlias = RunTools | CallAgain | Repair | Finish | Fail


def next_step(
    content: Sequence[JsonObject],
    stop_reason: str | None,
    *,
    output: OutputSpec,
    repairs_left: int,
    agent: str,
    stop_details: JsonValue = None,
) -> Step:
    """Return what follows a reply with this `content` and `stop_reason` (the API's words)."""
    if stop_reason == "tool_use":
        blocks = tuple(block for block in content if block.get("type") == "tool_use")
        return RunTools(blocks=blocks) if blocks else _malformed(agent, "stopped for tool_use without a tool_use block")
    if stop_reason in {"end_turn", "stop_sequence"}:
        return _finish(text_of(content), output, repairs_left, agent)
    if stop_reason == "pause_turn":
        return CallAgain()
    if stop_reason == "refusal":
        return Fail(error=Refused(f"{agent}: the model declined to answer{_category(stop_details)}"))
    if stop_reason == "max_tokens":
        return Fail(
            error=OutputTruncated(f"{agent}: the answer was cut at max_tokens; raise max_tokens or ask for less")
        )
    if stop_reason == "model_context_window_exceeded":
        message = f"{agent}: the conversation filled the model's context window; begin a new one or send less"
        return Fail(error=OutputTruncated(message))
    return _malformed(agent, f"stopped for {stop_reason!r}, which this version does not know")


def text_of(content: Sequence[JsonObject]) -> str:
    """Return the text blocks of a reply, joined as they came."""
    return "".join(str(block.get("text", "")) for block in content if block.get("type") == "text")


def _finish(text: str, output: OutputSpec, repairs_left: int, agent: str) -> Step:
    try:
        return Finish(output=output.parse(text))
    except OutputInvalid as error:
        if repairs_left > 0:
            return Repair(message=output.repair_message(error))
        return Fail(error=OutputInvalid(f"{agent}: the answer does not fit the declared output: {error}"))


def _category(details: JsonValue) -> str:
    if isinstance(details, dict) and details.get("category"):
        return f" (category: {details['category']})"
    return ""


def _malformed(agent: str, what: str) -> Fail:
    return Fail(error=ReplyMalformed(f"{agent}: the reply {what}"))
