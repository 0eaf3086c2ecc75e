"""How fast the emulator is: small requests a second, and a long conversation replayed.

    python benchmarks/emulator_throughput.py [--rounds 5] [--calls 200] [--profile]

Everything runs in this process on one core, the HTTP server and its client included, so only ratios within one run mean
something. Each round measures every variant once, in turn; the table shows medians. "parse only" is the floor: reading
the body as JSON and nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from agentcache.emulator.messages_api import HttpAnswer, HttpCall, MessagesApi
from agentcache.emulator.recorded import RecordedReplies
from agentcache.emulator.replies import Replies, ScriptReplies
from agentcache.emulator.server import serve

JsonObject = dict[str, Any]
Variant = Callable[[], Awaitable[float]]
"""Does its work and returns the seconds that it took."""

MODEL = "claude-sonnet-4-6"
HEADERS = {"x-api-key": "benchmark", "anthropic-version": "2023-06-01", "content-type": "application/json"}
SMALL_REQUESTS = 500
WORDS = ("order", "the", "customer", "returns", "invoice", "shipped", "path/to/file.py", "{'id': 17}", "and", "late.")
MARK = {"type": "ephemeral"}


def prose(draw: random.Random, tokens: int) -> str:
    """Return text of about so many tokens."""
    return " ".join(draw.choices(WORDS, k=round(tokens / 2.3)))


def text(words: str, *, mark: bool = False) -> JsonObject:
    block: JsonObject = {"type": "text", "text": words}
    return {**block, "cache_control": MARK} if mark else block


def small_bodies(*, mark: bool, fresh: bool) -> list[bytes]:
    """Return small requests: a system prompt of 1,500 tokens and a question; `fresh` prompts are all different."""
    draw = random.Random(1)
    rules = prose(draw, 1500)
    bodies = []
    for number in range(SMALL_REQUESTS):
        system = [text(f"{number if fresh else 0} {rules}", mark=mark)]
        messages = [{"role": "user", "content": [text(f"Question {number}")]}]
        bodies.append(encoded(system=system, messages=messages))
    return bodies


def encoded(**fields: object) -> bytes:
    return json.dumps({"model": MODEL, "max_tokens": 1000, **fields}).encode()


def conversation(calls: int, mean_tokens: int = 100_000) -> tuple[JsonObject, list[bytes]]:
    """Return a coding session as a trace and as requests: prompts grow from a tenth of the mean to nearly twice it."""
    draw = random.Random(2)
    start, step = mean_tokens // 10, round(1.8 * mean_tokens / calls)
    tools = [
        {"name": f"tool_{n}", "description": prose(draw, 100), "input_schema": {"type": "object", "properties": {}}}
        for n in range(15)
    ]
    system = [text(prose(draw, start - 3000), mark=True)]
    messages: list[JsonObject] = [{"role": "user", "content": [text(prose(draw, 500))]}]
    bodies = []
    for number in range(calls):
        bodies.append(encoded(tools=tools, system=system, messages=with_mark(messages)))
        call = {"type": "tool_use", "id": f"toolu_{number}", "name": f"tool_{number % 15}", "input": {"n": number}}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": prose(draw, step - 100)}
        messages += [
            {"role": "assistant", "content": [text(prose(draw, 60)), call]},
            {"role": "user", "content": [result]},
        ]
    recorded = [{"thread": "0", "agent": "coder", "in": 2 * number + 1} for number in range(calls)]
    thread = {"id": "0", "agent": "coder", "messages": messages}
    return {"trace_id": "session", "agents": [{"name": "coder"}], "threads": [thread], "calls": recorded}, bodies


def with_mark(messages: Sequence[JsonObject]) -> list[JsonObject]:
    """Return `messages` with a marker on the last block."""
    *before, last = messages
    *content, tail = last["content"]
    return [*before, {**last, "content": [*content, {**tail, "cache_control": MARK}]}]


def says_ok(request: object) -> str:
    return "ok"


def parsed(bodies: Sequence[bytes]) -> Variant:
    async def run() -> float:
        began = time.perf_counter()
        for body in bodies:
            json.loads(body)
        return time.perf_counter() - began

    return run


def in_process(bodies: Sequence[bytes], replies: Callable[[], Replies]) -> Variant:
    """Answer `bodies` by the pure core, one after another, 1 s apart on its clock."""

    async def run() -> float:
        api, answering = MessagesApi(), replies()
        began = time.perf_counter()
        for now, body in enumerate(bodies):
            begun = api.begin(HttpCall(method="POST", path="/v1/messages", headers=HEADERS, body=body), api.moment(now))
            assert not isinstance(begun, HttpAnswer), begun.body
            answer = api.answer_for(begun, await answering.reply(begun.request.body))
            assert api.begin_answer(begun, answer, api.moment(now)).status == 200
        return time.perf_counter() - began

    return run


def over_http(bodies: Sequence[bytes], replies: Callable[[], Replies]) -> Variant:
    """Send `bodies` to a server in this event loop, one after another on one connection."""

    async def run() -> float:
        async with serve(replies()) as emulator:
            address = urlsplit(emulator.base_url)
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            head = f"POST /v1/messages HTTP/1.1\r\nhost: {address.netloc}\r\n"
            head += "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
            began = time.perf_counter()
            for body in bodies:
                writer.writelines((f"{head}content-length: {len(body)}\r\n\r\n".encode(), body))
                await read_answer(reader)
            took = time.perf_counter() - began
            writer.close()
            await writer.wait_closed()
        return took

    return run


async def read_answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    assert head.startswith("http/1.1 200"), head
    length = next(line.partition(":")[2] for line in head.splitlines() if line.startswith("content-length"))
    await reader.readexactly(int(length))


async def measured(variants: dict[str, Variant], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each variant in each round; the order turns from round to round."""
    names = list(variants)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            times[name].append(await variants[name]())
    return times


def size_of(bodies: Sequence[bytes]) -> str:
    """Return the mean length of prompts, in bytes and in tokens as the emulator counts them."""
    api = MessagesApi()
    counting = [HttpCall(method="POST", path="/v1/messages", headers=HEADERS, body=body) for body in bodies]
    for call in counting:
        api.respond(call, says_ok, now=0.0)
    tokens = statistics.mean(line.charge.total_tokens for line in api.statement.lines)
    return f"on average {statistics.mean(map(len, bodies)) / 1000:,.0f} kB, {tokens:,.0f} tokens"


def show(title: str, times: dict[str, list[float]], requests: int) -> None:
    floor = times[next(iter(times))]
    print(f"\n{title}\n{'':34} {'requests/s':>11} {'seconds':>9} {'min-max':>15} {'ratio to parsing':>17}")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        ratio = statistics.median(own / base for own, base in zip(seconds, floor, strict=True))
        spread = f"{min(seconds):.2f}-{max(seconds):.2f}"
        print(f"{name:34} {requests / median:>11,.0f} {median:>9.3f} {spread:>15} {ratio:>17.1f}")


def script() -> Replies:
    return ScriptReplies(says_ok)


async def main(rounds: int, calls: int, profile: bool) -> None:
    read, written, plain = (
        small_bodies(mark=mark, fresh=fresh) for mark, fresh in ((True, False), (True, True), (False, False))
    )
    trace, bodies = conversation(calls)

    def recorded() -> Replies:
        return RecordedReplies.from_traces([trace])

    small: dict[str, Variant] = {
        "parse only": parsed(read),
        "in process, no markers": in_process(plain, script),
        "in process, every call reads": in_process(read, script),
        "in process, every call writes": in_process(written, script),
        "over HTTP, every call reads": over_http(read, script),
    }
    long: dict[str, Variant] = {
        "parse only": parsed(bodies),
        "in process, scripted": in_process(bodies, script),
        "in process, recorded replies": in_process(bodies, recorded),
        "over HTTP, recorded replies": over_http(bodies, recorded),
    }
    show(f"small requests ({size_of(read)})", await measured(small, rounds), SMALL_REQUESTS)
    show(f"a conversation of {calls} calls ({size_of(bodies)})", await measured(long, rounds), calls)
    if profile:
        for name, variant in (
            ("small", small["in process, every call reads"]),
            ("long", long["over HTTP, recorded replies"]),
        ):
            await show_profile(name, variant)


async def show_profile(name: str, variant: Variant) -> None:
    profiler = cProfile.Profile()
    profiler.enable()
    await variant()
    profiler.disable()
    print(f"\nhot spots: {name}")
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(20)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure the emulator.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=200, help="calls of the long conversation")
    parser.add_argument("--profile", action="store_true", help="also show where the time goes")
    chosen = parser.parse_args()
    asyncio.run(main(chosen.rounds, chosen.calls, chosen.profile))
