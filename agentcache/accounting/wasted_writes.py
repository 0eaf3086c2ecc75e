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

A range is open while a call may still read it. An entry lives an hour at most after each use, so a range that no call
of its prefix has touched for longer (`OPEN_S`) is closed: what reads that prefix later, reads what was written anew.
So the calls are taken one after the other and what must be remembered is what the last hours wrote.

What nobody has read yet counts as wasted, although a call after the last recorded one may still read it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias, TypedDict, cast

from agentcache.accounting.billed_calls import BilledCall, billed_call
from agentcache.accounting.usage import CallKind, CallRecord
from agentcache.prompt.canonical import JsonObject, JsonValue

OPEN_S = 5400.0
"""How long a range stays open after a call of its prefix was sent: the longest lifetime of an entry (1 h), and half an
hour for attempts after the first, whose time the ledger does not keep, and for clocks that disagree."""

_SWEEP_S = 3600.0
"""How often, in the calls' own time, closed ranges are put away."""

_Place: TypeAlias = tuple[str | None, str, str]


class WrittenRange(NamedTuple):
    """What one call wrote, and how much of it nobody has read."""

    call_id: str
    sent_at: float
    run_id: str
    agent: str | None
    model: str
    wasted_tokens: int


class _Told(TypedDict):
    """The shape of `Writes.to_json`."""

    ranges: list[tuple[str, float, str, str | None, str, int, int, int, float]]
    digests: dict[str, dict[str, tuple[int, int]]]
    places: list[tuple[str, str | None, str, str, list[tuple[int, int]]]]


def wasted_write_tokens(calls: Iterable[CallRecord]) -> dict[str, int]:
    """Return, by call id, the tokens that a call wrote and no later call of the same model read.

    Calls come in any order; those that wrote nothing, and those whose usage is unknown, are left out.
    """
    writes = Writes()
    for call in sorted(map(billed_call, calls), key=lambda call: (call.sent_at, call.call_id)):
        writes.take(call)
    return {item.call_id: item.wasted_tokens for item in (*writes.closed(), *writes.open())}


@dataclass(slots=True)
class _Range:
    """Tokens `start` to `end` of a prompt, written by one call; the first `used` of them were read since."""

    call_id: str
    sent_at: float
    run_id: str
    agent: str | None
    model: str
    start: int
    end: int
    used: int
    touched_at: float

    def told(self) -> WrittenRange:
        wasted = self.end - self.start - self.used
        return WrittenRange(self.call_id, self.sent_at, self.run_id, self.agent, self.model, wasted)


@dataclass(slots=True)
class _Memory:
    """What calls of one model wrote, by the digests of their breakpoints or, without those, by place."""

    by_digest: dict[str, tuple[int, _Range]] = field(default_factory=dict)
    """The last range that was written up to or through a breakpoint, and how deep that breakpoint lies."""
    by_place: dict[_Place, list[tuple[int, _Range]]] = field(default_factory=lambda: defaultdict(list))

    def take(self, call: BilledCall) -> _Range | None:
        """Note what a call touched, read and wrote; return the range that it wrote."""
        touched = self._touched(call)
        usage = call.usage
        if usage is None:
            return None
        if touched and call.kind != CallKind.KEEP_ALIVE:
            # A keep-alive read uses nothing: it waits for a call that does.
            _read(touched, usage[3])
        return self._write(call, usage[3], usage[1] + usage[2]) if usage[1] or usage[2] else None

    def _touched(self, call: BilledCall) -> list[tuple[int, _Range]]:
        """Return the open ranges that a call's prompt contains a breakpoint of, which stay open for it."""
        by_digest, since = self.by_digest, call.sent_at - OPEN_S
        found = [by_digest[digest] for digest in call.found_digests if digest in by_digest]
        found += [by_digest[digest] for digest in call.prefix_digests if digest in by_digest]
        if self.by_place:
            found += self.by_place.get(_place(call), ())
        touched = [candidate for candidate in found if candidate[1].touched_at >= since]
        for candidate in touched:
            candidate[1].touched_at = call.sent_at
        return touched

    def _write(self, call: BilledCall, start: int, tokens: int) -> _Range:
        """Remember what a call wrote and return its range."""
        at, end = call.sent_at, start + tokens
        item = _Range(call.call_id, at, call.run_id, call.agent, call.model, start, end, 0, at)
        if not call.prefix_digests:
            self.by_place[_place(call)].append((end, item))
        for digest, depth in _depths(call, end):
            if depth > start:
                self.by_digest[digest] = (depth, item)
        return item

    def sweep(self, at: float) -> None:
        """Forget the ranges that are closed at a time."""
        since = at - OPEN_S
        self.by_digest = {digest: kept for digest, kept in self.by_digest.items() if kept[1].touched_at >= since}
        for place, items in list(self.by_place.items()):
            items[:] = [kept for kept in items if kept[1].touched_at >= since]
            if not items:
                del self.by_place[place]


class Writes:
    """What calls wrote, taken in the order of `(sent_at, call_id)`."""

    def __init__(self) -> None:
        self._memories: dict[str, _Memory] = defaultdict(_Memory)
        self._open: list[_Range] = []
        self._closed: list[WrittenRange] = []
        self._sweep_at = float("-inf")

    def take(self, call: BilledCall) -> None:
        """Take the next call."""
        if call.sent_at >= self._sweep_at:
            self.sweep(call.sent_at)
        written = self._memories[call.model].take(call)
        if written is not None:
            self._open.append(written)

    def sweep(self, at: float) -> None:
        """Close what no call from `at` (Unix seconds) on can read."""
        still_open = []
        for item in self._open:
            if item.touched_at >= at - OPEN_S:
                still_open.append(item)
            else:
                self._closed.append(item.told())
        self._open, self._sweep_at = still_open, at + _SWEEP_S
        for memory in self._memories.values():
            memory.sweep(at)

    def closed(self) -> Sequence[WrittenRange]:
        """Return the ranges that were closed since these writes began or were restored: what they wasted is final."""
        return self._closed

    def open(self) -> Iterator[WrittenRange]:
        """Return the ranges that are open, with what they waste as far as is known."""
        return (item.told() for item in self._open)

    @classmethod
    def from_json(cls, told: JsonObject) -> Writes:
        """Return the writes that `to_json` was asked of; what was closed by then is not in them."""
        shaped = cast("_Told", told)
        writes = cls()
        opened = [_Range(*item) for item in shaped["ranges"]]
        writes._open.extend(opened)
        for model, digests in shaped["digests"].items():
            found = {digest: (depth, opened[number]) for digest, (depth, number) in digests.items()}
            writes._memories[model].by_digest.update(found)
        for model, agent, what, name, items in shaped["places"]:
            kept = [(depth, opened[number]) for depth, number in items]
            writes._memories[model].by_place[agent, what, name] = kept
        return writes

    def to_json(self) -> JsonObject:
        """Return the open ranges, from which `from_json` goes on."""
        numbers = {id(item): number for number, item in enumerate(self._open)}
        digests: dict[str, JsonValue] = {}
        places: list[JsonValue] = []
        for model, memory in self._memories.items():
            found: dict[str, JsonValue] = {
                digest: [depth, numbers[id(item)]]
                for digest, (depth, item) in memory.by_digest.items()
                if id(item) in numbers
            }
            if found:
                digests[model] = found
            for place, items in memory.by_place.items():
                kept: list[JsonValue] = [[depth, numbers[id(item)]] for depth, item in items if id(item) in numbers]
                places.append([model, *place, kept])
        ranges: list[JsonValue] = [
            [
                item.call_id,
                item.sent_at,
                item.run_id,
                item.agent,
                item.model,
                item.start,
                item.end,
                item.used,
                item.touched_at,
            ]
            for item in self._open
        ]
        return {"ranges": ranges, "digests": digests, "places": places}


def _read(touched: list[tuple[int, _Range]], upto: int) -> None:
    """Count what a call read for the ranges it read from, deepest first, each token for one range."""
    if len(touched) > 1:
        touched.sort(key=lambda candidate: candidate[0], reverse=True)
    for depth, item in touched:
        if item.start >= upto:
            continue
        item.used = max(item.used, min(upto, depth) - item.start)
        upto = item.start


def _place(call: BilledCall) -> _Place:
    if call.conversation is not None:
        return (call.agent, "conversation", call.conversation)
    return (call.agent, "run", call.run_id)


def _depths(call: BilledCall, end: int) -> Iterable[tuple[str, int]]:
    """Return how deep each breakpoint of a call lies: the deepest where its writing ends, the others in proportion.

    A breakpoint that the plan does not tell is taken to lie at the end, which favours the call.
    """
    planned = call.kept_tokens
    deepest = max(planned.values(), default=0)
    if not deepest:
        return [(digest, end) for digest in call.prefix_digests]
    return [(digest, end * planned.get(digest, deepest) // deepest) for digest in call.prefix_digests]
