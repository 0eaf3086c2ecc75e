"""The prefix guard: before a call goes out, what was sent before should stand in front of it, byte for byte.

Compares two layouts of one conversation by their chained digests: one comparison when nothing moved, and when
something did, a bisection to the first block that is another. It says where, why and what that costs; whether that is
a notice or an error is for the runner to decide.

What the API itself leaves out later on (thinking of earlier turns, on models that strip it) is no move: nobody who
writes prompts can help it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from agentcache.prompt.blocks import UNMARKABLE_KINDS, Block
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.layout import Layout, Level
from agentcache.prompt.model_facts import ModelFacts, Ttl, facts_for
from agentcache.prompt.plans import Plan
from agentcache.prompt.sections import Stability
from agentcache.runtime.sent_prefix import SentPrefix

Cause: TypeAlias = Literal[
    "model_changed", "tools_changed", "system_changed", "messages_changed", "output_format_changed", "thinking_changed"
]

_CAUSES: dict[Level, Cause] = {
    "tools": "tools_changed",
    "system": "system_changed",
    "messages": "messages_changed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Where a prefix is no longer what it was. `block`: index of the first block that the cache loses."""

    where: str
    """`tools[i]`, `system[i]`, `messages[i].content[j]`, or a setting: `model`, `output_config.format`, `thinking`."""
    cause: Cause
    block: int
    section: str | None = None
    layer: Stability | None = None

    def to_json(self) -> JsonObject:
        """Return the move as the ledger keeps it."""
        layer = None if self.layer is None else self.layer.value
        return {"where": self.where, "cause": self.cause, "section": self.section, "layer": layer}

    def named(self) -> str:
        """Return the place in words, with its section and layer."""
        if self.layer is None or self.where.startswith("messages"):
            return self.where
        named = f"section {self.section!r}, " if self.section else ""
        return f"{self.where} ({named}{self.layer.value} layer)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What a move costs: cached tokens that must be written again, and that in dollars beyond reading them.

    `usd` is `None` for a model without prices.
    """

    tokens: int
    usd: Decimal | None

    def to_json(self) -> JsonObject:
        """Return the loss as the ledger keeps it."""
        return {"lost_tokens": self.tokens, "lost_usd": None if self.usd is None else str(self.usd)}

    def words(self) -> str:
        """Return the loss as part of a sentence."""
        priced = "" if self.usd is None else f" (${self.usd:.6f} more than reading them)"
        return f"{self.tokens:,} cached tokens behind it are written again{priced}"


def first_moved(before: Layout, now: Layout) -> int | None:
    """Return the index of the first block at which `now` does not go on as `before`; `None` when it extends it."""
    old, new = before.blocks, now.blocks
    if not old or (len(new) >= len(old) and new[len(old) - 1].prefix_digest == old[-1].prefix_digest):
        return None
    # Digests are chained: equal up to the move, different from there on.
    return bisect_left(
        range(min(len(old), len(new))), True, key=lambda at: old[at].prefix_digest != new[at].prefix_digest
    )


def find_move(before: Layout, now: Layout, *, intended: Collection[str] = ()) -> Moved | None:
    """Return how the prefix moved between two calls, or `None`.

    intended: names of sections that were rewritten on purpose. A move that they explain is none; the messages behind
    them, which are written anew in any case, are not looked at then.
    """
    first = first_moved(before, now)
    if first is None:
        return None
    if facts_for(before.model).canonical != facts_for(now.model).canonical:
        return Moved(where="model", cause="model_changed", block=0)
    if intended:
        block = _unintended(before, now, intended)
        return None if block is None else _moved(block, first)
    setting = _setting(before, now, first)
    if setting is not None:
        return setting
    if first < len(now.blocks):
        old, new = before.blocks[first], now.blocks[first]
        if old.digest == new.digest and old.kind in UNMARKABLE_KINDS:
            return None
        return _moved(min(old, new, key=_place), first)
    return _moved(before.blocks[first], first)


def loss(sent: SentPrefix, moved: Moved, plan: Plan, now: Layout, facts: ModelFacts, *, at_s: float) -> Loss:
    """Return what a move costs at `at_s`: what could have been read, less what is still read in front of the move."""
    tokens = sent.live_tokens(at_s=at_s) - sent.live_tokens(at_s=at_s, before_block=moved.block)
    prices = facts.prices_for(prompt_tokens=now.total_tokens)
    if prices is None:
        return Loss(tokens=tokens, usd=None)
    again: dict[Ttl | None, Decimal] = {None: prices.input_usd, "5m": prices.write_5m_usd, "1h": prices.write_1h_usd}
    ttl = plan.kept[-1].ttl if plan.kept else None
    return Loss(tokens=tokens, usd=(again[ttl] - prices.read_usd) * tokens / 1_000_000)


def _setting(before: Layout, now: Layout, first: int) -> Moved | None:
    """Return the setting whose change moved the prefix: one that the API renders where a level begins."""
    for level in ("system", "messages"):
        (old, start), (new, own_start) = before.sources.starts[level], now.sources.starts[level]
        if first < start or start != own_start:
            return None
        if old != new and level == "system":
            return Moved(where="output_config.format", cause="output_format_changed", block=start)
        if old != new:
            return Moved(where="thinking", cause="thinking_changed", block=start)
    return None


def _unintended(before: Layout, now: Layout, intended: Collection[str]) -> Block | None:
    """Return the first block of tools and system that is another, those of the intended sections apart."""
    old, new = (
        [block for block in layout.blocks[: layout.messages_start] if block.section not in intended]
        for layout in (before, now)
    )
    for was, now_is in zip(old, new, strict=False):
        if (was.level, was.digest) != (now_is.level, now_is.digest):
            return min(was, now_is, key=_place)
    return _next(old, len(new)) or _next(new, len(old))


def _next(blocks: Sequence[Block], at: int) -> Block | None:
    return blocks[at] if at < len(blocks) else None


_LEVELS: tuple[Level, ...] = ("tools", "system", "messages")


def _place(block: Block) -> tuple[int, int, int]:
    return _LEVELS.index(block.level), block.index, block.content_index or 0


def _moved(block: Block, first: int) -> Moved:
    return Moved(
        where=block.where, cause=_CAUSES[block.level], block=first, section=block.section, layer=block.stability
    )
