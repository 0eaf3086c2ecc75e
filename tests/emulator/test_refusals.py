"""Requests that the API refuses before it thinks about caching: fields, tools, models, and the shape of errors."""

from __future__ import annotations

from typing import Any

import pytest

from agentcache.emulator.messages_api import HttpAnswer, HttpCall, MessagesApi
from tests.emulator.account import HEADERS, Account, Body, error_message, request, text, tool, user

HELLO = request(user(text(1)))


def with_fields(**fields: Any) -> Body:
    return {**HELLO, **fields}


def without(name: str) -> Body:
    return {key: value for key, value in HELLO.items() if key != name}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (without("max_tokens"), "max_tokens: Field required"),
        (without("messages"), "messages: Field required"),
        (without("model"), "model: Field required"),
        (with_fields(prompt_cache_key="x"), "prompt_cache_key: Extra inputs are not permitted"),
        (with_fields(context_management={}), "context_management: Extra inputs are not permitted"),
        (with_fields(max_tokens="many"), "max_tokens: Input should be a valid integer"),
        (with_fields(max_tokens=True), "max_tokens: Input should be a valid integer"),
        (with_fields(max_tokens=-1), "max_tokens: Input should be greater than or equal to 0"),
        (
            with_fields(max_tokens=64_001, model="claude-haiku-4-5"),
            "max_tokens: 64001 > 64000, which is the maximum allowed number of output tokens for claude-haiku-4-5",
        ),
        (with_fields(stream="yes"), "stream: Input should be a valid boolean"),
        (with_fields(temperature=1.5), "temperature: range: 0..1"),
        (with_fields(temperature="hot"), "temperature: Input should be a valid number"),
        (with_fields(stop_sequences=[" "]), "stop_sequences: each stop sequence must contain non-whitespace"),
        (with_fields(stop_sequences="END"), "stop_sequences: Input should be a valid list"),
        (with_fields(service_tier="gold"), "service_tier: Input should be 'auto' or 'standard_only'"),
        (with_fields(metadata={"user": 1}), "metadata.user: Extra inputs are not permitted"),
        (with_fields(model=7), "model: Input should be a valid string"),
        (with_fields(model=""), "model: String should have at least 1 character"),
        (with_fields(messages=[]), "messages: at least one message is required"),
        (
            with_fields(messages=[{"role": "user", "content": "x", "clear_at": "never"}]),
            "messages.0: clear_at is only permitted on role 'system' messages",
        ),
        (with_fields(system=[{"type": "text"}]), "system.0.text: Field required"),
        (with_fields(system=7), "system: Input should be a valid list"),
        (with_fields(tools={}), "tools: Input should be a valid list"),
        (with_fields(tools=[{"name": "x"}]), "tools.0.custom.input_schema: Field required"),
        (
            with_fields(tools=[{"name": "x y", "input_schema": {"type": "object"}}]),
            "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
        ),
        (
            with_fields(tools=[{"name": "x", "input_schema": {"type": "array"}}]),
            "tools.0.custom.input_schema.type: Input should be 'object'",
        ),
        (
            with_fields(tools=[{"name": "x", "input_schema": {"type": "object", "anyOf": []}}]),
            "tools.0.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level",
        ),
        (with_fields(tools=[{**tool("x"), "cost": 1}]), "tools.0.custom.cost: Extra inputs are not permitted"),
        (with_fields(tools=[tool("x"), tool("x")]), "tools: Tool names must be unique."),
        (
            with_fields(tool_choice={"type": "auto"}),
            "tool_choice: tool_choice may only be specified while providing tools",
        ),
        (
            with_fields(tools=[tool("x")], tool_choice={"type": "tool", "name": "y"}),
            "Tool 'y' not found in provided tools",
        ),
        (
            with_fields(tools=[tool("x")], tool_choice={"type": "any"}, model="claude-opus-5-5"),
            'tool_choice: type "tool" and "any" are not supported for this model.',
        ),
        (
            {
                **with_fields(tools=[tool("x")], tool_choice={"type": "any"}),
                "thinking": {"type": "enabled", "budget_tokens": 1024},
                "max_tokens": 2000,
            },
            "Thinking may not be enabled when tool_choice forces tool use.",
        ),
        (
            with_fields(thinking={"type": "sometimes"}),
            "thinking: Input tag 'sometimes' found using 'type' does not match any of the expected tags: 'adaptive', "
            "'between_tools', 'disabled', 'enabled'",
        ),
        (with_fields(thinking={"type": "enabled"}), "thinking.enabled.budget_tokens: Field required"),
        (
            with_fields(thinking={"type": "enabled", "budget_tokens": 1000}),
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        ),
        (
            with_fields(output_config={"effort": "huge"}),
            "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'",
        ),
        (
            with_fields(output_config={"effort": "low"}, model="claude-haiku-4-5"),
            "This model does not support the effort parameter.",
        ),
        (with_fields(output_config={"format": {"type": "json_schema"}}), "output_config.format.schema: Field required"),
    ],
)
def test_a_field_that_does_not_fit(body: Body, message: str) -> None:
    assert Account().error(body) == message


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (with_fields(thinking={"type": "enabled", "budget_tokens": 2000}), "must be greater than"),
        (
            {
                **with_fields(thinking={"type": "enabled", "budget_tokens": 2000}, model="claude-opus-5"),
                "max_tokens": 9000,
            },
            '"thinking.type.enabled" is not supported for this model',
        ),
        (with_fields(thinking={"type": "disabled"}, model="claude-opus-5-5"), "it always thinks"),
        (with_fields(thinking={"type": "adaptive"}, model="claude-haiku-4-5"), "is not supported for this model"),
        (
            {**with_fields(thinking={"type": "enabled", "budget_tokens": 1024}, temperature=0.5), "max_tokens": 2000},
            "may only be set to 1 when thinking is enabled",
        ),
        (with_fields(output_config={"effort": "xhigh"}), "this model takes low, medium, high, max"),
        (with_fields(speed="fast"), "has no fast mode"),
        (with_fields(tools=[{"type": "mcp_toolset"}]), "is not played"),
        (with_fields(tools=[{"type": "telepathy_1"}]), "Input tag 'telepathy_1' found using 'type'"),
    ],
)
def test_what_a_model_or_the_emulator_does_not_take(body: Body, named: str) -> None:
    assert named in Account().error(body)


def test_beta_fields_are_known_with_their_header_and_refused_as_not_played() -> None:
    beta = {"anthropic-beta": "context-management-2025-06-27,other"}
    message = Account().error(with_fields(context_management={"edits": []}), headers=beta)
    assert message == (
        "agentcache emulator: the beta field 'context_management' is not played; the real API may accept it"
    )


def test_counting_takes_no_max_tokens_and_answers_the_whole_prompt() -> None:
    account = Account()
    path = "/v1/messages/count_tokens"
    body = request(user(text(30, ttl="5m")), system="a b c")
    assert error_message(account.post(body, path=path)) == "max_tokens: Extra inputs are not permitted"
    del body["max_tokens"]
    answer = account.post(body, path=path)
    assert (answer.status, answer.body) == (200, {"input_tokens": 33})
    assert account.api.statement.lines == (), "counting is free"


def test_an_unknown_model_is_not_found_unless_the_account_takes_any() -> None:
    body = {**HELLO, "model": "claude-does-not-exist"}
    answer = Account().post(body)
    assert answer.status == 404
    assert answer.body == {
        "type": "error",
        "error": {"type": "not_found_error", "message": "model: claude-does-not-exist"},
        "request_id": dict(answer.headers)["request-id"],
    }
    assert Account(accept_unknown_models=True).post(body).status == 200


def raw(body: bytes, **changes: Any) -> HttpAnswer:
    call = {"method": "POST", "path": "/v1/messages", "headers": HEADERS, "body": body, **changes}
    return MessagesApi().respond(HttpCall(**call), lambda _: "ok", now=0)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe{}", "invalid utf-8 at byte 0"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" * 300 + b"]" * 300, "nested too deeply"),
        (b"[]", "body: Input should be a valid dictionary"),
        (b"null", "body: Input should be a valid dictionary"),
        (b'"hi"', "body: Input should be a valid dictionary"),
    ],
)
def test_bodies_that_are_no_json_object(body: bytes, words: str) -> None:
    answer = raw(body)
    assert answer.status == 400
    assert words in error_message(answer)


def test_a_body_over_32_megabytes_is_too_large() -> None:
    answer = raw(b" " * (32 * 1024 * 1024 + 1))
    assert answer.status == 413
    assert answer.body is not None
    assert answer.body["error"] == {"type": "request_too_large", "message": "Request exceeds the maximum size"}


def test_a_prompt_longer_than_the_context_window_is_refused() -> None:
    message = Account().error(request(user(text(200_001)), model="claude-haiku-4-5"))
    assert message == "prompt is too long: 200001 tokens > 200000 maximum"


@pytest.mark.parametrize(
    ("headers", "status", "kind", "words"),
    [
        ({"anthropic-version": "2023-06-01"}, 401, "authentication_error", "x-api-key header is required"),
        ({"x-api-key": ""}, 401, "authentication_error", "x-api-key header is required"),
        ({"x-api-key": "k"}, 400, "invalid_request_error", "anthropic-version: header is required"),
    ],
)
def test_headers_that_are_missing(headers: dict[str, str], status: int, kind: str, words: str) -> None:
    answer = raw(b"{}", headers=headers)
    assert answer.status == status
    assert answer.body is not None
    assert answer.body["error"] == {"type": kind, "message": words}


def test_a_bearer_token_is_a_key_and_unknown_keys_can_be_refused() -> None:
    bearer = {"authorization": "Bearer t", "anthropic-version": "2023-06-01", "x-api-key": ""}
    assert Account().post(HELLO, headers=bearer).status == 200
    strict = Account(keys={"test": "team-a"})
    assert strict.post(HELLO).status == 200
    assert strict.api.statement.lines[-1].workspace == "team-a"
    assert strict.error(HELLO, headers={"x-api-key": "stolen"}, status=401) == "invalid x-api-key"


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/v1/messages", 405, "Method Not Allowed"),
        ("POST", "/v1/models", 405, "Method Not Allowed"),
        ("GET", "/v2", 404, "Not Found"),
        ("POST", "/v1/messages/batches", 404, "agentcache emulator: /v1/messages/batches is not played"),
    ],
)
def test_paths_and_methods_that_do_not_exist(method: str, path: str, status: int, words: str) -> None:
    answer = raw(b"{}", method=method, path=path)
    assert answer.status == status
    assert error_message(answer) == words


def test_every_answer_carries_its_request_id_and_the_rate_limits() -> None:
    for answer in (Account().post(HELLO), Account().post({})):
        headers = dict(answer.headers)
        assert headers["request-id"].startswith("req_01")
        assert headers["anthropic-organization-id"]
        for name in ("requests", "input-tokens", "output-tokens"):
            assert int(headers[f"anthropic-ratelimit-{name}-remaining"]) > 0
            assert headers[f"anthropic-ratelimit-{name}-reset"].endswith("Z")
