"""What holds of `explain` on every log: silence on growth, names and order of no account, bounds on what is lost."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.accounting.explaining.earlier_calls import COMPARED_CALLS, LATEST_CALLS, EarlierCalls
from agentcache.accounting.explaining.explanation import explain_calls
from agentcache.accounting.explaining.logged_calls import LoggedCall
from agentcache.accounting.usage import BilledPart, Usage
from agentcache.prompt.canonical import JsonObject, JsonValue
from tests.accounting.explaining.small_logs import (
    calls_of,
    conversations,
    edited_conversations,
    head,
    marked,
    told,
    turn,
)

NAMES = ("porter", "gardener", "clerk")


@given(conversations(), st.floats(1.5, 290))
def test_a_conversation_that_only_grows_with_right_markers_has_nothing_to_explain(
    requests: list[JsonObject], apart_s: float
) -> None:
    assert told(calls_of(requests, apart_s=apart_s)) == []


@given(edited_conversations(), st.text(max_size=8), st.text(min_size=1, max_size=8), st.text(max_size=8))
def test_how_agents_runs_and_conversations_are_called_changes_nothing(
    requests: list[JsonObject], agent: str, conversation: str, run: str
) -> None:
    calls = calls_of(requests, conversation="c")
    named = [replace(call, agent=agent, conversation=conversation, run=run) for call in calls]
    assert told(named) == told(calls)


@given(
    st.tuples(*(edited_conversations(name) for name in NAMES)),
    st.tuples(*(st.floats(0, 100) for _ in NAMES)),
    st.tuples(*(st.floats(0, 100) for _ in NAMES)),
)
def test_when_agents_of_other_prompts_take_their_turns_changes_nothing(
    logs: tuple[list[JsonObject], ...], starts: tuple[float, ...], others: tuple[float, ...]
) -> None:
    assert _told_interleaved(logs, starts) == _told_interleaved(logs, others)


def _told_interleaved(logs: tuple[list[JsonObject], ...], starts: tuple[float, ...]) -> list[tuple[str, int, str, str]]:
    """Return the findings of logs that run side by side; calls are numbered through, whatever their time."""
    calls: list[LoggedCall] = []
    for requests, starts_s in zip(logs, starts, strict=True):
        calls += calls_of(requests, first_index=len(calls), starts_s=starts_s)
    return sorted(told(sorted(calls, key=lambda call: (call.at_s, call.index))))


@given(edited_conversations(), st.data())
def test_a_request_written_out_another_way_is_the_same_request(requests: list[JsonObject], data: st.DataObject) -> None:
    rewritten = [_rewritten(request, data.draw(st.booleans())) for request in requests]
    assert told(calls_of(rewritten)) == told(calls_of(requests))


def _rewritten(request: JsonObject, as_text: bool) -> JsonObject:
    """Return a request with its keys in reverse, and single text blocks as texts."""
    turned = dict(reversed(request.items()))
    messages = request["messages"]
    assert isinstance(messages, list)
    turned["messages"] = [_rewritten_message(message, as_text) for message in messages]
    return turned


def _rewritten_message(message: JsonValue, as_text: bool) -> JsonValue:
    assert isinstance(message, dict)
    content = message["content"]
    assert isinstance(content, list)
    blocks = [dict(reversed(item.items())) for item in content if isinstance(item, dict)]
    bare = as_text and len(blocks) == 1 and "cache_control" not in blocks[0]
    return {"content": blocks[0]["text"] if bare else list[JsonValue](blocks), "role": message["role"]}


def test_a_system_prompt_as_text_or_as_one_block_is_the_same() -> None:
    first = head("porter") | {"messages": [turn("user", "One?")], "cache_control": {"type": "ephemeral"}}
    later = [turn("user", "One?"), turn("assistant", "Yes."), turn("user", "Two?")]
    system = first["system"]
    assert isinstance(system, list)
    only = system[0]
    assert isinstance(only, dict)
    assert told(calls_of([first, first | {"system": only["text"], "messages": list[JsonValue](later)}])) == []


counts = st.integers(0, 9_000)
usages = st.builds(
    Usage,
    uncached_input_tokens=counts,
    cache_write_5m_tokens=counts,
    cache_write_1h_tokens=counts,
    cache_read_tokens=counts,
)


@given(edited_conversations(), st.lists(usages, min_size=6, max_size=6))
def test_what_is_lost_is_never_negative_and_never_more_than_was_left(
    requests: list[JsonObject], bills: list[Usage]
) -> None:
    calls = [
        replace(call, bill=BilledPart(model=call.model, usage=usage))
        for call, usage in zip(calls_of(requests), bills, strict=False)
    ]
    left = sum(usage.cache_read_tokens + usage.cache_write_tokens for usage in bills)
    for item in explain_calls(calls):
        assert item.lost_tokens is None or 0 <= item.lost_tokens <= left
        assert item.lost_usd is None or item.lost_usd >= 0


@settings(max_examples=20)
@given(st.integers(1, 150), st.integers(1, 5))
def test_a_call_is_compared_with_so_many_others_and_no_more(count: int, kinds: int) -> None:
    earlier = EarlierCalls()
    for number in range(count):
        request = head(NAMES[number % min(kinds, 3)]) | {"messages": [turn("user", f"Question {number}?")]}
        call = calls_of([marked(request)], first_index=number, starts_s=20.0 * number)[0]
        nearest = earlier.nearest(call)
        assert len(nearest) == len({other.index for other in nearest}) <= COMPARED_CALLS + LATEST_CALLS
        assert len(nearest) >= min(number, LATEST_CALLS)
        earlier.add(call)


KEYS = ("type", "text", "content", "role", "name", "input", "input_schema", "cache_control", "ttl", "source",
        "properties", "effort", "thinking", "tool_use_id", "x")  # fmt: skip
junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(KEYS) | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)
FIELDS = ("model", "max_tokens", "tools", "system", "messages", "cache_control", "tool_choice", "thinking",
          "output_config", "speed", "context_management", "betas", "output_format")  # fmt: skip


@given(st.lists(st.dictionaries(st.sampled_from(FIELDS), junk, max_size=8), min_size=1, max_size=4))
def test_whatever_stands_in_a_request_is_explained_or_left_alone(bodies: list[JsonObject]) -> None:
    for item in explain_calls(calls_of([*bodies, *bodies[::-1]])):
        assert 0 <= item.call < 2 * len(bodies)
        json.dumps([item.message, item.before, item.after])
