"""Traces as recordings: which turn of a recorded conversation answers what a client sends.

A trace holds threads of messages and the calls that were made on them. The client that plays one again is not the
client that was recorded: its tool calls may have other ids, its system prompt is another, it adds reminders, it may
send parallel calls one by one. So a conversation is told here by what does not change: what the assistant said and
called, and the texts of the user. A turn answers a request if the assistant said exactly the same before, and if every
text of the user stands in the request in the same order. Of several turns the one with the longest match answers;
results of tools and the system prompt only tell apart what is otherwise equal.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from agentcache.emulator.json_values import JsonObject, JsonValue, digest
from agentcache.emulator.recording import Found, RecordedTurn, blocks_of
from agentcache.errors import EmulatorError

_EXTRAS = frozenset({"synth", "approx", "from"})
"""Keys that the makers of traces add to blocks; they were never sent."""

_CALLS = frozenset({"tool_use", "server_tool_use"})

_SHOWN_CHARS = 60

_sorted_json: Callable[[object], str] = json.JSONEncoder(sort_keys=True).encode


@dataclass(frozen=True, slots=True)
class _Text:
    """A text of the user. `bare` is without white space, in which clients differ; `shown` is its beginning."""

    bare: str
    shown: str
    required: bool


@dataclass(frozen=True, slots=True)
class _Telling:
    """A conversation so far, told by what every client repeats."""

    said: blake2b = field(default_factory=blake2b)
    """All that the assistant said and called, however it was cut into blocks and turns."""
    texts: tuple[_Text, ...] = ()
    results: tuple[str, ...] = ()
    """What the tools answered, as it was written."""

    def with_message(self, message: JsonObject) -> _Telling:
        """Return the conversation with one message more."""
        blocks = blocks_of(message.get("content"))
        if message.get("role") == "assistant":
            said = self.said.copy()
            for block in blocks:
                said.update(_said(block))
            return _Telling(said, self.texts, self.results)
        if message.get("role") != "user":
            return self
        texts = tuple(text for block in blocks if block.get("type") == "text" and (text := _text(block)).bare)
        results = tuple(_result(block) for block in blocks if block.get("type") == "tool_result")
        return _Telling(self.said, self.texts + texts, self.results + results)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A recorded turn and the conversation that it answers; `system` is the recorded prompt without white space."""

    turn: RecordedTurn
    before: _Telling
    system: str


class TraceRecording:
    """The calls of one or more traces, found by the conversation before them."""

    def __init__(self, traces: Iterable[JsonObject]) -> None:
        """Read `traces`; raises `EmulatorError` for one that is not sound."""
        self._by_said: dict[bytes, list[_Candidate]] = defaultdict(list)
        self._said: set[bytes] = set()
        """All that an assistant had said and called at some point of some thread."""
        self.turns: list[RecordedTurn] = []
        for number, trace in enumerate(traces, start=1):
            name = str(trace.get("trace_id", f"trace {number}"))
            try:
                self._add(trace, name)
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise EmulatorError(f"{name} is not a sound trace ({type(error).__name__}: {error})") from error

    def find(self, request: JsonObject) -> Found:
        """Return the turns that answer `request` best; they differ in nothing that the request could tell apart."""
        asked = _telling(request.get("messages"))
        said = asked.said.digest()
        written = "".join(text.bare for text in asked.texts)
        prompt = digest(said, written.encode(), *(result.encode() for result in asked.results))
        matches = [(_match(candidate.before, written), candidate) for candidate in self._by_said.get(said, [])]
        fitting = [(match, candidate) for match, candidate in matches if match.lacking is None]
        if not fitting:
            reason = _missing(matches) if matches else self._strayed(request.get("messages"))
            return Found(prompt=prompt, turns=(), reason=reason)
        best = max(match for match, _ in fitting)
        equal = [candidate for match, candidate in fitting if match == best]
        if len(equal) > 1:
            equal = _told_apart(equal, asked, _bare(request.get("system")))
        return Found(prompt=prompt, turns=[candidate.turn for candidate in equal])

    def _add(self, trace: JsonObject, name: str) -> None:
        threads = _Threads(_objects(trace["threads"]))
        for candidate in _candidates(trace, name, threads):
            self.turns.append(candidate.turn)
            self._by_said[candidate.before.said.digest()].append(candidate)
        self._said.update(telling.said.digest() for telling in threads.tellings())

    def _strayed(self, messages: JsonValue) -> str:
        """Say where a conversation left every recorded one."""
        told = _Telling()
        for index, message in enumerate(blocks_of(messages)):
            told = told.with_message(message)
            if told.said.digest() not in self._said:
                words = _shortened(_spoken_text(message))
                return f"its messages[{index}], where the assistant says {words!r}, is not recorded after those before"
        return "it goes on where the recording ends"


def _candidates(trace: JsonObject, name: str, threads: _Threads) -> Iterator[_Candidate]:
    systems = {agent["name"]: _bare(agent.get("system")) for agent in _objects(trace["agents"])}
    for number, call in enumerate(_objects(trace["calls"])):
        messages, tellings = threads.thread(str(call["thread"]))
        upto = call["in"]
        if not isinstance(upto, int) or not 0 < upto <= len(messages):
            raise ValueError(f"call {number} points behind message {upto!r} of thread {call['thread']!r}")
        kept = call.get("persisted") is not False
        content = _objects(messages[upto]["content"] if kept else call["response"])
        turn = RecordedTurn(
            name=f"{name}, call {call.get('i', number)} of {call['agent']!r}",
            content=tuple(_sent(block) for block in content if block.get("text") != ""),
            stop_reason=None,
        )
        yield _Candidate(turn, _before(call, messages[upto - 1], tellings[upto - 1 : upto + 1]), systems[call["agent"]])


def _before(call: JsonObject, last: JsonObject, tellings: Sequence[_Telling]) -> _Telling:
    """Return what was told before a call: up to its last message, of which it may have seen only the first blocks."""
    without_last, whole = tellings
    seen = call.get("in_blocks")
    if isinstance(seen, int):
        whole = without_last.with_message({**last, "content": list(_objects(last["content"])[:seen])})
    suffix = _objects(call.get("suffix") or [])
    return whole.with_message({"role": "user", "content": list(suffix)}) if suffix else whole


class _Threads:
    """The threads of one trace, each with the conversation told up to each of its messages."""

    def __init__(self, threads: Iterable[JsonObject]) -> None:
        self._own = {str(thread["id"]): thread for thread in threads}
        self._whole: dict[str, tuple[list[JsonObject], list[_Telling]]] = {}

    def thread(self, thread_id: str) -> tuple[list[JsonObject], list[_Telling]]:
        """Return the messages of a thread and what is told before the first, before the second, … and at the end."""
        line = [thread_id]
        while line[-1] not in self._whole and (parent := self._own[line[-1]].get("prefix_of")) is not None:
            above = str(_object(parent)["thread"])
            if above in line:
                raise ValueError(f"thread {thread_id!r} begins with itself")
            line.append(above)
        for item in reversed(line):
            if item not in self._whole:
                self._whole[item] = self._made_whole(self._own[item])
        return self._whole[thread_id]

    def tellings(self) -> Iterator[_Telling]:
        """Yield what was told at any point of any thread."""
        for thread_id in self._own:
            yield from self.thread(thread_id)[1]

    def _made_whole(self, thread: JsonObject) -> tuple[list[JsonObject], list[_Telling]]:
        messages: list[JsonObject] = []
        tellings = [_Telling()]
        if thread.get("prefix_of") is not None:
            prefix = _object(thread["prefix_of"])
            above, told = self._whole[str(prefix["thread"])]
            upto = prefix["upto"]
            if not isinstance(upto, int) or not 0 <= upto <= len(above):
                raise ValueError(f"thread {thread['id']!r} begins with {upto!r} messages of {prefix['thread']!r}")
            messages, tellings = above[:upto], told[: upto + 1]
        for message in _objects(thread["messages"]):
            messages.append(message)
            tellings.append(tellings[-1].with_message(message))
        return messages, tellings


def _telling(messages: JsonValue) -> _Telling:
    told = _Telling()
    for message in messages if isinstance(messages, list) else []:
        if isinstance(message, dict):
            told = told.with_message(message)
    return told


@dataclass(frozen=True, slots=True, order=True)
class _Match:
    """How well a recorded turn fits: characters found, then, below zero, characters that are not there."""

    found: int
    missing: int
    lacking: _Text | None = field(default=None, compare=False)
    """A text without which the turn does not fit at all."""


def _match(recorded: _Telling, written: str) -> _Match:
    """Look for the texts of `recorded` in what the user of a request has `written`."""
    found = missing = end = optional_end = 0
    for text in recorded.texts:
        at = written.find(text.bare, end if text.required else max(end, optional_end))
        if at < 0 and text.required:
            return _Match(found, missing, text)
        if at < 0:
            missing -= len(text.bare)
            continue
        found += len(text.bare)
        optional_end = at + len(text.bare)
        end = optional_end if text.required else end  # what may be missing must not push what may not
    return _Match(found, missing)


def _told_apart(equal: Sequence[_Candidate], asked: _Telling, system: str) -> list[_Candidate]:
    """Return the candidates whose tool results, and then whose system prompt, are most like the request's."""
    results = {_without_space(result) for result in asked.results}
    ranks = [
        (
            sum(_without_space(result) in results for result in candidate.before.results),
            bool(candidate.system) and candidate.system in system,
        )
        for candidate in equal
    ]
    best = max(ranks)
    return [candidate for candidate, rank in zip(equal, ranks, strict=True) if rank == best]


def _missing(matches: Sequence[tuple[_Match, _Candidate]]) -> str:
    """Say which text keeps the nearest turn from answering."""
    match, candidate = max(matches, key=lambda pair: pair[0])
    lacking = match.lacking.shown if match.lacking else ""
    return f"{candidate.turn.name} comes next, but for the user text {lacking!r}, which it does not have"


def _said(block: JsonObject) -> bytes:
    """Return a block of the assistant as bytes; thinking, which clients may drop, is none."""
    if block.get("type") == "text":
        return _bare(block.get("text")).encode()
    if block.get("type") in _CALLS:
        return f"\0{block.get('name')}\0{_sorted_json(block.get('input'))}\0".encode()
    return b""


def _text(block: JsonObject) -> _Text:
    text = str(block.get("text")).strip()
    reminder = text.startswith("<system-reminder>") and text.endswith("</system-reminder>")
    required = not (block.get("synth") or block.get("approx") or reminder)
    return _Text(bare=_without_space(text), shown=_shortened(text), required=required)


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"


def _spoken_text(message: JsonObject) -> str:
    """Return what an assistant message says and calls, for error messages."""
    blocks = blocks_of(message.get("content"))
    return " ".join(str(block.get("text") or f"[{block.get('name', block.get('type'))}]") for block in blocks)


def _result(block: JsonObject) -> str:
    return "".join(str(inner.get("text", "")) for inner in blocks_of(block.get("content")))


def _bare(content: JsonValue) -> str:
    """Return the text of a string or of text blocks without white space."""
    return "".join(_without_space(str(block.get("text", ""))) for block in blocks_of(content))


def _without_space(text: str) -> str:
    return "".join(text.split())


def _sent(block: JsonObject) -> JsonObject:
    return {key: value for key, value in block.items() if key not in _EXTRAS}


def _objects(value: JsonValue) -> list[JsonObject]:
    if not isinstance(value, list):
        raise TypeError(f"a list was expected, not {type(value).__name__}")
    return [_object(item) for item in value]


def _object(value: JsonValue) -> JsonObject:
    if not isinstance(value, dict):
        raise TypeError(f"an object was expected, not {type(value).__name__}")
    return value
