"""Writes what a policy would send as a request log, so that somebody else can bill it."""

from __future__ import annotations

from typing import IO

from agentcache.errors import TargetError
from agentcache.prompt.canonical import JsonObject, JsonValue, json_text
from agentcache.prompt.plans import Plan
from agentcache.prompt.wire import CallSettings, to_request
from agentcache.simulate.cases import Case
from agentcache.simulate.replay import Billed


def sent_request(case: Case, plan: Plan | None) -> JsonObject:
    """Return the body that a policy would send: the recorded one with the plan's markers in place of its own.

    `None` keeps the recorded markers.
    """
    if plan is None:
        return case.call.request
    marked = to_request(case.layout, plan, CallSettings(max_tokens=0))
    body: JsonObject = dict(case.bare)
    body.update({key: marked[key] for key in ("cache_control", "tools", "messages") if key in marked})
    if "system" in marked:
        body["system"] = _system(case.bare["system"], marked["system"])
    return body


def _system(bare: JsonValue, marked: JsonValue) -> JsonValue:
    """Return the system blocks with the markers of `marked` and whatever else the record had on them."""
    if not isinstance(bare, list) or not isinstance(marked, list):
        return marked
    return [{**_object(block), **_object(with_mark)} for block, with_mark in zip(bare, marked, strict=True)]


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


class RequestDump:
    """Appends calls to an open text file in the format of a request log (DESIGN section 7)."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, billed: Billed) -> None:
        """Append one call as its policy would send it. Raises `TargetError` when the file cannot be written."""
        call = billed.case.call
        line: JsonObject = {
            "t": call.at_s,
            "agent": call.agent,
            "run": call.run,
            "conversation": call.conversation,
            "request": sent_request(billed.case, billed.plan),
            "first_token_s": round(call.first_token_at_s - call.at_s, 6),
            "end_s": round(call.end_at_s - call.at_s, 6),
        }
        if call.headers:
            line["headers"] = dict(call.headers)
        try:
            self._file.write(json_text(line) + "\n")
        except OSError as error:
            raise TargetError(f"cannot write the request log: {error.strerror or error}") from error
