"""A Messages request that passed every check, in the shape that the rest of the emulator reads.

It decides nothing: `validation` builds it. Strings that the API takes for one text block are blocks here, so that no
reader has to know both forms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from agentcache.emulator.json_values import JsonObject
from agentcache.prompt.model_facts import ModelFacts, Ttl

Level: TypeAlias = Literal["tools", "system", "messages"]

Place: TypeAlias = tuple[Level, int, int]
"""Where a block stands: level, index of the tool, system block or message, index of the content block (else 0)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One element of `messages`, its content as blocks."""

    role: str
    blocks: tuple[JsonObject, ...]
    turn_scoped: bool = False
    """A system message with `clear_at: "next_user_message"`: shown for one turn, never part of a cache key."""
    effort: str | None = None
    """Effort set from this message on, for system messages that carry `output_config`."""


@dataclass(frozen=True, slots=True)
class PlacedMarker:
    """A `cache_control` on the block at `place`; `automatic` when the top-level field put it there."""

    place: Place
    ttl: Ttl
    automatic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesRequest:
    """One accepted request to `/v1/messages` or `/v1/messages/count_tokens`."""

    body: JsonObject
    facts: ModelFacts
    tools: tuple[JsonObject, ...]
    system: tuple[JsonObject, ...]
    messages: tuple[Message, ...]
    markers: tuple[PlacedMarker, ...]
    betas: frozenset[str]
    max_tokens: int
    """`max_tokens` of the body; 0 for `count_tokens`, which has none."""
    stream: bool
    compacts: bool = False
    """Whether it asks for a summary of its messages and for nothing else."""

    @property
    def model(self) -> str:
        """The model name as the client wrote it."""
        return self.facts.model
