"""Learns from calls, in the order of time and never looking ahead, how soon prompts are asked for again.

Conversations are recognised by their prompts. The history is told times and reads no clock; equal histories give
equal outlooks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from agentcache.prompt.layout import Layout
from agentcache.prompt.lookback import shared_ends
from agentcache.prompt.model_facts import TTL_SECONDS, Ttl
from agentcache.prompt.reuse import PREFIX_PRIOR, TAIL_PRIOR, Outlook, Reuse

SHORT_S = TTL_SECONDS["5m"]
LONG_S = TTL_SECONDS["1h"]

PRIOR_CALLS = 15.0
"""How many observed silences weigh as much as the estimate that they refine."""

REMEMBERED_BLOCKS = 400_000
"""Blocks whose conversation is remembered; the longest unseen go first, and a conversation then counts as new."""


class _Key(NamedTuple):
    """A class of calls that behave alike; `None` is any."""

    agent: str | None = None
    asks: str | None = None
    length: int | None = None


WINDOWS_S = (SHORT_S, 600.0, 1200.0, LONG_S)
"""Ends of the windows in which silences are counted; the first is that of a 5-minute entry, the last of an hour's."""


@dataclass(slots=True)
class _Counts:
    """How many silences reached each window, and how many ended inside it (counts per window of `WINDOWS_S`).

    Counting who reached a window lets a conversation that has been silent for ten minutes teach something before the
    hour is over.
    """

    reached: list[int] = field(default_factory=lambda: [0] * len(WINDOWS_S))
    ended: list[int] = field(default_factory=lambda: [0] * len(WINDOWS_S))

    def refine(self, chances: list[float]) -> list[float]:
        """Return the chance per window that a silence which reached it ends inside it, given what was counted."""
        return [
            (ended + PRIOR_CALLS * before) / (reached + PRIOR_CALLS)
            for before, reached, ended in zip(chances, self.reached, self.ended, strict=True)
        ]


@dataclass(slots=True)
class _Gaps:
    """Counts per class of calls, from the widest class to the narrowest."""

    prior: Outlook
    counts: dict[_Key, _Counts] = field(default_factory=dict)

    def outlook(self, keys: Iterable[_Key]) -> Outlook:
        """Return the estimate for a call of these classes, widest first: each narrower class refines the last."""
        chances, seen = _chances(self.prior), 0
        for key in keys:
            counted = self.counts.get(key)
            if counted is not None:
                chances, seen = counted.refine(chances), counted.reached[0]
        silent = 1.0 - chances[0]
        for chance in chances[1:]:
            silent *= 1.0 - chance
        basis = f"{seen} calls of its kind seen" if seen else self.prior.basis
        return Outlook(soon=chances[0], later=1.0 - chances[0] - silent, basis=basis)

    def count(self, line: _Line, window: int, *, ended: bool) -> None:
        """Count that a silence reached a window, or that it ended inside it."""
        for key in line.keys:
            counted = self.counts.setdefault(key, _Counts())
            (counted.ended if ended else counted.reached)[window] += 1


def _chances(prior: Outlook) -> list[float]:
    """Return an outlook as one chance for the first window and equal ones for the windows up to the hour."""
    rest = 1.0 - prior.soon
    stays = (1.0 - prior.later / rest) ** (1.0 / (len(WINDOWS_S) - 1)) if rest > 0 else 1.0
    return [prior.soon, *[1.0 - stays] * (len(WINDOWS_S) - 1)]


@dataclass(slots=True, eq=False)
class _Line:
    """A conversation, or a prefix: something that is asked for again and again. `window` is where its silence is."""

    keys: tuple[_Key, ...]
    seen_at_s: float
    window: int = 0


@dataclass(slots=True)
class _Watched:
    """Lines in the order in which they were last seen, and what their silences teach."""

    gaps: _Gaps
    lines: list[OrderedDict[int, _Line]] = field(default_factory=lambda: [OrderedDict() for _ in WINDOWS_S])
    """The lines whose silence is in each window, longest silent first."""

    def seen(self, line: _Line, keys: tuple[_Key, ...], at_s: float) -> None:
        """Count the silence of `line` that ends now, and let the next one begin."""
        if self.lines[line.window].pop(id(line), None) is not None:
            self.gaps.count(line, line.window, ended=False)
            self.gaps.count(line, line.window, ended=True)
        line.keys, line.seen_at_s, line.window = keys, at_s, 0
        self.lines[0][id(line)] = line

    def pass_time(self, now_s: float) -> None:
        """Move lines on to the window that their silence has reached; beyond the last one they are forgotten.

        A silence counts as having reached a window once it has left it or ended in it, so that one that is still
        open teaches nothing about its window.
        """
        for window in range(len(WINDOWS_S)):
            silent = self.lines[window]
            while silent:
                number, line = next(iter(silent.items()))
                if now_s - line.seen_at_s < WINDOWS_S[window]:
                    break
                del silent[number]
                self.gaps.count(line, window, ended=False)
                if window + 1 < len(WINDOWS_S):
                    line.window = window + 1
                    self.lines[window + 1][number] = line


@dataclass(frozen=True, slots=True)
class _Mark:
    block: int
    digest: str


@dataclass(slots=True, eq=False)
class _Conversation:
    line: _Line
    blocks: int = 0
    losses: tuple[int, ...] = ()
    """How many blocks at the end each of its last prompts lost to the next one."""
    marks: tuple[_Mark, ...] = ()
    """Prefixes of its last prompt that were marked or read, shortest first."""


PARTING = "parting at "
LOSSES_KEPT = 4
"""An agent that appends something for one call only often does so every second call; so many calls are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCall:
    """A call as a ledger remembers it. line: its conversation or run. opens: it was the first call of its run."""

    line: str
    agent: str | None
    opens: bool
    at_s: float
    marks: tuple[tuple[str, Ttl], ...]


LOOSE_AT_MOST = 4
"""A prompt that leaves out more of the last one's end than this many blocks is another conversation: a fork."""


class ReuseHistory:
    """Follows calls in the order of time and tells what to expect of the next one.

    A call continues the conversation of its agent that sent the longest part of its messages before. One history serves one
    runtime, or one replay.
    """

    def __init__(self) -> None:
        self._tails = _Watched(_Gaps(TAIL_PRIOR))
        self._prefixes = _Watched(_Gaps(PREFIX_PRIOR))
        self._layer_lines: dict[str, _Line] = {}
        self._owners: OrderedDict[tuple[str | None, str], _Conversation] = OrderedDict()
        self._entries: dict[str, tuple[Ttl, float]] = {}
        self._current: _Conversation | None = None
        self._following: dict[str, str] = {}
        self._partings: set[str] = set()

    def before_call(self, layout: Layout, *, agent: str | None, at_s: float) -> Reuse:
        """Return what is known when this call is about to be sent at `at_s`, and learn that it comes."""
        self._tails.pass_time(at_s)
        self._prefixes.pass_time(at_s)
        keys = _tail_keys(agent, layout)
        conversation = self._continued(layout, agent, keys, at_s)
        self._tails.seen(conversation.line, keys, at_s)
        self._own(layout, agent, conversation)
        self._current = conversation
        ends = self._ends(layout)
        digests = [layout.blocks[at].prefix_digest for at in ends.values()]
        digests.extend(mark.digest for mark in conversation.marks)
        live = {digest: entry[0] for digest in digests if (entry := self._live_entry(digest, at_s)) is not None}
        return Reuse(
            written=frozenset(live),
            live=live,
            tail=self._tails.gaps.outlook(keys),
            shared=self._layers(layout, ends, agent, at_s),
            loose_blocks=max(conversation.losses, default=0),
        )

    def call_sent(self, layout: Layout, kept: Iterable[tuple[int, Ttl]], *, at_s: float) -> None:
        """Learn which blocks (by index) the call that `before_call` announced was sent with as breakpoints."""
        conversation = self._current
        if conversation is None:
            return
        marks = {mark.block: mark for mark in conversation.marks}
        for block, ttl in kept:
            digest = layout.blocks[block].prefix_digest
            marks[block] = _Mark(block, digest)
            if self._live_entry(digest, at_s) is None:
                self._entries[digest] = (ttl, at_s + TTL_SECONDS[ttl])
        still = [mark for _, mark in sorted(marks.items()) if self._live_entry(mark.digest, at_s) is not None]
        for mark in still:
            # A read renews every entry on its path (spec 2.3).
            ttl = self._entries[mark.digest][0]
            self._entries[mark.digest] = (ttl, at_s + TTL_SECONDS[ttl])
        conversation.marks = tuple(still)
        if len(self._entries) > REMEMBERED_BLOCKS:
            self._entries = {digest: entry for digest, entry in self._entries.items() if entry[1] > at_s}

    def learn(self, past: Iterable[PastCall]) -> None:
        """Learn from calls of another process, in the order of time: how soon prompts came back, and what still lives."""
        lines: dict[str, _Line] = {}
        for call in past:
            self._tails.pass_time(call.at_s)
            keys = (_Key(), _Key(call.agent, "words" if call.opens else "tool"))
            self._tails.seen(lines.setdefault(call.line, _Line(keys, call.at_s)), keys, call.at_s)
            for digest, ttl in call.marks:
                self._entries[digest] = (ttl, call.at_s + TTL_SECONDS[ttl])

    def _live_entry(self, digest: str, at_s: float) -> tuple[Ttl, float] | None:
        entry = self._entries.get(digest)
        return entry if entry is not None and entry[1] > at_s else None

    def _continued(self, layout: Layout, agent: str | None, keys: tuple[_Key, ...], at_s: float) -> _Conversation:
        """Return the conversation that this call continues, or a new one; note how many blocks were left behind."""
        for index in range(len(layout.blocks) - 1, layout.messages_start - 1, -1):
            known = self._owners.get((agent, layout.blocks[index].prefix_digest))
            if known is not None:
                loose = max(0, known.blocks - (index + 1))
                marks = tuple(mark for mark in known.marks if mark.block <= index)
                if loose > LOOSE_AT_MOST:
                    return _Conversation(line=_Line(keys, at_s), marks=marks)
                known.losses, known.marks = (*known.losses[1 - LOSSES_KEPT :], loose), marks
                return known
        return _Conversation(line=_Line(keys, at_s))

    def _own(self, layout: Layout, agent: str | None, conversation: _Conversation) -> None:
        for index in range(len(layout.blocks) - 1, layout.messages_start - 1, -1):
            place = (agent, layout.blocks[index].prefix_digest)
            if self._owners.get(place) is conversation:
                break
            self._owners[place] = conversation
        conversation.blocks = len(layout.blocks)
        while len(self._owners) > REMEMBERED_BLOCKS:
            self._owners.popitem(last=False)

    def _ends(self, layout: Layout) -> dict[str, int]:
        """Return the blocks of tools and system at which a prefix ends that others may ask for, by name."""
        ends = shared_ends(layout)
        for index, block in enumerate(layout.blocks[: layout.messages_start]):
            behind = layout.blocks[index + 1].prefix_digest if index + 1 < layout.messages_start else ""
            if self._following.setdefault(block.prefix_digest, behind) != behind:
                self._partings.add(block.prefix_digest)
            if block.prefix_digest in self._partings and block.markable and index not in ends.values():
                ends[f"{PARTING}{block.where}"] = index
        return ends

    def _layers(self, layout: Layout, ends: dict[str, int], agent: str | None, at_s: float) -> dict[int, Outlook]:
        outlooks: dict[int, Outlook] = {}
        for name, index in ends.items():
            kind = PARTING if name.startswith(PARTING) else name
            keys = (_Key(asks=kind), _Key(agent, kind))
            line = self._layer_lines.setdefault(layout.blocks[index].prefix_digest, _Line(keys, at_s))
            self._prefixes.seen(line, keys, at_s)
            outlooks[index] = self._prefixes.gaps.outlook(keys)
        return outlooks


def _tail_keys(agent: str | None, layout: Layout) -> tuple[_Key, ...]:
    """Return the classes of this call, widest first: whom it answers and how long the conversation is tell most."""
    asks = _asks(layout)
    length = (len(layout.blocks) - layout.messages_start).bit_length()
    return (_Key(), _Key(asks=asks, length=length), _Key(agent, asks))


def _asks(layout: Layout) -> str:
    """Return whether the prompt ends with tool results or with words."""
    if len(layout.blocks) == layout.messages_start:
        return "words"
    last = layout.blocks[-1].index
    for index in range(len(layout.blocks) - 1, layout.messages_start - 1, -1):
        block = layout.blocks[index]
        if block.index != last:
            break
        if block.kind == "tool_result":
            return "tool"
    return "words"
