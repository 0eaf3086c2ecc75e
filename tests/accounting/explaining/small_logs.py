"""Small conversations as a log would have them, and strategies for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hypothesis import strategies as st

from agentcache.accounting.explaining.explanation import explain_calls
from agentcache.accounting.explaining.logged_calls import LoggedCall
from agentcache.prompt.canonical import JsonObject, JsonValue

MODELS = ("claude-opus-5", "claude-sonnet-5", "claude-fable-5")
WORDS = ("harbour", "ledger", "lantern", "meadow", "pebble", "quarry", "saddle", "thicket")


class Requests(list[JsonObject]):
    """Requests of a conversation, shown by what was done to them: written out, they are pages."""

    def __init__(self, requests: Iterable[JsonObject], shown: str) -> None:
        super().__init__(requests)
        self._shown = shown

    def __repr__(self) -> str:
        return self._shown


words = st.lists(st.sampled_from(WORDS), min_size=3, max_size=12).map(" ".join)


def head(name: str) -> JsonObject:
    """Return model, tools and a system prompt that only agents of this name have, long enough to be cached."""
    rules = "\n".join(f"- The {name} keeps rule {number}: {name} first, {name}{number} second." for number in range(60))
    tools: list[JsonValue] = [
        {
            "name": f"{name}_{verb}",
            "description": f"Does {verb}.",
            "input_schema": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}},
        }
        for verb in ("find", "open", "close")
    ]
    return {"model": MODELS[0], "max_tokens": 200, "tools": tools, "system": [block(f"You are {name}.\n{rules}")]}


def block(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def turn(role: str, *texts: str) -> JsonObject:
    return {"role": role, "content": [block(text) for text in texts]}


@st.composite
def conversations(draw: st.DrawFn, name: str = "porter") -> Requests:
    """Requests of one conversation that only grows, marked as they should be."""
    automatic = draw(st.booleans())
    messages = [turn("user", f"{name} asks: {draw(words)}?")]
    sent: list[JsonObject] = []
    for number in range(draw(st.integers(1, 5))):
        if number:
            replies = [f"{number} of {name}: {draw(words)}." for _ in range(draw(st.integers(1, 2)))]
            messages = [
                *messages,
                turn("assistant", *replies),
                turn("user", f"{number}: {name} asks of {draw(words)}?"),
            ]
        request = head(name) | {"messages": list[JsonValue](messages)}
        sent.append(request | {"cache_control": {"type": "ephemeral"}} if automatic else marked(request))
    return Requests(sent, f"<{name}: {len(sent)} requests, {automatic=}, {len(messages)} messages>")


def marked(request: JsonObject) -> JsonObject:
    """Return a request with a marker on its system prompt and on its last message."""
    mark: JsonValue = {"cache_control": {"type": "ephemeral"}}
    system, messages = request["system"], request["messages"]
    assert isinstance(system, list)
    assert isinstance(messages, list)
    last = messages[-1]
    assert isinstance(last, dict)
    content = last["content"]
    assert isinstance(content, list)
    return request | {
        "system": [*system[:-1], _with(system[-1], mark)],
        "messages": [*messages[:-1], last | {"content": [*content[:-1], _with(content[-1], mark)]}],
    }


def _with(value: JsonValue, more: JsonValue) -> JsonValue:
    assert isinstance(value, dict)
    assert isinstance(more, dict)
    return value | more


@st.composite
def edited_conversations(draw: st.DrawFn, name: str = "porter") -> Requests:
    """A conversation in which, at one call, something may have gone wrong that later calls keep."""
    sent = draw(conversations(name))
    at = draw(st.integers(0, len(sent)))
    edit = draw(st.sampled_from(("none", "clock", "tools", "effort", "model", "question", "marks")))
    edited = (_edited(request, edit, number, name) for number, request in enumerate(sent[at:]))
    return Requests([*sent[:at], *edited], f"<{sent}, {edit=} from {at}>")


def _edited(request: JsonObject, edit: str, number: int, name: str) -> JsonObject:
    system, tools, messages = request["system"], request["tools"], request["messages"]
    assert isinstance(system, list)
    assert isinstance(tools, list)
    assert isinstance(messages, list)
    changes: dict[str, JsonObject] = {
        "clock": {"system": [block(f"It is 10:{20 + number}."), *system]},
        "tools": {"tools": tools[::-1]},
        "effort": {"output_config": {"effort": "low"}},
        "model": {"model": MODELS[1]},
        "question": {"messages": [turn("user", f"The {name} asks something else."), *messages[1:]]},
    }
    bare = {key: value for key, value in request.items() if key != "cache_control"}
    return bare if edit == "marks" else request | changes.get(edit, {})


def calls_of(
    requests: Sequence[JsonObject],
    *,
    first_index: int = 0,
    starts_s: float = 0.0,
    apart_s: float = 20.0,
    conversation: str | None = None,
) -> list[LoggedCall]:
    """Return requests as calls of a log, one after the other."""
    return [
        LoggedCall(
            index=first_index + number,
            at_s=starts_s + apart_s * number,
            first_token_at_s=starts_s + apart_s * number + 1,
            conversation=conversation,
            request=request,
        )
        for number, request in enumerate(requests)
    ]


def told(calls: Sequence[LoggedCall]) -> list[tuple[str, int, str, str]]:
    return [(item.code, item.call, item.where, item.cause) for item in explain_calls(calls)]
