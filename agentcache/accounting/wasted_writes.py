"""Which written tokens were never read: an estimate from what each call says of its prefixes.

The API says how many tokens a call wrote and read, never which. The estimate rests on the A/B/C rule (spec section
5.3): a call reads its prompt up to some point, writes from there to its last breakpoint, and pays the rest in full.
So a call that read `r` and wrote `w` tokens wrote the range from `r` to `r + w`, and a later call of the same model
whose prompt contains one of its breakpoints used that range up to where it read itself.

- Where several calls wrote one prefix (it had expired, or they ran at once), a read counts for the last of them;
  what the others wrote again is waste.
- How deep a shared breakpoint lies that is not the writer's last is known by the plan's token estimate only.
- Calls without digests (no plan of ours) are matched by place instead: a later call of the same agent and model in
  the same conversation, or else the same run, is taken to continue the prompt.
- A server-side loop adds up its iterations, and a range made of such sums is only roughly in place.

What nobody has read yet counts as wasted, although a call after the last recorded one may still read it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from agentcache.accounting.usage import CallKind, CallRecord, Usage

_Place: TypeAlias = tuple[str | None, str, str]


def wasted_write_tokens(calls: Iterable[CallRecord]) -> dict[str, int]:
    """Return, by call id, the tokens that a call wrote and no later call of the same model read.

    Calls come in any order; those that wrote nothing, and those whose usage is unknown, are left out.
    """
    by_model: dict[str, _Memory] = defaultdict(_Memory)
    written: dict[str, _Range] = {}
    for call in sorted(calls, key=lambda call: (call.sent_at, call.call_id)):
        if call.usage is None:
            continue
        memory = by_model[call.model]
        if call.kind is not CallKind.KEEP_ALIVE:
            # A keep-alive read uses nothing: it waits for a call that does.
            memory.read(call, call.usage)
        if call.usage.cache_write_tokens:
            written[call.call_id] = memory.write(call, call.usage)
    return {call_id: item.end - item.start - item.used for call_id, item in written.items()}


@dataclass(slots=True, kw_only=True)
class _Range:
    """Tokens `start` to `end` of a prompt, written by one call; the first `used` of them were read since."""

    start: int
    end: int
    used: int = 0


@dataclass(slots=True)
class _Memory:
    """What calls of one model wrote, by the digests of their breakpoints or, without those, by place."""

    by_digest: dict[str, tuple[int, _Range]] = field(default_factory=dict)
    """The last range that was written up to or through a breakpoint, and how deep that breakpoint lies."""
    by_place: dict[_Place, list[tuple[int, _Range]]] = field(default_factory=lambda: defaultdict(list))

    def read(self, call: CallRecord, usage: Usage) -> None:
        """Count what a call read for the ranges it read from, deepest first, each token for one range."""
        digests = dict.fromkeys((*call.found_digests, *call.prefix_digests))
        candidates = [self.by_digest[digest] for digest in digests if digest in self.by_digest]
        candidates += self.by_place.get(_place(call), ())
        upto = usage.cache_read_tokens
        for depth, item in sorted(candidates, key=lambda candidate: candidate[0], reverse=True):
            if item.start >= upto:
                continue
            item.used = max(item.used, min(upto, depth, item.end) - item.start)
            upto = item.start

    def write(self, call: CallRecord, usage: Usage) -> _Range:
        """Remember what a call wrote and return its range."""
        start = usage.cache_read_tokens
        item = _Range(start=start, end=start + usage.cache_write_tokens)
        if not call.prefix_digests:
            self.by_place[_place(call)].append((item.end, item))
        for digest, depth in _depths(call, item.end).items():
            if depth > start:
                self.by_digest[digest] = (depth, item)
        return item


def _place(call: CallRecord) -> _Place:
    if call.conversation is not None:
        return (call.agent, "conversation", call.conversation)
    return (call.agent, "run", call.run_id)


def _depths(call: CallRecord, end: int) -> dict[str, int]:
    """Return how deep each breakpoint of a call lies: the deepest where its writing ends, the others in proportion.

    A breakpoint that the plan does not tell is taken to lie at the end, which favours the call.
    """
    planned = _planned_tokens(call.plan)
    deepest = max(planned.values(), default=0)
    if not deepest:
        return dict.fromkeys(call.prefix_digests, end)
    return {digest: end * planned.get(digest, deepest) // deepest for digest in call.prefix_digests}


def _planned_tokens(plan: Mapping[str, object]) -> dict[str, int]:
    """Return the estimated length of each kept breakpoint's prefix, by its digest, as `Plan.to_json` tells it."""
    kept = plan.get("kept")
    points = [point for point in kept if isinstance(point, Mapping)] if isinstance(kept, list) else []
    told = {point.get("digest"): point.get("tokens") for point in points}
    return {digest: each for digest, each in told.items() if isinstance(digest, str) and isinstance(each, int)}
