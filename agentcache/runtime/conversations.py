"""History by id: one run at a time in each conversation, and what users do with conversations beside running them.

A run works on a draft and hands it in when it is done, so a run that fails or is cancelled leaves the history as it
was: never with a tool call that lacks its result. Two runs of one process in one conversation are refused before the
second sends anything. Of two processes the one that saves first wins; the other's history becomes a fork.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace

from agentcache.errors import ConversationBusy, ConversationChanged, SettingsError, StaleVersion, StoreError
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.runtime.conversation import Transcript, cut_state, stored_form, transcript_of
from agentcache.runtime.conversation_file import from_lines, to_lines
from agentcache.runtime.despite_cancellation import despite_cancellation
from agentcache.stores.protocols import ConversationRecord, ConversationStore, EarlierHistory, StoredConversation

AT_HAND = 256
"""Transcripts that a process keeps ready to go on; of others it reads the history again."""


@dataclass(slots=True)
class Conversations:
    """The conversations of one `store`. Every method raises `StoreError` when the store cannot do what was asked.

    conversation_id: the name that an author gave a conversation; agent: the name of the agent that is in it.
    """

    store: ConversationStore
    _busy: set[str] = field(default_factory=set)
    _kept: dict[str, Transcript] = field(default_factory=dict)
    """Transcripts as this process saved them last, so that they need not be read and laid out again."""

    @asynccontextmanager
    async def draft(self, conversation_id: str | None, *, agent: str) -> AsyncIterator[Transcript]:
        """Yield a draft to extend; it becomes the conversation when the block ends without an error.

        With `None` the draft is a fresh one that nobody keeps. Raises `ConversationBusy` before the block while
        another run of this process is in the conversation, and `ConversationChanged` behind it when another process
        saved the conversation meanwhile.
        """
        if conversation_id is None:
            yield Transcript()
            return
        with self._alone(conversation_id):
            draft = (await self._current(conversation_id)).draft()
            yield draft
            if draft.keep:
                await self.save(conversation_id, draft, agent=agent)

    @asynccontextmanager
    async def forked(self, conversation_id: str) -> AsyncIterator[Transcript]:
        """Yield a copy of the conversation as it was last saved, to go on from; it is not handed in.

        Forks wait for nobody, not even for a run of the same conversation. Raises `SettingsError` for a conversation
        without history.
        """
        current = await self._current(conversation_id)
        if not current.messages:
            raise SettingsError(f"conversation {conversation_id!r} has no history to fork; ask something in it first")
        yield current.draft()

    async def save(self, conversation_id: str, draft: Transcript, *, agent: str) -> None:
        """Make a draft the conversation. Raises `ConversationChanged` when another process saved it meanwhile.

        Done to its end when it is cancelled, so that whoever is in the conversation next sees what became of it.
        """
        await despite_cancellation(self._save(conversation_id, draft, agent=agent))

    async def _save(self, conversation_id: str, draft: Transcript, *, agent: str) -> None:
        stored = stored_form(conversation_id, draft, agent=agent)
        try:
            saved = await self.store.save_conversation(stored)
        except StaleVersion as error:
            kept = await self._keep_apart(stored)
            raise ConversationChanged(
                f"conversation {conversation_id!r} was saved by another process while this run was in it; the history "
                f"with this run is kept as conversation {kept!r}: continue that one, or repeat the run",
                conversation=conversation_id,
                kept_as=kept,
            ) from error
        draft.version, draft.chain = saved.version or 0, saved.chain
        self._kept.pop(conversation_id, None)
        self._kept[conversation_id] = draft.draft()
        if len(self._kept) > AT_HAND:
            del self._kept[next(iter(self._kept))]

    async def all(self) -> list[ConversationRecord]:
        """Return all conversations by their id."""
        return await self.store.conversations()

    async def messages(self, conversation_id: str, *, head: str | None = None) -> tuple[JsonObject, ...]:
        """Return the messages of a conversation, or those of an earlier history of it that ends in the digest `head`.

        Raises `StoreError` when there is none.
        """
        return tuple((await self._stored(conversation_id, head=head)).messages)

    async def earlier(self, conversation_id: str) -> list[EarlierHistory]:
        """Return the histories that a conversation had before it was rewritten or compacted, oldest first."""
        await self._stored(conversation_id)
        return await self.store.earlier_histories(conversation_id)

    async def fork(self, conversation_id: str, new_id: str, *, at: int | None = None) -> ConversationRecord:
        """Begin conversation `new_id` with the first `at` messages of another one (`None`: all) and return it.

        Nothing is copied, and the fork reads what the original has in the cache. `at` must stand behind an answer.
        Raises `SettingsError` where it does not, `StoreError` when the original is not there or `new_id` is.
        """
        stored = await self._stored(conversation_id)
        count = len(stored.messages) if at is None else at
        _check_cut(stored, count)
        return await self._begin(
            replace(
                stored,
                conversation_id=new_id,
                messages=stored.chain.first(count),
                state=cut_state(stored, count),
                version=0,
            )
        )

    async def export(self, conversation_id: str) -> str:
        """Return a conversation as JSON lines: a header, then one message a line. Raises `StoreError` for none."""
        return "".join(f"{line}\n" for line in to_lines(await self._stored(conversation_id)))

    async def import_lines(self, lines: Iterable[str], *, conversation_id: str | None = None) -> ConversationRecord:
        """Keep an exported conversation, under its own id or another, and return it.

        Raises `TargetError` for lines that are no export, or whose messages are not those that their header names;
        `StoreError` when the conversation is there already.
        """
        stored = from_lines(lines)
        return await self._begin(replace(stored, conversation_id=conversation_id or stored.conversation_id, version=0))

    async def delete(self, conversation_id: str) -> None:
        """Forget a conversation. Raises `ConversationBusy` while a run is in it, `StoreError` when it is not there."""
        with self._alone(conversation_id):
            self._kept.pop(conversation_id, None)
            if not await self.store.delete_conversation(conversation_id):
                raise _absent(conversation_id)

    async def prune(self, *, earlier: bool = False) -> int:
        """Remove messages that no conversation needs and return how many; with `earlier`, histories before rewrites."""
        return await self.store.prune_messages(earlier=earlier)

    @contextmanager
    def _alone(self, conversation_id: str) -> Iterator[None]:
        if conversation_id in self._busy:
            raise ConversationBusy(
                f"conversation {conversation_id!r} has a run under way; await that one first, or fork the conversation"
            )
        self._busy.add(conversation_id)
        try:
            yield
        finally:
            self._busy.discard(conversation_id)

    async def _current(self, conversation_id: str) -> Transcript:
        """Return the conversation as it is now; whoever begins with less would pay for a run that cannot be saved."""
        kept = self._kept.get(conversation_id)
        if kept is not None:
            found = await self.store.conversations(conversation_id=conversation_id)
            if [(one.version, one.head) for one in found] == [(kept.version, kept.chain.head)]:
                return kept
        stored = await self.store.load_conversation(conversation_id)
        return Transcript() if stored is None else transcript_of(stored)

    async def _keep_apart(self, stored: StoredConversation) -> str:
        """Keep a history that came too late as a conversation of its own; the same one twice is kept once."""
        apart = f"{stored.conversation_id}.{stored.head.rpartition(':')[2][:8]}"
        await self.store.save_conversation(replace(stored, conversation_id=apart, version=None))
        return apart

    async def _begin(self, stored: StoredConversation) -> ConversationRecord:
        its_id = stored.conversation_id
        if await self.store.conversations(conversation_id=its_id):
            raise StoreError(f"there is a conversation {its_id!r} already; choose another id, or delete that one")
        await self.store.save_conversation(stored)
        [found] = await self.store.conversations(conversation_id=its_id)
        return found

    async def _stored(self, conversation_id: str, *, head: str | None = None) -> StoredConversation:
        stored = await self.store.load_conversation(conversation_id, head=head)
        if stored is None:
            raise _absent(conversation_id, head)
        return stored


def _absent(conversation_id: str, head: str | None = None) -> StoreError:
    which = "" if head is None else f" with a history {head!r}"
    return StoreError(f"there is no conversation {conversation_id!r}{which}; `agentcache conversation list` shows them")


def _check_cut(stored: StoredConversation, count: int) -> None:
    messages = stored.messages
    if not 0 <= count <= len(messages):
        raise SettingsError(
            f"conversation {stored.conversation_id!r} has {len(messages)} messages, so a fork cannot begin with {count}"
        )
    if count and not _is_answer(messages[count - 1]):
        places = [at for at in range(1, len(messages) + 1) if _is_answer(messages[at - 1])]
        raise SettingsError(
            f"a fork of conversation {stored.conversation_id!r} must begin with all up to an answer, and message "
            f"{count} is none; take `at` from {', '.join(map(str, places))}"
        )


def _is_answer(message: JsonObject) -> bool:
    """Tell whether a user may speak behind this message: it is the model's, and asks for no tool."""
    content: JsonValue = message.get("content")
    blocks = content if isinstance(content, list) else []
    asks = any(isinstance(block, dict) and block.get("type") == "tool_use" for block in blocks)
    return message.get("role") == "assistant" and not asks
