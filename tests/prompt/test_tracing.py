"""Where the pieces of a section come from: they are its text, to the character, and a change is named by its cause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from unittest.mock import patch

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from agentcache.errors import TemplateError
from agentcache.prompt import provenance as provenances
from agentcache.prompt import tracing
from agentcache.prompt.provenance import ChangeKind, Provenance, first_change, provenance_from_json
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.rendering import Renderer
from agentcache.prompt.sections import Prompt, Section, Stability
from tests.prompt.template_strategies import TEXTS, WHOLE, alone, prompts, variables


def traced(renderer: Renderer, values: Mapping[str, object]) -> tuple[RenderedSection | None, Provenance | None]:
    """Render the static layer, a section, and return it with what it is made of; nothing where it comes out empty."""
    try:
        sections = renderer.render(Stability.STATIC, values)
    except TemplateError:  # drawn at random, a template may print what only another branch sets
        assume(False)
        raise
    if not sections:
        return None, None
    (section,) = sections
    assert section.provenance is not None
    (provenance,) = renderer.provenance([section.provenance])
    return section, provenance


def pieces(template: str, includes: Mapping[str, str] | None = None, /, **values: object) -> list[tuple[str, str, str]]:
    """Return the pieces of a section: place, what it shows with what that comes from, and text."""
    section, provenance = traced(Renderer(Prompt(static=template, includes=includes)), values)
    assert section is not None
    assert provenance is not None
    found, start = [], 0
    for each in provenance.segments:
        shown = " ".join(each.site.prints)
        if each.site.variables and each.site.variables != each.site.prints:
            shown += f" < {' '.join(each.site.variables)}"
        text = section.text[start : start + each.chars]
        found.append((f"{each.site.template}:{each.site.line}", shown, text))
        start += each.chars
    return found


@contextmanager
def digests_that_never_collide() -> Iterator[None]:
    """Take the text of a piece for its digest."""
    tracing._text_lines.cache_clear()
    with (
        patch.object(tracing, "segment_digest", lambda text: text),
        patch.object(provenances, "segment_digest", lambda text: text),
    ):
        yield
    tracing._text_lines.cache_clear()


def renderer_of(template: str, includes: Mapping[str, str]) -> Renderer:
    try:
        return Renderer(Prompt(static=Section(name="s", template=template), includes=includes))
    except TemplateError:  # a drawn name may be cut by the syntax around it
        assume(False)
        raise


@settings(max_examples=40)
@given(prompt=prompts(), values=variables())
def test_the_pieces_are_the_text(prompt: tuple[str, dict[str, str]], values: dict[str, object]):
    section, provenance = traced(renderer_of(*prompt), values)
    assume(section is not None)

    assert section is not None
    assert provenance is not None
    assert sum(each.chars for each in provenance.segments) == len(section.text)


def test_of_nearly_every_text_more_is_known_than_its_template():
    """Not of all: a macro that includes a template, called in a block that is extended, is beyond it."""
    known: list[bool] = []

    @settings(max_examples=40)
    @given(prompt=prompts(), values=variables())
    def look(prompt: tuple[str, dict[str, str]], values: dict[str, object]):
        _, provenance = traced(renderer_of(*prompt), values)
        assume(provenance is not None)

        assert provenance is not None
        known.append(all(each.site.line is not None for each in provenance.segments))

    look()
    assert known.count(True) > 0.8 * len(known)


def test_nearly_every_change_is_named_by_the_variable_that_made_it():
    """Not of all: where a filter changes a macro's output only the outer output is named (docs/explain.md)."""
    named: list[bool] = []

    # Most drawn templates show nothing of the variable that changes.
    @settings(max_examples=60, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
    @given(prompt=alone(), values=variables(WHOLE), name=st.sampled_from([*TEXTS, "flag", "items"]), data=st.data())
    def look(prompt: tuple[str, dict[str, str]], values: dict[str, object], name: str, data: st.DataObject):
        changed = {**values, name: data.draw(variables(WHOLE))[name]}
        with digests_that_never_collide():
            renderer = renderer_of(*prompt)
            (one, before), (other, now) = traced(renderer, values), traced(renderer, changed)
            # Blanks alone are told apart by their number only.
            assume(one is not None and other is not None and one.text.split() != other.text.split())
            assert before is not None
            assert now is not None
            change = first_change(before, now)

        assert change is not None
        # Branches of one line that print the same with other filters are one place, by what is kept of it.
        decide = {each for made in (before, now) for part in made.segments for each in part.site.under}
        named.append(name in {*change.variables, *(decide if change.kind is ChangeKind.VALUE else ())})

    look()
    assert named.count(True) > 0.8 * len(named)


@settings(max_examples=40)
@given(prompt=prompts(), values=variables())
def test_equal_renderings_part_nowhere_and_json_keeps_all(
    prompt: tuple[str, dict[str, str]], values: dict[str, object]
):
    _, provenance = traced(renderer_of(*prompt), values)
    assume(provenance is not None)

    assert provenance is not None
    again = provenance_from_json(provenance.to_json())
    assert again == provenance
    assert first_change(provenance, again) is None


def test_text_is_told_by_lines_and_values_by_what_they_show():
    assert pieces("One\ntwo {{ a }}!\n{{ order.rows[0].id }}", a="x", order={"rows": [{"id": 7}]}) == [
        ("static:1", "", "One\n"),
        ("static:2", "", "two "),
        ("static:2", "a", "x"),
        ("static:2", "", "!\n"),
        ("static:3", "order.rows.0.id < order", "7"),
    ]
