"""A layout and its plan become the body of a Messages request; the only writer of `cache_control`.

Decides the order of keys and where a marker stands in JSON. Decides nothing that a plan or a caller decided: settings
are written as they were given, so that equal inputs give equal bytes. Whether a model accepts a setting is not known
here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agentcache.errors import SettingsError
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.layout import Layout, Level
from agentcache.prompt.model_facts import Ttl
from agentcache.prompt.plans import Breakpoint, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSettings:
    """The parts of a request that are no prompt. A setting that is `None` or empty is left out of the request.

    Some of them shape the prompt all the same: a change of thinking, effort, tool choice or output format between
    calls loses the cached messages or more (spec 1.2), so callers put them into `level_salts` of the layout.
    """

    max_tokens: int
    """Longest answer in tokens; 0 writes or reads the prefix and answers nothing."""
    thinking: JsonObject | None = None
    effort: str | None = None
    output_format: JsonObject | None = None
    """JSON schema of the answer, for `output_config.format`."""
    tool_choice: JsonObject | None = None
    """Left out of a request without tools, which the API would refuse."""
    stop_sequences: tuple[str, ...] = ()
    metadata: JsonObject | None = None
    extra: Mapping[str, JsonValue] = field(default_factory=dict)
    """Further keys of the body, written last and in the order given."""

    def __post_init__(self) -> None:
        taken = sorted(self.extra.keys() & _OWN_KEYS)
        if taken:
            names = ", ".join(map(repr, taken))
            raise SettingsError(f"extra sets {names}, which the request sets itself; use the setting of that name")


_OWN_KEYS = frozenset(
    {
        "model",
        "max_tokens",
        "cache_control",
        "tools",
        "system",
        "messages",
        "tool_choice",
        "thinking",
        "output_config",
        "stop_sequences",
        "metadata",
    }
)


def to_request(layout: Layout, plan: Plan, settings: CallSettings) -> JsonObject:
    """Return the request body, without a `stream` key. The layout's own values are never changed.

    Raises `SettingsError` when `settings.extra` sets a key that the request sets itself.
    """
    marks = _marks(layout, [point for point in plan.kept if not point.automatic])
    body: JsonObject = {"model": layout.model, "max_tokens": settings.max_tokens}
    if plan.automatic is not None:
        body["cache_control"] = _marker(plan.automatic)
    if layout.tools:
        body["tools"] = _with_marks(layout.tools, marks["tools"])
    if layout.system:
        body["system"] = _with_marks(layout.system, marks["system"])
    body["messages"] = _messages(layout.messages, marks["messages"])
    body.update(_settings(settings, has_tools=bool(layout.tools)))
    return body


_Marks = dict[int, dict[int | None, Ttl]]


def _marks(layout: Layout, kept: Sequence[Breakpoint]) -> dict[Level, _Marks]:
    """Sort breakpoints by level, place in the level and place in the message."""
    marks: dict[Level, _Marks] = {"tools": {}, "system": {}, "messages": {}}
    for point in kept:
        block = layout.blocks[point.block]
        marks[block.level].setdefault(block.index, {})[block.content_index] = point.ttl
    return marks


def _with_marks(blocks: Sequence[JsonObject], marks: _Marks) -> list[JsonValue]:
    written: list[JsonValue] = list(blocks)
    for index, ttls in marks.items():
        written[index] = _marked(blocks[index], ttls[None])
    return written


def _messages(messages: Sequence[JsonObject], marks: _Marks) -> list[JsonValue]:
    written: list[JsonValue] = list(messages)
    for index, ttls in marks.items():
        content = messages[index]["content"]
        if isinstance(content, list):
            blocks = [
                _marked(block, ttls[place]) if place in ttls and isinstance(block, dict) else block
                for place, block in enumerate(content)
            ]
            written[index] = {**messages[index], "content": blocks}
    return written


def _marked(block: JsonObject, ttl: Ttl) -> JsonObject:
    return {**block, "cache_control": _marker(ttl)}


def _marker(ttl: Ttl) -> JsonObject:
    # 5m is the API's default and is left out, as most clients do: the marker is no part of the cached prompt.
    return {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}


def _settings(settings: CallSettings, *, has_tools: bool) -> JsonObject:
    output: JsonObject = {}
    if settings.effort is not None:
        output["effort"] = settings.effort
    if settings.output_format is not None:
        output["format"] = {"type": "json_schema", "schema": settings.output_format}
    body: JsonObject = {}
    if settings.tool_choice is not None and has_tools:
        body["tool_choice"] = settings.tool_choice
    if settings.thinking is not None:
        body["thinking"] = settings.thinking
    if output:
        body["output_config"] = output
    if settings.stop_sequences:
        body["stop_sequences"] = list(settings.stop_sequences)
    if settings.metadata:
        body["metadata"] = settings.metadata
    body.update(settings.extra)
    return body
