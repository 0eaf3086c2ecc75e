"""How messages may follow one another, and what the API says when they may not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.account import Account, Body, assistant, call_tool, mark, request, result, text, tool, user

OPUS = "claude-opus-4-8"
LOOK = [tool("look")]


def error(*messages: object, beta: str = "", **fields: Any) -> str:
    return Account().error(request(*messages, **fields), headers={"anthropic-beta": beta} if beta else {})


def accepted(*messages: object, beta: str = "", **fields: Any) -> bool:
    answer = Account().post(request(*messages, **fields), headers={"anthropic-beta": beta} if beta else {})
    return answer.status == 200


EMPTY = "messages.{}: all messages must have non-empty content except for the optional final assistant message"


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "messages: at least one message is required"),
        ([{"role": "robot", "content": "hi"}], "messages.0.role: Input should be 'user', 'assistant' or 'system'"),
        ([{"content": "hi"}], "messages.0.role: Field required"),
        ([{"role": "user"}], "messages.0.content: Field required"),
        (["hi"], "messages.0: Input should be a valid dictionary"),
        ([{"role": "user", "content": 7}], "messages.0.content: Input should be a valid list"),
        ([{"role": "user", "content": "hi", "name": "x"}], "messages.0.name: Extra inputs are not permitted"),
        ([{"role": "user", "content": ""}], EMPTY.format(0)),
        ([user()], EMPTY.format(0)),
        ([user(text(1)), assistant(), user(text(1))], EMPTY.format(1)),
        ([{"role": "user", "content": "  "}], "messages: text content blocks must contain non-whitespace text"),
        (
            [user(text(1)), {"role": "assistant", "content": "so "}],
            "messages: final assistant content cannot end with trailing whitespace",
        ),
        ([user({"text": "hi"})], "messages.0.content.0.type: Field required"),
        ([user({"type": "text"})], "messages.0.content.0.text.text: Field required"),
        ([user({"type": "text", "text": 7})], "messages.0.content.0.text.text: Input should be a valid string"),
        (
            [user({"type": "text", "text": "x", "color": "red"})],
            "messages.0.content.0.text.color: Extra inputs are not permitted",
        ),
        ([user(call_tool(0))], "messages.0: `tool_use` blocks can only be in `assistant` messages"),
        (
            [user(text(1)), assistant(result(0))],
            "messages.1: `tool_result` blocks can only be in `user` messages",
        ),
    ],
)
def test_messages_that_are_refused(messages: list[object], message: str) -> None:
    assert error(*messages) == message


def test_an_unknown_kind_of_block_is_refused_with_the_known_ones() -> None:
    message = error(user({"type": "hologram"}))
    assert message.startswith("messages.0.content.0: Input tag 'hologram' found using 'type' does not match any of")
    assert "'tool_result'" in message


def test_blocks_of_beta_features_are_refused_as_not_played() -> None:
    assert "is not played" in error(user(text(1)), assistant({"type": "compaction", "content": "x"}), user(text(1)))


def test_a_final_assistant_message_may_be_empty_or_a_start_of_the_answer() -> None:
    assert accepted(user(text(1)), {"role": "assistant", "content": ""})
    assert accepted(user(text(1)), {"role": "assistant", "content": "The answer is"})


UNANSWERED = (
    "messages.{}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. "
    "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
)
UNEXPECTED = (
    "messages.{}.content.{}: unexpected `tool_use_id` found in `tool_result` blocks: {}. "
    "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
)


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([assistant(call_tool(0))], UNANSWERED.format(1, "toolu_0")),
        ([assistant(call_tool(0)), user(text(1))], UNANSWERED.format(1, "toolu_0")),
        ([assistant(call_tool(0), call_tool(1)), user(result(1))], UNANSWERED.format(1, "toolu_0")),
        ([assistant(call_tool(0), call_tool(1)), user(text(1))], UNANSWERED.format(1, "toolu_0, toolu_1")),
        ([assistant(call_tool(0)), user(text(1), result(0))], UNANSWERED.format(1, "toolu_0")),
        ([assistant(text(1)), user(result(7))], UNEXPECTED.format(2, 0, "toolu_7")),
        ([assistant(call_tool(0)), user(result(0)), user(result(7))], UNEXPECTED.format(3, 0, "toolu_7")),
        (
            [assistant(call_tool(0)), user(result(0), result(0))],
            "messages.2.content.1: each tool_use must have a single result. Found multiple `tool_result` blocks with "
            "id: toolu_0",
        ),
        ([assistant(call_tool(0), call_tool(0)), user(result(0))], "messages: `tool_use` ids must be unique"),
        (
            [assistant({**call_tool(0), "id": "a b"}), user(text(1))],
            "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
        ),
    ],
)
def test_calls_and_results_that_do_not_pair(messages: list[Body], message: str) -> None:
    assert error(user(text(1)), *messages, tools=LOOK) == message


def test_what_recorded_calls_show_to_be_accepted() -> None:
    assert accepted(assistant(text(1)), user(text(1)))
    again = [assistant(call_tool(0)), user(result(0))]
    assert accepted(user(text(1)), *again, *again, tools=LOOK)
    forced: dict[str, Any] = {"tools": LOOK, "tool_choice": {"type": "any"}, "thinking": {"type": "adaptive"}}
    assert accepted(user(text(1)), **forced)


def test_results_may_be_spread_over_consecutive_user_messages_and_be_followed_by_text() -> None:
    assert accepted(
        user(text(1)), assistant(call_tool(0), call_tool(1)), user(result(1)), user(result(0), text(1)), tools=LOOK
    )


NOTE = {"role": "system", "content": "note"}


def test_system_messages_need_a_model_that_takes_them() -> None:
    assert error(user(text(1)), NOTE) == "role 'system' is not supported on this model"
    assert accepted(user(text(1)), NOTE, model=OPUS)


def test_where_a_system_message_may_stand() -> None:
    assert accepted(user(text(1)), NOTE, NOTE, assistant(text(1)), user(text(1)), model=OPUS)
    assert accepted(user(text(1)), assistant(call_tool(0)), user(result(0)), NOTE, tools=LOOK, model=OPUS)
    searched = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    assert accepted(user(text(1)), assistant(text(1), searched), NOTE, model=OPUS)


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([NOTE, user(text(1))], "must follow a user message"),
        ([user(text(1)), assistant(text(1)), NOTE], "must follow a user message or a server tool result"),
        ([user(text(1)), NOTE, user(text(1))], "must be last or be followed by an assistant message"),
        ([user(text(1)), assistant(call_tool(0)), NOTE, user(result(0))], "must follow a user message"),
    ],
)
def test_where_it_may_not(messages: list[Body], words: str) -> None:
    assert words in error(*messages, tools=LOOK, model=OPUS)


CLEAR = "mid-conversation-system-clear-at-2026-08-21"
EFFORT = "mid-conversation-output-config-2026-07-01"
SCOPED = {**NOTE, "clear_at": "next_user_message"}
IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.com/x.png"}}


@pytest.mark.parametrize(
    ("message", "betas", "expected"),
    [
        (SCOPED, "", "messages.1.clear_at: Extra inputs are not permitted"),
        (
            {**NOTE, "content": [IMAGE], "clear_at": "next_user_message"},
            CLEAR,
            "messages.1: a turn-scoped system message supports text blocks only (clear_at: 'next_user_message')",
        ),
        (
            {**SCOPED, "output_config": {"effort": "low"}},
            f"{CLEAR},{EFFORT}",
            "messages.1: output_config is not permitted on a turn-scoped system message "
            "(clear_at: 'next_user_message')",
        ),
        (
            {**SCOPED, "content": [mark(text(1))]},
            CLEAR,
            "messages.1.content.0: cache_control is not permitted on a turn-scoped system message "
            "(clear_at: 'next_user_message')",
        ),
        (
            {**NOTE, "clear_at": "soon"},
            CLEAR,
            "messages.1.clear_at: Input should be 'next_user_message' or 'never'",
        ),
    ],
)
def test_misuse_of_turn_scoped_system_messages(message: Body, betas: str, expected: str) -> None:
    assert error(user(text(1)), message, beta=betas, model="claude-opus-5") == expected


def test_clear_at_belongs_to_system_messages() -> None:
    message = error({"role": "user", "content": "hi", "clear_at": "never"}, beta=CLEAR, model=OPUS)
    assert message == "messages.0: clear_at is only permitted on role 'system' messages"


def test_effort_per_message_needs_its_header_and_its_model() -> None:
    switch = {"role": "system", "content": [], "output_config": {"effort": "low"}}
    assert error(user(text(1)), switch, model="claude-opus-5") == (
        "messages.1.output_config: Extra inputs are not permitted"
    )
    assert accepted(user(text(1)), switch, beta=EFFORT, model="claude-opus-5")
    assert "takes no effort per message" in error(user(text(1)), switch, beta=EFFORT, model=OPUS)
