"""Answers in which a script lets the model use server tools: rounds, their markers, their sums (2.2.5, 5.4)."""

from __future__ import annotations

from typing import Any

from tests.emulator.account import Account, Body, columns, request, text, usage_of, user

SEARCH = {"type": "web_search_20260318", "name": "web_search"}
FOUND: Body = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": "three words here"}
ASKED: Body = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
SAID: Body = {"type": "text", "text": "so it is"}
# Long prompt, one token for the tool, one for the call, three for the result.
PROMPT = 2001


def asked(ttl: str | None) -> Body:
    return request(user(text(2000, ttl=ttl)), tools=[SEARCH], model="claude-opus-4-8")


def charge(reply: list[Body], ttl: str | None = "1h", account: Account | None = None) -> tuple[int, int, int, int]:
    used = account or Account()
    assert used.post(asked(ttl), reply=reply).status == 200
    return columns(used.api.statement.lines[-1].charge)


def test_each_round_is_charged_and_the_result_is_written_for_five_minutes() -> None:
    assert charge([ASKED, FOUND, SAID]) == (PROMPT, 4, PROMPT, 0)


def test_without_any_marker_each_round_is_plain_input() -> None:
    assert charge([ASKED, FOUND, SAID], ttl=None) == (0, 0, 0, PROMPT + PROMPT + 4)


def test_results_that_come_together_are_one_round() -> None:
    other_call, other = {**ASKED, "id": "srvtoolu_2"}, {**FOUND, "tool_use_id": "srvtoolu_2"}
    assert charge([ASKED, other_call, FOUND, other, SAID]) == (PROMPT, 8, PROMPT, 0)
    assert charge([ASKED, FOUND, other_call, other, SAID]) == (PROMPT, 8, PROMPT + PROMPT + 4, 0)


def test_the_next_request_reads_what_the_last_result_wrote() -> None:
    account = Account()
    charge([ASKED, FOUND, SAID], account=account)
    said = {"role": "assistant", "content": [ASKED, FOUND, SAID]}
    later = {**asked(None), "messages": [user(text(2000)), said, user(text(5, ttl="5m"))]}
    assert account.charge(later, now=1) == (0, 8, PROMPT + 4, 0)


def test_the_usage_counts_searches_and_a_stream_begins_with_the_first_round() -> None:
    usage: dict[str, Any] = usage_of(Account().post(asked("1h"), reply=[ASKED, FOUND, SAID]))
    assert usage["server_tool_use"] == {"web_search_requests": 1, "web_fetch_requests": 0}
    answer = Account().post({**asked("1h"), "stream": True}, reply=[ASKED, FOUND, SAID])
    assert answer.events is not None
    start: Any = answer.events[0]["message"]
    end: Any = answer.events[-2]["usage"]
    assert (start["usage"]["cache_read_input_tokens"], end["cache_read_input_tokens"]) == (0, PROMPT)
    assert end["cache_creation_input_tokens"] == PROMPT + 4
