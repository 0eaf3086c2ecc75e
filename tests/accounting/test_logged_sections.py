"""The sections that a line of a log names, and where one of them parts from the call before."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from agentcache.accounting.explaining.section_partings import section_parting
from agentcache.accounting.logged_sections import LoggedSection, logged_sections, sections_from_json
from agentcache.prompt.canonical import JsonValue
from agentcache.prompt.provenance import Provenance
from agentcache.prompt.rendering import Renderer
from agentcache.prompt.sections import Prompt, Stability
from agentcache.prompt.spans import Span
from tests.accounting.explaining.small_logs import calls_of


def rules(who: str) -> Provenance:
    renderer = Renderer(Prompt(static="Rules for\n{{ who }}"))
    (section,) = renderer.render(Stability.STATIC, {"who": who})
    (made_of,) = renderer.provenance([section.provenance or ""])
    return made_of


ANA, BO = rules("Ana"), rules("Bo")
SECTION = LoggedSection(where="system[0]", section="rules", layer="static", made_of=ANA)


def test_sections_of_a_prompt_are_told_with_what_they_are_made_of() -> None:
    spans = [
        Span(layer="tools", section=None, where="tools[0]", tokens=1, digest="a"),
        Span(layer="static", section="rules", where="system[0]", tokens=1, digest="b", provenance=ANA.digest),
        Span(layer="session", section="notes", where="system[1]", tokens=1, digest="c"),
    ]
    asked: list[str] = []

    def sources(digests: Iterable[str]) -> tuple[Provenance, ...]:
        asked.extend(digests)
        return (ANA,)

    told = logged_sections(spans, sources)
    assert told == (SECTION, LoggedSection(where="system[1]", section="notes", layer="session"))
    assert asked == [ANA.digest]
    assert sections_from_json(json.loads(json.dumps([each.to_json() for each in told]))) == told


def test_what_is_not_understood_is_left_out() -> None:
    whole = SECTION.to_json()
    strangers: list[JsonValue] = [
        7,
        {},
        {**whole, "layer": None},
        {**whole, "made_of": {"digest": "of another version"}},
    ]
    assert sections_from_json([*strangers, whole]) == (SECTION,)
    assert sections_from_json({"where": "system[0]"}) == ()


def test_a_section_parts_from_the_one_of_its_name_in_the_call_before() -> None:
    call, parent = calls_of([{"model": "claude-opus-5", "messages": []}] * 2)
    now = replace(call, sections=(SECTION,))
    changed = section_parting(now, replace(parent, sections=(replace(SECTION, made_of=BO),)), "system[0]")
    assert changed[0] == "static"
    assert changed[1] is not None
    assert (changed[1].place, changed[1].variables) == ("static:2", ("who",))


def test_without_both_sections_only_the_layer_is_known() -> None:
    call, parent = calls_of([{"model": "claude-opus-5", "messages": []}] * 2)
    now = replace(call, sections=(SECTION,))
    unlike = [
        None,
        parent,
        replace(parent, sections=(SECTION,)),
        replace(parent, sections=(replace(SECTION, section="another", made_of=BO),)),
        replace(parent, sections=(replace(SECTION, made_of=None),)),
    ]
    assert [section_parting(now, each, "system[0]") for each in unlike] == [("static", None)] * 5
    assert section_parting(now, parent, "system[1]") == (None, None)
    untold = replace(call, sections=(replace(SECTION, made_of=None),))
    assert section_parting(untold, replace(parent, sections=(SECTION,)), "system[0]") == ("static", None)
