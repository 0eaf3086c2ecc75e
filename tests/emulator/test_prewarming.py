"""Calls with `max_tokens: 0`, which only fill the cache (section 7)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.account import Account, Body, request, text, tool, user

MODEL = "claude-sonnet-4-6"


def warming(**fields: Any) -> Body:
    body = request(user(text(1, "warmup")), system=[text(2000, ttl="5m")], model=MODEL, **fields)
    return {**body, "max_tokens": 0}


def test_it_writes_when_cold_and_is_charged_a_read_when_warm() -> None:
    account = Account()
    assert account.charge(warming()) == (0, 2000, 0, 1)
    assert account.charge(warming(), now=250) == (0, 0, 2000, 1)
    asked = request(user(text(30, "real")), system=[text(2000, ttl="5m")], model=MODEL)
    assert account.charge(asked, now=500) == (0, 0, 2000, 30), "re-sending it kept the entry alive"


def test_no_model_is_asked() -> None:
    def never(_: object) -> str:
        raise AssertionError("a prewarming call asked for a reply")

    account = Account()
    answer = account.post(warming(), reply=never)
    assert answer.body is not None
    assert answer.body["content"] == []


@pytest.mark.parametrize(
    ("field", "named"),
    [
        ({"stream": True}, "stream"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "thinking of type enabled"),
        ({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}, "output_config.format"),
        ({"tools": [tool("look")], "tool_choice": {"type": "any"}}, "tool_choice any"),
        ({"tools": [tool("look")], "tool_choice": {"type": "tool", "name": "look"}}, "tool_choice tool"),
    ],
)
def test_what_it_cannot_be_combined_with(field: dict[str, object], named: str) -> None:
    model = "claude-opus-5" if "output_config" in field else MODEL
    message = Account().error({**warming(**field), "model": model})
    assert message.endswith(f"cannot be combined with {named}")


@pytest.mark.parametrize(
    "field",
    [
        {"thinking": {"type": "adaptive"}},
        {"tools": [tool("look")]},
        {"tools": [tool("look")], "tool_choice": {"type": "auto"}},
        {"output_config": {"effort": "low"}},
    ],
)
def test_what_it_may_be_combined_with(field: dict[str, object]) -> None:
    assert Account().post(warming(**field)).status == 200


def test_the_placeholder_needs_a_text_that_is_not_white_space() -> None:
    blank = {**warming(), "messages": [user({"type": "text", "text": " \n"})]}
    assert Account().error(blank) == "messages: text content blocks must contain non-whitespace text"
