"""Request bodies on both sides of the judge: recorded ones in the shape that it reads, planned ones as they are sent.

Whether the API would take a recorded body is not asked. It was sent, so it was taken; transcripts moreover lack what
the API would insist on (signatures of thinking). Only markers are checked, since they are what a policy changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agentcache.emulator.markers import place_markers
from agentcache.emulator.prompt_cache import Marker
from agentcache.emulator.refusals import ApiError
from agentcache.emulator.request import Message, MessagesRequest, Place
from agentcache.errors import TargetError
from agentcache.prompt.blocks import is_markable
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.layout import Layout
from agentcache.prompt.model_facts import facts_for
from agentcache.prompt.plans import Plan
from agentcache.prompt.wire import CallSettings, to_request


@dataclass(slots=True, kw_only=True)
class RequestShaper:
    """Shapes bodies; a message object that it has seen before is not shaped again.

    nested_count: whether markers inside a tool result count toward the four.
    """

    nested_count: bool
    _messages: dict[int, tuple[JsonObject, Message]] = field(default_factory=dict)

    def unmarked(self, body: JsonObject, *, betas: frozenset[str]) -> MessagesRequest:
        """Return the request in `body`, which carries no marker. Raises `TargetError` when it is no request."""
        model = body.get("model")
        if not isinstance(model, str) or not model:
            raise TargetError("a recorded request names no `model`")
        max_tokens = body.get("max_tokens")
        return MessagesRequest(
            body=body,
            facts=facts_for(model),
            tools=tuple(_objects(body.get("tools") or [], "tools")),
            system=tuple(_blocks(body.get("system") or [], "system")),
            messages=self._shaped(body),
            markers=(),
            betas=betas,
            max_tokens=max_tokens if isinstance(max_tokens, int) else 0,
            stream=False,
        )

    def markers(self, body: JsonObject, places: Mapping[Place, int]) -> tuple[Marker, ...] | None:
        """Return the markers of a body by the judge's positions; `None` when the API refuses them.

        `places` maps blocks to positions. A block that is not among them (a deferred tool, thinking that the model
        drops, a message for one turn) takes no marker.
        """
        tools = tuple(_objects(body.get("tools") or [], "tools"))
        system = tuple(_blocks(body.get("system") or [], "system"))
        messages = self._shaped(body)
        try:
            placed = place_markers(body, tools=tools, system=system, messages=messages, nested_count=self.nested_count)
        except ApiError:
            return None
        found = []
        for marker in placed:
            level, index, inner = marker.place
            block = tools[index] if level == "tools" else system[index] if level == "system" else None
            block = block or messages[index].blocks[inner]
            if marker.place not in places or not is_markable(block):
                return None
            found.append(Marker(places[marker.place], marker.ttl))
        return tuple(found)

    def _shaped(self, body: JsonObject) -> tuple[Message, ...]:
        return tuple(self._message(item) for item in _objects(body.get("messages"), "messages"))

    def _message(self, item: JsonObject) -> Message:
        known = self._messages.get(id(item))
        if known is not None and known[0] is item:
            return known[1]
        config = item.get("output_config")
        effort = config.get("effort") if isinstance(config, dict) else None
        message = Message(
            role=str(item.get("role")),
            blocks=tuple(_blocks(item.get("content"), "content")),
            turn_scoped=item.get("clear_at") == "next_user_message",
            effort=effort if isinstance(effort, str) else None,
        )
        self._messages[id(item)] = (item, message)
        return message


def with_breakpoints(bare: JsonObject, layout: Layout, plan: Plan) -> JsonObject:
    """Return the unmarked body `bare`, which `layout` was made of, with the breakpoints of a plan."""
    marked = to_request(layout, plan, CallSettings(max_tokens=0))
    body: JsonObject = dict(bare)
    body.update({key: marked[key] for key in ("cache_control", "tools", "messages") if key in marked})
    if "system" in marked:
        body["system"] = _system(bare["system"], marked["system"])
    return body


def _system(bare: JsonValue, marked: JsonValue) -> JsonValue:
    """Return the system blocks with the markers of `marked` and whatever else the record had on them."""
    if not isinstance(bare, list) or not isinstance(marked, list):
        return marked
    return [{**_object(block), **_object(with_mark)} for block, with_mark in zip(bare, marked, strict=True)]


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _blocks(value: JsonValue, name: str) -> list[JsonObject]:
    if isinstance(value, str):
        return [{"type": "text", "text": value}] if value else []
    return _objects(value, name)


def _objects(value: JsonValue, name: str) -> list[JsonObject]:
    objects = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    if not isinstance(value, list) or len(objects) != len(value):
        raise TargetError(f"a recorded request's `{name}` is no list of objects")
    return objects
