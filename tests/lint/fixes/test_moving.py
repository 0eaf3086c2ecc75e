"""Which paragraphs move, where to, and what they take along."""

from __future__ import annotations

import pytest

from agentcache.lint.linting import lint
from agentcache.prompt.canonical import JsonValue
from tests.lint.fixes.mending import agent, at, mend

VARIABLES: dict[str, dict[str, JsonValue]] = {
    "static": {"company": "Acme"},
    "semi_static": {"release": "12"},
    "session": {"user_name": "Ana", "flags": {"brief": True}},
    "turn": {"turn_number": 3},
}


def test_a_paragraph_moves_to_the_end_of_the_layer_that_its_variable_is_declared_for() -> None:
    sources = agent({"static": "Be kind.\n\nHelp {{ user_name }}.\n\nBe brief.\n", "session": "Now.\n"}, VARIABLES)

    assert mend(at("PC004", 3), sources) == {
        "static.j2": "Be kind.\n\nBe brief.\n",
        "session.j2": "Now.\n\nHelp {{ user_name }}.\n",
    }


def test_a_layer_without_a_file_gets_one() -> None:
    sources = agent({"static": "Be kind.\n\nIt is {{ now() }}."}, VARIABLES)

    assert mend(at("PC001", 3), sources) == {"static.j2": "Be kind.", "turn.j2": "It is {{ now() }}.\n"}


def test_of_several_values_the_least_stable_one_says_where_to() -> None:
    sources = agent({"static": "Turn {{ turn_number }} of {{ user_name }}, {{ release }}.\n"}, VARIABLES)

    assert list(mend(at("PC004", 1), sources)) == ["static.j2", "turn.j2"]


def test_a_changing_alias_moves_with_every_paragraph_that_uses_it() -> None:
    static = "{% set who = user_name %}\n\nHelp {{ who }}.\n\nBe kind.\n\nThank {{ who }}.\n"

    assert mend(at("PC004", 3), agent({"static": static}, VARIABLES)) == {
        "static.j2": "Be kind.\n",
        "session.j2": "{% set who = user_name %}\n\nHelp {{ who }}.\n\nThank {{ who }}.\n",
    }


def test_a_constant_alias_is_copied() -> None:
    static = "{% set firm = company %}\n\nYou work for {{ firm }}.\n\n{{ user_name }} asks {{ firm }}.\n"

    assert mend(at("PC004", 5), agent({"static": static}, VARIABLES)) == {
        "static.j2": "{% set firm = company %}\n\nYou work for {{ firm }}.\n",
        "session.j2": "{% set firm = company %}\n\n{{ user_name }} asks {{ firm }}.\n",
    }


def test_a_heading_goes_along_when_nothing_is_left_under_it() -> None:
    static = "# Who\n\nHelp {{ user_name }}.\n\n# Style\n\nBe kind.\n"

    assert mend(at("PC004", 3), agent({"static": static}, VARIABLES)) == {
        "static.j2": "# Style\n\nBe kind.\n",
        "session.j2": "# Who\n\nHelp {{ user_name }}.\n",
    }


def test_a_heading_stays_with_what_is_left_under_it() -> None:
    static = "# Who\n\nHelp {{ user_name }}.\n\nBe kind.\n"

    assert mend(at("PC004", 3), agent({"static": static}, VARIABLES)) == {
        "static.j2": "# Who\n\nBe kind.\n",
        "session.j2": "Help {{ user_name }}.\n",
    }


def test_a_line_that_leads_in_goes_along() -> None:
    static = "Be kind.\n\nYou talk to:\n\n- {{ user_name }}\n"

    assert mend(at("PC004", 5), agent({"static": static}, VARIABLES)) == {
        "static.j2": "Be kind.\n",
        "session.j2": "You talk to:\n\n- {{ user_name }}\n",
    }


def test_moved_lines_take_the_line_ends_of_their_new_file() -> None:
    sources = agent({"static": "Be kind.\n\nHelp\n{{ user_name }}.\n", "session": "Now.\r\nHere.\r\n"}, VARIABLES)

    assert mend(at("PC004", 4), sources)["session.j2"] == "Now.\r\nHere.\r\n\r\nHelp\r\n{{ user_name }}.\r\n"


@pytest.mark.parametrize(
    ("line", "static"),
    [
        pytest.param(4, "{% if company %}\nBe kind.\n\nHelp {{ user_name }}.\n{% endif %}\n", id="inside a block"),
        pytest.param(3, "<rules>\n\nHelp {{ user_name }}.\n\n</rules>\n", id="inside an element"),
        pytest.param(3, "Be kind.\n\n{{- user_name }} asks.\n", id="glued to the paragraph in front"),
        pytest.param(3, "```\n\n{{ user_name }}\n", id="behind a fence that is not closed"),
        pytest.param(1, "Help {{ user_name }} with {{ nobody_declared_it }}.\n", id="with a value of no layer"),
        pytest.param(1, "Help {{ user_name }}.\n" + "Always be kind to everybody.\n" * 40, id="with much stable text"),
        pytest.param(2, "{% extends 'base.j2' %}\nHelp {{ user_name }}.\n", id="of a template that inherits"),
    ],
)
def test_what_does_not_stand_by_itself_stays(line: int, static: str) -> None:
    sources = agent({"static": static, "base.j2": "base"}, VARIABLES)

    assert mend(at("PC004", line), sources, unsafe=True) == {}


@pytest.mark.parametrize(
    "session",
    [
        pytest.param("{% set user_name = 'nobody' %}\n", id="binds the name"),
        pytest.param("```\nopen fence\n", id="ends in a fence"),
        pytest.param("{{ user_name -}}\n", id="swallows what follows"),
    ],
)
def test_nothing_moves_to_where_it_would_mean_something_else(session: str) -> None:
    sources = agent({"static": "Be kind.\n\nHelp {{ user_name }}.\n", "session": session}, VARIABLES)

    assert mend(at("PC004", 3), sources, unsafe=True) == {}


def test_text_that_stays_the_same_moves_up_from_behind_a_value() -> None:
    manual = "## Manual\n" + "\n".join(f"{number}. Step {number} of the manual." for number in range(200))
    sources = agent({"static": "Be kind.\n", "session": f"Help {{{{ user_name }}}}.\n\n{manual}\n"}, VARIABLES)

    [finding] = [each for each in lint([sources]) if each.code == "PC055"]

    assert mend(finding, sources) == {
        "static.j2": f"Be kind.\n\n{manual}\n",
        "session.j2": "Help {{ user_name }}.\n",
    }
