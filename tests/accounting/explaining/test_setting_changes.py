"""Which settings keep a call from reading what another wrote, what they were and what they became."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentcache.accounting.explaining.logged_calls import LoggedCall
from agentcache.accounting.explaining.setting_changes import setting_changes
from agentcache.accounting.explaining.suspects import Suspect
from agentcache.accounting.usage import BilledPart, Usage
from agentcache.prompt.canonical import JsonObject
from tests.accounting.explaining.small_logs import calls_of

MODEL = "claude-opus-5"


def call(**settings: object) -> LoggedCall:
    request: JsonObject = {"model": MODEL, "messages": [], **settings}  # type: ignore[dict-item]  # JSON
    return calls_of([request])[0]


def changes(before: LoggedCall, after: LoggedCall) -> list[Suspect]:
    return list(setting_changes(before, after))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}},
            ("PC038", "thinking", "thinking_changed", "null", '{"budget_tokens":2000,"type":"enabled"}'),
        ),
        (
            {"output_config": {"effort": "low"}},
            ("PC039", "output_config.effort", "effort_changed", '"high"', '"low"'),
        ),
        (
            {"tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
            ("PC037", "tool_choice", "tool_choice_changed", "null", '{"disable_parallel_tool_use":true,"type":"any"}'),
        ),
        ({"tool_choice": "any"}, ("PC037", "tool_choice", "tool_choice_changed", "null", '{"type":"any"}')),
        ({"speed": "fast"}, ("PC040", "speed", "speed_changed", "null", '"fast"')),
        (
            {"context_management": {"edits": []}},
            ("PC040", "context_management", "context_management_changed", "null", '{"edits":[]}'),
        ),
        (
            {"output_config": {"format": {"type": "json"}}},
            ("PC040", "output_config.format", "format_changed", "null", '{"type":"json"}'),
        ),
        (
            {"output_format": {"type": "json"}},
            ("PC040", "output_config.format", "format_changed", "null", '{"type":"json"}'),
        ),
        (
            {"betas": ["b", "a", 7]},
            ("PC040", "headers.anthropic-beta", "anthropic-beta_changed", "[]", '["a","b"]'),
        ),
    ],
)
def test_a_setting_that_differs_is_told_with_what_it_was_and_became(
    settings: JsonObject, told: tuple[str, str, str, str, str]
) -> None:
    before, after = call(), call(**settings)

    assert changes(before, after) == [Suspect(*told)]
    assert changes(after, before) == [Suspect(*told[:3], told[4], told[3])]
    assert changes(after, after) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"thinking": {"type": "disabled"}},
        {"thinking": "on"},
        {"output_config": {"effort": "high", "format": None}},
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": False}},
        {"tool_choice": "auto"},
        {"tool_choice": 7},
        {"speed": "standard"},
        {"context_management": {}},
        {"output_format": {}},
        {"betas": "a"},
    ],
)
def test_what_says_no_more_than_the_default_is_no_change(settings: JsonObject) -> None:
    assert changes(call(), call(**settings)) == []


def test_another_model_is_all_that_is_told_and_another_name_of_it_is_none() -> None:
    other = call(model="claude-sonnet-5", speed="fast")

    assert changes(call(), other) == [Suspect("PC036", "model", "model_changed", MODEL, "claude-sonnet-5")]
    assert changes(call(), call(model="anthropic.claude-opus-5")) == []


def test_another_account_is_told_by_its_headers_beside_what_else_differs() -> None:
    before = replace(call(), headers={"x-workspace": "one", "user-agent": "a", "anthropic-beta": "x, y"})
    after = replace(call(), headers={"x-workspace": "two", "user-agent": "b", "anthropic-beta": "y,x,"})

    assert changes(before, after) == [
        Suspect("PC042", "workspace", "workspace_changed", '{"x-workspace":"one"}', '{"x-workspace":"two"}')
    ]
    assert [told.code for told in changes(before, replace(after, headers={"anthropic-beta": "x"}))] == [
        "PC042",
        "PC040",
    ]


def test_between_auto_and_none_only_a_bill_can_tell_a_change() -> None:
    none = call(tool_choice={"type": "none"})
    billed = replace(none, bill=BilledPart(model=MODEL, usage=Usage()))

    assert changes(call(), none) == []
    assert [told.code for told in changes(call(), billed)] == ["PC037"]
    assert [told.code for told in changes(none, call(tool_choice={"type": "any"}))] == ["PC037"]
    assert [told.code for told in changes(call(), call(tool_choice={"type": "any"}, speed="fast"))] == [
        "PC037",
        "PC040",
    ]
    assert [told.code for told in changes(call(), call(tool_choice={"type": "none"}, speed="fast"))] == ["PC040"]
