"""Learns from calls, in the order of time and never looking ahead, how soon prompts are asked for again.

Conversations are recognised by their prompts. The history is told times and reads no clock; equal histories give
equal outlooks.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from agentcache.prompt.layout import Layout
from agentcache.prompt.lookback import shared_ends
from agentcache.prompt.model_facts import TTL_SECONDS, Ttl
from agentcache.prompt.partings import Partings
from agentcache.prompt.reuse import PAUSED_PRIOR, PREFIX_PRIOR, TAIL_PRIOR, Outlook, Reuse

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
    paused: bool = False
    """Whether somebody speaks who was silent for longer than 5 minutes before."""


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
    closed: list[int] = field(default_factory=lambda: [0] * len(WINDOWS_S))
    """How many of those that reached a window were known to be over."""

    def refine(self, chances: list[float], *, still_open: bool = False) -> list[float]:
        """Return the chance per window that a silence which reached it ends inside it, given what was counted.

        still_open: of a silence that is not known to be over.
        """
        counted = zip(chances, self.reached, self.ended, self.closed, strict=True)
        return [
            (ended + PRIOR_CALLS * before) / (reached - (closed if still_open else 0) + PRIOR_CALLS)
            for before, reached, ended, closed in counted
        ]


@dataclass(slots=True)
class _Gaps:
    """Counts per class of calls, from the widest class to the narrowest."""

    prior: Outlook
    counts: defaultdict[_Key, _Counts] = field(default_factory=lambda: defaultdict(_Counts))

    def outlook(self, keys: Iterable[_Key]) -> Outlook:
        """Return the estimate for a call of these classes, widest first: each narrower class refines the last."""
        # Who paused once pauses again: such calls are told apart from all others.
        own = tuple(keys)
        paused = tuple(key for key in own if key.paused)
        prior = PAUSED_PRIOR if paused else self.prior
        chances, seen = _chances(prior), 0
        for key in paused or own:
            counted = self.counts.get(key)
            if counted is not None:
                chances, seen = counted.refine(chances), counted.reached[0]
        silent = 1.0 - chances[0]
        for chance in chances[1:]:
            silent *= 1.0 - chance
        basis = f"{seen} calls of its kind seen" if seen else prior.basis
        return Outlook(soon=chances[0], later=1.0 - chances[0] - silent, basis=basis)

    def open_chances(self, keys: Iterable[_Key]) -> list[float]:
        """Return the chance per window that a silence which reached it, and is not known to be over, ends inside it."""
        chances = _chances(self.prior)
        for key in keys:
            counted = self.counts.get(key)
            if counted is not None:
                chances = counted.refine(chances, still_open=True)
        return chances

    def count(self, line: _Line, window: int, *, ended: bool) -> None:
        """Count that a silence reached a window, and whether it ended inside it."""
        for key in line.keys:
            counted = self.counts[key]
            counted.reached[window] += 1
            counted.ended[window] += ended
            counted.closed[window] += line.closed


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
    closed: bool = False
    """Whether it is known to be over."""


@dataclass(slots=True)
class _Watched:
    """Lines in the order in which they were last seen, and what their silences teach."""

    gaps: _Gaps
    lines: list[OrderedDict[int, _Line]] = field(default_factory=lambda: [OrderedDict() for _ in WINDOWS_S])
    """The lines whose silence is in each window, longest silent first."""

    def seen(self, line: _Line, keys: tuple[_Key, ...], at_s: float) -> None:
        """Count the silence of `line` that ends now, and let the next one begin."""
        if self.lines[line.window].pop(id(line), None) is not None:
            self.gaps.count(line, line.window, ended=True)
        line.keys, line.seen_at_s, line.window, line.closed = keys, at_s, 0, False
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
    paused: bool = False
    losses: tuple[int, ...] = ()
    """How many blocks at the end each of its last prompts lost to the next one."""
    marks: tuple[_Mark, ...] = ()
    """Prefixes of its last prompt that were marked or read, shortest first."""


PARTING = "parting at "
LOSSES_KEPT = 4
"""An agent that appends something for one call only often does so every second call; so many calls are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCall:
    """A call as a ledger remembers it.

    line: its conversation or run; `None` for a warm-up or keep-alive, which teaches only what still lives. opens: it
    was the first call of its run.
    """

    line: str | None
    agent: str | None
    opens: bool
    at_s: float
    marks: tuple[tuple[str, Ttl], ...]


MARKS_KEPT = 32
"""Marks of a conversation that are followed, the deepest: what a turn costs does not grow with the turns before it."""

LOOSE_AT_MOST = 4
"""A prompt that leaves out more of the last one's end than this many blocks is another conversation: a fork."""


class ReuseHistory:
    """Follows calls in the order of time and tells what to expect of the next one.

    A call continues the conversation of its agent that sent the longest part of its messages before. One history
    serves one runtime, or one replay.
    """

    def __init__(self) -> None:
        self._tails = _Watched(_Gaps(TAIL_PRIOR))
        self._prefixes = _Watched(_Gaps(PREFIX_PRIOR))
        self._layer_lines: OrderedDict[str, _Line] = OrderedDict()
        self._owners: OrderedDict[tuple[str | None, str], _Conversation] = OrderedDict()
        self._entries: dict[str, tuple[Ttl, float]] = {}
        self._partings = Partings(room=REMEMBERED_BLOCKS)

    def before_call(self, layout: Layout, *, agent: str | None, at_s: float) -> Reuse:
        """Return what is known when this call is about to be sent at `at_s`, and learn that it comes."""
        self._tails.pass_time(at_s)
        self._prefixes.pass_time(at_s)
        keys = _tail_keys(agent, layout)
        conversation = self._continued(layout, agent, keys, at_s)
        conversation.paused = conversation.paused or at_s - conversation.line.seen_at_s >= SHORT_S
        if conversation.paused and _asks(layout) == "words":
            keys = (*keys, _Key(paused=True), _Key(agent, paused=True))
        self._tails.seen(conversation.line, keys, at_s)
        self._own(layout, agent, conversation)
        self._partings.learn(layout)
        lines = self._layer_keys(layout, agent)
        for index, names in lines.items():
            digest = layout.blocks[index].prefix_digest
            self._prefixes.seen(self._layer_line(digest, names, at_s), names, at_s)
        digests = [layout.blocks[at].prefix_digest for at in lines]
        digests.extend(mark.digest for mark in conversation.marks)
        live = {digest: entry[0] for digest in digests if (entry := self._live_entry(digest, at_s)) is not None}
        return Reuse(
            written=frozenset(live),
            live=live,
            tail=self._tails.gaps.outlook(keys),
            shared={index: self._prefixes.gaps.outlook(names) for index, names in lines.items()},
            loose_blocks=max(conversation.losses, default=0),
        )

    def now_known(self, layout: Layout, *, agent: str | None, at_s: float) -> Reuse:
        """Return what is known of this prompt at `at_s`, when nobody asks for it: of its layers and of live entries."""
        self._prefixes.pass_time(at_s)
        lines = self._layer_keys(layout, agent)
        found = {block.prefix_digest: self._live_entry(block.prefix_digest, at_s) for block in layout.blocks}
        live = {digest: entry[0] for digest, entry in found.items() if entry is not None}
        shared = {index: self._prefixes.gaps.outlook(names) for index, names in lines.items()}
        return Reuse(written=frozenset(live), live=live, shared=shared)

    def call_sent(self, layout: Layout, kept: Iterable[tuple[int, Ttl]], *, agent: str | None, at_s: float) -> None:
        """Learn which blocks (by index) a call that `before_call` announced was sent with as breakpoints, and when."""
        conversation = self._ending_with(layout, agent)
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
            ttl, until_s = self._entries[mark.digest]
            self._entries[mark.digest] = (ttl, max(until_s, at_s + TTL_SECONDS[ttl]))
        conversation.marks = tuple(still[-MARKS_KEPT:])
        if len(self._entries) > REMEMBERED_BLOCKS:
            self._entries = {digest: entry for digest, entry in self._entries.items() if entry[1] > at_s}

    def return_chances(self, layout: Layout, *, agent: str | None, at_s: float, silent_s: float) -> tuple[float, ...]:
        """Return the chances that this prompt, silent for `silent_s` now and not known to be over, is asked for again.

        One for each lifetime of 5 minutes from the one that begins next up to the hour, each given that the silence
        reached it. Learns that time has passed.
        """
        self._tails.pass_time(at_s)
        chances = self._tails.gaps.open_chances(_tail_keys(agent, layout))
        first = max(1, round(silent_s / SHORT_S))
        return tuple(_within_lifetime(chances, step * SHORT_S) for step in range(first, int(LONG_S / SHORT_S)))

    def conversation_of(self, layout: Layout, *, agent: str | None) -> object | None:
        """Return what stands for the conversation that ended with this prompt last; `None` when it is unknown."""
        return self._ending_with(layout, agent)

    def conversation_over(self, layout: Layout, *, agent: str | None) -> None:
        """Learn that no call can continue this prompt."""
        known = self._ending_with(layout, agent)
        if known is not None:
            known.line.closed = True

    def read_or_written(self, marks: Iterable[tuple[str, Ttl]], *, at_s: float) -> None:
        """Learn that prefixes (digest and lifetime) were warmed or kept alive; no agent asked for them."""
        for digest, ttl in marks:
            live = self._live_entry(digest, at_s)
            lifetime = ttl if live is None else live[0]
            self._entries[digest] = (lifetime, at_s + TTL_SECONDS[lifetime])

    def learn(self, past: Iterable[PastCall]) -> None:
        """Learn from another process's calls, in the order of time: how soon they came back, and what still lives."""
        lines: dict[str, _Line] = {}
        for call in past:
            self._tails.pass_time(call.at_s)
            keys = (_Key(), _Key(call.agent, "words" if call.opens else "tool"))
            if call.line is not None:
                self._tails.seen(lines.setdefault(call.line, _Line(keys, call.at_s)), keys, call.at_s)
            for digest, ttl in call.marks:
                self._entries[digest] = (ttl, call.at_s + TTL_SECONDS[ttl])

    def _live_entry(self, digest: str, at_s: float) -> tuple[Ttl, float] | None:
        entry = self._entries.get(digest)
        return entry if entry is not None and entry[1] > at_s else None

    def _ending_with(self, layout: Layout, agent: str | None) -> _Conversation | None:
        return self._owners.get((agent, layout.blocks[-1].prefix_digest)) if layout.blocks else None

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

    def _layer_line(self, digest: str, keys: tuple[_Key, ...], at_s: float) -> _Line:
        """Return the line of a prefix of tools and system; those that are silent for longer than counts are let go."""
        line = self._layer_lines.pop(digest, None) or _Line(keys, at_s)
        self._layer_lines[digest] = line
        while at_s - (oldest := next(iter(self._layer_lines.items())))[1].seen_at_s >= LONG_S and oldest[1] is not line:
            del self._layer_lines[oldest[0]]
        return line

    def _ends(self, layout: Layout) -> dict[str, int]:
        """Return the blocks of tools and system at which a prefix ends that others may ask for, by name."""
        ends = shared_ends(layout)
        for index, block in enumerate(layout.blocks[: layout.messages_start]):
            if block.prefix_digest in self._partings and block.markable and index not in ends.values():
                ends[f"{PARTING}{block.where}"] = index
        return ends

    def _layer_keys(self, layout: Layout, agent: str | None) -> dict[int, tuple[_Key, ...]]:
        """Return the classes of each prefix of tools and system that others may ask for, by its last block."""
        keys: dict[int, tuple[_Key, ...]] = {}
        for name, index in self._ends(layout).items():
            kind = PARTING if name.startswith(PARTING) else name
            keys[index] = (_Key(asks=kind), _Key(agent, kind))
        return keys


def _within_lifetime(chances: list[float], silent_s: float) -> float:
    """Return the chance that a silence of this length ends within 5 minutes, spread evenly over its window."""
    begin = 0.0
    for end, chance in zip(WINDOWS_S, chances, strict=True):
        if silent_s < end:
            return float(1.0 - (1.0 - chance) ** (SHORT_S / (end - begin)))
        begin = end
    return 0.0


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
