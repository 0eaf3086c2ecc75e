"""The linter on labelled prompt directories: the right code at the right line, and silence on clean ones."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from agentcache.lint.rules import RULES

ROOT = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("AGENTCACHE_SHARED", ROOT.parent / "shared")) / "lint-corpus" / "dev"

pytestmark = pytest.mark.skipif(
    not CORPUS.is_dir(), reason=f"{CORPUS} is not there; set AGENTCACHE_SHARED to the shared data"
)


@pytest.fixture(scope="module")
def accuracy() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("lint_accuracy", ROOT / "benchmarks" / "lint_accuracy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up while it is being made
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_the_right_code_is_told_at_the_right_line_and_clean_directories_raise_nothing(accuracy: ModuleType) -> None:
    total = accuracy.score(CORPUS, only=frozenset(RULES))
    assert total.recall >= 0.95, total.mistakes
    assert total.precision >= 0.97, total.mistakes
    assert total.alarms == 0, total.mistakes
    assert total.clean > 10


def test_nothing_is_told_beyond_the_labels_so_that_no_cause_is_told_twice(accuracy: ModuleType) -> None:
    """Not even what the labels call acceptable: one mistake has one code at one place."""
    cases = [accuracy.read_case(path.parent) for path in sorted(CORPUS.glob("*/expected.json"))]

    beyond = [
        (case.name, finding.code, finding.place.line)
        for case in cases
        for finding in case.findings
        if finding.code not in case.labels or not case.located(finding)
    ]

    assert len(cases) > 10
    assert beyond == []
