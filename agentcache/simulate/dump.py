"""Writes what a policy would send as a request log, so that somebody else can bill it."""

from __future__ import annotations

import gzip
import lzma
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from agentcache.accounting.usage import Usage
from agentcache.errors import TargetError
from agentcache.prompt.canonical import JsonObject, json_text
from agentcache.runtime.warm_calls import without_answer
from agentcache.simulate.replay import READ_S, Billed
from agentcache.simulate.traffic import TrafficCall
from agentcache.stores.private_files import make_private


class RequestDump:
    """Appends calls to an open text file in the format of a request log (docs/formats.md)."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, billed: Billed) -> None:
        """Append one call as its policy would send it, and what it would be billed instead of a recorded reply.

        The keep-alive reads before it come first. Raises `TargetError` when the file cannot be written.
        """
        for each in billed.reads:
            read = each.read
            request = without_answer(read.case.sent_request(read.plan))
            if request is not None:
                self._append(read.case.call, request, each.usage, at_s=read.at_s, first_token_s=READ_S, end_s=READ_S)
        call = billed.case.call
        self._append(
            call,
            billed.case.sent_request(billed.plan),
            billed.usage,
            at_s=call.at_s,
            first_token_s=call.first_token_at_s - call.at_s,
            end_s=call.end_at_s - call.at_s,
        )

    def _append(
        self,
        call: TrafficCall,
        request: JsonObject,
        usage: Usage | None,
        *,
        at_s: float,
        first_token_s: float,
        end_s: float,
    ) -> None:
        line: JsonObject = {
            "t": at_s,
            "agent": call.agent,
            "run": call.run,
            "conversation": call.conversation,
            "request": request,
            "first_token_s": round(first_token_s, 6),
            "end_s": round(end_s, 6),
        }
        if usage is not None:
            line["response"] = {"usage": _api_usage(usage)}
        if call.headers:
            line["headers"] = dict(call.headers)
        with _one_sentence_for("the request log"):
            self._file.write(json_text(line) + "\n")


@contextmanager
def open_dump(path: str | os.PathLike[str] | None) -> Iterator[RequestDump | None]:
    """Open a request log for writing, compressed where its name says `.gz` or `.xz`; `None` for no path.

    Raises `TargetError` when the file cannot be written.
    """
    if path is None:
        yield None
        return
    name = os.fspath(path)
    with _one_sentence_for(name):
        make_private(name)
        file = _open(name)
    try:
        yield RequestDump(file)
    finally:
        with _one_sentence_for(name):
            file.close()


@contextmanager
def _one_sentence_for(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TargetError(f"cannot write {name}: {error.strerror or error}") from error


def _open(path: str) -> IO[str]:
    if path.endswith(".gz"):
        return cast("IO[str]", gzip.open(path, "wt", encoding="utf-8"))
    if path.endswith(".xz"):
        return cast("IO[str]", lzma.open(path, "wt", encoding="utf-8"))
    return open(path, "w", encoding="utf-8")


def _api_usage(usage: Usage) -> JsonObject:
    """Return a usage under the API's names."""
    return {
        "input_tokens": usage.uncached_input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m_tokens,
            "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
        },
        "output_tokens": usage.output_tokens,
    }
