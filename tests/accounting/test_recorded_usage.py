"""Usage objects that the real API sent: read without losing or inventing a token."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from agentcache.accounting.reading import usage_of
from agentcache.accounting.usage import SIDE_KINDS
from agentcache.prompt.canonical import JsonObject

GOLDEN = Path(os.environ.get("AGENTCACHE_SHARED", Path(__file__).parents[3] / "shared")) / "traces" / "golden"
FILES = (
    "anthropic_cache_hits.json",
    "anthropic_cache_negatives.json",
    "claude_code_session.json.gz",
    "uncached_calibration.jsonl.gz",
)


def recorded_usages(name: str) -> list[JsonObject]:
    path = GOLDEN / name
    if not path.exists() and not os.environ.get("CI"):
        pytest.skip(f"{path} is not there; set AGENTCACHE_SHARED to the shared data")
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode()
    records = [json.loads(line) for line in text.splitlines()] if ".jsonl" in name else json.loads(text)
    return [record["usage"] if "usage" in record else record["response"]["usage"] for record in records]


@pytest.mark.parametrize("file", FILES)
def test_the_whole_prompt_and_the_whole_answer_are_read(file: str):
    told = recorded_usages(file)

    for each in told:
        usage, _ = usage_of(each)
        prompt = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        assert usage.input_tokens == sum(value for name in prompt if isinstance(value := each.get(name), int))
        assert usage.output_tokens == each["output_tokens"]
    assert len(told) > 20


def test_recorded_compactions_are_billed_beside_the_call():
    told = [each for name in FILES for each in recorded_usages(name) if each.get("iterations")]

    side = [part.usage.input_tokens for each in told for part in usage_of(each)[1] if part.kind in SIDE_KINDS]

    assert len(told) == 7
    assert max(side) == 99_195, "the largest recorded one; its call told 162 tokens at the top"
