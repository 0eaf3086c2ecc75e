"""What every fix promises, over prompt directories drawn at random and over the labelled ones."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from agentcache.lint.agent_sources import AgentSources
from agentcache.lint.finding import Finding
from agentcache.lint.fixing import Linter, diff, fixed, mended
from agentcache.lint.linting import lint
from agentcache.lint.reading import read_agent
from agentcache.lint.rewriting import rewritten, texts_of
from agentcache.lint.words import prompt_words
from tests.lint.fixes.prompt_directories import prompt_directories

SHARED = Path(os.environ.get("AGENTCACHE_SHARED", Path(__file__).parents[4] / "shared"))
CORPUS = SHARED / "lint-corpus" / "dev"
DRAWN = settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

needs_corpus = pytest.mark.skipif(
    not CORPUS.is_dir(), reason=f"{CORPUS} is not there; set AGENTCACHE_SHARED to the shared data"
)


def with_fix_of(finding: Finding) -> Linter:
    """Return a linter that offers the fix of one finding only, and once."""
    offered = [finding]

    def linter(agents: Sequence[AgentSources]) -> list[Finding]:
        once = offered.pop() if offered else None
        return [each if each == once else replace(each, edits=None) for each in lint(agents)]

    return linter


def after_fix(sources: AgentSources, finding: Finding) -> AgentSources:
    return rewritten(sources, fixed(texts_of([sources]), [finding], unsafe=True))


def holds(finding: Finding, before: Sequence[Finding], after: Sequence[Finding]) -> bool:
    """Tell whether a fix removed its finding and brought no other."""
    left, had = Counter(each.code for each in after), Counter(each.code for each in before)
    had[finding.code] -= 1
    return all(left[code] <= had[code] for code in left)


@DRAWN
@given(prompt_directories())
def test_a_safe_fix_keeps_every_word_of_the_prompt(sources: AgentSources) -> None:
    for finding in lint([sources]):
        if finding.edits is not None and finding.edits.safe:
            assert prompt_words(after_fix(sources, finding)) == prompt_words(sources), finding


@DRAWN
@given(prompt_directories())
def test_a_fix_is_made_when_its_finding_goes_and_none_comes_and_only_then(sources: AgentSources) -> None:
    before = lint([sources])
    for finding in before:
        if finding.edits is None:
            continue
        after = after_fix(sources, finding)
        outcome = mended([sources], with_fix_of(finding), prompt_words, unsafe=True)

        expected = texts_of([after]) if holds(finding, before, lint([after])) else texts_of([sources])
        assert {**texts_of([sources]), **outcome.texts} == expected, finding


@DRAWN
@given(prompt_directories())
def test_mending_keeps_the_words_and_what_is_mended_is_mended_already(sources: AgentSources) -> None:
    first = mended([sources], lint, prompt_words)
    after = rewritten(sources, first.texts)

    assert prompt_words(after) == prompt_words(sources)
    assert lint([after]) == first.remaining
    assert mended([after], lint, prompt_words).texts == {}
    assert bool(diff(texts_of([sources]), first.texts)) == bool(first.fixed)


@needs_corpus
@pytest.mark.parametrize("case", sorted(CORPUS.glob("*")) if CORPUS.is_dir() else [], ids=lambda case: case.name)
def test_each_fix_offered_for_a_labelled_directory_holds(case: Path) -> None:
    sources = read_agent(case)
    before = lint([sources])

    for finding in before:
        if finding.edits is None:
            continue
        after = after_fix(sources, finding)
        assert holds(finding, before, lint([after])), finding
        if finding.edits.safe:
            assert prompt_words(after) == prompt_words(sources), finding


@needs_corpus
@pytest.mark.parametrize("case", sorted(CORPUS.glob("clean-*")) if CORPUS.is_dir() else [], ids=lambda case: case.name)
def test_nothing_is_mended_where_nothing_is_wrong(case: Path) -> None:
    assert mended([read_agent(case)], lint, prompt_words, unsafe=True).texts == {}
