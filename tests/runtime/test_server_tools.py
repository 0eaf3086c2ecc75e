"""Declarations of the tools that the API runs."""

from __future__ import annotations

from typing import Any

import pytest

from agentcache import Agent, Prompt, Tool, ToolDeclarationError, Toolset, code_execution, tool, web_fetch, web_search
from agentcache.prompt.deferral import choose_deferral
from agentcache.prompt.model_facts import facts_for


def many(count: int, words: int = 60) -> list[Tool]:
    schema: Any = {"type": "object", "properties": {}}
    told = "Looks something up. " * words
    return [
        Tool(name=f"look_{number:03}", description=told, input_schema=schema, function=print) for number in range(count)
    ]


def agent(**changes: Any) -> Agent[Any]:
    declared: dict[str, Any] = {"name": "clerk", "model": "claude-sonnet-5-5", "prompt": Prompt(static="Be brief.")}
    return Agent(**{**declared, **changes})


def names(declared: Agent[Any]) -> list[Any]:
    return [definition["name"] for definition in declared.definitions]


def test_a_declaration_is_what_the_api_takes() -> None:
    assert web_search(
        max_uses=3, allowed_domains=["b.example", "a.example"], country="ES", city="Vigo"
    ).definition() == {
        "type": "web_search_20250305",
        "name": "web_search",
        "allowed_domains": ["a.example", "b.example"],
        "max_uses": 3,
        "user_location": {"type": "approximate", "city": "Vigo", "country": "ES"},
    }
    assert web_fetch(citations=True, max_content_tokens=9, version="20260318").definition() == {
        "type": "web_fetch_20260318",
        "name": "web_fetch",
        "citations": {"enabled": True},
        "max_content_tokens": 9,
    }
    assert code_execution().definition() == {"type": "code_execution_20250825", "name": "code_execution"}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"allowed_domains": ["a"], "blocked_domains": ["b"]}, "exclude each other"),
        ({"allowed_domains": ["https://a.example"]}, "is no domain"),
        ({"blocked_domains": "a.example"}, "given as the text"),
        ({"max_uses": 0}, "must be at least 1"),
    ],
)
def test_what_the_api_refuses_is_an_error_where_it_is_declared(wrong: Any, told: str) -> None:
    with pytest.raises(ToolDeclarationError, match=told):
        web_search(**wrong)


def test_functions_come_first_and_what_may_change_comes_last() -> None:
    @tool
    def zip_up(path: str) -> str:
        """Zip a folder."""
        return path

    toolset = Toolset(many(2), defer=False)
    declared = agent(tools=[web_search(), code_execution(), zip_up], toolsets=[toolset])
    assert names(declared) == ["zip_up", "code_execution", "look_000", "look_001", "web_search"]
    assert list(declared.toolbox) == ["zip_up", "look_000", "look_001"]


def test_a_large_toolset_is_deferred_and_searched_and_a_small_one_is_sent() -> None:
    small, large = agent(toolsets=[Toolset(many(3))]), agent(toolsets=[Toolset(many(80))])
    assert names(small) == ["look_000", "look_001", "look_002"]
    assert names(large)[:2] == ["tool_search_tool_bm25", "look_000"]
    assert all(definition.get("defer_loading") for definition in large.definitions[1:])
    assert "look_079" in large.toolbox


def test_the_author_may_decide() -> None:
    assert "tool_search_tool_bm25" not in names(agent(toolsets=[Toolset(many(80), defer=False)]))
    assert names(agent(toolsets=[Toolset(many(1), defer=True)])) == ["tool_search_tool_bm25", "look_000"]


def test_deferring_pays_the_more_the_more_tools_there_are_and_never_on_an_unknown_model() -> None:
    facts = facts_for("claude-sonnet-5-5")
    decided = [choose_deferral([200] * count, facts).defer for count in range(0, 200, 5)]
    assert decided == sorted(decided)
    assert {decided[0], decided[-1]} == {False, True}
    assert choose_deferral([200] * 199, facts).reason.startswith("199 definitions of 39,800 tokens cost")
    assert not choose_deferral([200] * 199, facts_for("somebody-elses-model")).defer
