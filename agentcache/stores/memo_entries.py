"""What a memo keeps: one result of a tool, what it can be dropped by, and how it is written down.

Results are JSON with a tag that says which kind they are, read back through pydantic; nothing is ever pickled, so a
store that somebody else can write to can bring wrong results but runs no code.

Dropping leaves a trace: 256 counters, one of which a name (a tag, a tool, a tenant) belongs to. Who executes a tool
reads those of the names that its result will stand under, and the result is kept only if none has moved meanwhile. A
counter that two names share costs one more execution and never an old answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Literal, Protocol, TypeAlias

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from agentcache.errors import StoreError
from agentcache.prompt.canonical import JsonObject, json_text

Tier: TypeAlias = Literal["memory", "sqlite", "redis"]
"""Where a result was kept."""

Content: TypeAlias = str | list[JsonObject]

TOTAL = 0
"""The counter that moves with every removal."""

_SLOTS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoEntry:
    """One kept result. Times are Unix seconds; `expires_at` is `None` for one that stays until it is dropped.

    arguments: canonical JSON for people to read, without what their types hide. size: bytes of the content as it is
    stored. took_s: what the execution took, that is what each later hit saves.
    """

    key: str
    tool: str
    arguments: str
    content: Content
    size: int
    stored_at: float
    tenant: str = ""
    version: str = ""
    tags: tuple[str, ...] = ()
    expires_at: float | None = None
    took_s: float = 0.0

    def is_fresh(self, now: float) -> bool:
        """Whether the entry may still be given out."""
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which entries are meant: those to which everything that is given applies. `tags`: any of them.

    tenant: `None` is every tenant, for whoever looks after the store.
    """

    tenant: str | None = None
    tool: str | None = None
    version: str | None = None
    tags: tuple[str, ...] | None = None

    def has(self, entry: MemoEntry) -> bool:
        """Whether an entry is meant."""
        return (
            self.tenant in (None, entry.tenant)
            and self.tool in (None, entry.tool)
            and self.version in (None, entry.version)
            and (self.tags is None or not set(self.tags).isdisjoint(entry.tags))
        )

    def slots(self) -> tuple[int, ...]:
        """Return the counters that a removal of these entries moves, the total apart."""
        if self.tenant is None:
            return (slot("everybody"),)
        if self.tags is not None:
            return tuple(sorted({slot("tag", self.tenant, tag) for tag in self.tags}))
        return (slot("tenant", self.tenant) if self.tool is None else slot("tool", self.tenant, self.tool),)


EVERYTHING = Selection()


class MemoStore(Protocol):
    """Keeps entries. Expired ones may stay until they are in the way; who asks looks at `expires_at`.

    Every method that waits may raise `StoreError`.
    """

    @property
    def tier(self) -> Tier:
        """What the store is called in counts."""
        ...

    @property
    def leases(self) -> Leases | None:
        """What lets one of several processes execute a call; `None` where the store has nothing of the kind."""
        ...

    async def get(self, key: str) -> MemoEntry | None:
        """Return the entry of this key."""
        ...

    async def put(self, entry: MemoEntry, *, unless_moved: Sequence[tuple[int, int]] = ()) -> bool:
        """Keep an entry in place of the one with the same key and return whether it was kept.

        unless_moved: counters with what they were when the execution began.
        """
        ...

    async def counters(self, slots: Sequence[int]) -> tuple[int, ...]:
        """Return these counters."""
        ...

    async def entries(self, which: Selection = EVERYTHING) -> list[MemoEntry]:
        """Return these entries, oldest first."""
        ...

    async def drop(self, key: str) -> None:
        """Forget one entry that cannot be used; no counter moves."""
        ...

    async def remove(self, which: Selection) -> tuple[int, int]:
        """Forget these entries; return how many there were, and the total counter after it."""
        ...

    async def prune(self, now: float) -> int:
        """Forget what has expired and return how many entries that was."""
        ...

    async def close(self) -> None:
        """Let go of files and connections."""
        ...


class Leases(Protocol):
    """Lets one process at a time do something, for as long as it says it is alive. May raise `StoreError`."""

    async def take(self, key: str, token: str, *, for_s: float) -> bool:
        """Take the lease unless somebody has it, and return whether it is ours."""
        ...

    async def renew(self, key: str, token: str, *, for_s: float) -> bool:
        """Hold the lease for so long from now, and return whether it still was ours."""
        ...

    async def release(self, key: str, token: str) -> None:
        """Give the lease up if it is ours."""
        ...


def slot(*name: str) -> int:
    """Return the counter, 1 to 255, that a name belongs to."""
    return 1 + hashlib.blake2b("\0".join(name).encode("utf-8", "surrogatepass"), digest_size=2).digest()[0] % _SLOTS


def slots_of(*, tenant: str, tool: str, tags: Sequence[str]) -> tuple[int, ...]:
    """Return the counters of everything that a result can be dropped by."""
    names = {slot("everybody"), slot("tenant", tenant), slot("tool", tenant, tool)}
    return tuple(sorted(names | {slot("tag", tenant, tag) for tag in tags}))


@dataclass(frozen=True, slots=True)
class _Text:
    text: str
    kind: Literal["text"] = "text"


@dataclass(frozen=True, slots=True)
class _Blocks:
    blocks: list[dict[str, JsonValue]]
    kind: Literal["blocks"] = "blocks"


_Tagged: TypeAlias = Annotated[_Text | _Blocks, Field(discriminator="kind")]
_CONTENT: TypeAdapter[_Text | _Blocks] = TypeAdapter(_Tagged)


@dataclass(frozen=True, slots=True, kw_only=True)
class _About:
    """An entry without its content."""

    key: str
    tool: str
    arguments: str
    size: int
    stored_at: float
    tenant: str
    version: str
    tags: tuple[str, ...]
    expires_at: float | None
    took_s: float


_WRITTEN: TypeAdapter[tuple[_About, _Text | _Blocks]] = TypeAdapter(tuple[_About, _Tagged])
_ABOUT = tuple(item.name for item in fields(_About))


def content_json(content: Content) -> bytes:
    """Return a result's content as it is stored. Raises `ValueError` for what JSON cannot carry."""
    return _CONTENT.dump_json(_tagged(content), warnings="none")


def content_of_json(data: bytes) -> Content:
    """Return the content that was stored. Raises `StoreError` for what is none."""
    try:
        return _untagged(_CONTENT.validate_json(data))
    except ValidationError as error:
        raise _corrupt(error) from error


def lasting(content: Content) -> bytes | None:
    """Return the content as it is stored; `None` if it would come back as other bytes for the model to read."""
    try:
        data = content_json(content)
        return data if json_text(content_of_json(data)) == json_text(content) else None
    except (TypeError, ValueError, StoreError, RecursionError):
        return None


def entry_json(entry: MemoEntry) -> bytes:
    """Return an entry as it is stored where there are no columns."""
    about = _About(**{name: getattr(entry, name) for name in _ABOUT})
    return _WRITTEN.dump_json((about, _tagged(entry.content)), warnings="none")


def entry_of_json(data: bytes) -> MemoEntry:
    """Return the entry that was stored. Raises `StoreError` for what is none."""
    try:
        about, content = _WRITTEN.validate_json(data)
    except ValidationError as error:
        raise _corrupt(error) from error
    return MemoEntry(**{name: getattr(about, name) for name in _ABOUT}, content=_untagged(content))


def _tagged(content: Content) -> _Text | _Blocks:
    return _Text(content) if isinstance(content, str) else _Blocks(content)


def _untagged(content: _Text | _Blocks) -> Content:
    return content.text if isinstance(content, _Text) else content.blocks


class CorruptEntry(StoreError):
    """A kept result that cannot be read back; it is dropped and the tool is called."""


def _corrupt(error: ValidationError) -> CorruptEntry:
    return CorruptEntry(f"a kept result cannot be read back: {error.errors(include_url=False)[0]['msg']}")
