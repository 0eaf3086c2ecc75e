"""The server's prompt cache: which entry a prompt finds, what it is charged, which entries it writes and when they end.

A prompt arrives as positions, each a digest of everything up to it and a token count, and as markers on some of them.
Time is an argument. Nothing here knows JSON, models or sockets: `positions` turns requests into prompts.

Rules and their confidence: specification sections 2.2, 2.3, 5.1, 5.3, 6 and 15.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agentcache.emulator.cache_settings import CacheSettings
from agentcache.prompt.model_facts import Ttl

LOOKBACK_POSITIONS = 20
"""Positions tested per breakpoint, the breakpoint itself being the first (2.3.2)."""

LIFETIME_S: dict[Ttl, float] = {"5m": 300.0, "1h": 3600.0}


@dataclass(frozen=True, slots=True)
class Position:
    """One block as the cache sees it.

    `digest` stands for the whole prefix that ends here, `tokens` for its length. `step` is the look-back position:
    blocks of one collapsed run share it. `ends_step` is true for the last block of a run, and for every other block.
    """

    digest: bytes
    tokens: int
    step: int
    ends_step: bool = True


@dataclass(frozen=True, slots=True)
class Marker:
    """A `cache_control` that may write the prefix ending at `positions[position]`."""

    position: int
    ttl: Ttl


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePrompt:
    """A request as the cache sees it; markers in prompt order, `total_tokens` with what follows the last block."""

    positions: tuple[Position, ...]
    markers: tuple[Marker, ...]
    total_tokens: int
    minimum_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """The input tokens of one request in their four disjoint buckets."""

    read_tokens: int = 0
    write_1h_tokens: int = 0
    write_5m_tokens: int = 0
    plain_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """The whole prompt."""
        return self.read_tokens + self.write_1h_tokens + self.write_5m_tokens + self.plain_tokens

    def __add__(self, other: Charge) -> Charge:
        return Charge(
            read_tokens=self.read_tokens + other.read_tokens,
            write_1h_tokens=self.write_1h_tokens + other.write_1h_tokens,
            write_5m_tokens=self.write_5m_tokens + other.write_5m_tokens,
            plain_tokens=self.plain_tokens + other.plain_tokens,
        )


@dataclass(slots=True)
class Entry:
    """A cached prefix: its lifetime, when it ends, and the moment from which others can read it."""

    ttl: Ttl
    expires_at: float
    visible_from: tuple[float, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """What one request found and is charged, and what it will write once its answer begins."""

    charge: Charge
    hit: int | None
    started_at: float
    writes: tuple[tuple[bytes, Ttl], ...]


class PromptCache:
    """All entries of one emulated server. Scopes need no separation: they are part of every digest."""

    def __init__(self, settings: CacheSettings | None = None, *, draw: Callable[[], float] | None = None) -> None:
        """Start empty. `draw` gives numbers in [0, 1) for `hit_probability`; without it every live entry is found."""
        self._settings = settings or CacheSettings()
        self._draw = draw
        self._entries: dict[bytes, Entry] = {}
        self._next_sweep_at = float("-inf")

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        """Forget every entry."""
        self._entries.clear()

    def look_up(self, prompt: CachePrompt, *, now: float, order: int = 0) -> Lookup:
        """Charge a request that starts at `now`, and renew what it reads.

        `order` breaks ties between moments that the clock cannot tell apart: an entry is visible to a request only if
        its writer's answer began at or before (`now`, `order`).
        """
        self._sweep(now)
        eligible = [m for m in prompt.markers if prompt.positions[m.position].tokens >= prompt.minimum_tokens]
        hit = self._longest_hit(prompt, eligible, (now, order))
        if hit is not None:
            self._renew(prompt, hit, eligible, now)
        return Lookup(
            charge=_charge(prompt, eligible, hit),
            hit=hit,
            started_at=now,
            writes=tuple(self._writes(prompt, eligible, hit, now)),
        )

    def commit(self, lookup: Lookup, *, first_byte_at: float, order: int = 0) -> None:
        """Make what `lookup` writes visible from the moment its answer begins; its lifetime runs from its start."""
        for digest, ttl in lookup.writes:
            expires_at = lookup.started_at + LIFETIME_S[ttl]
            entry = self._entries.get(digest)
            if entry is None or not self._is_live(entry, first_byte_at):
                self._entries[digest] = Entry(ttl=ttl, expires_at=expires_at, visible_from=(first_byte_at, order))
                continue
            entry.visible_from = min(entry.visible_from, (first_byte_at, order))
            if expires_at >= entry.expires_at:
                entry.ttl, entry.expires_at = ttl, expires_at

    def charge(self, prompt: CachePrompt, *, now: float, first_byte_at: float | None = None) -> Charge:
        """Look up and commit in one step, for callers that know when the answer began (default: at once)."""
        lookup = self.look_up(prompt, now=now)
        self.commit(lookup, first_byte_at=now if first_byte_at is None else first_byte_at)
        return lookup.charge

    def warm(self, prompt: CachePrompt, position: int, *, now: float, ttl: Ttl = "5m") -> None:
        """Put the prefix ending at `position` in the cache as if an earlier request had written it at `now`."""
        digest = prompt.positions[position].digest
        self._entries[digest] = Entry(ttl=ttl, expires_at=now + LIFETIME_S[ttl], visible_from=(float("-inf"), 0))

    def _longest_hit(self, prompt: CachePrompt, eligible: list[Marker], moment: tuple[float, int]) -> int | None:
        for marker in reversed(eligible):
            for index in self._window(prompt.positions, marker.position):
                entry = self._entries.get(prompt.positions[index].digest)
                if entry is not None and entry.visible_from <= moment and self._is_found(entry, moment[0]):
                    return index
        return None

    def _window(self, positions: tuple[Position, ...], last: int) -> Iterator[int]:
        """Yield the indexes that a breakpoint at `last` tests, from itself towards the front."""
        yield last
        floor = positions[last].step - LOOKBACK_POSITIONS
        for index in range(last - 1, -1, -1):
            position = positions[index]
            if position.step <= floor:
                return
            if position.ends_step or self._settings.test_inside_runs:
                yield index

    def _is_live(self, entry: Entry, now: float) -> bool:
        return now < entry.expires_at + self._settings.extra_lifetime_s

    def _is_found(self, entry: Entry, now: float) -> bool:
        if not self._is_live(entry, now):
            return False
        return self._draw is None or self._draw() < self._settings.hit_probability

    def _renew(self, prompt: CachePrompt, hit: int, eligible: list[Marker], now: float) -> None:
        path = range(hit + 1) if self._settings.refresh_ancestors else range(hit, hit + 1)
        for index in path:
            entry = self._entries.get(prompt.positions[index].digest)
            if entry is not None and self._is_live(entry, now):
                entry.expires_at = max(entry.expires_at, now + LIFETIME_S[entry.ttl])
        if self._settings.one_hour_hit_upgrades and Marker(hit, "1h") in eligible:
            entry = self._entries[prompt.positions[hit].digest]
            entry.ttl, entry.expires_at = "1h", now + LIFETIME_S["1h"]

    def _writes(
        self, prompt: CachePrompt, eligible: list[Marker], hit: int | None, now: float
    ) -> Iterator[tuple[bytes, Ttl]]:
        for marker in eligible:
            digest = prompt.positions[marker.position].digest
            if hit is None or marker.position > hit:
                yield digest, marker.ttl
            elif self._settings.rewrite_expired_below_hit:
                entry = self._entries.get(digest)
                if entry is None or not self._is_live(entry, now):
                    yield digest, marker.ttl

    def _sweep(self, now: float) -> None:
        """Drop dead entries once a lifetime, so that a long-running server does not grow without end."""
        if now < self._next_sweep_at:
            return
        self._next_sweep_at = now + LIFETIME_S["1h"]
        self._entries = {key: entry for key, entry in self._entries.items() if self._is_live(entry, now)}


def _charge(prompt: CachePrompt, eligible: list[Marker], hit: int | None) -> Charge:
    """Bill by the positions A (highest hit), B (highest 1h marker after A) and C (last marker): section 5.3."""
    tokens = [(prompt.positions[marker.position].tokens, marker.ttl) for marker in eligible]
    a = 0 if hit is None else prompt.positions[hit].tokens
    b = max((count for count, ttl in tokens if ttl == "1h" and count > a), default=a)
    c = max((count for count, _ in tokens), default=a)
    c = max(b, c)
    return Charge(read_tokens=a, write_1h_tokens=b - a, write_5m_tokens=c - b, plain_tokens=prompt.total_tokens - c)
