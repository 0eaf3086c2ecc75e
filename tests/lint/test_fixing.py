"""Edits put into texts, and what a difference looks like."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.lint.agent_sources import AgentSources, LayerFile
from agentcache.lint.finding import Confidence, Edit, Finding, Fix, Place
from agentcache.lint.fixing import diff, fixed, mended
from agentcache.prompt.sections import Stability


def finding(*edits: Edit, safe: bool = True) -> Finding:
    return Finding(
        code="PC012",
        name="unordered-set",
        severity="error",
        confidence=Confidence.CERTAIN,
        place=Place(path=edits[0].path, line=1),
        message="a set",
        fix="sort it",
        edits=Fix(edits=edits, safe=safe),
    )


def edit(start: int, end: int, text: str, path: str = "a.j2") -> Edit:
    return Edit(path=path, start=start, end=end, text=text)


def test_edits_count_characters_of_the_text_as_it_was_read() -> None:
    after = fixed({"a.j2": "0123456789"}, [finding(edit(8, 9, "")), finding(edit(1, 3, "<long>"))])

    assert after == {"a.j2": "0<long>345679"}


def test_of_two_fixes_that_overlap_the_first_is_kept() -> None:
    after = fixed({"a.j2": "0123456789"}, [finding(edit(2, 5, "x")), finding(edit(4, 6, "y"))])

    assert after == {"a.j2": "01x56789"}


def test_a_fix_is_applied_whole_or_not_at_all() -> None:
    texts = {"a.j2": "0123456789", "b.j2": "abc"}

    after = fixed(texts, [finding(edit(2, 5, "x")), finding(edit(0, 1, "z", "b.j2"), edit(4, 6, "y"))])

    assert after == {"a.j2": "01x56789", "b.j2": "abc"}


def test_two_findings_that_the_same_edit_mends_are_mended_once() -> None:
    after = fixed({"a.j2": "tags"}, [finding(edit(4, 4, "|sort")), finding(edit(4, 4, "|sort"))])

    assert after == {"a.j2": "tags|sort"}


def test_an_unsafe_fix_waits_for_being_asked_for() -> None:
    found = [finding(edit(0, 4, ""), safe=False)]

    assert fixed({"a.j2": "tags"}, found) == {"a.j2": "tags"}
    assert fixed({"a.j2": "tags"}, found, unsafe=True) == {"a.j2": ""}


def test_a_path_without_a_text_is_a_new_file() -> None:
    assert fixed({}, [finding(edit(0, 0, "new\n", "turn.j2"))]) == {"turn.j2": "new\n"}


LINES = st.lists(st.sampled_from(["one", "two", "", "three\r", "four \u2028 five"]), max_size=8)
TEXTS = st.builds(lambda lines, end: "\n".join(lines) + end, LINES, st.sampled_from(["", "\n"]))


@settings(max_examples=30)
@given(before=st.none() | TEXTS.filter(bool), after=TEXTS.filter(bool))
def test_git_applies_a_difference_to_exactly_what_was_fixed(
    tmp_path_factory: pytest.TempPathFactory, before: str | None, after: str
) -> None:
    folder = tmp_path_factory.mktemp("repository")
    file = folder / "prompts" / "a.j2"
    file.parent.mkdir()
    if before is not None:
        file.write_bytes(before.encode())
    patch = diff({} if before is None else {"prompts/a.j2": before}, {"prompts/a.j2": after})

    if patch:
        command = ["git", "apply", "--whitespace=nowarn", "-"]
        subprocess.run(command, cwd=folder, input=patch.encode(), check=True)

    assert file.read_bytes().decode() == after


def test_a_difference_names_the_file_as_git_does() -> None:
    text = diff({"p/a.j2": "one\ntwo\n"}, {"p/a.j2": "one\nthree"})

    assert text == "--- a/p/a.j2\n+++ b/p/a.j2\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n\\ No newline at end of file\n"


def test_no_change_is_no_difference() -> None:
    assert diff({"a.j2": "same\n"}, {"a.j2": "same\n"}) == ""


def test_a_fix_that_does_not_hold_is_left_out_and_the_others_are_made() -> None:
    sources = AgentSources(
        agent="agent",
        layers=tuple(
            LayerFile(path=f"{name}.j2", name=f"{name}.j2", text=f"{name} old", layer=Stability.STATIC)
            for name in ("a", "b", "c", "d")
        ),
    )

    def lint(agents: Sequence[AgentSources]) -> list[Finding]:
        """Find whatever is old; the fix of `c` brings something old again."""
        return [
            finding(edit(2, 5, "new" if file.name != "c.j2" else "as old", path=file.path))
            for agent in agents
            for file in agent.layers
            if "old" in file.text
        ]

    outcome = mended([sources], lint, lambda agent: None)

    assert outcome.texts == {"a.j2": "a new", "b.j2": "b new", "d.j2": "d new"}
    assert [each.place.path for each in outcome.fixed] == ["a.j2", "b.j2", "d.j2"]
    assert [each.place.path for each in outcome.remaining] == ["c.j2"]


def test_a_safe_fix_that_changes_words_is_taken_back() -> None:
    layer = LayerFile(path="a.j2", name="a.j2", text="old", layer=Stability.STATIC)
    sources = AgentSources(agent="agent", layers=(layer,))

    def lint(agents: Sequence[AgentSources]) -> list[Finding]:
        return [finding(edit(0, 3, "new"))] if agents[0].layers[0].text == "old" else []

    assert mended([sources], lint, lambda agent: {agent.layers[0].text: 1}).texts == {}
    assert mended([sources], lint, lambda agent: {"same": 1}).texts == {"a.j2": "new"}
