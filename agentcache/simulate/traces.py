"""Reads trace files: threads of messages and the calls that were made on them, as whole Messages requests.

A thread only grows, and may begin with the first messages of another. Every message and block is made once and
shared by all calls that contain it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from agentcache.errors import TargetError
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.model_facts import facts_for
from agentcache.simulate.arrivals import Arrivals, TraceClock, Waiting
from agentcache.simulate.traffic import TrafficCall

_EXTRAS = frozenset({"synth", "approx", "from"})
"""Keys that the converters of traces add to blocks; they were never sent."""

MAX_TOKENS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceOptions:
    """How to complete what a trace lacks.

    model: for agents whose trace names no Claude model. system, tools: for agents whose prompt was not recorded.
    arrivals: `recorded` times fall back to `brisk` where a trace has none. seed: of the pauses.
    """

    model: str | None = None
    system: Sequence[JsonObject] = ()
    tools: Sequence[JsonObject] = ()
    arrivals: Arrivals = Arrivals.RECORDED
    seed: int = 0


def is_trace(line: Mapping[str, JsonValue]) -> bool:
    """Tell whether a line of a file is a trace (and not a call of a request log)."""
    return "threads" in line and "calls" in line


def trace_calls(trace: JsonObject, *, where: str, place: int, options: TraceOptions) -> Iterator[TrafficCall]:
    """Yield the calls of the trace at `place` of the traffic; `where` names file and line for errors.

    Raises `TargetError` for a trace that is not sound.
    """
    name = str(trace.get("trace_id", f"trace {place}"))
    where = f"{where} ({name})"
    try:
        yield from _Trace(trace, name, where, options).calls(place)
    except (KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise TargetError(f"{where}: not a sound trace ({type(error).__name__}: {error})") from error


@dataclass(frozen=True, slots=True)
class _Turn:
    """A message as it was recorded and as it was sent."""

    recorded: JsonObject
    sent: JsonObject


@dataclass(slots=True)
class _Trace:
    trace: JsonObject
    name: str
    where: str
    options: TraceOptions
    _recorded_threads: dict[str, JsonObject] = field(init=False)
    _threads: dict[str, list[_Turn]] = field(default_factory=dict)
    _waited_for: set[tuple[int, JsonValue]] = field(default_factory=set)
    """Messages, by identity and how much of them, that an earlier call has waited for already."""

    def calls(self, place: int) -> Iterator[TrafficCall]:
        agents = {str(agent["name"]): agent for agent in _objects(self.trace["agents"])}
        prompts = {name: self._prompt(agent) for name, agent in agents.items()}
        self._recorded_threads = {str(thread["id"]): thread for thread in _objects(self.trace["threads"])}
        clock = TraceClock.of(place, arrivals=self.options.arrivals, seed=self.options.seed)
        origin_s = _epoch(self.trace.get("t0"))
        begun: set[str] = set()
        for call in _objects(self.trace["calls"]):
            agent, thread = str(call["agent"]), str(call["thread"])
            turns = self._turns(call)
            times = self._recorded(call, origin_s)
            if times is None:
                times = clock.next_call(self._waiting(call, turns, begun))
            begun.add(thread)
            usage = call.get("usage")
            yield TrafficCall(
                where=self.where,
                at_s=times[0],
                first_token_at_s=times[1],
                end_at_s=times[2],
                agent=agent,
                run=self.name,
                conversation=f"{self.name}/{thread}",
                request={
                    "model": self._model(call, agents[agent]),
                    "max_tokens": MAX_TOKENS,
                    **prompts[agent],
                    "messages": [turn.sent for turn in turns if turn.sent["content"]],
                },
                response={"content": self._response(call), **({"usage": usage} if isinstance(usage, dict) else {})},
                headers={},
                lacks_prompt=agents[agent].get("system_known") is False and not prompts[agent],
            )

    def _prompt(self, agent: JsonObject) -> JsonObject:
        prompt: JsonObject = {}
        tools, system = agent.get("tools"), agent.get("system")
        known = agent.get("system_known") is not False
        if isinstance(tools, list) and tools:
            prompt["tools"] = tools
        elif not known and self.options.tools:
            prompt["tools"] = list(self.options.tools)
        if isinstance(system, str) and system.strip():
            prompt["system"] = [{"type": "text", "text": system}]
        elif not known and self.options.system:
            prompt["system"] = list(self.options.system)
        return prompt

    def _model(self, call: JsonObject, agent: JsonObject) -> str:
        for named in (call.get("model"), agent.get("model")):
            if isinstance(named, str) and facts_for(named).known:
                return named
        if self.options.model is None:
            raise TargetError(f"{self.where} names no Claude model; say which one to bill with --model")
        return self.options.model

    def _turns(self, call: JsonObject) -> list[_Turn]:
        """Return the messages of a call's request."""
        turns = self._thread(str(call["thread"]))[: _count(call["in"])]
        last = turns[-1].recorded
        content = _list(last["content"])
        if call.get("in_blocks") is not None:
            content = content[: _count(call["in_blocks"])]
        suffix = _objects(call.get("suffix") or [])
        own: list[JsonObject] = []
        if suffix and last["role"] == "user":
            content = [*content, *suffix]
        elif suffix:
            own = [{"role": "user", "content": list(suffix)}]
        if content is not last["content"]:
            turns[-1] = _turn({**last, "content": content})
        return [*turns, *map(_turn, own)]

    def _response(self, call: JsonObject) -> list[JsonValue]:
        """Return the content of a call's answer; some answers were not kept in the thread."""
        if call.get("persisted") is False:
            return [_sent(block) for block in _objects(call["response"])]
        return _list(self._thread(str(call["thread"]))[_count(call["in"])].sent["content"])

    def _thread(self, thread_id: str) -> list[_Turn]:
        """Return all messages of a thread, those of the thread that it branched off included."""
        if thread_id not in self._threads:
            thread = self._recorded_threads[thread_id]
            parent = thread.get("prefix_of")
            before = []
            if isinstance(parent, dict):
                before = self._thread(str(parent["thread"]))[: _count(parent["upto"])]
            self._threads[thread_id] = [*before, *(_turn(message) for message in _objects(thread["messages"]))]
        return self._threads[thread_id]

    def _waiting(self, call: JsonObject, turns: Sequence[_Turn], begun: Collection[str]) -> Waiting:
        """Return whom a call waited for: whoever wrote the last message, unless an earlier call had it already."""
        thread_id = str(call["thread"])
        last = self._thread(thread_id)[_count(call["in"]) - 1].recorded
        said = (id(last), call.get("in_blocks"))
        is_spawned = self._recorded_threads[thread_id].get("reason") == "spawn" and thread_id not in begun
        is_known = not begun or is_spawned or said in self._waited_for
        self._waited_for.add(said)
        return Waiting.NOBODY if is_known else _speaker(turns[-1].recorded)

    def _recorded(self, call: JsonObject, origin_s: float) -> tuple[float, float, float] | None:
        began, first, end = (call.get(key) for key in ("t_req", "t_first", "t_end"))
        if self.options.arrivals is not Arrivals.RECORDED or not isinstance(began, (int, float)):
            return None
        first_s = first if isinstance(first, (int, float)) else began
        end_s = end if isinstance(end, (int, float)) else first_s
        return origin_s + began, origin_s + max(first_s, began), origin_s + max(end_s, first_s, began)


def _turn(recorded: JsonObject) -> _Turn:
    # The API takes no empty text, so no client can have sent one; a message of nothing else was not sent.
    blocks = [block for block in _objects(recorded["content"]) if block.get("type") != "text" or block["text"]]
    return _Turn(recorded, {"role": recorded["role"], "content": [_sent(block) for block in blocks]})


def _speaker(message: JsonObject) -> Waiting:
    """Return whose time a message took, by its blocks as they were recorded."""
    blocks = _objects(message["content"])
    if any(block.get("type") == "tool_result" for block in blocks):
        return Waiting.TOOL
    return Waiting.USER if any(_is_a_persons(block) for block in blocks) else Waiting.NOBODY


def _is_a_persons(block: JsonObject) -> bool:
    return not block.get("synth") and block.get("from") in (None, "human", "user")


def _sent(block: JsonObject) -> JsonObject:
    return {key: value for key, value in block.items() if key not in _EXTRAS}


def _epoch(moment: JsonValue) -> float:
    """Return an ISO time as Unix seconds, UTC where it names no zone; 0 for none."""
    if not isinstance(moment, str):
        return 0.0
    parsed = datetime.fromisoformat(moment)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _objects(value: JsonValue) -> list[JsonObject]:
    items = _list(value)
    if not all(isinstance(item, dict) for item in items):
        raise TypeError("a list of objects was expected")
    return [item for item in items if isinstance(item, dict)]


def _list(value: JsonValue) -> list[JsonValue]:
    if not isinstance(value, list):
        raise TypeError(f"a list was expected, not {type(value).__name__}")
    return value


def _count(value: JsonValue) -> int:
    if not isinstance(value, int) or value < 0:
        raise TypeError(f"a count was expected, not {value!r}")
    return value
