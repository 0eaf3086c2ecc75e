"""Tools and system prompts that are not read again."""

from __future__ import annotations

from dataclasses import replace

from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.layout import Layout, lay_out
from agentcache.prompt.model_facts import facts_for
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.sections import Stability
from agentcache.runtime.prompt_heads import PromptHeads, head_of

FACTS = facts_for("claude-sonnet-5-5")
TOOLS: list[JsonObject] = [{"name": name, "description": name, "input_schema": {"type": "object"}} for name in "ab"]


def section(text: str) -> RenderedSection:
    return RenderedSection(name="rules", stability=Stability.STATIC, text=text, breakpoint="5m")


def laid_out(question: str, *, rules: str = "Be brief.", previous: Layout | None = None) -> Layout:
    message: JsonObject = {"role": "user", "content": [{"type": "text", "text": question}]}
    return lay_out(
        facts=FACTS, tools=TOOLS, system=[section(rules)], messages=[message], previous=previous, level_salts={}
    )


def test_a_layout_on_a_head_is_the_layout_without() -> None:
    on_a_head = laid_out("second", previous=head_of(laid_out("first")))
    assert (on_a_head, on_a_head.sources) == (laid_out("second"), laid_out("second").sources)


def test_what_is_the_same_is_taken_over_and_not_read_again() -> None:
    head = head_of(laid_out("first"))
    marked = replace(head, blocks=tuple(replace(block, tokens=block.tokens + 1) for block in head.blocks))
    assert laid_out("second", previous=marked).blocks[:3] == marked.blocks


def test_a_changed_prompt_is_read_again() -> None:
    on_a_head = laid_out("second", rules="Be long.", previous=head_of(laid_out("first")))
    assert on_a_head == laid_out("second", rules="Be long.")


def test_the_newest_head_of_an_agent_is_kept_without_its_messages() -> None:
    heads = PromptHeads(room=2)
    for agent, rules in (("a", "old"), ("b", "other"), ("a", "new"), ("c", "third")):
        heads.keep(agent, laid_out("a long history", rules=rules))
    assert (heads.of("a"), heads.of("b")) == (head_of(laid_out("", rules="new")), None)
