"""What every fix promises, over prompt directories drawn at random and over the labelled ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from tests.lint.fixes.prompt_directories import prompt_directories

from agentcache.lint.agent_sources import AgentSources
from agentcache.lint.finding import Finding
from agentcache.lint.fixing import diff, fixed, mended
from agentcache.lint.linting import lint
from agentcache.lint.reading import read_agent
from agentcache.lint.rewriting import rewritten, texts_of
from agentcache.lint.words import prompt_words

CORPUS = Path(__file__).parents[4] / "shared" / "lint-corpus" / "dev"
SLOW = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def check_each_fix(sources: AgentSources) -> None:
    """Check every fix on its own: its finding goes, none comes, and a safe one keeps the words of the prompt."""
    before = lint([sources])
    for finding in before:
        if finding.edits is None:
            continue
        after = rewritten(sources, fixed(texts_of([sources]), [finding], unsafe=True))
        _check_mended(finding, before, lint([after]))
        if finding.edits.safe:
            assert prompt_words(after) == prompt_words(sources), finding


def _check_mended(finding: Finding, before: tuple[Finding, ...], after: tuple[Finding, ...]) -> None:
    left, had = Counter(each.code for each in after), Counter(each.code for each in before)
    assert left[finding.code] < had[finding.code], finding
    assert all(left[code] <= had[code] for code in left), (finding, left - had)


@SLOW
@given(prompt_directories())
def test_each_fix_removes_its_finding_and_keeps_the_words(sources: AgentSources) -> None:
    check_each_fix(sources)


@SLOW
@given(prompt_directories())
def test_mending_keeps_the_words_and_what_is_mended_is_mended_already(sources: AgentSources) -> None:
    first = mended([sources], lint, prompt_words)
    after = rewritten(sources, {**texts_of([sources]), **first.texts})

    assert prompt_words(after) == prompt_words(sources)
    assert lint([after]) == first.remaining
    assert mended([after], lint, prompt_words).texts == {}
    assert bool(diff(texts_of([sources]), first.texts)) == bool(first.fixed)
