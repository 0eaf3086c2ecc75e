"""A request of a log as blocks: places, positions, markers, texts; and which earlier calls it is held against."""

from __future__ import annotations

from dataclasses import replace

from agentcache.accounting.explaining.earlier_calls import COMPARED_CALLS, LATEST_CALLS, EarlierCalls
from agentcache.accounting.explaining.logged_calls import LoggedCall, common_blocks, content_blocks, pictures, text_of
from agentcache.prompt.canonical import JsonObject, JsonValue
from tests.accounting.explaining.small_logs import calls_of

MARK: JsonObject = {"cache_control": {"type": "ephemeral"}}
HOUR: JsonObject = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def text(words: str, **more: JsonValue) -> JsonObject:
    return {"type": "text", "text": words, **more}


def user(*blocks: JsonValue) -> JsonObject:
    return {"role": "user", "content": list(blocks)}


def call(*messages: JsonObject, index: int = 0, **settings: JsonValue) -> LoggedCall:
    request: JsonObject = {"model": "claude-opus-5", "messages": list[JsonValue](messages), **settings}
    return calls_of([request], first_index=index, starts_s=10.0 * index)[0]


def test_blocks_have_their_places_and_runs_of_tools_are_one_position() -> None:
    used: list[JsonValue] = [{"type": "tool_use", "id": each, "name": "find", "input": {}} for each in "ab"]
    results: list[JsonValue] = [{"type": "tool_result", "tool_use_id": each, "content": "x"} for each in "ab"]
    asked = call(
        {"role": "user", "content": "Find both."},
        {"role": "assistant", "content": [text("Yes."), *used]},
        user(*results, text("And?")),
        tools=[{"name": "find"}, {"name": "rare", "defer_loading": True}, {"name": "open"}],
        system="Be kind.",
    )

    assert [(block.where, block.level, block.message, block.position) for block in asked.blocks] == [
        ("tools[0]", "tools", 0, 0),
        ("tools[2]", "tools", 0, 1),
        ("system[0]", "system", 0, 2),
        ("messages[0].content[0]", "messages", 0, 3),
        ("messages[1].content[0]", "messages", 1, 4),
        ("messages[1].content[1]", "messages", 1, 5),
        ("messages[1].content[2]", "messages", 1, 5),
        ("messages[2].content[0]", "messages", 2, 6),
        ("messages[2].content[1]", "messages", 2, 6),
        ("messages[2].content[2]", "messages", 2, 7),
    ]
    assert [block.role for block in asked.blocks[2:5]] == [None, "user", "assistant"]


def test_a_result_as_text_and_as_one_block_is_the_same_and_so_is_one_with_a_marker() -> None:
    told: JsonObject = {"type": "tool_result", "tool_use_id": "t", "content": "found"}
    listed: JsonObject = {**told, "content": [text("found")]}

    digests = {call(user(each)).digests for each in (told, listed, {**told, **MARK})}

    assert len(digests) == 1
    assert call(user(told)).blocks[0].text == "found"


def test_who_said_it_is_part_of_what_was_said() -> None:
    said = [call({"role": role, "content": "Yes."}).digests for role in ("user", "assistant")]

    assert said[0] != said[1]
    assert call(system="Yes.").digests not in said


def test_what_a_marker_writes_lives_as_long_as_it_says_or_the_request_or_five_minutes() -> None:
    blocks = user(text("one", **HOUR), text("two", **MARK), text("three"))

    assert [call(blocks).lifetime_s(index) for index in range(3)] == [3600, 300, 300]
    assert call(blocks, cache_control={"type": "ephemeral", "ttl": "1h"}).lifetime_s(2) == 3600
    assert call(blocks, cache_control={"type": "ephemeral"}).lifetime_s(2) == 300
    assert [block.mark for block in call(blocks).blocks] == ["1h", "5m", None]


def test_texts_and_pictures_are_found_in_results_too() -> None:
    picture: JsonObject = {"type": "image", "source": {"type": "base64", "data": "aa"}}
    result: JsonObject = {"type": "tool_result", "content": [text("one"), picture, text("two")]}

    assert (text_of(result), text_of({"content": "plain"}), text_of(picture)) == ("one\n\ntwo", "plain", "")
    assert (len(pictures(result)), len(pictures(picture)), pictures(text("one"))) == (1, 1, [])
    assert (content_blocks("words"), content_blocks(""), content_blocks(None)) == ([text("words")], [], [])


def test_prompts_have_in_common_what_they_begin_with() -> None:
    one, other = call(user(text("a"), text("b"), text("c"))), call(user(text("a"), text("x"), text("c")))

    assert (common_blocks(one, other), common_blocks(one, one), common_blocks(one, call())) == (1, 3, 0)


def conversation(*lengths: int) -> list[LoggedCall]:
    """Return calls of one conversation with so many messages each."""
    words = [user(text(f"message {number}")) for number in range(max(lengths))]
    return [call(*words[:length], index=index, system="Be kind.") for index, length in enumerate(lengths)]


def index_of(calls: list[LoggedCall]) -> EarlierCalls:
    earlier = EarlierCalls()
    for each in calls:
        earlier.add(each)
    return earlier


def test_calls_that_begin_a_prompt_come_longest_and_latest_first() -> None:
    calls = conversation(1, 3, 2, 3)
    other = call(user(text("something else")), index=9, system="Be kind.")

    begun = index_of([*calls, other, call(system="Be kind.", index=10)]).begun_by(conversation(4)[0])

    assert [each.index for each in begun] == [3, 1, 2, 0]


def test_a_call_is_held_against_those_that_share_most_and_against_the_latest() -> None:
    shared = conversation(*range(1, COMPARED_CALLS + 3))
    strangers = [call(user(text(f"stranger {n}")), index=100 + n) for n in range(LATEST_CALLS + 5)]
    asked = replace(conversation(COMPARED_CALLS + 3)[0], index=1000, at_s=1e6)

    nearest = [each.index for each in index_of([*shared, *strangers]).nearest(asked)]

    alike = [index for index in nearest if index < 100]
    assert alike == sorted(alike), "those that share most come last"
    assert alike == [each.index for each in shared[-COMPARED_CALLS:]]
    assert {index for index in nearest if index >= 100} == {each.index for each in strangers[-LATEST_CALLS:]}
