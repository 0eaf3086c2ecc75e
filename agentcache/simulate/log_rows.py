"""Calls of request logs and traces as rows of the ledger.

What a record does not tell stays unknown: a call without usage is unattributed, and one without a time is no row,
since a ledger orders and prices calls by when they were sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from agentcache.accounting.imported import (
    ImportedRows,
    NamedRun,
    imported_id,
    imported_rows,
    message_call_id,
    whole_characters,
)
from agentcache.accounting.observed import RECORDED
from agentcache.accounting.reading import side_records, usage_of
from agentcache.accounting.usage import CallRecord
from agentcache.errors import ReplyMalformed, TargetError
from agentcache.prompt.canonical import JsonObject, JsonValue, canonical_json, digest
from agentcache.prompt.model_facts import Ttl
from agentcache.simulate.request_logs import log_call
from agentcache.simulate.trace_threads import observed_calls
from agentcache.simulate.traffic import TrafficCall

UNKNOWN_AGENT = "unknown"


@dataclass(slots=True)
class LoggedCalls:
    """Takes lines of request logs in. A run keeps the id that the log gives it; calls without a run share one.

    keep_text: whether requests and replies go into the rows.
    """

    keep_text: bool = False
    _runs: dict[str, NamedRun] = field(default_factory=dict)
    _calls: dict[str, CallRecord] = field(default_factory=dict)

    def take(self, line: JsonObject, *, where: str) -> str | None:
        """Take a line in; returns why it could not be read, `None` when it could be."""
        try:
            call = log_call(line, where=where)
        except TargetError as error:
            return str(error)
        run_id = whole_characters(call.run or "") or imported_id("run", "request log")
        name = call.agent or UNKNOWN_AGENT
        self._runs.setdefault(
            run_id, NamedRun(run_id=run_id, parent_run_id=None, name=name, agent=call.agent, conversation=None)
        )
        row = self._row(call, run_id, first_known=line.get("first_token_s") is not None, end_known="end_s" in line)
        for each in (row, *side_records(row, lambda kind: imported_id(kind, row.call_id))):
            self._calls.setdefault(each.call_id, each)
        return None

    def rows(self) -> ImportedRows:
        """Return what was taken in."""
        return imported_rows(self._runs, self._calls.values())

    def _row(self, call: TrafficCall, run_id: str, *, first_known: bool, end_known: bool) -> CallRecord:
        response = call.response or {}
        message_id = _text(response.get("id"))
        unnamed = imported_id("call", run_id, f"{call.at_s!r}", digest(whole_characters(canonical_json(call.request))))
        row = CallRecord(
            call_id=unnamed if message_id is None else message_call_id(message_id),
            run_id=run_id,
            agent=call.agent,
            model=_text(call.request.get("model")) or UNKNOWN_AGENT,
            conversation=call.conversation,
            message_id=message_id,
            request_id=call.headers.get("request-id"),
            sent_at=call.at_s,
            first_token_at=call.first_token_at_s if first_known else None,
            ended_at=call.end_at_s if end_known else None,
            stop_reason=_text(response.get("stop_reason")),
            usage=None,
            request=call.request if self.keep_text else None,
            response=call.response if self.keep_text else None,
        )
        return _with_usage(row, call.response_usage, ttl=_only_ttl(call.request))


@dataclass(slots=True)
class TracedCalls:
    """Takes traces in (one a line). A trace is a run; agents other than its first have runs nested in it."""

    _runs: dict[str, NamedRun] = field(default_factory=dict)
    _calls: dict[str, CallRecord] = field(default_factory=dict)

    def take(self, trace: JsonObject, *, where: str) -> str | None:
        """Take a trace in; returns why calls of it could not be read, `None` when all could be."""
        try:
            return self._take(trace)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            return f"{where}: not a sound trace ({type(error).__name__}: {error})"

    def rows(self) -> ImportedRows:
        """Return what was taken in."""
        return imported_rows(self._runs, self._calls.values())

    def _take(self, trace: JsonObject) -> str | None:
        name, begun = str(trace["trace_id"]), trace.get("t0")
        agents = {str(agent["name"]): agent for agent in _objects(trace["agents"])}
        reasons = {str(thread["id"]): thread.get("reason") for thread in _objects(trace["threads"])}
        main, untimed = next(iter(agents)), 0
        seen = observed_calls(trace, lambda place: imported_id("call", "trace", name, str(place)))
        for place, call in enumerate(_objects(trace["calls"])):
            sent = call.get("t_req")
            if not isinstance(begun, str) or not isinstance(sent, (int, float)):
                untimed += 1
                continue
            agent, thread = str(call["agent"]), str(call["thread"])
            run = self._run(name, main, agent, thread if reasons[thread] == "spawn" else agent)
            model = _text(call.get("model")) or _text(agents[agent].get("model")) or UNKNOWN_AGENT
            row = CallRecord(
                call_id=imported_id("call", "trace", name, str(place)),
                run_id=run.run_id,
                agent=agent,
                model=model,
                conversation=f"{name}/{thread}",
                sent_at=_epoch(begun) + sent,
                ended_at=_later(_epoch(begun), sent, call.get("t_end")),
                usage=None,
                plan={RECORDED: seen[place].to_json()},
            )
            row = _with_usage(row, _api_usage(call.get("usage")), ttl="5m")
            self._calls.setdefault(row.call_id, row)
        return f"{name}: {untimed} calls have no recorded time" if untimed else None

    def _run(self, trace: str, main: str, agent: str, part: str) -> NamedRun:
        top = imported_id("run", "trace", trace)
        self._runs.setdefault(top, NamedRun(run_id=top, parent_run_id=None, name=main, agent=main, conversation=trace))
        if agent == main:
            return self._runs[top]
        own = imported_id("run", "trace", trace, part)
        return self._runs.setdefault(own, NamedRun(run_id=own, parent_run_id=top, name=agent, agent=agent))


def _with_usage(row: CallRecord, told: JsonObject | None, *, ttl: Ttl) -> CallRecord:
    if told is None:
        return row
    try:
        usage, parts = usage_of(told, model=row.model, default_ttl=ttl)
    except ReplyMalformed as error:
        return replace(row, error=f"{type(error).__name__}: {error}")
    return replace(row, usage=usage, parts=parts)


def _api_usage(told: JsonValue) -> JsonObject | None:
    """Return a trace's usage in the API's own form: it tells the lifetimes of writes as `w5m` and `w1h`."""
    if not isinstance(told, dict) or told.get("w1h") is None:
        return told if isinstance(told, dict) else None
    split: JsonObject = {"ephemeral_5m_input_tokens": told.get("w5m"), "ephemeral_1h_input_tokens": told["w1h"]}
    return {**told, "cache_creation": split}


def _only_ttl(request: JsonObject) -> Ttl:
    """Return the lifetime of writes that a reply does not split: 1h where every marker of its request says so."""
    lifetimes = {marker.get("ttl", "5m") for marker in _markers(request)}
    return "1h" if lifetimes == {"1h"} else "5m"


def _markers(value: JsonValue) -> Iterator[JsonObject]:
    """Yield the markers of a request, of its blocks, and of blocks in those."""
    if isinstance(value, list):
        for item in value:
            yield from _markers(item)
    elif isinstance(value, dict):
        marker = value.get("cache_control")
        if isinstance(marker, dict):
            yield marker
        for key in ("tools", "system", "messages", "content"):
            yield from _markers(value.get(key))


def _later(origin: float, sent: float, end: JsonValue) -> float | None:
    return origin + max(sent, end) if isinstance(end, (int, float)) else None


def _epoch(moment: str) -> float:
    parsed = datetime.fromisoformat(moment)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _objects(value: JsonValue) -> list[JsonObject]:
    if not isinstance(value, list):
        raise TypeError("a list of objects was expected")
    return [item for item in value if isinstance(item, dict)]


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value else None
