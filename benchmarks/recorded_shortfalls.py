"""Why calls of recorded Claude Code sessions read less than the call before had left: what bill and clock alone tell.

    python benchmarks/recorded_shortfalls.py TRACE.jsonl.xz [TRACE ...]

A trace file has the format of the shared data's README. Its system prompts, tools and breakpoints were not recorded, so
nothing here compares prompts: a call of a thread should read what the call before it in that thread read and wrote, and
what is short of that has a cause as far as model, times and token counts show one. The rest is told as unexplained.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentcache.simulate.traffic import json_lines

LIFETIME_S = {"5m": 300.0, "1h": 3600.0}


@dataclass(frozen=True)
class Billed:
    """A call with its bill. `at` is when it was sent, in seconds."""

    model: str
    at: float
    read: int
    written: int
    ttl: str
    cached_before: frozenset[int]
    """Lengths of prefixes that earlier calls of the thread had read to or written to."""
    cached_elsewhere: frozenset[int]
    """What was read, if calls of other threads and sessions that come earlier in the file had read or left as much."""

    @property
    def left(self) -> int:
        return self.read + self.written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", type=Path, nargs="+")
    causes: dict[str, list[int]] = defaultdict(list)
    followed = 0
    for path in parser.parse_args().traces:
        for before, call in pairs(path):
            followed += 1
            lost = before.left - call.read
            if lost > 0:
                causes[cause(before, call)].append(lost)
    tell(followed, causes)


def pairs(path: Path) -> Iterator[tuple[Billed, Billed]]:
    """Yield each billed call of a thread with the billed one before it."""
    elsewhere: dict[str, set[int]] = defaultdict(set)
    for _, trace in json_lines(path):
        last: dict[str, Billed] = {}
        told: Any = trace
        for recorded in told["calls"]:
            usage, at = recorded.get("usage"), recorded.get("t_req")
            if not usage or at is None:
                continue
            before = last.get(recorded["thread"])
            seen = frozenset() if before is None else before.cached_before | {before.read, before.left}
            call = Billed(
                model=str(recorded["model"]),
                at=float(at),
                read=int(usage["cache_read_input_tokens"]),
                written=int(usage["cache_creation_input_tokens"]),
                ttl="1h" if usage.get("w1h") else "5m",
                cached_before=seen,
                cached_elsewhere=frozenset({int(usage["cache_read_input_tokens"])} & elsewhere[recorded["model"]]),
            )
            if before is not None:
                yield before, call
            last[recorded["thread"]] = call
            elsewhere[call.model] |= {call.read, call.left}


def cause(before: Billed, call: Billed) -> str:
    if call.model != before.model:
        return "another model"
    if call.at - before.at > LIFETIME_S[before.ttl]:
        return "expired: sent after the lifetime of what was written"
    if call.at < before.at:
        return "sent before the call that is logged ahead of it"
    if call.read == 0:
        return "nothing read: tools or system changed, or everything evicted"
    if call.read in call.cached_before:
        return "read to an earlier breakpoint: the conversation changed behind it"
    if call.cached_elsewhere:
        return "read to a length that other threads share (tools and system): the conversation was lost"
    return "unexplained: another length than any earlier call left"


def tell(followed: int, causes: dict[str, list[int]]) -> None:
    short = sum(map(len, causes.values()))
    lost = sum(map(sum, causes.values()))
    print(
        f"{followed:,} calls follow another of their thread; {short:,} ({short / followed:.1%}) read less than it left,"
    )
    print(f"{lost:,} tokens in all.\n")
    print("| cause | calls | share of calls | tokens | share of tokens |\n|---|---:|---:|---:|---:|")
    for name, tokens in sorted(causes.items(), key=lambda item: -len(item[1])):
        amount = sum(tokens)
        print(f"| {name} | {len(tokens):,} | {len(tokens) / short:.1%} | {amount:,} | {amount / lost:.1%} |")


if __name__ == "__main__":
    main()
