"""Compaction on demand: what it needs, what it answers, how it is billed, and what is refused."""

from __future__ import annotations

import pytest

from agentcache.emulator.json_values import JsonObject
from tests.emulator.account import Account, Body, assistant, call_tool, request, text, tool, usage_of, user

HEADERS = {"anthropic-beta": "compact-2026-09-04,other"}
TALK = (user(text(2000, ttl="5m")), assistant(text(5, "a")))
SUMMARIZE = {"type": "summarize"}


def compaction(*messages: object, **fields: object) -> Body:
    return {**request(*messages), "compaction": SUMMARIZE, **fields}


def block_of(account: Account, reply: object = "they talked", **fields: object) -> JsonObject:
    answer = account.post(compaction(*TALK, **fields), headers=HEADERS, reply=reply)
    assert answer.body is not None, answer
    content = answer.body["content"]
    assert isinstance(content, list)
    [block] = content
    assert isinstance(block, dict)
    assert answer.body["stop_reason"] == "compaction"
    return block


def test_the_answer_is_one_signed_block() -> None:
    block = block_of(Account())

    assert (block["type"], block["content"]) == ("compaction", "they talked")
    assert block["signature"]


def test_its_tokens_are_an_iteration_outside_the_top_level() -> None:
    account = Account()
    account.charge(request(*TALK))
    usage = usage_of(account.post(compaction(*TALK), headers=HEADERS, reply="they talked"))

    iterations = usage["iterations"]
    assert isinstance(iterations, list)
    [entry] = iterations
    assert isinstance(entry, dict)
    assert (entry["type"], entry["cache_read_input_tokens"], entry["input_tokens"]) == ("compaction", 2000, 5)
    assert [usage[name] for name in ("input_tokens", "cache_read_input_tokens", "output_tokens")] == [0, 0, 0]
    assert account.api.statement.lines[-1].charge.read_tokens == 2000


def test_the_block_stands_for_what_it_summarises() -> None:
    account = Account()
    block = block_of(account)

    answer = account.post(request(assistant(block), user(text(1))), headers=HEADERS)

    assert answer.status == 200, answer.body


def test_a_summary_that_is_cut_off_is_none() -> None:
    block = block_of(Account(), reply="they talked of many things at length", max_tokens=1)

    assert (block["content"], block["signature"]) == (None, None)


def test_a_block_that_was_changed_is_refused() -> None:
    account = Account()
    block = block_of(account)

    for changed, told in (
        ({**block, "content": "they agreed"}, "not the summary that was signed"),
        ({**block, "signature": None}, "sent back with its signature"),
        ({**block, "content": ""}, "cannot be empty"),
        ({**block, "tool_changes": [{"type": "tool_removal"}]}, "is not played"),
    ):
        assert told in account.error(request(assistant(changed), user(text(1))), headers=HEADERS)


def test_a_block_comes_first() -> None:
    account = Account()
    block = block_of(account)

    told = account.error(request(user(text(1)), assistant(block), user(text(1))), headers=HEADERS)

    assert "a compaction block comes first" in told


def test_without_the_beta_header_nobody_knows_it() -> None:
    account = Account()
    assert account.error(compaction(*TALK)) == "compaction: Extra inputs are not permitted"
    assert "is not played" in account.error(request(assistant(block_of(account)), user(text(1))))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"compaction": {"type": "forget"}}, "compaction.type: Input should be 'summarize'"),
        ({"compaction": {"type": "summarize", "trigger": 1}}, "compaction.trigger: Extra inputs"),
        ({"stop_sequences": ["x"]}, "stop_sequences shapes a reply"),
        ({"tools": [tool("look")], "tool_choice": {"type": "any"}}, "tool_choice shapes a reply"),
        ({"max_tokens": 0}, "compaction with max_tokens 0 is not played"),
    ],
)
def test_what_does_not_go_with_a_compaction_is_refused(fields: Body, told: str) -> None:
    assert told in Account().error({**compaction(*TALK), **fields}, headers=HEADERS)


def test_context_management_does_not_go_with_it() -> None:
    headers = {"anthropic-beta": "compact-2026-09-04,context-management-2025-06-27"}

    assert "context_management" in Account().error(compaction(*TALK, context_management={"edits": []}), headers=headers)


def test_a_tool_call_without_its_result_cannot_be_compacted() -> None:
    told = Account().error(compaction(user(text(1)), assistant(call_tool(1)), tools=[tool("look")]), headers=HEADERS)

    assert "without `tool_result` blocks" in told


def test_counting_takes_the_field_and_ignores_it() -> None:
    account = Account()
    body = compaction(*TALK)
    del body["max_tokens"]

    answer = account.post(body, headers=HEADERS, path="/v1/messages/count_tokens")

    assert answer.body == {"input_tokens": 2005}
