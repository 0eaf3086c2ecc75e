"""The estimate against what the API answered, and its rules for blocks that are no text."""

import gzip
import json
import os
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.prompt.model_facts import facts_for
from agentcache.prompt.token_estimate import (
    IMAGE_TOKENS,
    block_tokens,
    text_tokens,
    tool_prompt_tokens,
)
from tests.prompt.whole_requests import request_tokens

CLASSIC, DENSE = facts_for("claude-sonnet-4-5"), facts_for("claude-opus-5-5")
SHARED = Path(os.environ.get("AGENTCACHE_SHARED", Path(__file__).parents[3] / "shared"))
RECORDED = SHARED / "traces" / "golden"

UNMEASURABLE = ('"image"', '"document"', '"compaction"', '"defer_loading": true', '"thinking": "', "farewell farewell")
"""Size not in the request, billed elsewhere, added or stripped by the server; and filler of one repeated word."""

UNMEASURABLE_FLAGS = {"server_tools", "binary_elided", "external_content", "opaque_elided", "context_management"}


def recorded_requests():
    """Yield every different recorded request that can be measured, with the prompt tokens that were billed."""
    with gzip.open(RECORDED / "uncached_calibration.jsonl.gz", "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    for name in ("anthropic_cache_hits.json", "anthropic_cache_negatives.json"):
        records += json.loads((RECORDED / name).read_text("utf-8"))
    with gzip.open(RECORDED / "claude_code_session.json.gz", "rt", encoding="utf-8") as session:
        records += json.load(session)
    seen = set()
    for record in records:
        request, flags = record["request"], set(record.get("flags", ()))
        text = json.dumps(request, sort_keys=True)
        if text in seen or flags & UNMEASURABLE_FLAGS or any(part in text for part in UNMEASURABLE):
            continue
        seen.add(text)
        if "context_management" not in request and "output_format" not in request:
            billed = record["prompt_tokens"] if "prompt_tokens" in record else record["usage"]["input_tokens"]
            yield facts_for(record["model"]), request, billed


def relative_errors(tokenizer):
    return [
        (request_tokens(request, facts) / billed - 1, billed)
        for facts, request, billed in recorded_requests()
        if facts.known and facts.tokenizer == tokenizer
    ]


@pytest.mark.skipif(not RECORDED.exists() and not os.environ.get("CI"), reason=f"no recordings at {RECORDED}")
@pytest.mark.parametrize(
    ("tokenizer", "median_bound", "p90_bound", "bias_bound"),
    [("classic", 0.02, 0.14, 0.01), ("dense", 0.06, 0.20, 0.02)],
)
def test_recorded_requests_are_estimated_within_the_stated_error(tokenizer, median_bound, p90_bound, bias_bound):
    errors = relative_errors(tokenizer)
    sizes = sorted(abs(error) for error, _ in errors)
    p90, bias = sizes[len(sizes) * 9 // 10], sum(error * billed for error, billed in errors) / sum(b for _, b in errors)
    assert median(sizes) < median_bound
    assert p90 < p90_bound
    assert abs(bias) < bias_bound


def test_the_empty_text_has_no_tokens_and_any_other_has_some():
    assert text_tokens("", CLASSIC) == 0
    assert text_tokens("x", CLASSIC) == 1
    assert text_tokens("\ud800", CLASSIC) >= 1


@pytest.mark.parametrize(
    ("text", "characters_per_token"),
    [
        ("The model reads the whole prompt before it answers, and every token of it is billed. " * 20, (3.8, 5.0)),
        ("def read(path: Path) -> str:\n    return path.read_text(encoding='utf-8')\n" * 20, (2.3, 3.6)),
        ("0123456789" * 20, (1.0, 2.0)),
        ("提示缓存使重复的前缀便宜得多。" * 20, (0.5, 1.2)),
        ("Кэш делает повторный запрос дешевле. " * 20, (1.2, 2.6)),
    ],
)
def test_kinds_of_text_are_as_dense_as_they_are_known_to_be(text, characters_per_token):
    low, high = characters_per_token
    assert low <= len(text) / text_tokens(text, CLASSIC) <= high


def test_the_dense_tokenizer_makes_about_a_third_more_of_the_same_text():
    text = "Answer in the customer's language. When an order is late, say so and offer a refund.\n" * 50
    assert 1.25 <= text_tokens(text, DENSE) / text_tokens(text, CLASSIC) <= 1.5


@given(st.text(max_size=200), st.text(max_size=200))
@settings(max_examples=50, deadline=None)
def test_more_text_is_never_fewer_tokens(text, more):
    assert text_tokens(f"{text} {more}", DENSE) >= text_tokens(text, DENSE) - 1


def test_a_deferred_tool_costs_nothing_where_it_stands():
    tool = {"name": "find", "description": "Find a thing.", "input_schema": {"type": "object"}}
    assert block_tokens(tool, CLASSIC) > 10
    assert block_tokens({**tool, "defer_loading": True}, CLASSIC) == 0


def test_markers_signatures_and_ids_are_not_counted():
    call = {"type": "tool_use", "id": "toolu_1", "name": "find", "input": {"name": "x"}}
    thought = {"type": "thinking", "thinking": "hm", "signature": "s" * 4000}
    assert block_tokens({**call, "cache_control": {"type": "ephemeral"}}, CLASSIC) == block_tokens(call, CLASSIC)
    assert block_tokens(thought, CLASSIC) < 10


def test_every_argument_of_a_call_adds_its_wrapping():
    one = block_tokens({"type": "tool_use", "id": "a", "name": "f", "input": {"a": 1}}, CLASSIC)
    two = block_tokens({"type": "tool_use", "id": "a", "name": "f", "input": {"a": 1, "b": 2}}, CLASSIC)
    assert 10 <= two - one <= 25


def test_images_count_as_the_largest_even_inside_a_result():
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 100_000}}
    assert block_tokens(image, CLASSIC) == IMAGE_TOKENS
    result = {"type": "tool_result", "tool_use_id": "a", "content": [image, {"type": "text", "text": "a cat"}]}
    assert IMAGE_TOKENS < block_tokens(result, CLASSIC) < IMAGE_TOKENS + 40


def test_text_documents_are_read_and_others_guessed():
    text = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "word " * 100}}
    assert 80 <= block_tokens(text, CLASSIC) <= 130
    assert block_tokens({"type": "document", "source": {"type": "base64", "data": "A"}}, CLASSIC) == 3_000


def test_a_block_of_an_unknown_kind_counts_its_texts_but_not_its_ciphertext():
    block = {"type": "future_result", "content": [{"title": "Cats", "encrypted_content": "Z" * 9000}]}
    assert 1 <= block_tokens(block, CLASSIC) < 20


def test_forced_tool_choice_brings_the_longer_tool_prompt():
    assert (tool_prompt_tokens(CLASSIC), tool_prompt_tokens(CLASSIC, forced=True)) == (496, 588)
