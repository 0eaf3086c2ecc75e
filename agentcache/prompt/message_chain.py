"""Messages that know their digests: each digest chains that of the messages before it and the message's exact bytes.

Two histories that begin alike share the digests of what they share, so a store keeps every message once, whatever
number of conversations and forks have it. Pure; what a message means is no business of this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from agentcache.prompt.canonical import ROOT_DIGEST, JsonObject, chain, digest, json_text


def message_text(message: JsonObject) -> str:
    """Return a message as the compact JSON that the wire carries, in text that UTF-8 has bytes for.

    Half of a surrogate pair, which a model can say and UTF-8 cannot, is JSON's escape for it.
    """
    return json_text(message).encode(errors="backslashreplace").decode()


def message_digest(parent: str, message: JsonObject) -> str:
    """Return the digest of a history that ends with `message`, given that of the messages before it.

    The order of keys counts, as it does for the cache. Raises `ValueError` or `TypeError` for what JSON cannot say.
    """
    return chain(parent, digest(message_text(message)))


@dataclass(frozen=True, slots=True)
class MessageNode:
    """One message of a history. `depth` counts from 1; the `parent` of the first is `ROOT_DIGEST`."""

    digest: str
    parent: str
    depth: int
    message: JsonObject


@dataclass(frozen=True, slots=True)
class MessageChain(Sequence[JsonObject]):
    """A history with the digest of each of its beginnings. A sequence of its messages, which nobody may change."""

    messages: tuple[JsonObject, ...] = ()
    digests: tuple[str, ...] = ()

    @classmethod
    def of(cls, messages: Sequence[JsonObject]) -> MessageChain:
        """Return `messages` as a chain. Raises as `message_digest` does."""
        return messages if isinstance(messages, MessageChain) else cls().grown_to(messages)

    @property
    def head(self) -> str:
        """The digest of the whole history; `ROOT_DIGEST` for an empty one."""
        return self.digests[-1] if self.digests else ROOT_DIGEST

    def grown_to(self, messages: Sequence[JsonObject]) -> MessageChain:
        """Return the chain of `messages`; those of its beginning that are this chain's own are not digested again."""
        same = 0
        for mine, theirs in zip(self.messages, messages, strict=False):
            if mine is not theirs:
                break
            same += 1
        digests = list(self.digests[:same])
        for message in messages[same:]:
            digests.append(message_digest(digests[-1] if digests else ROOT_DIGEST, message))
        return MessageChain(tuple(messages), tuple(digests))

    def first(self, count: int) -> MessageChain:
        """Return the chain of the first `count` messages."""
        return MessageChain(self.messages[:count], self.digests[:count])

    def begins_with(self, head: str, depth: int) -> bool:
        """Tell whether the history of this digest and length is this one's beginning."""
        return depth == 0 or (depth <= len(self.digests) and self.digests[depth - 1] == head)

    def nodes(self, after: int = 0) -> Iterator[MessageNode]:
        """Yield the nodes of the messages behind the first `after`."""
        for index in range(after, len(self.messages)):
            parent = self.digests[index - 1] if index else ROOT_DIGEST
            yield MessageNode(self.digests[index], parent, index + 1, self.messages[index])

    def __len__(self) -> int:
        return len(self.messages)

    @overload
    def __getitem__(self, index: int) -> JsonObject: ...
    @overload
    def __getitem__(self, index: slice[int | None, int | None, int | None]) -> tuple[JsonObject, ...]: ...
    def __getitem__(
        self, index: int | slice[int | None, int | None, int | None]
    ) -> JsonObject | tuple[JsonObject, ...]:
        return self.messages[index]
