"""Reads trace files: threads of messages and the calls that were made on them, as whole Messages requests.

A thread only grows, and may begin with the first messages of another. Every message and block is made once and
shared by all calls that contain it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

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


def trace_calls(trace: JsonObject, *, place: int, options: TraceOptions) -> Iterator[TrafficCall]:
    """Yield the calls of the trace at `place` of the traffic. Raises `TargetError` for a trace that is not sound."""
    name = str(trace.get("trace_id", f"trace {place}"))
    try:
        yield from _Trace(trace, name, options).calls(place)
    except (KeyError, IndexError, TypeError) as error:
        raise TargetError(f"{name}: not a sound trace ({type(error).__name__}: {error})") from error


@dataclass(slots=True)
class _Trace:
    trace: JsonObject
    name: str
    options: TraceOptions
    _threads: dict[str, list[JsonObject]] = field(default_factory=dict)
    _speakers: dict[int, bool] = field(default_factory=dict)
    """For each user message (by identity) whether a person wrote it."""

    def calls(self, place: int) -> Iterator[TrafficCall]:
        agents = {str(agent["name"]): agent for agent in _objects(self.trace["agents"])}
        prompts = {name: self._prompt(agent) for name, agent in agents.items()}
        clock = TraceClock.of(place, arrivals=self.options.arrivals, seed=self.options.seed)
        origin = _epoch(self.trace.get("t0"))
        begun: set[str] = set()
        for call in _objects(self.trace["calls"]):
            agent, thread = str(call["agent"]), str(call["thread"])
            messages, response = self._messages(call)
            times = self._recorded(call, origin)
            if times is None:
                waiting = self._waiting(messages) if begun else Waiting.NOBODY
                times = clock.next_call(waiting)
            begun.add(thread)
            request: JsonObject = {
                "model": self._model(call, agents[agent]),
                "max_tokens": MAX_TOKENS,
                **prompts[agent],
                "messages": [message for message in messages if message["content"]],
            }
            usage = call.get("usage")
            yield TrafficCall(
                at_s=times[0],
                first_token_at_s=times[1],
                end_at_s=times[2],
                agent=agent,
                run=self.name,
                conversation=f"{self.name}/{thread}",
                request=request,
                response={"content": list(response), "usage": usage}
                if isinstance(usage, dict)
                else {"content": list(response)},
                headers={},
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
            raise TargetError(f"{self.name} names no Claude model; say which one to bill with --model")
        return self.options.model

    def _messages(self, call: JsonObject) -> tuple[list[JsonObject], list[JsonValue]]:
        thread = self._thread(str(call["thread"]))
        upto = _number(call["in"])
        messages = thread[:upto]
        if call.get("in_blocks") is not None:
            last = messages[-1]
            messages[-1] = {**last, "content": _list(last["content"])[: _number(call["in_blocks"])]}
        suffix = [_sent(block) for block in _objects(call.get("suffix") or [])]
        if suffix and messages[-1]["role"] == "user":
            messages[-1] = {**messages[-1], "content": [*_list(messages[-1]["content"]), *suffix]}
        elif suffix:
            messages.append({"role": "user", "content": list(suffix)})
        kept = call.get("persisted") is not False
        response: JsonValue = (
            thread[upto]["content"] if kept else [_sent(block) for block in _objects(call["response"])]
        )
        return messages, _list(response)

    def _thread(self, thread_id: str) -> list[JsonObject]:
        if thread_id not in self._threads:
            for thread in _objects(self.trace["threads"]):
                if thread["id"] == thread_id:
                    parent = thread.get("prefix_of")
                    before = (
                        self._thread(str(parent["thread"]))[: _number(parent["upto"])]
                        if isinstance(parent, dict)
                        else []
                    )
                    self._threads[thread_id] = [
                        *before,
                        *(self._message(item) for item in _objects(thread["messages"])),
                    ]
        return self._threads[thread_id]

    def _message(self, message: JsonObject) -> JsonObject:
        blocks = _objects(message["content"])
        # The API takes no empty text, so no client can have sent one; a message of nothing else was not sent.
        content: list[JsonValue] = [_sent(block) for block in blocks if block.get("type") != "text" or block["text"]]
        sent: JsonObject = {"role": message["role"], "content": content}
        self._speakers[id(sent)] = any(_is_a_persons(block) for block in blocks)
        return sent

    def _waiting(self, messages: Sequence[JsonObject]) -> Waiting:
        last = messages[-1]
        if any(isinstance(block, dict) and block.get("type") == "tool_result" for block in _list(last["content"])):
            return Waiting.TOOL
        return Waiting.USER if self._speakers.get(id(last), False) else Waiting.NOBODY

    def _recorded(self, call: JsonObject, origin: float) -> tuple[float, float, float] | None:
        began, first, end = (call.get(key) for key in ("t_req", "t_first", "t_end"))
        if self.options.arrivals is not Arrivals.RECORDED or not isinstance(began, (int, float)):
            return None
        first_s = first if isinstance(first, (int, float)) else began
        end_s = end if isinstance(end, (int, float)) else first_s
        return origin + began, origin + max(first_s, began), origin + max(end_s, first_s, began)


def _is_a_persons(block: JsonObject) -> bool:
    if block.get("synth") or block.get("type") == "tool_result":
        return False
    return block.get("from") in (None, "human", "user")


def _sent(block: JsonObject) -> JsonObject:
    return {key: value for key, value in block.items() if key not in _EXTRAS}


def _epoch(moment: JsonValue) -> float:
    return datetime.fromisoformat(moment).timestamp() if isinstance(moment, str) else 0.0


def _objects(value: JsonValue) -> list[JsonObject]:
    items = _list(value)
    if not all(isinstance(item, dict) for item in items):
        raise TypeError("a list of objects was expected")
    return [item for item in items if isinstance(item, dict)]


def _list(value: JsonValue) -> list[JsonValue]:
    if not isinstance(value, list):
        raise TypeError(f"a list was expected, not {type(value).__name__}")
    return value


def _number(value: JsonValue) -> int:
    if not isinstance(value, int):
        raise TypeError(f"a number was expected, not {type(value).__name__}")
    return value
