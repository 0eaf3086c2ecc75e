"""What the cache hashes: a request as a chain of positions with digests and token counts.

The order is tools, system, messages, each level after its salt (`level_salts`). It decides which blocks are rendered
and which share a look-back position; how long a block is, a counter decides; what is found and charged, `prompt_cache`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agentcache.emulator.cache_settings import CacheSettings
from agentcache.emulator.json_values import JsonObject, canonical_block, digest
from agentcache.emulator.level_salts import (
    Scope,
    messages_salt,
    output_config,
    scope_digest,
    system_salt,
    tools_salt,
    with_nested,
)
from agentcache.emulator.prompt_cache import CachePrompt, Marker, Position
from agentcache.emulator.request import MessagesRequest, Place
from agentcache.prompt import token_estimate
from agentcache.prompt.model_facts import ModelFacts


class PromptCounter(Protocol):
    """Says how long the parts of a prompt are; `token_estimate` is one."""

    def block_tokens(self, block: JsonObject, facts: ModelFacts) -> int:
        """Return the tokens of one tool definition, system block or content block."""
        ...

    def message_tokens(self, role: str, facts: ModelFacts) -> int:
        """Return what opening a turn of `role` adds."""
        ...

    def closing_tokens(self, facts: ModelFacts) -> int:
        """Return what stands behind the last block, where the answer begins: never cached."""
        ...

    def tool_prompt_tokens(self, facts: ModelFacts, *, forced: bool = False) -> int:
        """Return the hidden prompt that comes with any tool; `forced` for `tool_choice` any or tool."""
        ...

    def output_format_tokens(self, schema: JsonObject, facts: ModelFacts) -> int:
        """Return what a structured output format adds to the system prompt."""
        ...


_RUNS = frozenset({"tool_use", "tool_result"})
_THINKING = frozenset({"thinking", "redacted_thinking"})

# Tools that the API renders with the system prompt: switching them on or off spares the tools level (1.2, 1.3).
_SYSTEM_LEVEL_TOOLS = ("web_search_", "web_fetch_")

_MEMO_LIMIT = 200_000

__all__ = ["PlacedPrompt", "PromptCounter", "PromptReader", "Scope"]


@dataclass(frozen=True, slots=True)
class PlacedPrompt:
    """A prompt, and the index of each block's position by its place in the request."""

    prompt: CachePrompt
    places: Mapping[Place, int]


class PromptReader:
    """Turns accepted requests into `CachePrompt`s; remembers how long each block is by its digest."""

    def __init__(
        self,
        settings: CacheSettings | None = None,
        *,
        counter: PromptCounter = token_estimate,
        remembers_objects: bool = False,
    ) -> None:
        """Read under `settings`; `counter` says how long blocks and what stands between them are.

        `remembers_objects` is for callers that hand in the same block objects call after call and never change them:
        each is then hashed once, and a growing conversation costs what it adds.
        """
        self._settings = settings or CacheSettings()
        self._counter = counter
        self._tokens: dict[bytes, int] = {}
        self._objects: dict[int, tuple[JsonObject, bytes]] | None = {} if remembers_objects else None

    def read(self, request: MessagesRequest, scope: Scope, *, total_tokens: int | None = None) -> CachePrompt:
        """Return `request` as the cache sees it; see `read_placed`."""
        return self.read_placed(request, scope, total_tokens=total_tokens).prompt

    def read_placed(self, request: MessagesRequest, scope: Scope, *, total_tokens: int | None = None) -> PlacedPrompt:
        """Return `request` as the cache sees it, and which position each block is.

        `total_tokens` is the length of the whole prompt where it is known (a recorded response): estimated positions
        are then stretched to it in proportion.
        """
        chain = _Chain(scope_digest(request, scope, self._settings), collapse=self._settings.collapses_runs())
        self._read_tools(chain, request)
        self._read_system(chain, request)
        unkeyed_tokens = self._read_messages(chain, request)
        total = chain.tokens + unkeyed_tokens + self._counter.closing_tokens(request.facts)
        positions = chain.positions
        if total_tokens is not None:
            positions, total = _stretched(positions, total, total_tokens), total_tokens
        minimum = self._settings.minimum_tokens.get(request.facts.canonical, request.facts.minimum_prefix_tokens)
        prompt = CachePrompt(
            positions=tuple(positions),
            markers=tuple(Marker(chain.places[marker.place], marker.ttl) for marker in request.markers),
            total_tokens=total,
            minimum_tokens=minimum,
        )
        return PlacedPrompt(prompt, chain.places)

    def _read_tools(self, chain: _Chain, request: MessagesRequest) -> None:
        chain.start_level(b"tools", tools_salt(request, self._settings))
        if request.tools and self._settings.counts_tool_prompt_first():
            chain.tokens += self._counter.tool_prompt_tokens(request.facts)
        for index, tool in enumerate(request.tools):
            if not _is_deferred(tool) and not _is_system_level(tool):
                self._add(chain, ("tools", index, 0), b"tool", tool, request.facts)

    def _read_system(self, chain: _Chain, request: MessagesRequest) -> None:
        chain.start_level(b"system", system_salt(request, self._settings))
        chain.tokens += self._format_tokens(request)
        for index, tool in enumerate(request.tools):
            if _is_system_level(tool) and not _is_deferred(tool):
                self._add(chain, ("tools", index, 0), b"tool", tool, request.facts)
        for index, block in enumerate(request.system):
            self._add(chain, ("system", index, 0), b"system", block, request.facts)

    def _read_messages(self, chain: _Chain, request: MessagesRequest) -> int:
        """Add all messages; return the tokens that are sent but are in no key."""
        chain.start_level(b"messages", messages_salt(request, self._settings))
        chain.tokens += self._late_tool_tokens(request)
        deferred = {str(tool.get("name")): tool for tool in request.tools if _is_deferred(tool)}
        stripped_before = _last_spoken_turn(request) if not request.facts.keeps_all_thinking else 0
        unkeyed_tokens = 0
        previous_role = ""
        for index, message in enumerate(request.messages):
            if message.turn_scoped:
                unkeyed_tokens += self._scoped_tokens(request, index)
                continue
            if message.role != previous_role:
                chain.tokens += self._counter.message_tokens(message.role, request.facts)
                previous_role = message.role
            if message.effort is not None:
                chain.fold(b"effort " + message.effort.encode())
            for inner, block in enumerate(message.blocks):
                if block.get("type") in _THINKING and index < stripped_before:
                    continue
                self._add(chain, ("messages", index, inner), message.role.encode(), block, request.facts)
                for tool in _expanded(block, deferred):
                    self._expand(chain, tool, request.facts)
        return unkeyed_tokens

    def _format_tokens(self, request: MessagesRequest) -> int:
        wanted = output_config(request).get("format")
        schema = wanted.get("schema") if isinstance(wanted, dict) else None
        return self._counter.output_format_tokens(schema, request.facts) if isinstance(schema, dict) else 0

    def _late_tool_tokens(self, request: MessagesRequest) -> int:
        """Return what of the hidden tool prompt moves with the messages: what a forced tool adds, or all of it."""
        if not request.tools:
            return 0
        choice = request.body.get("tool_choice")
        forced = isinstance(choice, dict) and choice.get("type") in {"any", "tool"}
        whole = self._counter.tool_prompt_tokens(request.facts, forced=forced)
        early = self._counter.tool_prompt_tokens(request.facts) if self._settings.counts_tool_prompt_first() else 0
        return whole - early

    def _scoped_tokens(self, request: MessagesRequest, index: int) -> int:
        """Return the tokens of a turn-scoped system message, which is shown until the next user message."""
        if any(message.role == "user" for message in request.messages[index + 1 :]):
            return 0
        return sum(self._length(block, request.facts) for block in request.messages[index].blocks)

    def _add(self, chain: _Chain, place: Place, role: bytes, block: JsonObject, facts: ModelFacts) -> None:
        key, tokens = self._identified(block, facts)
        chain.add(place, role, key, str(block.get("type", "")), tokens)

    def _identified(self, block: JsonObject, facts: ModelFacts) -> tuple[bytes, int]:
        """Return the digest of a block and its length."""
        if self._objects is None:
            key = digest(canonical_block(block).encode())
            return key, self._known_length(key, block, facts)
        known = self._objects.get(id(block))
        if known is not None and known[0] is block:
            return known[1], self._known_length(known[1], block, facts)
        key = digest(canonical_block(block).encode())
        tokens = self._known_length(key, block, facts)
        self._objects[id(block)] = (block, key)
        return key, tokens

    def _expand(self, chain: _Chain, tool: JsonObject, facts: ModelFacts) -> None:
        """Render a deferred tool where a `tool_reference` found it: part of that position (K11)."""
        found = {name: value for name, value in tool.items() if name != "defer_loading"}
        key = digest(canonical_block(found).encode())
        chain.extend_last(key, self._known_length(key, found, facts))

    def _length(self, block: JsonObject, facts: ModelFacts) -> int:
        return self._known_length(digest(canonical_block(block).encode()), block, facts)

    def _known_length(self, key: bytes, block: JsonObject, facts: ModelFacts) -> int:
        memo_key = key + facts.tokenizer[:1].encode()
        tokens = self._tokens.get(memo_key)
        if tokens is None:
            if len(self._tokens) >= _MEMO_LIMIT:
                self._tokens.clear()
            bare = {name: value for name, value in block.items() if name != "cache_control"}
            tokens = self._tokens[memo_key] = self._counter.block_tokens(bare, facts)
        return tokens


@dataclass(slots=True)
class _Chain:
    """The prefix read so far: its digest, its tokens, its positions."""

    state: bytes
    collapse: bool
    tokens: int = 0
    positions: list[Position] = field(default_factory=list)
    places: dict[Place, int] = field(default_factory=dict)
    _step: int = 0
    _kind: str = ""

    def start_level(self, name: bytes, salt: str) -> None:
        self.state = digest(self.state, name, salt.encode())

    def fold(self, content: bytes) -> None:
        """Make `content` part of the key without a position of its own."""
        self.state = digest(self.state, content)

    def add(self, place: Place, role: bytes, key: bytes, kind: str, tokens: int) -> None:
        self.state = digest(self.state, role, key)
        self.tokens += tokens
        continues = self.collapse and kind in _RUNS and kind == self._kind
        if continues:
            last = self.positions[-1]
            self.positions[-1] = Position(last.digest, last.tokens, last.step, ends_step=False)
        else:
            self._step += 1
        self._kind = kind
        self.places[place] = len(self.positions)
        self.positions.append(Position(self.state, self.tokens, self._step))

    def extend_last(self, key: bytes, tokens: int) -> None:
        self.state = digest(self.state, b"expanded", key)
        self.tokens += tokens
        self.positions[-1] = Position(self.state, self.tokens, self._step)


def _is_deferred(tool: JsonObject) -> bool:
    return tool.get("defer_loading") is True


def _is_system_level(tool: JsonObject) -> bool:
    return str(tool.get("type", "")).startswith(_SYSTEM_LEVEL_TOOLS)


def _expanded(block: JsonObject, deferred: dict[str, JsonObject]) -> Iterator[JsonObject]:
    if not deferred:
        return
    for item in with_nested(block):
        content = item.get("content")
        references = content.get("tool_references") if isinstance(content, dict) else None
        for reference in [item, *(references if isinstance(references, list) else [])]:
            if isinstance(reference, dict) and reference.get("type") == "tool_reference":
                name = str(reference.get("tool_name"))
                if name in deferred:
                    yield deferred[name]


def _last_spoken_turn(request: MessagesRequest) -> int:
    """Return the index of the last user message that says more than tool results, 0 when there is none.

    Models that keep only the last turn's thinking drop every thinking block before it (1.2).
    """
    for index in range(len(request.messages) - 1, -1, -1):
        message = request.messages[index]
        if message.role == "user" and any(block.get("type") != "tool_result" for block in message.blocks):
            return index
    return 0


def _stretched(positions: list[Position], estimated: int, known: int) -> list[Position]:
    return [
        Position(position.digest, position.tokens * known // max(estimated, 1), position.step, position.ends_step)
        for position in positions
    ]
