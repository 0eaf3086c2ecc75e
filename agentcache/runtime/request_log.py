"""Writes a request log: one JSON line a call, as docs/formats.md says; `.gz` and `.xz` are compressed.

`t` is the call's start in Unix seconds; `first_token_s` and `end_s` are seconds after it.
"""

from __future__ import annotations

import gzip
import lzma
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, cast

from agentcache.accounting.logged_sections import LoggedSection
from agentcache.errors import TargetError
from agentcache.prompt.canonical import JsonObject, json_text
from agentcache.runtime.replies import Reply
from agentcache.stores.private_files import make_private


class RequestLog:
    """Appends calls to an open text file. Each line is flushed, so that a crash loses no call that was answered."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    @classmethod
    @contextmanager
    def appending(cls, path: str | os.PathLike[str]) -> Iterator[RequestLog]:
        """Open `path` for appending. Raises `TargetError` when it cannot be written."""
        make_private(path)
        try:
            file = _open(os.fspath(path))
        except OSError as error:
            raise TargetError(f"cannot write the request log {os.fspath(path)}: {error.strerror or error}") from error
        with file:
            yield cls(file)

    def write(
        self,
        *,
        agent: str,
        run: str,
        conversation: str | None,
        request: JsonObject,
        reply: Reply,
        sections: Sequence[LoggedSection] = (),
    ) -> None:
        """Append one answered call, with the sections of its system prompt for whoever can use them (`explain`)."""
        response: JsonObject = {
            "id": reply.message_id,
            "content": list(reply.content),
            "stop_reason": reply.stop_reason,
            "usage": reply.usage if reply.usage_told else None,
        }
        first = None if reply.first_token_at is None else round(reply.first_token_at - reply.sent_at, 6)
        line: JsonObject = {
            "t": reply.sent_at,
            "agent": agent,
            "run": run,
            "conversation": conversation,
            "request": request,
            "response": response,
            "first_token_s": first,
            "end_s": round(reply.ended_at - reply.sent_at, 6),
        }
        if sections:
            line["sections"] = [section.to_json() for section in sections]
        self._file.write(json_text(line) + "\n")
        self._file.flush()


def _open(path: str) -> IO[str]:
    if path.endswith(".gz"):
        return cast("IO[str]", gzip.open(path, "at", encoding="utf-8"))
    if path.endswith(".xz"):
        return cast("IO[str]", lzma.open(path, "at", encoding="utf-8"))
    return open(path, "a", encoding="utf-8")
