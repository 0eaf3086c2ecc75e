"""What the cache hashes: a request as a chain of positions with digests and token counts.

The order is tools, system, messages. Each level starts with a salt: the settings of the request that the API renders
there, so that a change loses that level and those behind it and spares those before (sections 1.2 and 1.3). It decides
what is rendered; how long a block is, a counter decides; what is found and charged, `prompt_cache`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from agentcache.emulator.cache_settings import CacheSettings
from agentcache.emulator.json_values import JsonObject, JsonValue, canonical_block, compact, digest
from agentcache.emulator.prompt_cache import CachePrompt, Marker, Position
from agentcache.emulator.request import Message, MessagesRequest, Place
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Who asks: organisations never share a cache, workspaces do where the platform does not isolate them."""

    organization: str = "org-emulator"
    workspace: str = "default"


class PromptReader:
    """Turns accepted requests into `CachePrompt`s; remembers how long each block is by its digest."""

    def __init__(self, settings: CacheSettings | None = None, *, counter: PromptCounter = token_estimate) -> None:
        """Read under `settings`; `counter` says how long blocks and what stands between them are."""
        self._settings = settings or CacheSettings()
        self._counter = counter
        self._tokens: dict[bytes, int] = {}

    def read(self, request: MessagesRequest, scope: Scope, *, total_tokens: int | None = None) -> CachePrompt:
        """Return `request` as the cache sees it.

        `total_tokens` is the length of the whole prompt where it is known (a recorded response): estimated positions
        are then stretched to it in proportion.
        """
        chain = _Chain(_scope_digest(request, scope, self._settings), collapse=self._settings.collapses_runs())
        self._read_tools(chain, request)
        self._read_system(chain, request)
        unkeyed_tokens = self._read_messages(chain, request)
        total = chain.tokens + unkeyed_tokens + self._counter.closing_tokens(request.facts)
        positions = chain.positions
        if total_tokens is not None:
            positions, total = _stretched(positions, total, total_tokens), total_tokens
        minimum = self._settings.minimum_tokens.get(request.facts.canonical, request.facts.minimum_prefix_tokens)
        return CachePrompt(
            positions=tuple(positions),
            markers=tuple(Marker(chain.places[marker.place], marker.ttl) for marker in request.markers),
            total_tokens=total,
            minimum_tokens=minimum,
        )

    def _read_tools(self, chain: _Chain, request: MessagesRequest) -> None:
        chain.start_level(b"tools", _ahead_salt(request, self._settings))
        if request.tools:
            chain.tokens += self._counter.tool_prompt_tokens(request.facts)
        for index, tool in enumerate(request.tools):
            if not _is_deferred(tool) and not _is_system_level(tool):
                self._add(chain, ("tools", index, 0), b"tool", tool, request.facts)

    def _read_system(self, chain: _Chain, request: MessagesRequest) -> None:
        chain.start_level(b"system", _system_salt(request, self._settings))
        chain.tokens += self._format_tokens(request)
        for index, tool in enumerate(request.tools):
            if _is_system_level(tool) and not _is_deferred(tool):
                self._add(chain, ("tools", index, 0), b"tool", tool, request.facts)
        for index, block in enumerate(request.system):
            self._add(chain, ("system", index, 0), b"system", block, request.facts)

    def _read_messages(self, chain: _Chain, request: MessagesRequest) -> int:
        """Add all messages; return the tokens that are sent but are in no key."""
        chain.start_level(b"messages", _message_salt(request, self._settings))
        chain.tokens += self._forced_tool_tokens(request)
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
        wanted = _output_config(request).get("format")
        schema = wanted.get("schema") if isinstance(wanted, dict) else None
        return self._counter.output_format_tokens(schema, request.facts) if isinstance(schema, dict) else 0

    def _forced_tool_tokens(self, request: MessagesRequest) -> int:
        """Return what the hidden tool prompt grows by when a tool is forced; it moves with the messages level."""
        choice = request.body.get("tool_choice")
        if not request.tools or not isinstance(choice, dict) or choice.get("type") not in {"any", "tool"}:
            return 0
        facts = request.facts
        return self._counter.tool_prompt_tokens(facts, forced=True) - self._counter.tool_prompt_tokens(facts)

    def _scoped_tokens(self, request: MessagesRequest, index: int) -> int:
        """Return the tokens of a turn-scoped system message, which is shown until the next user message."""
        if any(message.role == "user" for message in request.messages[index + 1 :]):
            return 0
        return sum(self._length(block, request.facts) for block in request.messages[index].blocks)

    def _add(self, chain: _Chain, place: Place, role: bytes, block: JsonObject, facts: ModelFacts) -> None:
        text = canonical_block(block).encode()
        key = digest(text)
        chain.add(place, role, key, str(block.get("type", "")), self._known_length(key, block, facts))

    def _expand(self, chain: _Chain, tool: JsonObject, facts: ModelFacts) -> None:
        """Render a deferred tool where a `tool_reference` found it: part of that position (K11)."""
        text = canonical_block(tool).encode()
        key = digest(text)
        chain.extend_last(key, self._known_length(key, tool, facts))

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
        self._kind = ""

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


def _scope_digest(request: MessagesRequest, scope: Scope, settings: CacheSettings) -> bytes:
    parts = [settings.platform, scope.organization, request.facts.canonical]
    if settings.isolates_workspaces():
        parts.append(scope.workspace)
    if settings.beta_headers_in_key:
        parts.extend(sorted(request.betas))
    if settings.inference_geo_in_key:
        parts.append(compact(request.body.get("inference_geo")))
    return digest(*(part.encode() for part in parts))


def thinking_in_key(request: MessagesRequest) -> list[JsonValue]:
    """Return the resolved thinking mode with its budget, and the resolved effort: what the API renders of them.

    A default written out equals a default left out; `display` is no part of the prompt.
    """
    thinking = request.body.get("thinking")
    mode: JsonValue = "adaptive" if request.facts.thinking_always_on else "disabled"
    budget: JsonValue = None
    if isinstance(thinking, dict):
        mode, budget = thinking.get("type"), thinking.get("budget_tokens")
    effort = _output_config(request).get("effort") or request.facts.default_effort
    return [mode, budget, effort]


def _ahead_salt(request: MessagesRequest, settings: CacheSettings) -> str:
    return compact(thinking_in_key(request) if request.facts.canonical in settings.render_ahead_models else [])


def _system_salt(request: MessagesRequest, settings: CacheSettings) -> str:
    body = request.body
    container = body.get("container")
    skills = container.get("skills") if isinstance(container, dict) else None
    cited = any(_cites(block) for message in request.messages for block in message.blocks)
    return compact(
        [
            _ahead_salt(request, settings),
            body.get("speed") or "standard",
            _output_config(request).get("format"),
            skills,
            cited,
        ]
    )


def _message_salt(request: MessagesRequest, settings: CacheSettings) -> str:
    choice = request.body.get("tool_choice")
    choice = choice if isinstance(choice, dict) else {}
    pictured = settings.image_switch and any(_has_image(message) for message in request.messages)
    return compact(
        [
            choice.get("type", "auto"),
            choice.get("name"),
            bool(choice.get("disable_parallel_tool_use")),
            pictured,
            thinking_in_key(request),
            _output_config(request).get("task_budget"),
        ]
    )


def _output_config(request: MessagesRequest) -> JsonObject:
    config = request.body.get("output_config")
    return config if isinstance(config, dict) else {}


def _is_deferred(tool: JsonObject) -> bool:
    return tool.get("defer_loading") is True


def _is_system_level(tool: JsonObject) -> bool:
    return str(tool.get("type", "")).startswith(_SYSTEM_LEVEL_TOOLS)


def _cites(block: JsonObject) -> bool:
    citations = block.get("citations")
    return isinstance(citations, dict) and citations.get("enabled") is True


def _has_image(message: Message) -> bool:
    return any(inner.get("type") == "image" for block in message.blocks for inner in _with_nested(block))


def _with_nested(block: JsonObject) -> Iterator[JsonObject]:
    yield block
    content = block.get("content")
    if isinstance(content, list):
        yield from (item for item in content if isinstance(item, dict))


def _expanded(block: JsonObject, deferred: dict[str, JsonObject]) -> Iterator[JsonObject]:
    if not deferred:
        return
    for item in _with_nested(block):
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
