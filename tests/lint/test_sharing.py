"""Agents linted together: what two could share and do not."""

from __future__ import annotations

import json
from decimal import Decimal

from agentcache.lint.agent_sources import AgentSources, LayerFile, SourceFile
from agentcache.lint.linting import lint
from agentcache.prompt.sections import Stability

RULES = " ".join(f"Rule {number} says what to do in case {number * 7}." for number in range(120))


def tool(name, text="Does it."):
    return {"name": name, "description": text, "input_schema": {"type": "object"}}


def agent(name, text=RULES, tools=(), model="claude-opus-5"):
    listed = json.dumps(list(tools)) if tools else None
    return AgentSources(
        agent=name,
        model=model,
        layers=(LayerFile(path=f"{name}/static.j2", name="static.j2", text=text, layer=Stability.STATIC),),
        tools=None if listed is None else SourceFile(path=f"{name}/tools.json", name="tools.json", text=listed),
    )


def found(*agents):
    return [(finding.code, finding.place.path, finding.place.line) for finding in lint(agents)]


def test_agents_with_the_same_text_and_tools_share_everything():
    assert found(agent("a", tools=[tool("x"), tool("y")]), agent("b", tools=[tool("x"), tool("y")])) == []


def test_the_same_tools_in_another_order_share_nothing():
    first, second = agent("a", tools=[tool("x"), tool("y")]), agent("b", tools=[tool("y"), tool("x")])
    assert found(first, second) == [("PC019", "b/tools.json", None)]


def test_another_set_of_tools_behind_which_the_text_is_the_same():
    first, second = agent("a", tools=[tool("x")]), agent("b", tools=[tool("x"), tool("y")])
    assert found(first, second) == [("PC020", "b/tools.json", None)]


def test_an_agent_without_tools_is_told_of_at_its_template():
    assert found(agent("a", tools=[tool("x")]), agent("b")) == [("PC020", "b/static.j2", None)]


def test_the_same_tools_with_other_keys_first():
    turned = dict(reversed(tool("x").items()))
    assert found(agent("a", tools=[tool("x")]), agent("b", tools=[turned])) == [("PC021", "b/tools.json", None)]


def test_a_name_near_the_start_parts_texts_that_go_on_alike():
    first, second = agent("a", f"You are Ana.\n\n{RULES}"), agent("b", f"You are Bo.\n\n{RULES}")
    assert found(first, second) == [("PC053", "b/static.j2", 1)]


def test_texts_that_say_different_things_need_not_be_shared():
    first, second = (
        agent("a", f"You answer customers.\n{RULES}"),
        agent("b", f"You review code,\nline by line.\n{RULES}"),
    )
    assert found(first, second) == []


def test_texts_that_part_late_share_most_as_it_is():
    assert found(agent("a", f"{RULES}\nYou are Ana."), agent("b", f"{RULES}\nYou are Bo.")) == []


def test_agents_of_other_models_have_other_caches():
    first = agent("a", tools=[tool("x"), tool("y")])
    assert found(first, agent("b", tools=[tool("y"), tool("x")], model="claude-sonnet-5")) == []


def test_the_loss_is_what_the_second_agent_writes_and_could_read():
    finding = lint([agent("a", f"You are Ana.\n\n{RULES}"), agent("b", f"You are Bo.\n\n{RULES}")])[0]
    assert finding.loss is not None
    # $6.25 a write and $0.50 a read for a million tokens
    assert finding.loss.usd == (finding.loss.tokens * Decimal("5.75") / 1_000_000).quantize(Decimal("0.01"))
    assert "agents a and b" in finding.message
    assert f"${finding.loss.usd:,.2f}" in finding.message
