"""agent.toml as the linter reads it."""

from __future__ import annotations

import pytest

from agentcache.errors import TargetError
from agentcache.lint.agent_sources import SourceFile
from agentcache.lint.agent_toml import read_declaration
from agentcache.prompt.sections import Stability


def read(text: str):
    return read_declaration(SourceFile(path="agent.toml", name="agent.toml", text=text))


def test_a_dotted_table_is_a_variable_with_a_table_in_it():
    declared = read('[variables.static.tone_rules]\nbrief = "One paragraph."\n[variables.session]\ntone = "brief"\n')
    assert declared.variables == {
        Stability.STATIC: {"tone_rules": {"brief": "One paragraph."}},
        Stability.SESSION: {"tone": "brief"},
    }


def test_dates_tell_their_type_themselves():
    declared = read("[variables.static]\npublished = 2026-09-01T00:00:00\nday = 2026-09-01\n")
    assert declared.types == {"published": "datetime", "day": "date"}
    assert declared.variables[Stability.STATIC] == {"published": "2026-09-01T00:00:00", "day": "2026-09-01"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('model = "x"\nmodle = "y"\n', r"agent\.toml, line 2: unknown key modle; did you mean model\?"),
        ("[variables.sesion]\n", r"line 1: unknown key variables\.sesion; did you mean variables\.session\?"),
        ('\n[environment]\nglobal = ["x"]\n', r"line 3: unknown key environment\.global; did you mean"),
        ("[colours]\n", r"line 1: unknown key colours; known are model"),
        ("model = 3\n", "line 1: model is a int"),
        ("[types]\ntags = 3\n", r"line 2: types\.tags is no text"),
        ('[types]\ntags = "sett"\n', r"line 2: types\.tags is the unknown type sett; did you mean set\?"),
        ('[types]\n"user.tags" = "heap"\n', r"line 2: types\.user\.tags is the unknown type heap; known are set, "),
        ('[environment]\nglobals = "now"\n', r"line 2: environment\.globals is no list of names"),
        ("variables = 3\n", "line 1: variables is a int"),
        ("model = \n", "line 1: this is no TOML"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(text, said):
    with pytest.raises(TargetError, match=said):
        read(text)


@pytest.mark.parametrize("kind", ["set", "dict:unordered", "object", "list[object]", "list[set]", "list"])
def test_a_known_type_is_kept(kind):
    assert read(f'[types]\ntags = "{kind}"\n').types == {"tags": kind}
