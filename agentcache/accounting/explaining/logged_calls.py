"""A call as `explain` sees it: its blocks in prompt order, its markers, its times and its bill.

Text and a single text block are one; `cache_control` is no part of a block; key order counts inside `input_schema` and
`input` only (as in prompt.blocks). Knows nothing of other calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from agentcache.accounting.usage import BilledPart
from agentcache.prompt.blocks import COLLAPSED_KINDS, block_digest, is_markable
from agentcache.prompt.canonical import JsonObject, JsonValue, canonical_json
from agentcache.prompt.model_facts import TTL_SECONDS, ModelFacts, Ttl, facts_for
from agentcache.prompt.token_estimate import block_tokens

Level = Literal["tools", "system", "messages"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedBlock:
    """One block of a prompt. message: index of its message, 0 for tools and system. position: of the look-back."""

    where: str
    level: Level
    message: int
    role: str | None
    value: JsonObject
    digest: str
    position: int
    mark: Ttl | None

    @property
    def kind(self) -> str:
        """The block's `type`; `tool` for a tool that names none."""
        kind = self.value.get("type")
        return kind if isinstance(kind, str) else "tool"

    @property
    def text(self) -> str:
        """The text of a text block, or of what a tool result holds; empty for anything else."""
        return text_of(self.value)


@dataclass(frozen=True, kw_only=True)
class LoggedCall:
    """One call of a log. Times are seconds on one clock. Token counts are `None` where the log has no usage."""

    index: int
    at_s: float
    first_token_at_s: float
    agent: str | None = None
    run: str | None = None
    conversation: str | None = None
    request: JsonObject
    headers: Mapping[str, str] = field(default_factory=dict)
    """By lower-case name."""
    bill: BilledPart | None = None
    """What the reply says that it cost."""
    reply: str = ""
    """The text of the reply, where the log has it."""

    @property
    def read_tokens(self) -> int | None:
        """Tokens read from the cache."""
        return None if self.bill is None else self.bill.usage.cache_read_tokens

    @property
    def written_tokens(self) -> int | None:
        """Tokens written to the cache, with either lifetime."""
        return None if self.bill is None else self.bill.usage.cache_write_tokens

    @cached_property
    def blocks(self) -> tuple[LoggedBlock, ...]:
        """Tools, system and messages, in prompt order."""
        return _blocks(self.request)

    @cached_property
    def head(self) -> tuple[LoggedBlock, ...]:
        """Tools and system."""
        return tuple(block for block in self.blocks if block.level != "messages")

    @cached_property
    def messages(self) -> tuple[LoggedBlock, ...]:
        """The blocks of the messages."""
        return self.blocks[len(self.head) :]

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """The identity of each block, in prompt order."""
        return tuple(block.digest for block in self.blocks)

    @cached_property
    def chain(self) -> tuple[int, ...]:
        """A hash of all blocks up to and including each: equal prompts have equal ones, others hardly ever."""
        ends, end = [], 0
        for digest in self.digests:
            end = hash((end, digest))
            ends.append(end)
        return tuple(ends)

    @property
    def model(self) -> str:
        """The model asked for; empty when the request names none."""
        model = self.request.get("model")
        return model if isinstance(model, str) else ""

    @cached_property
    def facts(self) -> ModelFacts:
        """What is known about the model."""
        return facts_for(self.model)

    @cached_property
    def automatic(self) -> bool:
        """Whether the request asks for automatic caching."""
        return isinstance(self.request.get("cache_control"), dict)

    @cached_property
    def marked(self) -> tuple[int, ...]:
        """Indices of the blocks that carry a marker, the automatic one included, in prompt order."""
        found = [index for index, block in enumerate(self.blocks) if block.mark is not None]
        automatic = self.automatic_at
        if automatic is not None and automatic not in found:
            found.append(automatic)
        return tuple(sorted(found))

    @cached_property
    def automatic_at(self) -> int | None:
        """The block on which automatic caching lands: the last that takes a marker."""
        if not self.automatic:
            return None
        last = [index for index, block in enumerate(self.blocks) if is_markable(block.value)]
        return last[-1] if last else None

    @cached_property
    def head_marked(self) -> tuple[int, ...]:
        """The markers on tools and system."""
        return tuple(index for index in self.marked if index < len(self.head))

    def lifetime_s(self, index: int) -> float:
        """How long the entry written at block `index` lives, in seconds."""
        mark = self.blocks[index].mark
        if mark is None:
            control = self.request.get("cache_control")
            mark = _lifetime(control) or "5m"
        return TTL_SECONDS[mark]

    @cached_property
    def prefix_tokens(self) -> tuple[int, ...]:
        """Estimated tokens up to and including each block."""
        total, ends = 0, []
        for block in self.blocks:
            total += block_tokens(block.value, self.facts)
            ends.append(total)
        return tuple(ends)

    @property
    def cached_tokens(self) -> int | None:
        """Tokens that the cache held of this prompt once it was sent: read and written."""
        if self.read_tokens is None or self.written_tokens is None:
            return None
        return self.read_tokens + self.written_tokens

    @property
    def is_warm_up(self) -> bool:
        """Whether the call asked for no answer: a warm-up or a keep-alive."""
        return self.request.get("max_tokens") == 0


def common_blocks(one: LoggedCall, other: LoggedCall) -> int:
    """Return how many blocks the two prompts have in common from their start."""
    count = 0
    for mine, theirs in zip(one.digests, other.digests, strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def text_of(value: Mapping[str, JsonValue]) -> str:
    """Return the text of a text block or of the texts inside its content."""
    text, content = value.get("text"), value.get("content")
    if isinstance(text, str):
        return text
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(text_of(item) for item in content if isinstance(item, dict))
    return ""


def content_blocks(content: JsonValue) -> list[JsonObject]:
    """Return content as blocks: a text is a single text block."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [item for item in content if isinstance(item, dict)] if isinstance(content, list) else []


def pictures(value: JsonValue) -> list[str]:
    """Return every picture in a block, those inside a tool result too."""
    if isinstance(value, list):
        return [found for item in value for found in pictures(item)]
    if not isinstance(value, dict):
        return []
    own = [canonical_json(value)] if value.get("type") == "image" else []
    return own + pictures(value.get("content"))


def _blocks(request: JsonObject) -> tuple[LoggedBlock, ...]:
    found: list[LoggedBlock] = []
    for index, tool in enumerate(content_blocks(request.get("tools"))):
        if tool.get("defer_loading") is not True:  # such a tool is rendered once it is found, in the messages
            _append(found, tool, f"tools[{index}]", "tools", 0, None)
    for index, block in enumerate(content_blocks(request.get("system"))):
        _append(found, block, f"system[{index}]", "system", 0, None)
    messages = request.get("messages")
    for index, message in enumerate(messages if isinstance(messages, list) else []):
        if isinstance(message, dict):
            role = message.get("role")
            for place, block in enumerate(content_blocks(message.get("content"))):
                where = f"messages[{index}].content[{place}]"
                _append(found, block, where, "messages", index, role if isinstance(role, str) else None)
    return tuple(found)


def _append(
    found: list[LoggedBlock], block: JsonObject, where: str, level: Level, message: int, role: str | None
) -> None:
    bare = {key: value for key, value in block.items() if key != "cache_control"}
    if bare.get("type") == "tool_result" and isinstance(bare.get("content"), str):
        bare["content"] = [{"type": "text", "text": bare["content"]}]
    last = found[-1] if found else None
    same_run = last is not None and last.kind == bare.get("type") and last.kind in COLLAPSED_KINDS
    position = 0 if last is None else last.position + (0 if same_run else 1)
    found.append(
        LoggedBlock(
            where=where,
            level=level,
            message=message,
            role=role,
            value=bare,
            digest=block_digest(bare, role or level),
            position=position,
            mark=_lifetime(block.get("cache_control")),
        )
    )


def _lifetime(control: JsonValue) -> Ttl | None:
    if not isinstance(control, dict):
        return None
    return "1h" if control.get("ttl") == "1h" else "5m"
