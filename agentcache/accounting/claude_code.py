"""Claude Code's session transcripts as rows of the ledger.

The format is nobody's promise: the client writes it for itself, and no page of its vendor describes it. What is read
here follows public descriptions of real files (looked up on 2026-11-28): ticpu/claude-conversation-search-mcp
`docs/jsonl-format.md` (1,301 files of 2.0.x), jeremedia/claude-code-log-format `source-docs/JSONL_LOGGING.md`
(2.0.55), 23min/copilot-lens `docs/research/claude-code-sessions.md` (2.1.39, commit 3163988):

- one JSON object a line in `~/.claude/projects/<folder>/<sessionId>.jsonl`; sub-agents in `agent-<agentId>.jsonl`
  beside it or in `<sessionId>/subagents/`, with the `sessionId` of their session, `isSidechain` and `agentId`; older
  clients put them in the session's own file without an `agentId`, as chains of `parentUuid` that begin anew;
- an answer is one line of type `assistant` a content block, each with the same `message.id` and `requestId`, and with
  `message.usage` as it was known then: the same call, so it counts once, with the fullest usage that it was given;
- a session that was resumed or forked repeats earlier lines under a new `sessionId`, with the same message ids;
- a compaction is a `system` line `compact_boundary` whose `parentUuid` is null and whose `logicalParentUuid` names the
  line before it, and a `user` line with `isCompactSummary` behind it; `microcompact_boundary` tells that old tool
  results were cleared; `attachment` lines tell of tools and MCP servers that came or went;
- the model `<synthetic>` stands for messages that the client wrote itself, which are no calls.

`message.usage.output_tokens` is often what was known when the answer began, so output is understated. The system
prompt and the tools are in no transcript, and neither is when the first token came.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from agentcache.accounting.imported import ImportedRows, NamedRun, imported_id, imported_rows, message_call_id
from agentcache.accounting.observed import RECORDED, Observed
from agentcache.accounting.reading import usage_of
from agentcache.accounting.transcript_lines import TranscriptLines
from agentcache.accounting.usage import CallRecord, ToolCallRecord
from agentcache.errors import ReplyMalformed
from agentcache.prompt.canonical import JsonObject, JsonValue

MAIN_AGENT = "claude-code"
UNKNOWN_SUBAGENT = "subagent"
"""The agent of a sub-agent whose spawning was not recorded."""
_SYNTHETIC = "<synthetic>"


def is_transcript(line: JsonObject) -> bool:
    """Tell whether a line of a file is one of a transcript."""
    return isinstance(line.get("type"), str) and "request" not in line


@dataclass(slots=True)
class _Answer:
    """One call, from all the lines that tell of it."""

    session: str
    subagent: str | None
    uuid: str
    above: str | None
    """The line above its first one."""
    message_id: str | None
    request_id: str | None
    model: str
    sent_at: float
    ended_at: float
    stop_reason: str | None = None
    usage: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class _ToolUse:
    answer: _Answer
    tool: str
    at: float


@dataclass(slots=True)
class Transcripts:
    """Takes the lines of any number of transcripts in and gives their rows back; texts are not kept."""

    _answers: dict[str, _Answer] = field(default_factory=dict)
    _above: dict[str, tuple[str | None, float | None]] = field(default_factory=dict)
    """Of each line by its uuid: the line before it, and when it was written."""
    _lines: TranscriptLines = field(default_factory=TranscriptLines)
    _tool_uses: dict[str, _ToolUse] = field(default_factory=dict)
    _tool_calls: dict[str, ToolCallRecord] = field(default_factory=dict)
    _spawns: dict[str, str] = field(default_factory=dict)
    """The kind of sub-agent that a tool use asked for."""
    _subagents: dict[tuple[str, str], tuple[str | None, str | None]] = field(default_factory=dict)
    """Of a sub-agent of a session: its name, and the sub-agent that spawned it; `None` where not known."""

    def take(self, line: JsonObject) -> str | None:
        """Take a line in. Returns why a line that should tell of a call could not be read, `None` when it could be."""
        at = _epoch(line.get("timestamp"))
        uuid, above = _text(line.get("uuid")), _text(line.get("parentUuid"))
        if uuid is not None:
            self._above.setdefault(uuid, (above, at))
            self._lines.take(line)
        message = line.get("message")
        if not isinstance(message, dict):
            return "it has no message" if line.get("type") == "assistant" else None
        if line.get("type") == "user" and at is not None:
            self._take_results(line, message, at)
        return self._take_answer(line, message, at) if line.get("type") == "assistant" else None

    def rows(self) -> ImportedRows:
        """Return what was taken in: a run for each session, one nested in it for each of its sub-agents."""
        runs: dict[str, NamedRun] = {}
        calls = []
        for answer in self._answers.values():
            name = self._add_run(runs, answer.session, answer.subagent)
            calls.append(replace(_call(answer, name), plan={RECORDED: self._observed(answer).to_json()}))
        tool_calls = []
        for use_id, row in self._tool_calls.items():
            answer = self._tool_uses[use_id].answer
            tool_calls.append(replace(row, agent=self._name_of(answer.session, answer.subagent)))
        return imported_rows(runs, calls, tool_calls)

    def _observed(self, answer: _Answer) -> Observed:
        def call_id(key: str) -> str | None:
            return _call_id(self._answers[key]) if key in self._answers else None

        return self._lines.observed(answer.uuid, answer.above, call_id)

    def _take_answer(self, line: JsonObject, message: JsonObject, at: float | None) -> str | None:
        session, model = _text(line.get("sessionId")), _text(message.get("model"))
        message_id, request_id = _text(message.get("id")), _text(line.get("requestId"))
        key = message_id or request_id or _text(line.get("uuid"))
        if model == _SYNTHETIC:
            return None
        if session is None or model is None or key is None or at is None:
            return "it lacks its session, model, id or time"
        answer = self._answers.get(key)
        if answer is None:
            answer = self._answers[key] = _Answer(
                session=session,
                subagent=self._subagent_of(line),
                uuid=key,
                above=_text(line.get("parentUuid")),
                message_id=message_id,
                request_id=request_id,
                model=model,
                sent_at=self._sent_at(line, at),
                ended_at=at,
            )
        answer.ended_at = max(answer.ended_at, at)
        answer.stop_reason = _text(message.get("stop_reason")) or answer.stop_reason
        usage = message.get("usage")
        if isinstance(usage, dict) and _output(usage) >= _output(answer.usage):
            answer.usage = usage
        self._lines.take_answer(line, key, _content(message))
        self._take_tool_uses(answer, message, at)
        return None

    def _take_tool_uses(self, answer: _Answer, message: JsonObject, at: float) -> None:
        for block in _blocks(message, "tool_use"):
            use_id, asked = _text(block.get("id")), block.get("input")
            if use_id is None:
                continue
            self._tool_uses.setdefault(use_id, _ToolUse(answer, _text(block.get("name")) or "?", at))
            if isinstance(asked, dict) and (kind := _text(asked.get("subagent_type"))):
                self._spawns[use_id] = kind

    def _take_results(self, line: JsonObject, message: JsonObject, at: float) -> None:
        told = line.get("toolUseResult")
        spawned = _text(told.get("agentId")) if isinstance(told, dict) else None
        for block in _blocks(message, "tool_result"):
            use_id = _text(block.get("tool_use_id"))
            use = self._tool_uses.get(use_id) if use_id is not None else None
            if use is None or use_id is None:
                continue
            self._tool_calls.setdefault(use_id, _tool_call(use_id, use, block, at))
            if spawned is not None:
                self._subagents[(use.answer.session, spawned)] = (self._spawns.get(use_id), use.answer.subagent)

    def _subagent_of(self, line: JsonObject) -> str | None:
        """Return what tells a sub-agent from others of its session, `None` for the session's own agent."""
        agent_id = _text(line.get("agentId"))
        if agent_id is not None or line.get("isSidechain") is not True:
            return agent_id
        first = _text(line.get("uuid")) or UNKNOWN_SUBAGENT
        seen = {first}
        while (above := self._above.get(first, (None, None))[0]) is not None and above not in seen:
            seen.add(above)
            first = above
        return first

    def _sent_at(self, line: JsonObject, at: float) -> float:
        """Return when a call was sent: when the line before its answer was written, as near as a transcript tells."""
        above = _text(line.get("parentUuid"))
        before = self._above.get(above, (None, None))[1] if above is not None else None
        return at if before is None else min(before, at)

    def _add_run(self, runs: dict[str, NamedRun], session: str, subagent: str | None) -> str:
        """Add the run of an agent behind those above it; return the agent's name."""
        above, name = None, MAIN_AGENT
        for part in self._lineage(session, subagent):
            own, name = _run_id(session, part), self._name_of(session, part)
            run = NamedRun(
                run_id=own, parent_run_id=above, name=name, agent=name, conversation=_conversation(session, part)
            )
            runs.setdefault(own, run)
            above = own
        return name

    def _lineage(self, session: str, subagent: str | None) -> list[str | None]:
        """Return who spawned whom, from the session's own agent down to `subagent`."""
        found = [subagent]
        while found[-1] is not None:
            spawner = self._subagents.get((session, found[-1]), (None, None))[1]
            found.append(None if spawner in found else spawner)
        return found[::-1]

    def _name_of(self, session: str, subagent: str | None) -> str:
        if subagent is None:
            return MAIN_AGENT
        return self._subagents.get((session, subagent), (None, None))[0] or UNKNOWN_SUBAGENT


def _call(answer: _Answer, agent: str) -> CallRecord:
    row = CallRecord(
        call_id=_call_id(answer),
        run_id=_run_id(answer.session, answer.subagent),
        agent=agent,
        model=answer.model,
        conversation=_conversation(answer.session, answer.subagent),
        message_id=answer.message_id,
        request_id=answer.request_id,
        sent_at=answer.sent_at,
        ended_at=answer.ended_at,
        stop_reason=answer.stop_reason,
        usage=None,
    )
    if answer.usage is None:
        return row
    try:
        usage, parts = usage_of(answer.usage, model=answer.model)
    except ReplyMalformed as error:
        return replace(row, error=f"{type(error).__name__}: {error}")
    return replace(row, usage=usage, parts=parts)


def _tool_call(use_id: str, use: _ToolUse, result: JsonObject, at: float) -> ToolCallRecord:
    return ToolCallRecord(
        tool_call_id=imported_id("tool", "claude-code", use_id),
        run_id=_run_id(use.answer.session, use.answer.subagent),
        agent=None,  # known when every line has been read
        call_id=_call_id(use.answer),
        tool=use.tool,
        started_at=use.at,
        ended_at=max(use.at, at),
        outcome="error" if result.get("is_error") is True else "ok",
        result_chars=_chars(result.get("content")),
    )


def _call_id(answer: _Answer) -> str:
    if answer.message_id is not None:
        return message_call_id(answer.message_id)
    return imported_id("call", "claude-code", answer.uuid)


def _run_id(session: str, subagent: str | None) -> str:
    return imported_id("run", "claude-code", session, *(() if subagent is None else (subagent,)))


def _conversation(session: str, subagent: str | None) -> str:
    return session if subagent is None else f"{session}/{subagent}"


def _blocks(message: JsonObject, kind: str) -> Iterator[JsonObject]:
    return (block for block in _content(message) if block.get("type") == kind)


def _content(message: JsonObject) -> Iterator[JsonObject]:
    content = message.get("content")
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict):
            yield block


def _chars(content: JsonValue) -> int:
    if isinstance(content, str):
        return len(content)
    texts = (
        (_text(block.get("text")) for block in content if isinstance(block, dict)) if isinstance(content, list) else ()
    )
    return sum(len(text) for text in texts if text is not None)


def _output(usage: JsonObject | None) -> int:
    tokens = -1 if usage is None else usage.get("output_tokens")
    return tokens if isinstance(tokens, int) else 0


def _epoch(moment: JsonValue) -> float | None:
    if not isinstance(moment, str):
        return None
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value else None
