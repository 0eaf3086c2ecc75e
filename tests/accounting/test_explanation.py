"""Why a call missed: what is told of two or three calls of small conversations."""

from __future__ import annotations

import pytest

from agentcache.accounting.explaining.explanation import explain_calls
from agentcache.accounting.explaining.logged_calls import LoggedCall
from agentcache.prompt.canonical import JsonObject, JsonValue

RULES = "\n".join(f"- Rule {number}: be kind, and say what you do with order {number}." for number in range(120))
TOOLS: list[JsonValue] = [
    {
        "name": name,
        "description": f"Does {name}.",
        "input_schema": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}},
    }
    for name in ("find", "open", "close", "list")
]
LATE: JsonObject = {"name": "late", "description": "Late.", "input_schema": {}}
LONG = "The parcel is with the carrier, and will be scanned again tonight. " * 20

Told = tuple[str, int, str]


def user(*blocks: JsonValue) -> JsonObject:
    return {"role": "user", "content": [text(block) for block in blocks]}


def assistant(*blocks: JsonValue) -> JsonObject:
    return {"role": "assistant", "content": [text(block) for block in blocks]}


def text(block: JsonValue) -> JsonValue:
    return {"type": "text", "text": block} if isinstance(block, str) else block


def find(**arguments: JsonValue) -> JsonObject:
    return {"type": "tool_use", "id": "t1", "name": "find", "input": dict(arguments)}


def result(content: JsonValue) -> JsonObject:
    return {"type": "tool_result", "tool_use_id": "t1", "content": content}


def picture(data: str) -> JsonObject:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


THOUGHT: JsonObject = {"type": "thinking", "thinking": "Two readings.", "signature": "s"}
TURNS = [
    user("Where is order 7?"),
    assistant("Let me look.", find(a="7", b=1)),
    user(result(LONG)),
    assistant("It is on its way."),
    user("When will it come?"),
    assistant("On Friday."),
    user("Thanks, and order 8?"),
]


def request(messages: list[JsonObject], **more: JsonValue) -> JsonObject:
    return {
        "model": "claude-opus-5",
        "max_tokens": 100,
        "cache_control": {"type": "ephemeral"},
        "tools": TOOLS,
        "system": [{"type": "text", "text": RULES, "cache_control": {"type": "ephemeral"}}],
        "messages": list[JsonValue](messages),
        **more,
    }


def told(*requests: JsonObject, apart_s: float = 20.0) -> list[Told]:
    calls = [
        LoggedCall(index=index, at_s=apart_s * index, first_token_at_s=apart_s * index + 1, request=sent)
        for index, sent in enumerate(requests)
    ]
    return [(item.code, item.call, item.where) for item in explain_calls(calls)]


def with_turn(index: int, turn: JsonObject, *, until: int = 7) -> list[JsonObject]:
    return [*TURNS[:index], turn, *TURNS[index + 1 : until]]


@pytest.mark.parametrize(
    ("code", "where", "before", "after"),
    [
        ("PC025", "messages[2].content[0]", TURNS[:5], with_turn(2, user(result("[cleared]")))),
        ("PC026", "messages[0].content[0]", TURNS[:5], TURNS[2:]),
        ("PC027", "messages[0].content[0]", TURNS[:5], [user("Summary so far: order 7 comes on Friday."), *TURNS[5:]]),
        ("PC028", "messages[1].content[1]", TURNS[:5], with_turn(1, assistant("Let me look.", find(b=1, a="7")))),
        ("PC029", "messages[3].content[0]", TURNS[:5], with_turn(3, assistant("It is on its way.\n"))),
        ("PC029", "messages[1].content[0]", TURNS[:5], with_turn(1, assistant("Let me", " look.", find(a="7", b=1)))),
        (
            "PC030",
            "messages[1].content[0]",
            [TURNS[0], assistant(THOUGHT, find(a="7")), TURNS[2]],
            [TURNS[0], assistant(find(a="7")), *TURNS[2:5]],
        ),
        ("PC032", "messages[0].content[1]", [user("Go on.", "Remember to be brief.")], [user("Go on."), *TURNS[3:5]]),
        (
            "PC032",
            "messages[0].content[0]",
            [user("Go on.\n<reminder>Be brief.</reminder>")],
            [user("Go on."), *TURNS[3:5]],
        ),
        ("PC033", "messages[0].content[0]", [user(picture("aa"), "Look.")], [user("Look."), *TURNS[3:5]]),
        (
            "PC034",
            "messages[0].content[0]",
            [user(picture("aa"), "Look.")],
            [user(picture("bb"), "Look."), *TURNS[3:5]],
        ),
        (
            "PC035",
            "messages[0].content[0]",
            [user("<env>3 files</env>", "Go.")],
            [user("<env>4 files</env>", "Go."), *TURNS[3:5]],
        ),
    ],
)
def test_a_changed_history_is_told_by_what_changed(
    code: str, where: str, before: list[JsonObject], after: list[JsonObject]
) -> None:
    assert told(request(before), request(after)) == [(code, 1, where)]


@pytest.mark.parametrize(
    "after",
    [TURNS[:5], [*TURNS[:2], user(result(LONG), "And?")], [*TURNS[:4], user("Something else?")], TURNS],
    ids=["growth", "more in the turn", "rewind", "growth by two turns"],
)
def test_growth_and_rewinds_are_no_faults(after: list[JsonObject]) -> None:
    before = TURNS[:5] if after[-1] == user("Something else?") else TURNS[:3]
    assert told(request(before), request(after)) == []


@pytest.mark.parametrize(
    ("code", "where", "more"),
    [
        ("PC036", "model", {"model": "claude-sonnet-5"}),
        ("PC037", "tool_choice", {"tool_choice": {"type": "any"}}),
        ("PC038", "thinking", {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        ("PC039", "output_config.effort", {"output_config": {"effort": "low"}}),
        ("PC040", "speed", {"speed": "fast"}),
        ("PC019", "tools[0]", {"tools": TOOLS[::-1]}),
        ("PC020", "tools[4]", {"tools": [*TOOLS, LATE]}),
        ("PC024", "tools[4]", {"tools": [*TOOLS, {"type": "web_fetch_20250910", "name": "web_fetch"}]}),
        ("PC018", "system[0]", {"system": RULES + "\n\nFrom now on, you answer in French only."}),
        ("PC018", "system[0]", {"system": [{"type": "text", "text": part} for part in (RULES[:900], RULES[900:])]}),
    ],
)
def test_a_changed_setting_or_head_is_told_where_it_stands(code: str, where: str, more: dict[str, JsonValue]) -> None:
    assert told(request(TURNS[:3]), request(TURNS[:5], **more)) == [(code, 1, where)]


@pytest.mark.parametrize(
    "more",
    [
        {"output_config": {"effort": "high"}},
        {"thinking": {"type": "disabled"}},
        {"tool_choice": {"type": "auto"}},
        {"cache_control": {"type": "ephemeral", "ttl": "5m"}},
        {"system": [{"type": "text", "text": RULES}]},
    ],
    ids=["effort", "thinking", "tool choice", "lifetime", "marker moved on"],
)
def test_a_default_written_out_and_a_moving_marker_change_nothing(more: dict[str, JsonValue]) -> None:
    assert told(request(TURNS[:3]), request(TURNS[:5], **more)) == []


def test_a_call_with_a_head_of_its_own_amid_a_conversation_is_a_bad_fork() -> None:
    aside = request(TURNS[:5], tools=TOOLS[:1])
    assert told(request(TURNS[:3]), aside, request(TURNS)) == [("PC053", 1, "tools[1]")]


def test_an_idle_gap_beyond_the_lifetime_is_told_as_information() -> None:
    assert told(request(TURNS[:3]), request(TURNS[:5]), apart_s=400) == [("PC050", 1, "ttl")]


def test_calls_that_start_before_the_first_answer_begins_write_the_same_twice() -> None:
    requests = [request([user(f"Part {number} of the plan, please.")]) for number in range(3)]
    assert told(*requests, apart_s=0.2) == [("PC051", 1, "concurrency")]


def test_interleaved_conversations_without_names_are_told_apart() -> None:
    other = [user("What is in stock?"), assistant("Boots."), user("Which sizes?")]
    clock = [f"It is 10:2{minute}.\n{RULES}" for minute in (1, 3)]
    requests = [
        request(TURNS[:1], system=clock[0]),
        request(other[:1], system="You plan routes.\n" + RULES[::-1]),
        request(TURNS[:3], system=clock[1]),
        request(other, system="You plan routes.\n" + RULES[::-1]),
    ]
    assert told(*requests) == [("PC001", 2, "system[0]")]


def test_a_picture_that_comes_first_is_told_without_a_bill() -> None:
    seen = [*TURNS[:4], user(picture("aa"), "And this one?")]
    assert told(request(TURNS[:3]), request(seen)) == [("PC033", 1, "messages[4].content[0]")]


def test_a_stock_reply_that_comes_again_after_a_rewind_is_no_edit() -> None:
    before = [*TURNS[:4], user("When will it come?")]
    after = [*TURNS[:4], user("Who carries it?"), TURNS[3], user("When will it come?")]
    assert told(request(before), request(after)) == []


def test_a_tool_that_waits_to_be_found_is_no_part_of_the_prompt() -> None:
    more: list[JsonValue] = [*TOOLS, {**LATE, "defer_loading": True}]
    assert told(request(TURNS[:3]), request(TURNS[:5], tools=more)) == []


def test_of_a_fan_out_after_a_warm_call_each_reads_the_warm_one() -> None:
    requests = [request([user(f"Part {number}, please.")]) for number in range(4)]
    calls = [
        LoggedCall(index=index, at_s=at_s, first_token_at_s=at_s + 1, request=sent)
        for index, (at_s, sent) in enumerate(zip((0, 9, 9.1, 9.2), requests, strict=True))
    ]
    assert explain_calls(calls) == []


@pytest.mark.parametrize(
    ("code", "values"),
    [("PC008", ("depth 3", "depth 7", "depth 11")), ("PC009", ("depth 3", "depth 70", "depth 11"))],
    ids=["equal steps", "to and fro"],
)
def test_a_number_that_steps_counts_and_one_that_wanders_is_data(code: str, values: tuple[str, ...]) -> None:
    requests = [request(TURNS[: 1 + 2 * n], system=f"{value}\n{RULES}") for n, value in enumerate(values)]
    assert told(*requests) == [(code, 1, "system[0]")]


def test_a_value_in_a_shared_prompt_is_told_and_not_the_marker_behind_it() -> None:
    customers = [
        request([user(f"Question {n}?")], system=[{"type": "text", "text": f"Customer: {name}\n{RULES}"}])
        for n, name in enumerate(("Ana Bell", "Tom Reed"))
    ]
    assert told(*customers) == [("PC004", 1, "system[0]")]


def test_a_marker_on_a_turn_that_is_carried_on_is_none_on_a_varying_block() -> None:
    one = [user("What is in stock?"), assistant("Boots."), user("Which sizes?")]
    other = [user("Who sold most?"), assistant("The shop in Leeds."), user("And least?")]
    bare = {"system": RULES}
    requests = [request(turns, **bare) for turns in (one[:1], other[:1], one, other)]
    assert told(*requests) == []


def test_history_that_is_unread_after_markers_were_lost_is_the_same_cause() -> None:
    marked: JsonObject = {"type": "text", "text": RULES, "cache_control": {"type": "ephemeral"}}
    bare = {key: value for key, value in request(TURNS).items() if key != "cache_control"}
    lost = [bare | {"messages": list[JsonValue](TURNS[:count]), "system": [marked]} for count in (5, 7)]
    assert told(request(TURNS[:3]), *lost) == [("PC045", 1, "cache_control")]


def test_two_sessions_with_a_long_text_of_their_own_are_two_prompts() -> None:
    own = ["\n".join(f"{word} {number}: {word} is kept." for number in range(20)) for word in ("Malt", "Wool")]
    requests = [
        request([user(f"Question {n}?")], system=[{"type": "text", "text": f"{RULES}\n{text}\n{RULES}"}])
        for n, text in enumerate(own)
    ]
    assert told(*requests) == []
