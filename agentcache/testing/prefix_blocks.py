"""A request as the prefix guard sees it: its blocks in prompt order, each with its place and a digest.

It decides when two blocks are the same: as the cache does, so that markers, defaults written out and a text instead of
a text block make no difference. It does not know which requests belong together: `prefix_guard` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from agentcache.emulator.json_values import canonical_block, digest
from agentcache.prompt.canonical import JsonObject, JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptBlock:
    """One block of a request."""

    place: tuple[int, int, int]
    """Its level (0 model, 1 tools, 2 system, 3 messages), its index there, its index in the message's content."""
    role: str
    """`user`, `assistant` or `system` for blocks of messages, else empty."""
    digest: bytes
    text: str
    """What a reader would recognise it by: its text, or its JSON."""

    @property
    def where(self) -> str:
        """The place in words: `model`, `tools[i]`, `system[i]` or `messages[i].content[j]`."""
        level, index, inner = self.place
        return ("model", f"tools[{index}]", f"system[{index}]", f"messages[{index}].content[{inner}]")[level]

    @property
    def level(self) -> str:
        """`model`, `tools`, `system` or `messages`."""
        return ("model", "tools", "system", "messages")[self.place[0]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """One request to the model. `number` counts from 1 in the order in which requests were seen."""

    number: int
    agent: str | None
    conversation: str | None
    blocks: tuple[PromptBlock, ...]
    chain: tuple[bytes, ...]
    """For each block the digest of everything up to it."""
    opening: int
    """How many blocks stand before the first message: the model, the tools, the system prompt."""
    last_turn: int
    """How many blocks stand before what was said after the assistant's last turn."""
    answers: int
    """How many turns of the assistant it holds."""

    @property
    def name(self) -> str:
        """The request in words, e.g. `request 3 of 'support' in 'c-42'`."""
        of = f" of {self.agent!r}" if self.agent is not None else ""
        within = f" in {self.conversation!r}" if self.conversation is not None else ""
        return f"request {self.number}{of}{within}"

    @property
    def spoken(self) -> tuple[PromptBlock, ...]:
        """The blocks of the messages."""
        return self.blocks[self.opening :]

    def opens_like(self, other: SeenRequest) -> bool:
        """Tell whether both have the same model, tools and system prompt."""
        return self.opening == other.opening and self.begins_with(other, other.opening)

    def extends(self, other: SeenRequest, *, but_last_turn: bool = False) -> bool:
        """Tell whether this request begins with all of `other`, or with all that stands before its last turn."""
        length = other.last_turn if but_last_turn else len(other.blocks)
        return self.begins_with(other, length)

    def begins_with(self, other: SeenRequest, length: int) -> bool:
        """Tell whether this request begins with the first `length` blocks of `other`."""
        if length == 0:
            return True
        return len(self.chain) >= length and self.chain[length - 1] == other.chain[length - 1]


def seen_request(
    body: Mapping[str, JsonValue], *, number: int, agent: str | None = None, conversation: str | None = None
) -> SeenRequest:
    """Return the request with the Messages body `body`. What the cache never keys (turn-scoped notes) is left out."""
    opening = [_block((0, 0, 0), {"model": body.get("model")}), *_opening(body)]
    spoken = list(_spoken(body.get("messages")))
    answers = [index for index, block in enumerate(spoken) if block.role == "assistant"]
    blocks = (*opening, *spoken)
    return SeenRequest(
        number=number,
        agent=agent,
        conversation=conversation,
        blocks=blocks,
        chain=tuple(accumulate((block.digest for block in blocks), digest)),
        opening=len(opening),
        last_turn=len(opening) + (answers[-1] + 1 if answers else 0),
        answers=sum(index == 0 or spoken[index - 1].role != "assistant" for index in answers),
    )


def _opening(body: Mapping[str, JsonValue]) -> Iterator[PromptBlock]:
    tools = body.get("tools")
    for index, tool in enumerate(_objects(tools)):
        yield _block((1, index, 0), tool)
    for index, block in enumerate(_content(body.get("system"))):
        yield _block((2, index, 0), block)


def _spoken(messages: JsonValue) -> Iterator[PromptBlock]:
    for index, message in enumerate(_objects(messages)):
        if message.get("clear_at") == "next_user_message":
            continue
        for inner, block in enumerate(_content(message.get("content"))):
            yield _block((3, index, inner), block, role=str(message.get("role")))


def _block(place: tuple[int, int, int], block: JsonObject, *, role: str = "") -> PromptBlock:
    written = canonical_block(block)
    text = block.get("text")
    return PromptBlock(
        place=place,
        role=role,
        digest=digest(bytes(place[:1]), role.encode(), written.encode()),
        text=text if isinstance(text, str) else written,
    )


def _content(content: JsonValue) -> list[JsonObject]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else _objects(content)


def _objects(value: JsonValue) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
