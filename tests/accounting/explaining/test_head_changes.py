"""What became of tools and system prompt between two calls: each change by its code, its place and its text."""

from __future__ import annotations

import pytest

from agentcache.accounting.explaining.head_changes import system_changes, tool_changes
from agentcache.accounting.explaining.logged_calls import LoggedCall
from agentcache.accounting.explaining.suspects import Suspect
from agentcache.prompt.canonical import JsonObject, JsonValue
from tests.accounting.explaining.small_logs import calls_of


def tool(name: str, *, says: str = "Does it.", **properties: JsonValue) -> JsonObject:
    return {"name": name, "description": says, "input_schema": {"type": "object", "properties": dict(properties)}}


STRING: JsonObject = {"type": "string"}
FIND, OPEN, CLOSE = tool("find", a=STRING), tool("open", a=STRING), tool("close")
FETCH: JsonObject = {"type": "web_fetch_20250910", "name": "web_fetch"}
SEARCH: JsonObject = {"type": "web_search_20250305", "name": "web_search"}


def of_tools(*tools: JsonObject) -> LoggedCall:
    return calls_of([{"model": "claude-opus-5", "tools": list[JsonValue](tools), "messages": []}])[0]


def of_system(*texts: str) -> LoggedCall:
    blocks: list[JsonValue] = [{"type": "text", "text": text} for text in texts]
    return calls_of([{"model": "claude-opus-5", "system": blocks, "messages": []}])[0]


def tools_told(before: list[JsonObject], after: list[JsonObject]) -> list[tuple[str, str, str]]:
    return [(told.code, told.where, told.cause) for told in tool_changes(of_tools(*before), of_tools(*after))]


@pytest.mark.parametrize(
    ("code", "at", "before", "after"),
    [
        ("PC019", 0, [FIND, OPEN], [OPEN, FIND]),
        ("PC019", 0, [FIND, OPEN], [tool("open", says="Opens it.", a=STRING), FIND]),
        ("PC020", 2, [FIND, OPEN], [FIND, OPEN, CLOSE]),
        ("PC020", 1, [FIND, OPEN], [FIND]),
        ("PC020", 0, [FIND, OPEN], [CLOSE, OPEN]),
        ("PC021", 0, [tool("find", a=STRING, b=STRING), OPEN], [tool("find", b=STRING, a=STRING), OPEN]),
        (
            "PC021",
            0,
            [tool("find", a=STRING, b=STRING), OPEN],
            [tool("find", says="Finds it.", b=STRING, a=STRING), OPEN],
        ),
        ("PC022", 1, [FIND, OPEN], [FIND, tool("open", says="Opens it.", a=STRING)]),
        ("PC022", 1, [FIND, OPEN], [FIND, tool("open", a={"type": "string", "description": "What."})]),
        ("PC022", 1, [FIND, tool("open", a=[STRING])], [FIND, tool("open", a=[{**STRING, "description": "What."}])]),
        ("PC022", 0, [FIND, OPEN], [tool("seek", a=STRING), OPEN]),
        ("PC023", 1, [FIND, OPEN], [FIND, tool("open", a={"type": "integer"})]),
        ("PC023", 1, [FIND, OPEN], [FIND, tool("open", a=STRING, description=STRING)]),
        ("PC024", 1, [FIND], [FIND, FETCH]),
        ("PC024", 0, [SEARCH, FIND], [FIND]),
        ("PC020", 1, [FIND], [FIND, FETCH, OPEN]),
    ],
)
def test_tools_that_changed_are_told_by_what_changed_at_the_first_of_them(
    code: str, at: int, before: list[JsonObject], after: list[JsonObject]
) -> None:
    assert tools_told(before, after) == [(code, f"tools[{at}]", "tools_changed")]


def test_a_change_of_a_tool_is_told_with_what_it_was_and_became() -> None:
    (added,) = tool_changes(of_tools(FIND), of_tools(FIND, CLOSE))
    (other,) = tool_changes(of_tools(FIND), of_tools(tool("find", says="Finds it.", a=STRING)))

    assert (added.before, '"close"' in added.after) == ("", True)
    assert ("Does it." in other.before, "Finds it." in other.after) == (True, True)
    assert tools_told([FIND, OPEN], [FIND, OPEN]) == []


@pytest.mark.parametrize(
    ("code", "before", "after"),
    [
        ("PC019", [FIND, OPEN], [OPEN, FIND]),
        ("PC024", [FETCH, FIND], [FIND]),
        ("PC022", [FIND], [tool("seek", a=STRING)]),
    ],
)
def test_whatever_became_of_a_tool_what_stands_in_its_place_is_shown(
    code: str, before: list[JsonObject], after: list[JsonObject]
) -> None:
    (told,) = tool_changes(of_tools(*before), of_tools(*after))

    assert told.code == code
    assert str(before[0]["name"]) in told.before
    assert str(after[0]["name"]) in told.after


def test_tools_of_the_server_without_a_name_are_known_by_their_type() -> None:
    shell: JsonObject = {"type": "bash_20250124"}

    assert tools_told([shell, FIND], [{**shell, "x": 1}, FIND]) == [("PC022", "tools[0]", "tools_changed")]


KIND = "Be kind, and say what you do with each order."
OTHERS = "You are a porter.\nYou carry parcels up the stairs.\nYou ring twice."


def system_told(before: list[str], after: list[str], *, carried_on: bool = True) -> list[tuple[str, str]]:
    found = system_changes(of_system(*before), of_system(*after), carried_on=carried_on)
    return [(told.code, told.where) for told in found]


@pytest.mark.parametrize(
    ("code", "at", "before", "after"),
    [
        ("PC018", 0, [KIND, OTHERS], [OTHERS, KIND]),
        ("PC018", 0, [f"{KIND}\n{OTHERS}"], [f"{KIND}\n", OTHERS]),
        ("PC018", 1, [KIND], [KIND, OTHERS]),
        ("PC018", 1, [KIND, OTHERS], [KIND]),
        ("PC014", 0, [f"{KIND}\n"], [f"{KIND}\r\n"]),
        ("PC001", 1, [KIND, "It is 10:21."], [KIND, "It is 10:35."]),
        ("PC018", 0, ["You keep the books of harbour with care."], ["You keep the books of meadow with care."]),
    ],
)
def test_a_system_prompt_that_changed_in_a_conversation_is_told_by_what_changed(
    code: str, at: int, before: list[str], after: list[str]
) -> None:
    assert system_told(before, after) == [(code, f"system[{at}]")]


def test_between_conversations_a_passage_is_theirs_and_a_word_a_value() -> None:
    passage = [f"{KIND} The shop {place}." for place in ("sells boots by the sea", "lends old maps and globes")]

    assert system_told([passage[0]], [passage[1]], carried_on=False) == [("PC010", "system[0]")]
    assert system_told(
        ["You keep the books of harbour with care."], ["You keep the books of meadow with care."], carried_on=False
    ) == [("PC005", "system[0]")]


def test_each_block_of_another_cause_is_told_and_of_the_same_only_the_first() -> None:
    before = ["It is 10:21.", KIND, "You keep the books of harbour with care.", "It was 10:21."]
    after = ["It is 10:35.", KIND, "You keep the books of meadow with care.", "It was 10:35."]

    assert system_told(before, after) == [("PC001", "system[0]"), ("PC018", "system[2]")]
    assert system_told(before, [*after, OTHERS]) == [("PC001", "system[0]")], "behind it, all has moved"
    assert system_told(before, before) == []


def test_a_changed_block_is_told_with_what_parts_it() -> None:
    clock = list(system_changes(of_system("It is 10:21."), of_system("It is 10:35."), carried_on=True))
    moved = list(system_changes(of_system(KIND, OTHERS), of_system(OTHERS, KIND), carried_on=True))

    assert clock == [Suspect("PC001", "system[0]", "system_changed", "10:21.", "10:35.")]
    assert moved == [Suspect("PC018", "system[0]", "system_changed", KIND, OTHERS)]


@pytest.mark.parametrize(
    ("within", "between", "before", "after"),
    [
        ("PC018", "PC005", "Subscription tier: gold", "Subscription tier: silver"),
        (
            "PC009",
            "PC009",
            "## Memories\n- likes tea\n- lives north",
            "## Memories\n- drives a van\n- has a dog and a cat",
        ),
        ("PC011", "PC011", "Examples:\nInput: a b\nOutput: x", "Examples:\nInput: g h i\nOutput: z"),
        ("PC018", "PC010", "", "## Tours\nThey leave at dawn from the gate.\nThey end at noon."),
        ("PC009", "PC009", "## Memories\n- likes tea", "## Memories\n- likes tea\n- lives up in the far north"),
    ],
)
def test_a_value_or_a_section_is_edited_in_a_conversation_and_differs_between_two(
    within: str, between: str, before: str, after: str
) -> None:
    texts = [f"{KIND}\n\n{part}\n\n{OTHERS}" for part in (before, after)]

    assert system_told(texts[:1], texts[1:]) == [(within, "system[0]")]
    assert system_told(texts[:1], texts[1:], carried_on=False) == [(between, "system[0]")]
