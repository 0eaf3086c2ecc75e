"""Which calls wait for approval: declared with the tool, checked there."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from agentcache.errors import SettingsError, ToolArgumentsInvalid, ToolDeclarationError
from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.tool_context import current_tool_call
from agentcache.runtime.tools import Tool, tool


def pay(payee: str, euros: Decimal, note: str = "") -> str:
    """Pay somebody."""
    return f"{payee}: {euros}"


def declared(approval: Any) -> Tool:
    return tool(pay, approval=approval)


def test_without_a_rule_no_call_waits_and_with_true_all_do():
    assert tool(pay).needs_approval({"payee": "Ana", "euros": "5"}) is False
    assert declared(True).needs_approval({}) is True


def test_a_rule_sees_the_arguments_that_it_names_as_the_function_would():
    seen: list[object] = []

    def rule(euros: Decimal, note: str) -> bool:
        seen.extend([euros, note])
        return euros > 100

    assert declared(rule).needs_approval({"payee": "Ana", "euros": "100.01"}) is True
    assert seen == [Decimal("100.01"), ""]


def test_a_rule_is_not_asked_about_arguments_that_do_not_fit():
    with pytest.raises(ToolArgumentsInvalid, match="euros"):
        declared(lambda euros: True).needs_approval({"payee": "Ana", "euros": "many"})


def test_a_tool_with_a_schema_of_its_own_gives_the_rule_what_the_model_wrote():
    schema: JsonObject = {"type": "object", "properties": {"euros": {"type": "string"}, "note": {"type": "string"}}}
    made = Tool(
        name="pay",
        description="Pay.",
        input_schema=schema,
        function=print,
        approval=lambda euros, note="": euros != "5",
    )
    assert made.needs_approval({"euros": "5"}) is False
    assert made.needs_approval({"euros": "6", "note": "x"}) is True


async def later(euros: Decimal) -> bool:
    return True


def anything(**arguments: object) -> bool:
    return True


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (lambda amount: True, "looks at 'amount', which the tool does not take"),
        (later, "the approval rule is async"),
        (partial(later, euros=Decimal(1)), "the approval rule is async"),
        (anything, "takes 'arguments' not by its name"),
        ("always", "True, False or a function, not a str"),
    ],
)
def test_a_rule_that_could_never_work_is_refused_where_it_is_declared(rule, says):
    with pytest.raises(ToolDeclarationError, match=says) as raised:
        declared(rule)
    assert "test_approval.py" in str(raised.value)


def test_a_rule_is_no_part_of_what_the_model_is_told():
    assert declared(True).definition() == tool(pay).definition()


def test_outside_of_a_run_there_is_no_current_tool_call():
    with pytest.raises(SettingsError, match="no current tool call"):
        current_tool_call()
