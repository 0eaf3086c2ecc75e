"""`explain` on labelled request logs: the right call, place and code, and silence on clean logs."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("AGENTCACHE_SHARED", ROOT.parent / "shared")) / "explain-corpus" / "dev"

pytestmark = pytest.mark.skipif(
    not CORPUS.is_dir(), reason=f"{CORPUS} is not there; set AGENTCACHE_SHARED to the shared data"
)


@pytest.fixture(scope="module")
def accuracy() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("explain_accuracy", ROOT / "benchmarks" / "explain_accuracy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up while it is being made
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_the_right_call_place_and_code_are_told_and_clean_logs_raise_nothing(accuracy: ModuleType) -> None:
    total = accuracy.score(CORPUS)
    assert total.f1 >= 0.97, total.wrong
    assert total.alarms == []
    assert total.clean_logs > 10
