from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.lint.path_globs import matches


@pytest.mark.parametrize(
    ("pattern", "path", "held"),
    [
        ("prompts/a/static.j2", "prompts/a/static.j2", True),
        ("prompts/*/static.j2", "prompts/a/static.j2", True),
        ("prompts/*/static.j2", "prompts/a/b/static.j2", False),
        ("prompts/**/static.j2", "prompts/a/b/static.j2", True),
        ("prompts/**/static.j2", "prompts/static.j2", True),
        ("prompts/**", "prompts/a/b/static.j2", True),
        ("static.j2", "prompts/a/static.j2", True),
        ("*.j2", "prompts/a/static.j2", True),
        ("legacy", "prompts/legacy/static.j2", True),
        ("legacy/", "legacy/static.j2", True),
        ("./legacy", "legacy/static.j2", True),
        ("prompts/legacy", "other/prompts/legacy/static.j2", False),
        ("legacy", "legacy2/static.j2", False),
        ("session?.j2", "a/session1.j2", True),
        ("session[0-9].j2", "a/session1.j2", True),
        ("session[!0-9].j2", "a/session1.j2", False),
        ("a+b(c).j2", "a+b(c).j2", True),
        ("a[b.j2", "a[b.j2", True),
    ],
)
def test_patterns(pattern: str, path: str, held: bool) -> None:
    assert matches(pattern, path) is held


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_text_is_a_pattern(pattern: str, path: str) -> None:
    assert matches(pattern, path) in {True, False}


@given(st.lists(st.text("abc.*?[]", min_size=1, max_size=4), min_size=1, max_size=3))
def test_a_pattern_of_plain_characters_means_itself(names: list[str]) -> None:
    path = "/".join(name.replace("*", "x").replace("?", "y").replace("[", "u").replace("]", "v") for name in names)
    plain = path.strip("./")
    if plain:
        assert matches(plain, plain)
