from __future__ import annotations

import dataclasses
import re

import pytest

from agentcache.errors import DeclarationError
from agentcache.prompt.sections import Prompt, Section, Stability


def test_layers_stand_in_order_of_stability_whatever_order_they_were_declared_in() -> None:
    prompt = Prompt(turn="now", session="you", static="rules", semi_static="news")
    assert [section.stability for section in prompt.sections] == list(Stability)


def test_inside_a_layer_declaration_order_holds() -> None:
    prompt = Prompt(static=[Section(name="zebra", template="1"), Section(name="ape", template="2"), "3"])
    assert [section.name for section in prompt.layer(Stability.STATIC)] == ["zebra", "ape", "static_3"]


def test_ranks_count_from_the_most_stable_layer() -> None:
    assert [stability.rank for stability in Stability] == [0, 1, 2, 3]


def test_a_text_is_named_after_its_layer_and_one_of_several_also_by_its_place() -> None:
    prompt = Prompt(static="alone", session=["first", "second"])
    assert [section.name for section in prompt.sections] == ["static", "session_1", "session_2"]


def test_a_section_takes_the_stability_of_its_layer() -> None:
    [section] = Prompt(session=Section(name="who", template="Ana", breakpoint="5m")).sections
    assert section == Section(name="who", template="Ana", stability=Stability.SESSION, breakpoint="5m")


def test_a_section_given_under_a_layer_of_another_stability_is_refused() -> None:
    section = Section(name="who", template="Ana", stability=Stability.SESSION, source="prompts/who.j2")
    with pytest.raises(DeclarationError, match=r"prompts/who\.j2.*'who' is session, but is given under static"):
        Prompt(static=section)


def test_two_sections_of_one_name_are_refused_and_the_error_names_both() -> None:
    first = Section(name="rules", template="a", source="prompts/static_rules.j2")
    with pytest.raises(DeclarationError, match=r"'rules'.*static layer \(prompts/static_rules\.j2\).*turn layer"):
        Prompt(static=first, turn=Section(name="rules", template="b"))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": " "}, "named ' '"),
        ({"name": "tools"}, "'tools' is taken"),
        ({"name": "messages"}, "'messages' is taken"),
        ({"name": "output"}, "'output' is taken"),
        ({"template": None}, "template is a NoneType"),
        ({"stability": "daily"}, "'daily' is no stability"),
        ({"breakpoint": "2h"}, "lasts '5m' or '1h', not '2h'"),
    ],
)
def test_a_section_that_means_nothing_is_refused(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(DeclarationError, match=re.escape(problem)):
        Section(**{"name": "rules", "template": "text", **fields})  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(("given", "kind"), [(7, "int"), ([7], "int"), ({"a": "b"}, "dict")])
def test_a_layer_that_is_no_section_is_refused(given: object, kind: str) -> None:
    with pytest.raises(DeclarationError, match=f"the static layer (is|holds) a {kind}"):
        Prompt(static=given)  # type: ignore[arg-type]  # wrong on purpose


def test_a_stability_may_be_given_as_text() -> None:
    section = Section(name="who", template="Ana", stability="session")  # type: ignore[arg-type]  # as data gives it
    assert section.stability is Stability.SESSION


def test_a_prompt_cannot_be_changed_and_keeps_no_hold_on_what_it_was_made_from() -> None:
    includes = {"tone.j2": "Be brief."}
    prompt = Prompt(static="rules", includes=includes)
    includes["tone.j2"] = "Ramble."
    assert prompt.includes["tone.j2"] == "Be brief."
    with pytest.raises(dataclasses.FrozenInstanceError):
        prompt.sections = ()  # type: ignore[misc]
    with pytest.raises(TypeError):
        prompt.includes["tone.j2"] = "Ramble."  # type: ignore[index]


def test_prompts_declared_alike_are_equal_and_hash_alike() -> None:
    assert Prompt(static="rules", turn="now") == Prompt(turn="now", static="rules")
    assert hash(Prompt(static="rules", turn="now")) == hash(Prompt(turn="now", static="rules"))
    assert Prompt(static="rules") != Prompt(session="rules")


def test_a_variable_with_an_example_counts_as_declared() -> None:
    declared = {Stability.SESSION: frozenset({"plan"})}
    prompt = Prompt(session="Hi", declared=declared, examples={Stability.SESSION: {"customer": "Ana"}})
    assert prompt.declared[Stability.SESSION] == {"plan", "customer"}
    assert prompt.declared[Stability.TURN] == frozenset()
    assert prompt.examples[Stability.SESSION] == {"customer": "Ana"}
