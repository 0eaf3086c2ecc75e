"""Counted instead of estimated: against what the API answered, and the rules for what stands around texts.

`pytest tests/prompt/test_exact_tokens.py -k recorded -rP` prints the errors of both counters.
"""

import json
import sys
from importlib.util import find_spec
from statistics import median

import httpx2
import pytest

from agentcache.emulator.cache_settings import CacheSettings
from agentcache.emulator.messages_api import MessagesApi
from agentcache.emulator.positions import PromptReader, Scope
from agentcache.emulator.server import serve
from agentcache.emulator.validation import read_request
from agentcache.errors import SettingsError
from agentcache.prompt import token_estimate
from agentcache.prompt.exact_tokens import ExactTokens
from agentcache.prompt.model_facts import facts_for
from tests.emulator.recordings import load, messages_body, needs_recordings
from tests.prompt.test_token_estimate import UNMEASURABLE

CLASSIC, DENSE = facts_for("claude-sonnet-4-5"), facts_for("claude-opus-5-5")

needs_ctok = pytest.mark.skipif(find_spec("ctok") is None, reason="ctok is not here; it needs Python 3.12")


@pytest.fixture(scope="module")
def exact():
    return ExactTokens()


def whole_prompt(counter, record):
    """Return what the emulator says of a recorded request with this counter."""
    rules = CacheSettings()
    request = read_request(messages_body(record), betas=frozenset(), settings=rules, accept_unknown_models=True)
    return PromptReader(rules, counter=counter).read(request, Scope()).total_tokens


def measurable():
    """Yield each different recorded request whose tokens are all in it, and of a model that we know."""
    seen = set()
    for record in load("uncached_calibration.jsonl.gz"):
        request, text = record["request"], json.dumps(record["request"], sort_keys=True)
        beta = {"context_management", "output_format"} & set(request)
        if text not in seen and facts_for(record["model"]).known and not beta:
            seen.add(text)
            if not any(part in text for part in UNMEASURABLE):
                yield record


def kind_of(request):
    content = [block for message in request["messages"] for block in message["content"] if isinstance(block, dict)]
    if request.get("thinking"):
        return "thinking"
    if "format" in request.get("output_config", {}):
        return "output format"
    if any(block["type"] == "tool_use" for block in content):
        return "calls and results"
    return "tools" if request.get("tools") else "text"


def errors(counter, tokenizer):
    """Return, by kind of request, pairs of what the counter is off by and what was billed."""
    found: dict[str, list[tuple[int, int]]] = {}
    for record in measurable():
        if facts_for(record["model"]).tokenizer == tokenizer:
            billed = record["usage"]["input_tokens"]
            found.setdefault(kind_of(record["request"]), []).append((whole_prompt(counter, record) - billed, billed))
    return found


def summary(pairs):
    """Return requests, share without any error, share within two tokens, median and p90 of the relative error."""
    shares = sorted(abs(off) / billed for off, billed in pairs)
    same, near = (sum(abs(off) <= most for off, _ in pairs) / len(pairs) for most in (0, 2))
    return len(pairs), same, near, median(shares), shares[len(shares) * 9 // 10]


def printed(name, pairs):
    print(
        f"{name:34} {{:4}}  same {{:4.0%}}  within 2 {{:4.0%}}  median {{:5.2%}}  p90 {{:5.1%}}".format(*summary(pairs))
    )


@needs_ctok
@needs_recordings
@pytest.mark.parametrize(("tokenizer", "least_same", "least_near"), [("classic", 0.5, 0.78), ("dense", 0.5, 0.8)])
def test_recorded_requests_are_counted_as_they_were_billed(exact, tokenizer, least_same, least_near):
    counted, estimated = errors(exact, tokenizer), errors(token_estimate, tokenizer)
    for name, found in (("exact", counted), ("estimate", estimated)):
        for kind in sorted(found):
            printed(f"{tokenizer} {name}: {kind}", found[kind])
        printed(f"{tokenizer} {name}: all", [pair for pairs in found.values() for pair in pairs])
    # What thinking adds is no part of the emulated prompt; models of the dense vocabulary add nothing.
    compared = [pair for kind, pairs in counted.items() if kind != "thinking" or tokenizer == "dense" for pair in pairs]
    _, same, near, middle, _ = summary(compared)
    assert same >= least_same
    assert near >= least_near
    assert middle < 0.003


@needs_ctok
@pytest.mark.parametrize(
    ("model", "text", "input_tokens"),
    [
        ("claude-haiku-4-5", "What is the capital of France?", 14),
        ("claude-sonnet-4-5", "What is 2 + 2?", 16),
        ("claude-sonnet-4-5", "The quick brown fox jumps over the lazydog.", 19),
        ("claude-sonnet-5", "What's the current date?", 12),
        ("claude-sonnet-5", "And tomorrow?", 13),
    ],
)
def test_a_lone_message_is_as_long_as_count_tokens_answered(exact, model, text, input_tokens):
    request = {"max_tokens": 1, "messages": [{"role": "user", "content": text}]}
    assert whole_prompt(exact, {"model": model, "request": request}) == input_tokens


@needs_ctok
def test_opus_4_7_frames_a_message_with_five_tokens_more_than_its_successors(exact):
    request = {"max_tokens": 1, "messages": [{"role": "user", "content": "hello"}]}
    older, newer = ({"model": name, "request": request} for name in ("claude-opus-4-7", "claude-opus-4-8"))
    assert whole_prompt(exact, older) - whole_prompt(exact, newer) == 5


@needs_ctok
def test_a_text_costs_what_its_vocabulary_says_and_nothing_around_it(exact):
    assert exact.text_tokens("", CLASSIC) == 0
    assert exact.text_tokens("hello, world", CLASSIC) == 3
    assert exact.text_tokens("hello, world", DENSE) == 4
    assert exact.text_tokens("\ud800", DENSE) >= 1


@needs_ctok
def test_a_tool_without_a_description_is_shown_without_one_and_strictness_is_not_shown(exact):
    bare = {"name": "find", "input_schema": {"type": "object"}}
    length = exact.block_tokens(bare, CLASSIC)
    assert exact.block_tokens({**bare, "description": ""}, CLASSIC) == length
    assert exact.block_tokens({**bare, "strict": True}, CLASSIC) == length
    assert exact.block_tokens({**bare, "description": "Find a thing."}, CLASSIC) > length
    assert exact.block_tokens({**bare, "defer_loading": True}, CLASSIC) == 0


@needs_ctok
def test_arguments_add_their_names_their_values_and_what_wraps_them(exact):
    call = {"type": "tool_use", "id": "a", "name": "find", "input": {}}
    grown = exact.block_tokens({**call, "input": {"place": "Rome", "days": 3}}, CLASSIC)
    texts = sum(exact.text_tokens(text, CLASSIC) for text in ("place", "Rome", "days", "3"))
    assert grown - exact.block_tokens(call, CLASSIC) == 2 * 14 + texts


@needs_ctok
def test_a_result_counts_its_texts_and_takes_the_rest_from_the_estimate(exact):
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 100_000}}
    told = {"type": "tool_result", "tool_use_id": "a", "content": "a cat"}
    shown = {**told, "content": [{"type": "text", "text": "a cat"}, image]}
    assert exact.block_tokens(shown, DENSE) - exact.block_tokens(told, DENSE) == token_estimate.IMAGE_TOKENS
    memory = {"type": "memory_20250818", "name": "memory"}
    assert exact.block_tokens(memory, CLASSIC) == token_estimate.block_tokens(memory, CLASSIC)


@needs_ctok
def test_an_output_format_costs_its_indented_schema_and_a_fixed_text(exact):
    schema = {"type": "array", "items": {"type": "integer"}}
    assert exact.output_format_tokens(schema, CLASSIC) == 109  # recorded
    assert exact.output_format_tokens(schema, CLASSIC) == 109  # and remembered


@needs_ctok
async def test_an_emulator_can_count_instead_of_estimating():
    body = {"model": "claude-sonnet-5", "messages": [{"role": "user", "content": "What's the current date?"}]}
    async with serve(exact_tokens=True) as emulator, httpx2.AsyncClient(base_url=emulator.base_url) as client:
        headers = {"x-api-key": "any", "anthropic-version": "2023-06-01"}
        answer = await client.post("/v1/messages/count_tokens", json=body, headers=headers)
    assert answer.json() == {"input_tokens": 12}


async def test_an_account_of_your_own_brings_its_own_counter():
    with pytest.raises(SettingsError, match="fresh account"):
        async with serve(api=MessagesApi(), exact_tokens=True):
            pass


def test_without_the_extra_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ctok", None)
    with pytest.raises(SettingsError, match=r"pip install 'agentcache-claude\[exact\]' \(Python 3.12\+\)"):
        ExactTokens()
