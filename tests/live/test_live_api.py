"""The same scenarios against the emulator, always, and against the real API, with `--live`.

The real ones need ANTHROPIC_API_KEY and cost about a cent. What passes here for both is what the emulator is trusted
for; nothing else claims that the two agree.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agentcache import Agent, CallRejected, Prompt, Runtime, Unauthenticated
from agentcache.accounting.reading import usage_of
from agentcache.emulator.server import serve
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.model_facts import facts_for
from agentcache.runtime.client import MessagesClient
from tests.runtime.loopback import Listener

MODEL = "claude-haiku-5-5"
MINIMUM_TOKENS = facts_for(MODEL).minimum_prefix_tokens


@pytest.fixture(params=["emulator", pytest.param("claude", marks=pytest.mark.live)])
async def base_url(request: pytest.FixtureRequest) -> AsyncIterator[str | None]:
    """Where the scenario plays; `None` is wherever the environment says, by default the real API."""
    if request.param == "emulator":
        async with serve() as emulator:
            yield emulator.base_url
    else:
        request.getfixturevalue("real_credentials")
        yield None


def rules() -> str:
    """Return a text that no cache has seen and that is about twice as long as the shortest that can be cached."""
    lines = [f"Rule {number}: shelf {number * 7 % 97} holds volume {number}." for number in range(MINIMUM_TOKENS // 6)]
    return "\n".join([f"Catalogue {uuid.uuid4()}. Answer in one word.", *lines])


def warm_request(text: str, *, question: str, max_tokens: int) -> JsonObject:
    return {
        "model": MODEL,
        "max_tokens": max_tokens,
        "system": [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": question}],
    }


async def test_the_ledger_says_what_the_api_said_and_the_second_run_reads(base_url: str | None, tmp_path: Path) -> None:
    librarian = Agent(name="librarian", model=MODEL, prompt=Prompt(static=rules()), max_tokens=64)
    log = tmp_path / "requests.jsonl"
    async with Runtime(store="memory:", base_url=base_url, record_requests=log) as runtime:
        await runtime.run(librarian, "On which shelf is volume 3?")
        await runtime.run(librarian, "On which shelf is volume 4?")
        first, second = sorted(await runtime.ledger.calls(), key=lambda call: call.sent_at)
    told = [json.loads(line)["response"]["usage"] for line in log.read_text(encoding="utf-8").splitlines()]
    assert [first.usage, second.usage] == [usage_of(usage)[0] for usage in told]
    assert first.usage is not None
    assert second.usage is not None
    assert (first.usage.cache_read_tokens, second.usage.cache_read_tokens >= MINIMUM_TOKENS) == (0, True)
    assert first.usage.cache_write_tokens >= second.usage.cache_read_tokens
    assert None not in {first.message_id, first.request_id, first.first_token_at, first.cost_usd}


async def test_a_warm_up_writes_what_the_next_call_reads(base_url: str | None) -> None:
    text = rules()
    async with MessagesClient(base_url=base_url) as client:
        warm = await client.send(warm_request(text, question="warmup", max_tokens=0), observer=Listener())
        reply = await client.send(warm_request(text, question="Volume 5?", max_tokens=64), observer=Listener())
    written, read = usage_of(warm.usage)[0], usage_of(reply.usage)[0]
    assert (warm.content, warm.stop_reason, written.output_tokens) == ([], "max_tokens", 0)
    assert written.cache_write_5m_tokens == read.cache_read_tokens >= MINIMUM_TOKENS


async def test_a_model_that_does_not_exist_is_refused_once(base_url: str | None) -> None:
    listener = Listener()
    request = {**warm_request("short", question="Hello?", max_tokens=8), "model": "claude-no-such-model"}
    async with MessagesClient(base_url=base_url) as client:
        with pytest.raises(CallRejected, match="claude-no-such-model") as raised:
            await client.send(request, observer=listener)
    assert (raised.value.status, raised.value.attempts, listener.heard) == (404, 1, [])
    assert raised.value.request_id is not None


@pytest.mark.live
async def test_a_wrong_key_is_not_accepted() -> None:
    async with MessagesClient(api_key="sk-ant-none") as client:
        with pytest.raises(Unauthenticated) as raised:
            await client.send(warm_request("short", question="Hello?", max_tokens=8), observer=Listener())
    assert raised.value.status == 401
