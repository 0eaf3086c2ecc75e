"""Thinking that is bound to the prompt before it: what may change ahead of it, and what may not (section 10)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.account import Account, Body, call_tool, request, result, text, tool, user

BOUND = "claude-opus-5-5"
THINK = [{"type": "thinking", "thinking": "hm"}, call_tool(0)]


def history(model: str = BOUND, **fields: Any) -> tuple[Account, list[Body], dict[str, Any]]:
    """Return an account, the messages after one answered tool call, and the fields they were sent with."""
    sent: dict[str, Any] = {"model": model, "tools": [tool("look")], "system": [text(5, "s")], **fields}
    account = Account()
    answer = account.post(request(user(text(10)), **sent), reply=THINK)
    assert answer.body is not None
    spoken: Body = {"role": "assistant", "content": answer.body["content"]}
    return account, [user(text(10)), spoken, user(result(0))], sent


def test_it_can_be_sent_back_behind_the_same_prompt() -> None:
    account, messages, sent = history()
    assert account.post(request(*messages, **sent)).status == 200


@pytest.mark.parametrize(
    "change",
    [
        {"system": [text(5, "t")]},
        {"system": []},
        {"tools": [tool("look", 2)]},
        {"tools": [tool("look"), tool("more")]},
    ],
)
def test_tools_and_system_must_not_change_ahead_of_it(change: dict[str, Any]) -> None:
    account, messages, sent = history()
    message = account.error(request(*messages, **{**sent, **change}))
    assert message.startswith("agentcache emulator: messages.1.content.0: this thinking block was made behind another")


def test_earlier_messages_must_not_change_ahead_of_it() -> None:
    account, messages, sent = history()
    assert "made behind another prompt" in account.error(request(user(text(9)), *messages[1:], **sent))


@pytest.mark.parametrize(
    "change",
    [
        {"system": [text(5, "s", ttl="5m")]},
        {"max_tokens": 77},
        {"output_config": {"effort": "low"}},
        {"tool_choice": {"type": "none"}},
        {"system": "s s s s s"},
    ],
)
def test_markers_effort_length_and_tool_choice_are_outside_the_check(change: dict[str, Any]) -> None:
    account, messages, sent = history()
    assert account.post({**request(*messages, **sent), **change}).status == 200


def test_what_comes_after_it_may_grow() -> None:
    account, messages, sent = history()
    note = {"role": "system", "content": "note"}
    assert account.post(request(*messages, note, **sent)).status == 200


def test_models_without_the_bond_take_it_anywhere() -> None:
    account, messages, sent = history("claude-opus-4-8")
    assert account.post(request(*messages, **{**sent, "system": []})).status == 200


def test_another_model_s_block_and_foreign_signatures_are_left_alone() -> None:
    account, messages, sent = history()
    elsewhere = {**sent, "model": "claude-sonnet-5-5", "system": []}
    assert account.post(request(*messages, **elsewhere)).status == 200
    foreign = {"type": "thinking", "thinking": "hm", "signature": "EqQBCgIYAhIM"}
    turn = {"role": "assistant", "content": [foreign, call_tool(0)]}
    assert account.post(request(messages[0], turn, messages[2], **{**sent, "system": []})).status == 200
