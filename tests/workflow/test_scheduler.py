"""One call writes a prefix, the others wait until it can be read."""

from __future__ import annotations

import asyncio

from agentcache.prompt.model_facts import Ttl
from agentcache.prompt.plans import Breakpoint
from agentcache.workflow.scheduler import WarmOnceGate


class HandClock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def mark(digest: str, ttl: Ttl = "5m") -> Breakpoint:
    return Breakpoint(
        where="system[0]", block=0, ttl=ttl, prefix_tokens=2000, prefix_digest=digest, reason="test", origin="policy"
    )


class Calls:
    """Plays calls through a gate and notes the order in which they get in."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.gate = WarmOnceGate(clock=self.clock)
        self.inside: list[str] = []

    async def play(
        self, name: str, *digests: str, first_token: asyncio.Event, end: asyncio.Event | None = None
    ) -> None:
        async with self.gate.entered("model", [mark(item) for item in digests]) as readable:
            self.inside.append(name)
            await first_token.wait()
            readable()
            if end is not None:
                await end.wait()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_followers_wait_for_the_first_token_not_for_the_end():
    calls, token, end = Calls(), asyncio.Event(), asyncio.Event()
    leader = asyncio.create_task(calls.play("leader", "p", first_token=token, end=end))
    await settle()
    followers = [asyncio.create_task(calls.play(f"f{n}", "p", first_token=token)) for n in range(3)]
    await settle()
    assert calls.inside == ["leader"]
    token.set()
    await settle()
    assert calls.inside == ["leader", "f0", "f1", "f2"]
    end.set()
    await asyncio.gather(leader, *followers)


async def test_calls_of_different_prefixes_do_not_wait_for_each_other():
    calls, token = Calls(), asyncio.Event()
    tasks = [asyncio.create_task(calls.play(name, name, first_token=token)) for name in ("a", "b")]
    await settle()
    assert calls.inside == ["a", "b"]
    token.set()
    await asyncio.gather(*tasks)


async def test_when_the_leader_fails_the_next_in_line_leads():
    calls, never, token = Calls(), asyncio.Event(), asyncio.Event()
    leader = asyncio.create_task(calls.play("leader", "p", first_token=never))
    await settle()
    followers = [asyncio.create_task(calls.play(f"f{n}", "p", first_token=token)) for n in range(2)]
    await settle()
    leader.cancel()
    await settle()
    assert calls.inside == ["leader", "f0"]
    token.set()
    await asyncio.gather(*followers)


async def test_a_warm_prefix_is_not_waited_for():
    calls, token = Calls(), asyncio.Event()
    token.set()
    await calls.play("first", "p", first_token=token)
    slow = asyncio.Event()
    tasks = [asyncio.create_task(calls.play(name, "p", first_token=slow)) for name in ("a", "b")]
    await settle()
    assert calls.inside == ["first", "a", "b"]
    slow.set()
    await asyncio.gather(*tasks)


async def test_an_expired_prefix_is_waited_for_again():
    calls, token = Calls(), asyncio.Event()
    token.set()
    await calls.play("first", "p", first_token=token)
    calls.clock.now = 301.0
    slow = asyncio.Event()
    tasks = [asyncio.create_task(calls.play(name, "p", first_token=slow)) for name in ("a", "b")]
    await settle()
    assert calls.inside == ["first", "a"]
    slow.set()
    await asyncio.gather(*tasks)
