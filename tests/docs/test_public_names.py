"""Whoever looks a public name up finds it, with all that it takes, and every error with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import griffe
import pytest
from typer.testing import CliRunner

import agentcache
import agentcache.testing
import agentcache.tools
from agentcache import errors
from agentcache.cli.app import app
from docs.making import command_line, layout_picture, reference
from docs.making.areas import AREAS, Area
from tests.docs.pages import ROOT

EVENT = {"run_id", "agent", "at"}
"""What `RunEvent` says for every event."""
REMEDY = re.compile(
    r"\b(mend|move|pass|add|take|raise|loosen|asks? another|wait|go on|put|start|set|send less|try|look at|update|use|"
    r"leave|catch|kinds say|message says|message names|told|run tells|find out|goes to the model)\b",
    re.IGNORECASE,
)


def test_every_public_name_is_in_the_reference() -> None:
    shown = {name for area in AREAS for name in area.homes()}
    public = {*agentcache.__all__, *agentcache.testing.__all__, *agentcache.tools.__all__} - {"__version__"}
    assert public - shown == set()


def callables() -> Iterator[tuple[str, list[str], str]]:
    """Yield everything that a reader may call: its name, what it takes, and all that is written about that."""
    for area in AREAS:
        for name in area.homes():
            found = reference.find(area, name)
            if isinstance(found, griffe.Class):
                own = _words(found)
                fields = {
                    each
                    for each, member in found.members.items()
                    if member.docstring is not None and not member.is_function
                }
                told = EVENT if any(str(base) == "RunEvent" for base in found.bases) else set()
                taken = [each.name for each in reference.parameters_of(found) if each.name not in fields | told]
                yield name, [each for each in taken if not _is_error_message(area, each)], own
                for method in reference.methods_of(found):
                    yield f"{name}.{method.name}", reference.names_of(method), f"{own} {_words(method)}"
            elif isinstance(found, griffe.Function):
                yield name, reference.names_of(found), _words(found)


def _words(found: griffe.Object) -> str:
    described = " ".join(reference.described(found))
    return f"{found.docstring.value if found.docstring else ''} {described}"


def _is_error_message(area: Area, name: str) -> bool:
    return area.file == "errors" and name == "message"


def test_every_parameter_of_a_public_callable_is_described() -> None:
    unsaid = {
        called: missing
        for called, taken, words in callables()
        if (missing := [name for name in taken if name not in {"args", "kwargs"} and not _named(name, words)])
    }
    assert unsaid == {}


def _named(name: str, words: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", words) is not None


def test_every_error_says_what_to_do() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    silent = [
        kind.__name__ for kind in kinds if kind is not errors.AgentCacheError and not REMEDY.search(kind.__doc__ or "")
    ]
    assert len(kinds) > 30
    assert silent == []


@pytest.mark.parametrize("name", sorted(reference.pages()))
def test_the_reference_is_what_the_docstrings_say(name: str) -> None:
    assert (reference.FOLDER / name).read_text(encoding="utf-8") == reference.pages()[name], "run `make docs`"


def test_the_reference_has_no_other_pages() -> None:
    assert {path.name for path in reference.FOLDER.iterdir()} == set(reference.pages())


def test_the_page_of_the_command_line_is_what_the_commands_say() -> None:
    assert command_line.PAGE.read_text(encoding="utf-8") == command_line.page(), "run `make docs`"


def test_the_picture_is_the_plan_of_the_demos_reviewer() -> None:
    shown = CliRunner().invoke(app, ["show", str(ROOT / "agents" / "review.py") + ":reviewer", "--format", "json"])
    assert (ROOT / "docs" / "layout.svg").read_text(encoding="utf-8") == layout_picture.drawn(shown.stdout)


def test_docstrings_become_lists_where_they_say_what_parameters_are() -> None:
    text = "Do it.\n\nhow: well, as\n    you can. when, where: now; here. Raises `Pain`."
    assert reference.prose(text, ["how", "when", "where"]) == (
        "Do it.\n\n- **how**: well, as you can.\n- **when, where**: now; here.\n\nRaises `Pain`."
    )
