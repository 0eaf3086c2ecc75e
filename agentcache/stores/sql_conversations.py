"""Conversations in tables: each function is one transaction's work on a connection.

A message is a row under its chained digest, and a history is the way from its last row up to the first. Rows are
added and removed, never changed; only a conversation's own row says anew where it ends.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, select, update
from sqlalchemy import delete as delete_from

from agentcache.errors import StoreError
from agentcache.prompt.canonical import ROOT_DIGEST
from agentcache.prompt.message_chain import MessageChain
from agentcache.stores import rows
from agentcache.stores.inserts import insert_or_leave
from agentcache.stores.protocols import ConversationRecord, EarlierHistory, StoredConversation
from agentcache.stores.schema import conversation_messages as messages
from agentcache.stores.schema import conversations
from agentcache.stores.schema import earlier_histories as histories


def load(connection: Connection, conversation_id: str, head: str | None) -> StoredConversation | None:
    """Return a conversation with its own history, or with the one that ends in `head`."""
    row = connection.execute(select(conversations).where(conversations.c.conversation_id == conversation_id)).mappings()
    found = row.one_or_none()
    if found is None:
        return None
    chain = _chain(connection, found["head"] if head is None else rows.stored_head(head))
    if head is not None and chain.head != head:
        return None
    if head is None and rows.stored_head(chain.head) != found["head"]:
        raise StoreError(
            f"the messages of conversation {conversation_id!r} were pruned while it was read; read it again"
        )
    return StoredConversation(
        conversation_id=conversation_id,
        agent=found["agent"],
        messages=chain,
        state=found["state"] if head is None else {},
        version=found["version"],
    )


def save(connection: Connection, conversation: StoredConversation) -> int:
    """Save a conversation and return its new version; 0, and nothing saved, when it is not as it was loaded."""
    here = conversations.c.conversation_id == conversation.conversation_id
    there = connection.execute(select(conversations).where(here).with_for_update()).mappings().one_or_none()
    row = rows.conversation_row(conversation)
    version = 0 if there is None else int(there["version"])
    same = there is not None and there["head"] == row["head"]
    if conversation.version not in {None, version}:
        return version if same else 0
    if there is None:
        _add_nodes(connection, conversation.chain, after=0)
        # Of two who begin it at once, the second one is too late.
        begin = insert_or_leave("conversations", connection.dialect.name)
        return connection.execute(begin, row | {"version": 1}).rowcount
    if same and (there["agent"], there["state"]) == (row["agent"], row["state"]):
        return version
    depth = _depth(connection, there["head"])
    continues = conversation.chain.begins_with(there["head"] or ROOT_DIGEST, depth)
    _add_nodes(connection, conversation.chain, after=depth if continues else 0)
    if not continues:
        left = {"conversation_id": conversation.conversation_id, "version": version, "head": there["head"]}
        connection.execute(histories.insert(), left)
    connection.execute(update(conversations).where(here), row | {"version": version + 1})
    return version + 1


def listed(connection: Connection, conversation_id: str | None) -> list[ConversationRecord]:
    """Return conversations by their id."""
    its, depth = conversations.c, func.coalesce(messages.c.depth, 0).label("messages")
    query = select(its.conversation_id, its.agent, its.version, depth, its.head)
    query = query.outerjoin(messages, its.head == messages.c.digest).order_by(its.conversation_id)
    if conversation_id is not None:
        query = query.where(its.conversation_id == conversation_id)
    found = connection.execute(query).mappings()
    return [ConversationRecord(**dict(row) | {"head": row["head"] or ROOT_DIGEST}) for row in found]


def earlier(connection: Connection, conversation_id: str) -> list[EarlierHistory]:
    """Return what the conversation was before it was rewritten."""
    depth = func.coalesce(messages.c.depth, 0).label("messages")
    query = select(histories.c.version, depth, histories.c.head)
    query = query.outerjoin(messages, histories.c.head == messages.c.digest).order_by(histories.c.version)
    found = connection.execute(query.where(histories.c.conversation_id == conversation_id)).mappings()
    return [EarlierHistory(**dict(row) | {"head": row["head"] or ROOT_DIGEST}) for row in found]


def delete(connection: Connection, conversation_id: str) -> int:
    """Forget a conversation and what it was before."""
    connection.execute(delete_from(histories).where(histories.c.conversation_id == conversation_id))
    gone = connection.execute(delete_from(conversations).where(conversations.c.conversation_id == conversation_id))
    return gone.rowcount


def prune(connection: Connection, *, earlier: bool) -> int:
    """Remove messages on no way from a conversation, or from a history that it had, to its first message.

    PostgreSQL holds up whoever saves meanwhile: a message that is about to go must not find a new child.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            "LOCK TABLE conversations, earlier_histories, conversation_messages IN EXCLUSIVE MODE"
        )
    if earlier:
        connection.execute(delete_from(histories))
    heads = select(conversations.c.head.label("digest")).union(select(histories.c.head)).subquery()
    needed = select(heads.c.digest).cte("needed", recursive=True)
    above = select(messages.c.parent).join(needed, messages.c.digest == needed.c.digest)
    reached = needed.union(above)
    kept = select(reached.c.digest).where(reached.c.digest.is_not(None))
    # SQLite counts no rows of a statement that begins with WITH, so the rows are given back to be counted.
    gone = delete_from(messages).where(messages.c.digest.not_in(kept)).returning(messages.c.digest)
    return len(connection.execute(gone).all())


def _chain(connection: Connection, head: str | None) -> MessageChain:
    """Return the history that ends in `head`, in one query; an empty one when there is none."""
    columns = (messages.c.digest, messages.c.parent, messages.c.depth, messages.c.message)
    way = select(*columns).where(messages.c.digest == head).cte("way", recursive=True)
    way = way.union_all(select(*columns).join(way, messages.c.digest == way.c.parent))
    found = connection.execute(select(way.c.message, way.c.digest).order_by(way.c.depth)).all()
    return MessageChain(tuple(row.message for row in found), tuple(row.digest for row in found))


def _depth(connection: Connection, head: str | None) -> int:
    """Return how many messages the history has that ends in `head`."""
    return connection.execute(select(messages.c.depth).where(messages.c.digest == head)).scalar() or 0


def _add_nodes(connection: Connection, chain: MessageChain, *, after: int) -> None:
    """Add what is not there yet of the messages behind the first `after`."""
    added = [rows.message_row(node) for node in chain.nodes(after)]
    if added:
        connection.execute(insert_or_leave("conversation_messages", connection.dialect.name), added)
