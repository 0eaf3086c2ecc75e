"""Moves conversations that lie in one column each to messages under chained digests (schema change 0003).

Released with that change and never edited since: it has its own idea of the digest and of the tables, as they were
then, so that what it wrote stays what it wrote. A test holds its digests against today's.
"""

from __future__ import annotations

import hashlib
import json

from sqlalchemy import Connection, text

_INSERT = text(
    "INSERT INTO conversation_messages (digest, parent, depth, message) VALUES (:digest, :parent, :depth, :message) "
    "ON CONFLICT (digest) DO NOTHING"
)


def move_messages(connection: Connection) -> None:
    """Give every conversation the head of its messages, each of which becomes a row of its own."""
    for conversation_id in connection.execute(text("SELECT conversation_id FROM conversations")).scalars().all():
        which = {"conversation_id": conversation_id}
        stored = connection.execute(
            text("SELECT messages FROM conversations WHERE conversation_id = :conversation_id"), which
        ).scalar_one()
        head: str | None = None
        for depth, message in enumerate(json.loads(stored), start=1):
            written = json.dumps(message, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            digest = _digest(f"{head or 'p1:'}\n{_digest(written)}")
            kept = json.dumps(message, separators=(",", ":"), allow_nan=False)
            connection.execute(_INSERT, {"digest": digest, "parent": head, "depth": depth, "message": kept})
            head = digest
        connection.execute(
            text("UPDATE conversations SET head = :head WHERE conversation_id = :conversation_id"),
            {**which, "head": head},
        )


def _digest(value: str) -> str:
    return f"p1:{hashlib.blake2b(value.encode(errors='backslashreplace'), digest_size=16).hexdigest()}"
