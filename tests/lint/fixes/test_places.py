"""A finding whose place is not one in a template of the agent is mended by nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentcache.lint.examination import Examination
from agentcache.lint.finding import Place
from agentcache.lint.fixes.table import FIXES
from tests.lint.fixes.mending import FOLDER, agent, at

TEXTS = {"static": "Rules.\n\n{% if vip %}\nToday is {{ now }}.\n{% endif %}\n", "turn": "Hello."}


@pytest.mark.parametrize("code", sorted(FIXES))
@pytest.mark.parametrize(
    "place",
    [
        Place(path=f"{FOLDER}gone.j2", line=1),
        Place(path=f"{FOLDER}static.j2", line=None),
        Place(path=f"{FOLDER}static.j2", line=99),
        Place(path=f"{FOLDER}agent.toml", line=1),
    ],
    ids=["no such file", "no line", "no such line", "no template"],
)
def test_nothing_is_mended_where_nothing_stands(code: str, place: Place) -> None:
    finding = replace(at(code, 1), place=place)

    assert FIXES[code](finding, Examination(agent(TEXTS, {"static": {"now": "x", "vip": True}}))) is None
