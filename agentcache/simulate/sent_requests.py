"""Recorded bodies in the shape that the judge reads, without asking whether the API would take them.

They were sent, so they were taken; transcripts moreover lack what the API would insist on (signatures of thinking).
Only markers are checked, since they are what a policy changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agentcache.emulator.markers import place_markers
from agentcache.emulator.request import Message, MessagesRequest
from agentcache.errors import TargetError
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.model_facts import facts_for


@dataclass(slots=True)
class RequestShaper:
    """Shapes bodies; a message object that it has seen before is not shaped again."""

    _messages: dict[int, tuple[JsonObject, Message]] = field(default_factory=dict)

    def shape(self, body: JsonObject, *, betas: frozenset[str], nested_count: bool) -> MessagesRequest:
        """Return the request in `body`.

        Raises `TargetError` for a body that is no Messages request, and the judge's `ApiError` for its markers.
        """
        model = body.get("model")
        if not isinstance(model, str):
            raise TargetError("a recorded request names no `model`")
        tools = tuple(_objects(body.get("tools") or [], "tools"))
        system = tuple(_blocks(body.get("system") or [], "system"))
        messages = tuple(self._message(item) for item in _objects(body.get("messages"), "messages"))
        max_tokens = body.get("max_tokens")
        return MessagesRequest(
            body=body,
            facts=facts_for(model),
            tools=tools,
            system=system,
            messages=messages,
            markers=place_markers(body, tools=tools, system=system, messages=messages, nested_count=nested_count),
            betas=betas,
            max_tokens=max_tokens if isinstance(max_tokens, int) else 0,
            stream=False,
        )

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


def _blocks(value: JsonValue, name: str) -> list[JsonObject]:
    return [{"type": "text", "text": value}] if isinstance(value, str) else _objects(value, name)


def _objects(value: JsonValue, name: str) -> list[JsonObject]:
    objects = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    if not isinstance(value, list) or len(objects) != len(value):
        raise TargetError(f"a recorded request's `{name}` is no list of objects")
    return objects
