"""Agents that should share a prefix are brought to share it."""

from __future__ import annotations

import json

import pytest

from agentcache.lint.fixing import mended
from agentcache.lint.linting import lint
from agentcache.lint.words import prompt_words
from tests.lint.fixes.mending import agent

MANUAL = "\n".join(f"{number}. Step {number} of the manual, in some words." for number in range(400))
A: dict[str, object] = {
    "name": "alpha",
    "description": "Do the first thing.",
    "input_schema": {"type": "object", "properties": {}},
}
B: dict[str, object] = {
    "name": "beta",
    "description": "Do the second thing.",
    "input_schema": {"type": "object", "properties": {}},
}


def turned(tool: dict[str, object]) -> dict[str, object]:
    return dict(reversed(tool.items()))


@pytest.mark.parametrize(
    ("code", "first", "second"),
    [
        pytest.param("PC019", [A, B], [B, A], id="tools in another order"),
        pytest.param("PC021", [A, B], [A, turned(B)], id="keys in another order"),
        pytest.param("PC019", [B, A], [turned(A), B], id="both"),
    ],
)
def test_tools_that_differ_in_order_only_are_ordered(
    code: str, first: list[dict[str, object]], second: list[dict[str, object]]
) -> None:
    one = agent({"static": MANUAL}, tools=json.dumps(first, indent=2))
    two = agent({"static": MANUAL}, tools=json.dumps(second, indent=2), name="other")
    assert [finding.code for finding in lint([one, two])] == [code]

    outcome = mended([one, two], lint, prompt_words)

    assert outcome.remaining == ()
    assert outcome.fixed[0].code == code
