"""Conversations in memory, gone with the process: what the ledger in memory keeps, and a runtime that keeps no text."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from agentcache.prompt.canonical import ROOT_DIGEST
from agentcache.prompt.message_chain import MessageChain, MessageNode
from agentcache.stores.protocols import ConversationRecord, EarlierHistory, StoredConversation, stale_version


@dataclass(slots=True)
class MemoryConversations:
    """A `ConversationStore` in dictionaries. Its messages are nodes, as they are in a database."""

    _nodes: dict[str, MessageNode] = field(default_factory=dict)
    _kept: dict[str, StoredConversation] = field(default_factory=dict)
    """By id, each with an empty history beside its head."""
    _heads: dict[str, str] = field(default_factory=dict)
    _earlier: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    """By id, the version and the head of histories before a rewrite."""

    async def load_conversation(self, conversation_id: str, *, head: str | None = None) -> StoredConversation | None:
        """Return a conversation, or `None`."""
        there = self._kept.get(conversation_id)
        if there is None:
            return None
        chain = self._chain(self._heads[conversation_id] if head is None else head)
        if head is not None and chain.head != head:
            return None
        return replace(there, messages=chain, state=there.state if head is None else {})

    async def save_conversation(self, conversation: StoredConversation) -> StoredConversation:
        """Keep the conversation and return it with its new version."""
        its_id, chain = conversation.conversation_id, conversation.chain
        there, old_head = self._kept.get(its_id), self._heads.get(its_id, ROOT_DIGEST)
        version = (there.version if there else None) or 0
        same = there is not None and old_head == chain.head
        if conversation.version not in {None, version}:
            if same:
                return replace(conversation, version=version)
            raise stale_version(conversation)
        if there and same and (there.agent, there.state) == (conversation.agent, conversation.state):
            return replace(conversation, version=version)
        depth = self._depth(old_head)
        if not chain.begins_with(old_head, depth):
            self._earlier.setdefault(its_id, []).append((version, old_head))
            depth = 0
        for node in chain.nodes(depth):
            self._nodes.setdefault(node.digest, node)
        self._kept[its_id] = replace(conversation, messages=(), version=version + 1)
        self._heads[its_id] = chain.head
        return replace(conversation, version=version + 1)

    async def conversations(self, *, conversation_id: str | None = None) -> list[ConversationRecord]:
        """Return conversations by their id."""
        return [
            ConversationRecord(
                conversation_id=its_id,
                agent=kept.agent,
                version=kept.version or 0,
                messages=self._depth(self._heads[its_id]),
                head=self._heads[its_id],
            )
            for its_id, kept in sorted(self._kept.items())
            if conversation_id in {None, its_id}
        ]

    async def earlier_histories(self, conversation_id: str) -> list[EarlierHistory]:
        """Return what the conversation was before it was rewritten."""
        return [
            EarlierHistory(version=version, messages=self._depth(head), head=head)
            for version, head in self._earlier.get(conversation_id, ())
        ]

    async def delete_conversation(self, conversation_id: str) -> bool:
        """Forget a conversation."""
        self._earlier.pop(conversation_id, None)
        self._heads.pop(conversation_id, None)
        return self._kept.pop(conversation_id, None) is not None

    async def prune_messages(self, *, earlier: bool = False) -> int:
        """Remove every message that no conversation needs."""
        if earlier:
            self._earlier.clear()
        heads = [*self._heads.values(), *(head for left in self._earlier.values() for _, head in left)]
        needed = {digest for head in heads for digest in self._chain(head).digests}
        unneeded = self._nodes.keys() - needed
        for digest in unneeded:
            del self._nodes[digest]
        return len(unneeded)

    def _chain(self, head: str) -> MessageChain:
        nodes = []
        while (node := self._nodes.get(head)) is not None:
            nodes.append(node)
            head = node.parent
        nodes.reverse()
        return MessageChain(tuple(node.message for node in nodes), tuple(node.digest for node in nodes))

    def _depth(self, head: str) -> int:
        node = self._nodes.get(head)
        return 0 if node is None else node.depth
