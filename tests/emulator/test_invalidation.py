"""The invalidation table (section 1.2): which level of a cached prompt survives which change."""

from __future__ import annotations

from typing import Any

import pytest

from agentcache.emulator.cache_settings import CacheSettings
from tests.emulator.account import Account, Body, assistant, call_tool, mark, request, result, text, tool, user

NOTHING, TOOLS, SYSTEM, EVERYTHING = 0, 2000, 5000, 7000
OPUS = "claude-opus-4-8"
SEARCH = {"type": "web_search_20260318", "name": "web_search"}
FETCH = {"type": "web_fetch_20260318", "name": "web_fetch"}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
CITED = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": "x"},
    "citations": {"enabled": True},
}
FORMAT = {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {}}}}
LOOK = tool("look", 1000)


def levels(**changes: Any) -> Body:
    """Return a prompt of 2,000 tokens of tools, 3,000 of system, 2,000 of messages; each level marked at its end."""
    last_tools = changes.pop("tools", [LOOK, tool("find", 1000)])
    marked = [*last_tools[:-1], mark(last_tools[-1])]
    tail = changes.pop("tail", [text(1, "question")])
    body: Body = {
        "model": OPUS,
        "max_tokens": 5000,
        "tools": [*changes.pop("before_tools", []), *marked, *changes.pop("more_tools", [])],
        "system": [text(3000, changes.pop("system_word", "s"), ttl="5m")],
        "messages": [user(text(2000, changes.pop("message_word", "m"), ttl="5m"), *tail)],
    }
    return {**body, **changes}


def survives(before: Body, after: Body, settings: CacheSettings | None = None, **headers: str) -> int:
    """Return how many tokens `after` reads from what `before` wrote."""
    account = Account(settings)
    account.charge(before)
    return account.charge(after, now=1, headers={key.replace("_", "-"): value for key, value in headers.items()})[2]


@pytest.mark.parametrize(
    ("change", "left"),
    [
        pytest.param({"tools": [LOOK, tool("seek", 1000)]}, NOTHING, id="tool renamed"),
        pytest.param({"tools": [LOOK, tool("find", 999)]}, NOTHING, id="tool description"),
        pytest.param({"tools": [tool("find", 1000), LOOK]}, NOTHING, id="tools reordered"),
        pytest.param({"before_tools": [tool("new")]}, NOTHING, id="tool added in front"),
        pytest.param({"tools": [tool("find", 1000)]}, NOTHING, id="tool removed"),
        pytest.param({"more_tools": [tool("new")]}, TOOLS, id="tool added behind the marker"),
        pytest.param({"model": "claude-opus-5"}, NOTHING, id="model"),
        pytest.param({"more_tools": [SEARCH]}, TOOLS, id="web search on"),
        pytest.param({"before_tools": [SEARCH]}, TOOLS, id="web search on, wherever it stands"),
        pytest.param({"more_tools": [FETCH]}, TOOLS, id="web fetch on"),
        pytest.param({"tail": [CITED]}, TOOLS, id="citations on"),
        pytest.param({"speed": "fast"}, TOOLS, id="speed"),
        pytest.param({"system_word": "t"}, TOOLS, id="system text"),
        pytest.param({"container": {"skills": [{"type": "anthropic", "skill_id": "pdf"}]}}, TOOLS, id="skills"),
        pytest.param({"output_config": FORMAT}, TOOLS, id="output format"),
        pytest.param({"output_config": {"task_budget": {"total": 9}}}, SYSTEM, id="task budget"),
        pytest.param({"thinking": {"type": "adaptive"}}, SYSTEM, id="thinking mode"),
        pytest.param({"output_config": {"effort": "low"}}, SYSTEM, id="effort"),
        pytest.param({"output_config": {"effort": "high"}}, EVERYTHING, id="effort written out at its default"),
        pytest.param({"thinking": {"type": "disabled"}}, EVERYTHING, id="thinking written out at its default"),
        pytest.param({"tool_choice": {"type": "any"}}, SYSTEM, id="tool_choice any"),
        pytest.param({"tool_choice": {"type": "tool", "name": "look"}}, SYSTEM, id="tool_choice tool"),
        pytest.param({"tool_choice": {"type": "none"}}, SYSTEM, id="tool_choice none"),
        pytest.param({"tool_choice": {"type": "auto"}}, EVERYTHING, id="tool_choice auto"),
        pytest.param(
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}, SYSTEM, id="parallel tools off"
        ),
        pytest.param({"tail": [IMAGE]}, SYSTEM, id="first image"),
        pytest.param({"message_word": "n"}, SYSTEM, id="earlier message edited"),
        pytest.param({"tail": [text(5, "another")]}, EVERYTHING, id="text behind the marker"),
    ],
)
def test_a_change_spares_the_levels_before_it(change: dict[str, Any], left: int) -> None:
    assert survives(levels(), levels(**change)) == left


@pytest.mark.parametrize(
    "field",
    [
        {"max_tokens": 77},
        {"stop_sequences": ["END"]},
        {"temperature": 0.5},
        {"top_p": 0.5},
        {"top_k": 5},
        {"stream": True},
        {"metadata": {"user_id": "u"}},
        {"service_tier": "standard_only"},
        {"diagnostics": {"previous_message_id": None}},
        {"inference_geo": "us"},
        {"speed": "standard"},
    ],
    ids=lambda field: next(iter(field)),
)
def test_fields_that_do_not_shape_the_prompt_are_in_no_key(field: dict[str, object]) -> None:
    assert survives(levels(), levels(**field)) == EVERYTHING


def test_beta_headers_and_geography_are_in_the_key_only_where_the_settings_say_so() -> None:
    assert survives(levels(), levels(), anthropic_beta="some-beta") == EVERYTHING
    assert survives(levels(), levels(), CacheSettings(beta_headers_in_key=True), anthropic_beta="some-beta") == NOTHING
    geo = CacheSettings(inference_geo_in_key=True)
    assert survives(levels(), levels(inference_geo="us"), geo) == NOTHING


def test_on_models_that_render_ahead_a_change_of_effort_loses_everything() -> None:
    ahead = CacheSettings(render_ahead_models=frozenset({OPUS}))
    assert survives(levels(), levels(output_config={"effort": "low"}), ahead) == NOTHING


def test_a_second_image_changes_nothing_and_the_switch_can_be_turned_off() -> None:
    one, two = levels(tail=[IMAGE]), levels(tail=[IMAGE, IMAGE])
    assert survives(one, two) == EVERYTHING
    assert survives(levels(), levels(tail=[IMAGE]), CacheSettings(image_switch=False)) == EVERYTHING


def test_an_image_inside_a_tool_result_is_an_image() -> None:
    calls = [assistant(call_tool(0)), user(result(0, [IMAGE]))]
    plain = [assistant(call_tool(0)), user(result(0, "no"))]
    start = levels()
    body = [*start["messages"], *plain]  # type: ignore[misc]
    pictured = [*start["messages"], *calls]  # type: ignore[misc]
    assert survives(levels(messages=body), levels(messages=pictured)) == SYSTEM


def test_markers_are_not_in_the_key() -> None:
    bare = levels()
    unmarked = {**bare, "tools": [LOOK, tool("find", 1000)], "system": [text(3000, "s")]}
    assert survives(bare, unmarked) == EVERYTHING


def test_an_alias_and_the_dated_id_of_one_model_share_their_cache() -> None:
    body = request(user(text(2000, ttl="5m")), model="claude-sonnet-4-5")
    assert survives(body, {**body, "model": "claude-sonnet-4-5-20250929"}) == 2000


@pytest.mark.parametrize(
    ("sent", "resent"),
    [
        pytest.param("w " * 1999 + "w", [text(2000)], id="string and text block"),
        pytest.param(
            [text(2000)], [{"type": "text", "text": text(2000)["text"], "citations": None}], id="null and left out"
        ),
    ],
)
def test_equal_ways_to_write_a_message_are_one_prompt(sent: object, resent: object) -> None:
    tail = {"role": "user", "content": [text(9, ttl="5m")]}
    first = request({"role": "user", "content": sent}, {"role": "assistant", "content": "yes"}, tail)
    second = request({"role": "user", "content": resent}, {"role": "assistant", "content": "yes"}, tail)
    assert survives(first, second) == 2010


def test_consecutive_messages_of_one_role_are_one_turn() -> None:
    split = request(user(text(1000, "a")), user(text(1000, "b", ttl="5m")))
    merged = request(user(text(1000, "a"), text(1000, "b", ttl="5m")))
    assert survives(split, merged) == 2000


def test_the_order_of_keys_counts_only_inside_rendered_values() -> None:
    def body(schema: Any, arguments: dict[str, object]) -> Body:
        return request(
            user(text(2000)),
            assistant({"type": "tool_use", "id": "toolu_0", "name": "look", "input": arguments}),
            user(result(0, ttl="5m")),
            tools=[{"name": "look", "input_schema": schema}],
        )

    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
    turned = {"properties": {"b": {"type": "string"}, "a": {"type": "string"}}, "type": "object"}
    first = body(schema, {"a": 1, "b": 2})
    assert survives(first, {key: first[key] for key in reversed(first)}) > 2000
    assert survives(first, body(turned, {"a": 1, "b": 2})) == 0
    assert survives(first, body(schema, {"b": 2, "a": 1})) == 0


def test_deferred_tools_are_no_part_of_the_prefix_until_they_are_found() -> None:
    hidden = {**tool("hidden", 500), "defer_loading": True}
    assert survives(levels(), levels(more_tools=[hidden])) == EVERYTHING
    found = {"type": "tool_reference", "tool_name": "hidden"}
    turns = [user(text(2000)), assistant(call_tool(0)), user(result(0, [found], ttl="5m"))]
    asked = levels(messages=turns, more_tools=[hidden])
    changed = levels(messages=turns, more_tools=[{**hidden, "description": "else"}])
    assert survives(asked, asked) == 2000 + 3000 + 2000 + 1 + 1 + 500
    assert survives(asked, changed) == SYSTEM


def thinking_turns(model: str, *tail: Body) -> Body:
    thought = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    return request(
        user(text(5000)),
        assistant(thought, call_tool(0)),
        user(result(0, ttl="5m")),
        *tail,
        tools=[tool("look")],
        model=model,
    )


def test_a_new_question_strips_earlier_thinking_on_models_that_keep_only_the_last_turn() -> None:
    tail = (assistant(text(1)), user(text(1, "next")))
    assert survives(thinking_turns("claude-sonnet-4-5"), thinking_turns("claude-sonnet-4-5", *tail)) == 0
    assert survives(thinking_turns("claude-opus-4-8"), thinking_turns("claude-opus-4-8", *tail)) == 5004


def test_more_tool_results_strip_nothing() -> None:
    tail = (assistant(call_tool(1)), user(result(1)))
    assert survives(thinking_turns("claude-sonnet-4-5"), thinking_turns("claude-sonnet-4-5", *tail)) == 5004


def test_a_client_that_drops_thinking_itself_loses_the_messages_from_there() -> None:
    whole = thinking_turns("claude-opus-4-8")
    dropped = request(
        user(text(5000)),
        assistant(call_tool(0)),
        user(result(0, ttl="5m")),
        tools=[tool("look")],
        model="claude-opus-4-8",
    )
    assert survives(whole, dropped) == 0


def test_a_turn_scoped_system_message_is_never_part_of_a_key() -> None:
    beta = {"anthropic-beta": "mid-conversation-system-clear-at-2026-08-21"}
    start = [user(text(2000, ttl="5m"))]
    scoped = {"role": "system", "content": "be brief", "clear_at": "next_user_message"}
    account = Account()
    assert account.charge(request(*start, scoped, model=OPUS), headers=beta) == (0, 2000, 0, 2)
    later = request(*start, scoped, assistant(text(5)), user(text(5, ttl="5m")), model=OPUS)
    assert account.charge(later, now=1, headers=beta) == (0, 10, 2000, 0), "no longer shown, no longer billed"


def test_an_appended_system_message_extends_the_prefix() -> None:
    note = {"role": "system", "content": [text(7, "note", ttl="5m")]}
    account = Account()
    account.charge(request(user(text(2000, ttl="5m")), model=OPUS))
    assert account.charge(request(user(text(2000)), note, model=OPUS), now=1) == (0, 7, 2000, 0)


def test_effort_per_message_changes_only_what_follows() -> None:
    beta = {"anthropic-beta": "mid-conversation-output-config-2026-07-01"}
    turns = [user(text(2000, ttl="5m")), assistant(text(3)), user(text(4))]
    switch = {"role": "system", "content": [], "output_config": {"effort": "low"}}
    model = "claude-opus-5"
    account = Account()
    account.charge(request(turns[0], model=model))
    assert account.charge(request(*turns, switch, model=model), now=1, headers=beta)[2] == 2000
