"""What the API says about cache markers, word for word, and in which order it looks (sections 2.5 and 3)."""

from __future__ import annotations

import pytest

from agentcache.emulator.cache_settings import CacheSettings
from tests.emulator.account import SONNET, Account, Body, assistant, call_tool, mark, request, result, text, tool, user

TOO_MANY = "A maximum of 4 blocks with cache_control may be provided. Found {}."
RISING = (
    "{}: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. "
    "Note that blocks are processed in the following order: `tools`, `system`, `messages`."
)
AUTOMATIC = {"cache_control": {"type": "ephemeral"}}
AUTOMATIC_LONG = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def error(body: Body, **headers: str) -> str:
    return Account().error(body, headers=headers)


def marked(count: int, *ttls: str) -> Body:
    lifetimes = ttls or ("5m",) * count
    return request(user(*(text(1, f"b{index}", ttl=lifetimes[index]) for index in range(count))))


def test_four_markers_are_accepted_and_five_refused() -> None:
    assert Account().post(marked(4)).status == 200
    assert error(marked(5)) == TOO_MANY.format(5)


def test_markers_on_every_level_are_counted_together() -> None:
    body = {**marked(3), "tools": [tool("look", ttl="5m")], "system": [text(1, ttl="5m")]}
    assert error(body) == TOO_MANY.format(5)


def test_the_automatic_marker_is_counted_even_on_a_block_that_is_marked_already() -> None:
    assert error({**marked(4), **AUTOMATIC}) == TOO_MANY.format(5)
    assert Account().post({**marked(3), **AUTOMATIC}).status == 200


def test_a_marker_inside_a_tool_result_is_counted_and_writes_nothing() -> None:
    nested = [text(3000, ttl="5m")]
    body = request(user(text(5)), assistant(call_tool(0)), user(result(0, nested)), tools=[tool("look")])
    account = Account()
    assert account.charge(body)[:3] == (0, 0, 0)
    crowded = {**body, "system": [text(1, f"s{index}", ttl="5m") for index in range(4)]}
    assert account.error(crowded) == TOO_MANY.format(5)
    assert Account(CacheSettings(nested_markers_count=False)).post(crowded).status == 200


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (marked(2, "5m", "1h"), "messages.0.content.1.cache_control.ttl"),
        ({**marked(1, "1h"), "system": [text(1, ttl="5m")]}, "messages.0.content.0.cache_control.ttl"),
        ({**marked(1), "tools": [tool("a", ttl="5m"), tool("b", ttl="1h")]}, "tools.1.cache_control.ttl"),
        (
            {**marked(1), "tools": [tool("a", ttl="5m")], "system": [text(1), text(1, ttl="1h")]},
            "system.1.cache_control.ttl",
        ),
        ({**request(user(text(1, ttl="5m"), text(1))), **AUTOMATIC_LONG}, "cache_control"),
    ],
)
def test_a_long_lifetime_must_not_come_after_a_short_one(body: Body, path: str) -> None:
    assert error(body) == RISING.format(path)


def test_a_bare_marker_counts_as_five_minutes() -> None:
    bare = {**text(1), "cache_control": {"type": "ephemeral"}}
    assert error(request(user(bare, text(1, ttl="1h")))) == RISING.format("messages.0.content.1.cache_control.ttl")


def test_long_on_system_and_automatic_short_go_together() -> None:
    account = Account()
    body = {**request(user(text(2000)), system=[text(2000, ttl="1h")]), **AUTOMATIC}
    assert account.charge(body) == (2000, 2000, 0, 0)


def test_the_automatic_marker_must_have_the_lifetime_of_the_block_it_lands_on() -> None:
    assert error({**marked(1, "1h"), **AUTOMATIC}) == (
        "Top-level cache_control has ttl='5m' but the target block already has cache_control with ttl='1h'. "
        "When both are specified on the same block, they must have matching TTLs."
    )


def test_the_checks_run_in_the_api_s_order() -> None:
    five_and_rising = marked(5, "5m", "1h", "5m", "5m", "1h")
    assert error({**five_and_rising, **AUTOMATIC}) == TOO_MANY.format(6)
    rising_and_target = marked(3, "5m", "1h", "1h")
    assert error({**rising_and_target, **AUTOMATIC}) == RISING.format("messages.0.content.1.cache_control.ttl")
    target_and_order = {**request(user(text(1, ttl="5m"))), **AUTOMATIC_LONG}
    assert error(target_and_order).startswith("Top-level cache_control has ttl='1h'")


def test_counting_tokens_runs_the_same_checks() -> None:
    body = marked(5)
    del body["max_tokens"]
    answer = Account().post(body, path="/v1/messages/count_tokens")
    assert answer.status == 400
    assert answer.body is not None
    assert answer.body["error"] == {"type": "invalid_request_error", "message": TOO_MANY.format(5)}


EMPTY = {"type": "text", "text": ""}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "s"}
DEFERRED = (
    "Tool 'late' cannot have both defer_loading=true and cache_control set. "
    "Tools with defer_loading cannot use prompt caching."
)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            request(user(text(1)), system=[mark(EMPTY)]),
            "system.0: cache_control cannot be set for empty text blocks",
        ),
        (
            request(user(text(1), mark(EMPTY))),
            "messages.0.content.1.text: cache_control cannot be set for empty text blocks",
        ),
        (request(user(text(1), EMPTY)), "messages: text content blocks must be non-empty"),
        (
            request(user(text(1)), assistant(mark(THOUGHT), text(1)), user(text(1))),
            "messages.1.content.0.thinking.cache_control: Extra inputs are not permitted",
        ),
        (
            request(user(text(1)), assistant(mark({"type": "redacted_thinking", "data": "x"}), text(1)), user(text(1))),
            "messages.1.content.0.redacted_thinking.cache_control: Extra inputs are not permitted",
        ),
        (
            request(user(text(1)), tools=[tool("look"), mark({**tool("late"), "defer_loading": True})]),
            DEFERRED,
        ),
        (
            request(user(text(1)), tools=[{**tool("late"), "defer_loading": True}]),
            "All tools have defer_loading: true",
        ),
        (
            request(user({**text(1), "cache_control": {"type": "eternal"}})),
            "messages.0.content.0.text.cache_control: Input tag 'eternal' found using 'type' does not match any of the "
            "expected tags: 'ephemeral'",
        ),
        (
            request(user(text(1, ttl="2h"))),
            "messages.0.content.0.text.cache_control.ephemeral.ttl: Input should be '5m' or '1h'",
        ),
    ],
)
def test_markers_where_none_can_be(body: Body, message: str) -> None:
    assert error(body) == message


def test_a_null_marker_is_no_marker() -> None:
    account = Account()
    body = {**request(user({**text(2000), "cache_control": None})), "cache_control": None}
    assert account.charge(body) == (0, 0, 0, 2000)


def test_the_automatic_marker_lands_on_the_last_block() -> None:
    account = Account()
    assert account.charge({**request(user(text(2000), text(5))), **AUTOMATIC}) == (0, 2005, 0, 0)


def test_the_automatic_marker_on_a_block_marked_the_same_does_nothing_more() -> None:
    account = Account()
    assert account.charge({**request(user(text(2000, ttl="5m"))), **AUTOMATIC}) == (0, 2000, 0, 0)


def test_the_automatic_marker_walks_back_over_blocks_that_cannot_carry_it() -> None:
    account = Account()
    turns = request(user(text(2000)), assistant(THOUGHT), model="claude-opus-4-8")
    assert account.charge({**turns, **AUTOMATIC}) == (0, 2000, 0, 1)


def test_the_automatic_marker_skips_a_trailing_turn_scoped_system_message() -> None:
    scoped = {"role": "system", "content": "be brief", "clear_at": "next_user_message"}
    body = {**request(user(text(2000)), scoped, model="claude-opus-4-8"), **AUTOMATIC}
    beta = {"anthropic-beta": "mid-conversation-system-clear-at-2026-08-21"}
    assert Account().charge(body, headers=beta) == (0, 2000, 0, 2)


def test_a_growing_chat_with_the_automatic_marker_reads_all_that_went_before() -> None:
    account = Account()
    turns: list[Body] = [user(text(2000, "q0"))]
    assert account.charge({**request(*turns), **AUTOMATIC}) == (0, 2000, 0, 0)
    total = 2000
    for number in range(1, 6):
        turns += [assistant(text(10, f"a{number}")), user(text(20, f"q{number}"))]
        assert account.charge({**request(*turns), **AUTOMATIC}, now=number) == (0, 30, total, 0)
        total += 30


def test_the_trap_of_automatic_caching_with_a_tail_that_differs_every_time() -> None:
    account = Account()
    document = text(2000, "doc")
    for number in range(3):
        body = {**request(user({**document, "text": f"{document['text']} {number}"}), model=SONNET), **AUTOMATIC}
        assert account.charge(body, now=number) == (0, 2001, 0, 0)
