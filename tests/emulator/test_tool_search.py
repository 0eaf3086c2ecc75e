"""Tool search as far as a script drives it; what the API would not have given is refused loudly."""

from __future__ import annotations

from typing import Any

import pytest

from agentcache.errors import EmulatorError
from tests.emulator.account import Account, Body, request, text, tool, user

SEARCH: Body = {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"}
HIDDEN: Body = {**tool("hidden", 500), "defer_loading": True}
QUERY: Body = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "tool_search_tool_bm25", "input": {"query": "x"}}
CALL: Body = {"type": "tool_use", "id": "toolu_1", "name": "hidden", "input": {}}


def finding(name: str) -> Body:
    references = [{"type": "tool_reference", "tool_name": name}]
    content = {"type": "tool_search_tool_search_result", "tool_references": references}
    return {"type": "tool_search_tool_result", "tool_use_id": "srvtoolu_1", "content": content}


def asked(*tools: Body, messages: Any = ()) -> Body:
    return request(user(text(2000, ttl="5m")), *messages, tools=list(tools))


def test_a_search_is_a_round_and_what_it_finds_is_written_with_its_result() -> None:
    account = Account()
    assert account.post(asked(SEARCH, HIDDEN), reply=[QUERY, finding("hidden"), CALL]).status == 200
    charge = account.api.statement.lines[-1].charge
    assert charge.read_tokens == 2001
    assert charge.write_5m_tokens == 2001 + 1 + 1 + 500


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ([CALL], "calls 'hidden', which is deferred and was not found yet"),
        ([QUERY, finding("other"), CALL], "finds 'other', which the request does not have"),
        ([{**QUERY, "name": "tool_search_tool_regex"}], "searches with 'tool_search_tool_regex'"),
    ],
)
def test_a_script_that_finds_or_calls_what_is_not_there_is_an_error(reply: Any, told: str) -> None:
    with pytest.raises(EmulatorError, match=told):
        Account().post(asked(SEARCH, HIDDEN), reply=reply)


def test_a_reference_to_no_tool_is_refused() -> None:
    said = {"role": "assistant", "content": [QUERY, finding("hidden")]}
    answer = Account().post(asked(SEARCH, tool("look"), messages=[said, user(text(3))]))
    assert answer.status == 400
    assert "tool_reference_unresolved" in str(answer.body)
