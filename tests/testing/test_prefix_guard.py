"""The prefix guard: what may grow, what may not change, and which block it names."""

from __future__ import annotations

from typing import Any

import pytest

from agentcache import Agent, Prompt, Runtime, tool
from agentcache.errors import SettingsError
from agentcache.testing import PrefixGuard, allow_move, asks_for, assert_prefix_never_moved, emulated

Body = dict[str, Any]
RULES = "Answer briefly and say where you looked. " * 40


def said(*words: str) -> list[Body]:
    """Return messages that take turns, the user's first."""
    roles = ("user", "assistant")
    return [{"role": roles[index % 2], "content": [{"type": "text", "text": text}]} for index, text in enumerate(words)]


def body(*words: str, system: object = RULES, tools: tuple[str, ...] = ("look",), **fields: Any) -> Body:
    return {
        "model": "claude-sonnet-5-5",
        "max_tokens": 100,
        "tools": [{"name": name, "input_schema": {"type": "object"}} for name in tools],
        "system": [{"type": "text", "text": item} for item in system] if isinstance(system, tuple) else system,
        "messages": said(*words),
        **fields,
    }


def moved(*requests: Any, **options: Any) -> list[str]:
    """Return the places that moved, in the order of the requests."""
    guard = PrefixGuard(**options)
    for request in requests:
        guard.see(request)
    return [move.where for move in guard.moves]


FIRST, SECOND, THIRD = body("q1"), body("q1", "a1", "q2"), body("q1", "a1", "q2", "a2", "q3")


def test_a_conversation_that_grows_never_moved() -> None:
    assert_prefix_never_moved([FIRST, SECOND, THIRD])


def test_the_same_request_again_never_moved() -> None:
    assert_prefix_never_moved([FIRST, FIRST, SECOND, SECOND, THIRD])


def test_many_conversations_of_many_agents_may_be_mixed() -> None:
    other = [body("q1", system="Other rules."), body("q1", "b1", "q2", system="Other rules.")]
    assert_prefix_never_moved([FIRST, other[0], body("p1"), SECOND, other[1], body("p1", "a1", "p2"), THIRD])


@pytest.mark.parametrize(
    ("second", "where"),
    [
        (body("q1", "a1", "q2", system=RULES + "It is 12:01."), "system[0]"),
        (body("q1", "a1", "q2", system=(RULES, "Customer: Bob")), "system[1]"),
        (body("q1", "a1", "q2", tools=("look", "search")), "tools[1]"),
        (body("q1", "a1", "q2", tools=("search", "look")), "tools[0]"),
        (body("q1", "a1", "q2", tools=()), "tools[0]"),
        (body("q1", "a1", "q2", model="claude-opus-5"), "model"),
        (body("<now>12:01</now> the question", "a1", "q2"), "messages[0].content[0]"),
    ],
)
def test_the_first_block_that_moved_is_named(second: Body, where: str) -> None:
    first = body("<now>12:00</now> the question") if where.startswith("messages") else FIRST
    with pytest.raises(
        AssertionError, match=f"{where} moved in request 2, compared with request 1".replace("[", r"\[")
    ):
        assert_prefix_never_moved([first, second])


def test_what_was_said_long_ago_may_not_change_either() -> None:
    assert moved(FIRST, SECOND, body("q1", "a changed answer", "q2", "a2", "q3")) == ["messages[1].content[0]"]


def test_a_window_that_slides_moves_the_first_message() -> None:
    assert moved(FIRST, SECOND, THIRD, body("q2", "a2", "q3", "a3", "q4")) == ["messages[0].content[0]"]


def test_a_block_added_to_an_earlier_message_moves_what_follows() -> None:
    longer = body("q1", "a1", "q2")
    longer["messages"][0]["content"].append({"type": "text", "text": "and this"})
    assert moved(FIRST, SECOND, {**longer, "messages": [*longer["messages"], *said("x", "a2")[1:], *said("q3")]}) == [
        "messages[0].content[1]"
    ]


def test_an_unanswered_question_may_be_replaced() -> None:
    assert moved(FIRST, SECOND, body("q1", "a1", "another question")) == []


def test_markers_and_ways_of_writing_the_same_are_no_moves() -> None:
    marked = body("q1", "a1", "q2", system=[{"type": "text", "text": RULES, "cache_control": {"type": "ephemeral"}}])
    marked["messages"][0]["content"] = "q1"
    assert moved(FIRST, marked) == []


def test_calls_that_only_fill_the_cache_are_not_compared() -> None:
    assert moved(body("warm", system="x", max_tokens=0), FIRST, body("q1", "a1", "q2", max_tokens=0), SECOND) == []


def test_examples_in_front_of_every_question_are_no_conversation() -> None:
    assert moved(body("e1", "a1", "q1"), body("e1", "a1", "another"), body("e1", "a1", "q1", "b", "q2")) == []


def test_what_all_requests_share_holds_across_conversations() -> None:
    clock = [body("q1", system=(f"It is 12:0{minute}.", RULES)) for minute in range(3)]
    assert moved(*clock) == []
    assert moved(*clock, shared="system[0]") == ["system[0]", "system[0]"]


@pytest.mark.parametrize(
    ("shared", "places"),
    [("tools", ["tools[1]"]), ("system[0]", ["tools[1]"]), ("system", ["tools[1]", "system[1]", "system[2]"])],
)
def test_shared_says_how_far_the_common_prefix_goes(shared: str, places: list[str]) -> None:
    requests = [
        body("p", tools=("look",), system=(RULES, "Ana")),
        body("q", tools=("look", "search"), system=(RULES, "Ana")),
        body("r", tools=("look", "search"), system=(RULES, "Bob")),
        body("s", tools=("look", "search"), system=(RULES, "Bob", "Cem")),
    ]
    assert moved(*requests, shared=shared) == places


def test_what_is_shared_has_to_be_there() -> None:
    with pytest.raises(AssertionError, match=r"request 1 has no system\[1\]"):
        assert_prefix_never_moved([FIRST], shared="system[1]")
    with pytest.raises(SettingsError, match="names no block of tools or system"):
        PrefixGuard(shared="messages[0]")


def test_the_failure_shows_the_text_around_the_difference() -> None:
    first, second = body("q", system=RULES + "It is 12:00."), body("q", "a", "r", system=RULES + "It is 12:01.")
    with pytest.raises(AssertionError) as caught:
        assert_prefix_never_moved([first, second])
    told = str(caught.value)
    assert "before: '…fly and say where you looked. It is 12:00.'" in told
    assert "now:    '…fly and say where you looked. It is 12:01.'" in told
    assert "allow_move(reason=…, where='system[0]')" in told


def test_a_move_on_purpose_needs_its_reason_and_its_place() -> None:
    compacted = [FIRST, SECOND, body("a changed question", "a1", "q2")]
    assert_prefix_never_moved(compacted, allowed=[allow_move(reason="old results are cut", where="messages[0]")])
    assert_prefix_never_moved(compacted, allowed=[allow_move(reason="old results are cut")])
    with pytest.raises(AssertionError, match="the prompt prefix moved"):
        assert_prefix_never_moved(compacted, allowed=[allow_move(reason="a new briefing", where="system")])


@pytest.mark.parametrize("reason", ["", "  "])
def test_an_empty_reason_is_an_error(reason: str) -> None:
    with pytest.raises(SettingsError, match="needs a reason"):
        allow_move(reason=reason)
    with pytest.raises(SettingsError, match="needs a reason"):
        PrefixGuard().allow_move(reason=reason)


def test_a_permission_that_nobody_uses_is_an_error() -> None:
    with pytest.raises(AssertionError, match="'compaction' never happened"):
        assert_prefix_never_moved([FIRST, SECOND], allowed=[allow_move(reason="compaction", where="messages")])


def test_no_requests_prove_nothing() -> None:
    with pytest.raises(AssertionError, match="no requests to compare"):
        assert_prefix_never_moved([])


def logged(request: Body, **names: str) -> Body:
    return {"t": 0.0, "agent": "support", "request": request, **names}


def test_a_log_says_which_requests_belong_together() -> None:
    new_day = body("q9", system="New rules.")
    assert moved(logged(FIRST, run="r1"), logged(new_day, run="r2")) == []
    assert moved(logged(FIRST, conversation="c"), logged(new_day, conversation="c")) == ["system[0]"]
    unlike = body("nothing", "in", "common", system=RULES)
    assert moved(logged(FIRST, conversation="c"), logged(unlike, conversation="c")) == ["messages[0].content[0]"]


def test_names_may_be_given_with_the_request() -> None:
    guard = PrefixGuard(shared="system[0]")
    guard.see(FIRST, agent="support", conversation="c")
    guard.see(body("q1", system="Other rules."), agent="billing", conversation="c")
    guard.see(SECOND, agent="support", conversation="c")
    assert not guard.moves
    guard.see(body("q1", "a1", "q2", system="New rules."), agent="support", conversation="c")
    assert str(guard.moves[0]).startswith("system[0] moved in request 4 of 'support' in 'c', compared with request 3")


@pytest.mark.parametrize("thing", [{}, {"rows": []}, {"request": "text"}])
def test_what_is_no_request_is_refused(thing: Body) -> None:
    with pytest.raises(SettingsError, match="neither a request nor a line of a log"):
        PrefixGuard().see(thing)


@tool
def look(number: int) -> str:
    """Look something up by its number."""
    return f"{number} is here"


async def test_a_runtime_on_an_emulator_passes_by_its_requests_and_by_its_ledger() -> None:
    agent = Agent(
        name="clerk",
        model="claude-sonnet-5-5",
        prompt=Prompt(static=RULES, session="Customer: {{ customer }}", turn="Now: {{ now }}"),
        tools=[look],
    )
    both = asks_for("look", number=1) + asks_for("look", number=2)
    async with (
        emulated(
            [both, "Both are here.", "Still there.", "Hello Bob."], guard=PrefixGuard(shared="system[0]")
        ) as emulator,
        Runtime("memory:", base_url=emulator.base_url, keep_text=True, clock=emulator.clock.now) as runtime,
    ):
        ana: Body = {"session": {"customer": "Ana"}, "conversation": "c"}
        await runtime.run(agent, "Where are they?", turn={"now": "noon"}, **ana)
        await runtime.run(agent, "And now?", turn={"now": "evening"}, **ana)
        await runtime.run(agent, "Hello", turn={"now": "evening"}, session={"customer": "Bob"})
        assert_prefix_never_moved(await runtime.ledger.calls(), shared="system[0]")


async def test_a_ledger_without_text_has_nothing_to_compare() -> None:
    agent = Agent(name="clerk", model="claude-sonnet-5-5", prompt=Prompt(static=RULES))
    async with emulated(["Hello."]) as emulator, Runtime("memory:", base_url=emulator.base_url) as runtime:
        await runtime.run(agent, "Hi")
        calls = await runtime.ledger.calls()
    with pytest.raises(SettingsError, match="keep_text=True"):
        assert_prefix_never_moved(calls)


async def test_the_guard_of_an_emulator_is_asked_when_the_block_ends() -> None:
    agent = Agent(name="clerk", model="claude-sonnet-5-5", prompt=Prompt(static=RULES, session="{{ minute }}"))

    async def conversation() -> None:
        async with (
            emulated(["one", "two"], guard=PrefixGuard()) as emulator,
            Runtime("memory:", base_url=emulator.base_url) as runtime,
        ):
            for minute in ("12:00", "12:01"):
                await runtime.run(agent, "What time is it?", session={"minute": minute}, conversation="c")

    with pytest.raises(AssertionError, match=r"system\[1\] moved in request 2"):
        await conversation()
