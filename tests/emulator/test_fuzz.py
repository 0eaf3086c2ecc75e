"""Whatever a client sends, the emulator answers in the API's form; it never crashes."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentcache.emulator.messages_api import HttpAnswer, HttpCall, MessagesApi
from tests.emulator.account import HEADERS, assistant, call_tool, mark, request, result, text, tool, user

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)
VALID = request(
    user(text(3), {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}}),
    assistant({"type": "thinking", "thinking": "hm", "signature": "s"}, call_tool(0)),
    user(result(0, [text(2)]), mark(text(2))),
    {"role": "system", "content": "note"},
    model="claude-opus-5",
    tools=[mark(tool("look")), {"type": "web_search_20260318", "name": "web_search"}],
    system=[mark(text(4))],
    thinking={"type": "adaptive"},
    tool_choice={"type": "auto"},
    output_config={"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    metadata={"user_id": "u"},
    stop_sequences=["END"],
    cache_control={"type": "ephemeral"},
    diagnostics={"previous_message_id": None},
)
WORDS = ["type", "text", "cache_control", "ttl", "role", "content", "system", "tool_use", "tool_result", "name", "1h"]


def answer(body: bytes, path: str = "/v1/messages", **headers: str) -> HttpAnswer:
    call = HttpCall(method="POST", path=path, headers={**HEADERS, **headers}, body=body)
    return MessagesApi().respond(call, lambda _: "ok", now=0)


def check(answered: HttpAnswer) -> None:
    if answered.status == 200:
        assert answered.body is not None or answered.events
        return
    assert answered.status in {400, 404, 413}
    assert answered.body is not None
    error: Any = answered.body["error"]
    assert answered.body["type"] == "error"
    assert error["type"] in {"invalid_request_error", "not_found_error", "request_too_large"}
    assert error["message"]
    json.dumps(answered.body)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) inside `value`."""
    found: list[tuple[Any, Any]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found.append((value, key))
        found.extend(places(item))
    return found


def test_the_body_that_is_mutated_is_valid() -> None:
    assert answer(json.dumps(VALID).encode()).status == 200


@settings(max_examples=3 * settings().max_examples, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(body: bytes) -> None:
    check(answer(body))


@settings(max_examples=3 * settings().max_examples, deadline=None)
@given(JSON)
def test_any_json(value: Any) -> None:
    check(answer(json.dumps(value).encode()))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(VALID)), JSON))
def test_any_value_in_any_field(fields: dict[str, Any]) -> None:
    check(answer(json.dumps({**VALID, **fields}).encode()))


@settings(max_examples=4 * settings().max_examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), changes=st.integers(1, 3), counting=st.booleans())
def test_any_mutation_of_a_valid_body(data: st.DataObject, changes: int, counting: bool) -> None:
    body: Any = copy.deepcopy(VALID)
    if counting:
        for name in ("max_tokens", "stop_sequences", "metadata", "diagnostics"):
            del body[name]
    for _ in range(changes):
        container, key = data.draw(st.sampled_from(places(body)))
        action = data.draw(st.sampled_from(["replace", "delete", "add", "copy"]))
        if action == "delete":
            container.pop(key)
        elif action == "replace":
            container[key] = data.draw(JSON | st.sampled_from(WORDS))
        elif action == "copy":
            container[key] = copy.deepcopy(data.draw(st.sampled_from([item[key] for item, key in places(body)])))
        elif isinstance(container, dict):
            container[data.draw(st.sampled_from(WORDS))] = data.draw(JSON | st.just({"type": "ephemeral"}))
        else:
            container.insert(key, data.draw(JSON))
        if not isinstance(body, dict) or not places(body):
            break
    path = "/v1/messages/count_tokens" if counting else "/v1/messages"
    check(answer(json.dumps(body).encode(), path))


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=40), st.text(max_size=20))
def test_any_beta_header_and_any_model_name(betas: str, model: str) -> None:
    check(answer(json.dumps({**VALID, "model": model or "m"}).encode(), **{"anthropic-beta": betas}))


def test_half_a_surrogate_pair_is_a_text_like_any_other() -> None:
    body = json.dumps(request(user({"type": "text", "text": "\ud800", "cache_control": {"type": "ephemeral"}})))
    check(answer(body.encode()))
