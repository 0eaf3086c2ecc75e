"""Two renderings of a section held against each other, piece by piece."""

from __future__ import annotations

import pytest

from agentcache.prompt.provenance import ChangeKind, Provenance, first_change, provenance_from_json
from agentcache.prompt.rendering import Renderer
from agentcache.prompt.sections import Prompt, Stability


def made_of(template: str, **variables: object) -> Provenance:
    """Return what a section is made of."""
    renderer = Renderer(Prompt(static=template))
    (section,) = renderer.render(Stability.STATIC, variables)
    (found,) = renderer.provenance([section.provenance or ""])
    return found


def change(template: str, before: dict[str, object], now: dict[str, object]) -> tuple[object, ...]:
    """Return kind, place, variables and words of what parts two renderings of a template."""
    found = first_change(made_of(template, **before), made_of(template, **now))
    assert found is not None
    return found.kind, found.place, found.variables, found.words()


def test_a_value_is_named_by_its_variable():
    assert change("Hi\n{{ who }}, it is {{ now }}.", {"who": "Ana", "now": 1}, {"who": "Ana", "now": 2}) == (
        ChangeKind.VALUE,
        "static:2",
        ("now",),
        "static:2 prints {{ now }}",
    )


def test_a_value_that_becomes_empty_is_still_named():
    kind, place, variables, _ = change("a {{ x }} b", {"x": "1"}, {"x": ""})

    assert (kind, place, variables) == (ChangeKind.VALUE, "static:1", ("x",))


def test_a_filter_around_a_block_names_what_is_in_it():
    template = "{% filter upper %}\nfor {{ who }}\n{% endfilter %}"

    assert change(template, {"who": "Ana"}, {"who": "Bo"})[:3] == (ChangeKind.VALUE, "static:1", ("who",))


def test_a_filter_that_has_nothing_to_change_names_what_was_in_it_before():
    template = "for{% filter upper %}{{ title }}{{ who }}{% endfilter %}"

    told = change(template, {"title": "", "who": "Ana"}, {"title": "", "who": ""})

    assert told[:3] == (ChangeKind.VALUE, "static:1", ("title", "who"))


def test_blanks_that_stand_behind_the_last_text_are_no_change():
    template = "{% for each in items %}{{ each }} {% endfor %}{{ who }}"

    told = change(template, {"items": [1], "who": ""}, {"items": [1], "who": "Ana"})

    assert told[:3] == (ChangeKind.VALUE, "static:1", ("who",))


def test_a_set_is_followed_to_where_it_comes_from():
    template = "{% set name = user.first ~ user.last %}\n{{ name }}"

    told = change(template, {"user": {"first": "A", "last": "B"}}, {"user": {"first": "A", "last": "C"}})

    assert told == (ChangeKind.VALUE, "static:2", ("user",), "static:2 prints {{ name }} (from `user`)")


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{% set x %}for {{ who }}{% endset %}\n[{{ x }}]", ("static:2", ("who",))),
        ("{% with x = who %}\n{{ x }}{% endwith %}", ("static:2", ("who",))),
        ("{% for one in [who] if one %}\n{{ one }}{% endfor %}", ("static:2", ("who",))),
        ("{% set n = namespace(v='') %}{% set n.v = who %}\n{{ n.v }}", ("static:2", ("who",))),
        ("{% macro hi(x) %}hi {{ x }}{% endmacro %}\n{{ hi(who) }}", ("static:1", ("who",))),
        (
            "{% macro box() %}[{{ caller() }}]{% endmacro %}\n{% call box() %}{{ who }}{% endcall %}",
            ("static:2", ("who",)),
        ),
        ("{% if vip %}{% set x = who %}{% else %}{% set x = 'you' %}{% endif %}\n{{ x }}", ("static:2", ("who",))),
        ("{% set x = [who]|join %}\n{{ x|upper }}", ("static:2", ("who",))),
        ("\n{{ user.names[0] }} {{ who }}", ("static:2", ("who",))),
        ("{{ 'to %s' % who }}", ("static:1", ("who",))),
    ],
)
def test_a_value_is_followed_through_whatever_carries_it(template: str, told: tuple[str, tuple[str, ...]]):
    user = {"user": {"names": ["A"]}, "vip": True}

    kind, place, variables, _ = change(template, {"who": "Ana", **user}, {"who": "Bo", **user})

    assert (kind, place) == (ChangeKind.VALUE, told[0])
    assert isinstance(variables, tuple)
    assert set(told[1]) <= set(variables)


def test_a_place_in_a_macro_is_that_of_the_macro_and_its_variable_that_of_the_call():
    template = "{% macro hi(x) %}\nhi {{ x }}\n{% endmacro %}\n{{ hi(first) }}{{ hi(second) }}"

    assert change(template, {"first": "A", "second": "B"}, {"first": "A", "second": "C"})[2] == ("second",)


def test_a_condition_is_named_where_it_decides():
    template = "one\n{% if vip %}\ntwo\n{% else %}\nthree\n{% endif %}"

    assert change(template, {"vip": True}, {"vip": False})[:3] == (ChangeKind.BRANCH, "static:5", ("vip",))


def test_a_comment_above_moves_no_piece():
    before, now = (
        made_of("{# note #}\nBe {{ how }}.", how="kind"),
        made_of("{# a\nlong\nnote #}\nBe {{ how }}.", how="kind"),
    )

    assert first_change(before, now) is None


def test_text_of_the_template_is_no_variables_fault():
    found = first_change(made_of("one\ntwo\n{{ a }}", a=1), made_of("one\nTWO\n{{ a }}", a=1))

    assert found is not None
    assert (found.kind, found.place, found.variables) == (ChangeKind.TEXT, "static:2", ())


def test_a_loop_that_goes_on_longer_is_named_where_it_goes_on():
    kind, place, variables, words = change("{% for x in xs %}\n- {{ x }}\n{% endfor %}", {"xs": [1]}, {"xs": [1, 2]})

    assert (kind, place, variables) == (ChangeKind.BRANCH, "static:2", ("xs",))
    assert words == "static:2 comes out otherwise, as `xs` decides"


def test_line_ends_out_of_a_variable_are_counted_as_they_are_sent():
    before, now = (made_of("{{ a }}\n{{ b }}", a="one\r\ntwo\r", b=b) for b in "xy")

    assert [each.chars for each in before.segments] == [len("one\ntwo\n"), 1], (
        "the template's line feed ends the last line"
    )
    changed = first_change(before, now)
    assert changed is not None
    assert changed.variables == ("b",)


def test_what_came_out_comes_back_from_json():
    made = made_of("Hi {% if vip %}{{ who }}{% endif %}!\n", who="Ana", vip=True)

    assert provenance_from_json(made.to_json()) == made


def test_a_section_of_very_many_pieces_keeps_its_beginning():
    found = made_of("{% for x in xs %}{{ x }},{% endfor %}", xs=list(range(3_000)))

    assert len(found.segments) == 2_001
    assert sum(each.chars for each in found.segments) == len(",".join(map(str, range(3_000)))) + 1


@pytest.mark.parametrize(
    "told",
    [
        None,
        {},
        {"digest": "p1:1", "templates": [], "sites": [[0, 1]], "segments": [0, 1, "a"]},
        {"digest": "p1:1", "templates": ["a"], "sites": {}, "segments": []},
        {"digest": "p1:1", "templates": ["a"], "sites": ["a"], "segments": []},
        {"digest": "p1:1", "templates": ["a"], "sites": [[0, 1, "names"]], "segments": []},
        {"digest": "p1:1", "templates": ["a"], "sites": [[0, 1]], "segments": [0, "1", "a"]},
        {"digest": "p1:1", "templates": ["a"], "sites": [[0, 1]], "segments": [0, 1]},
    ],
)
def test_what_is_no_provenance_is_refused(told: object):
    with pytest.raises(ValueError, match="no provenance"):
        provenance_from_json(told)  # type: ignore[arg-type]  # whatever stands in a file
