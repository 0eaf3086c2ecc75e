"""What is played: conversations with the model's turns and the tools' results fixed, and the users' pauses.

Recorded ones come from the trace files of `tau_airline` (`$AGENTCACHE_SHARED`, else `../shared`), the others are made
here, each for one property of the cache. A scenario is kept as traces, which is what the emulator answers from.
"""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any

JsonObject = dict[str, Any]

MODEL = "claude-sonnet-5-5"
REPOSITORY = Path(__file__).resolve().parents[2]
MINUTE_S = 60.0
RECORDED = 8
"""Conversations of the recorded scenarios: the first of the file that have tool calls and turns enough."""

PROSE = (
    "the order was late because a ship waited for its berth and nobody told the customer when another one would sail "
    "so please look up the booking first then say what it costs to change it which days are free and who may confirm "
    "refund policy baggage passenger reservation flight harbour invoice agent number date city airport luggage seat"
)
TOKENS_A_WORD = 1.65
"""Of words drawn from it, as the emulator estimates it for the model."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Conversations of one agent, one after the other or all at once.

    traces: one a conversation, with the same system prompt and tools. pauses_s: for each conversation how long the
    user waits before each of their turns.
    """

    name: str
    about: str
    traces: Sequence[JsonObject]
    pauses_s: Sequence[Sequence[float]]
    together: bool = False

    @property
    def calls(self) -> int:
        """Calls to the model that the recording has."""
        return sum(len(trace["calls"]) for trace in self.traces)

    def job(self, base_url: str, settings: str) -> JsonObject:
        """Return the scenario as a player reads it."""
        agent = self.traces[0]["agents"][0]
        conversations = []
        for trace, pauses in zip(self.traces, self.pauses_s, strict=True):
            texts = list(_user_texts(trace))
            timed = zip(pauses, texts, strict=True)
            conversations.append([{"pause_s": pause_s, "text": text} for pause_s, text in timed])
        return {
            "name": self.name,
            "settings": settings,
            "base_url": base_url,
            "model": MODEL,
            "system": agent["system"],
            "tools": agent["tools"],
            "together": self.together,
            "conversations": conversations,
            "results": [result for trace in self.traces for result in _results(trace)],
        }


def all_scenarios() -> list[Scenario]:
    """Return the scenarios in the order of the tables; without trace files those that are made here."""
    return [*_airline(), *_made()]


def _airline() -> list[Scenario]:
    shared = Path(os.environ.get("AGENTCACHE_SHARED", REPOSITORY.parent / "shared"))
    path = shared / "traces" / "dev" / "tau_airline.jsonl.gz"
    if not path.exists():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        traces = [trace for trace in map(json.loads, file) if _is_playable(trace)][:RECORDED]
    return [
        Scenario(
            name="airline, brisk",
            about=f"{RECORDED} tau-bench conversations, users answer after 8 to 40 s",
            traces=traces,
            pauses_s=_pauses(traces, lambda draw: draw.uniform(8, 40)),
        ),
        Scenario(
            name="airline, wandering",
            about="the same, users answer after a log-normal pause of median 30 s, sigma 1.6, at most 40 min",
            traces=traces,
            pauses_s=_pauses(traces, lambda draw: min(draw.lognormvariate(log(30), 1.6), 40 * MINUTE_S)),
        ),
    ]


def _is_playable(trace: JsonObject) -> bool:
    """Tell whether a trace has tool calls and user turns enough, and ends with the assistant's words."""
    messages = trace["threads"][0]["messages"]
    last = messages[-1]
    ends = last["role"] == "assistant" and all(block["type"] == "text" for block in last["content"])
    results = sum(block["type"] == "tool_result" for message in messages for block in message["content"])
    return ends and len(trace["threads"]) == 1 and results >= 4 and len(list(_user_texts(trace))) >= 6


def _made() -> list[Scenario]:
    rules = prose("rules", 6000)
    tools = [_tool(f"look_up_{kind}") for kind in ("booking", "flight", "price", "baggage")]
    made = []
    for minutes in (2, 7, 40):
        traces = [_chat(f"p{minutes}-{n}", rules, tools, turns=8, calls=1, result_tokens=400) for n in range(3)]
        pauses = _pauses(traces, lambda draw, minutes=minutes: minutes * MINUTE_S)
        about = f"three conversations of 8 turns with a tool call each, every user turn after {minutes} min"
        made.append(Scenario(name=f"pauses of {minutes} min", about=about, traces=traces, pauses_s=pauses))
    for name, about, options in (
        (
            "12 interleaved calls",
            "four turns, in each the model says a sentence before each of 12 tool calls in one message (25 positions)",
            {"calls": 12, "words_between": True, "result_tokens": 500},
        ),
        (
            "30 parallel calls",
            "three turns, in each 30 tool calls in one message and 30 results",
            {"calls": 30, "result_tokens": 200},
        ),
    ):
        traces = [_chat(name, rules, tools, turns=4 if "words_between" in options else 3, **options)]
        made.append(Scenario(name=name, about=about, traces=traces, pauses_s=_pauses(traces, lambda draw: 30.0)))
    return [*made, *_many(tools)]


def _many(tools: list[JsonObject]) -> Iterator[Scenario]:
    handbook, brief, rules = prose("handbook", 20_000), prose("brief", 100), prose("instructions", 6000)
    workers = [_chat(f"w{n}", handbook, tools, turns=1, calls=1, result_tokens=300) for n in range(8)]
    about = "eight workers start together on the same prompt of 20,000 tokens; one tool call each"
    yield Scenario(
        name="8 workers at once", about=about, traces=workers, pauses_s=[[0.0]] * len(workers), together=True
    )
    for name, system, about in (
        ("one-shot", brief, "24 unrelated prompts of 3,000 tokens behind a system prompt of 100; nothing comes again"),
        ("one-shot, shared rules", rules, "24 prompts of 3,000 tokens behind the same 6,000 tokens, one every 30 s"),
    ):
        traces = [_chat(f"{name}-{n}", system, [], turns=1, calls=0, asks_tokens=3000) for n in range(24)]
        yield Scenario(name=name, about=about, traces=traces, pauses_s=[[30.0]] * len(traces))


def _pauses(traces: Sequence[JsonObject], pause_s: Callable[[random.Random], float]) -> list[list[float]]:
    draw = random.Random(7)
    return [[round(pause_s(draw), 1) for _ in _user_texts(trace)] for trace in traces]


def prose(seed: str, tokens: int) -> str:
    """Return text of about so many tokens, always the same for the same seed."""
    draw = random.Random(seed)
    words = draw.choices(PROSE.split(), k=round(tokens / TOKENS_A_WORD))
    return "\n".join(" ".join(words[at : at + 18]) for at in range(0, len(words), 18))


def _tool(name: str) -> JsonObject:
    schema = {
        "type": "object",
        "properties": {"number": {"type": "string", "description": "What to look for."}},
        "required": ["number"],
    }
    return {"name": name, "description": f"{name}: {prose(name, 120)}", "input_schema": schema}


def _chat(
    name: str,
    system: str,
    tools: list[JsonObject],
    *,
    turns: int,
    calls: int,
    result_tokens: int = 0,
    words_between: bool = False,
    asks_tokens: int = 40,
) -> JsonObject:
    """Return a made conversation as a trace: in each turn one message with all tool calls, results, an answer."""
    messages: list[JsonObject] = []
    for turn in range(turns):
        where = f"{name}-{turn}"
        messages.append(_says("user", f"{where}: {prose(where, asks_tokens)}"))
        asked: list[JsonObject] = []
        for number in range(calls):
            if words_between or number == 0:
                asked.append({"type": "text", "text": f"Now I look at {where}-{number}."})
            asked.append(
                {
                    "type": "tool_use",
                    "id": f"toolu_{hash_of(where):x}_{number}",
                    "name": tools[number % len(tools)]["name"],
                    "input": {"number": f"{where}-{number}"},
                }
            )
        if asked:
            results = [
                {"type": "tool_result", "tool_use_id": block["id"], "content": prose(block["id"], result_tokens)}
                for block in asked
                if block["type"] == "tool_use"
            ]
            messages += [{"role": "assistant", "content": asked}, {"role": "user", "content": results}]
        messages.append(_says("assistant", f"On {where}: {prose(where + 'answer', 60)}"))
    at = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    return {
        "trace_id": name,
        "agents": [{"name": "agent", "system": system, "tools": tools}],
        "threads": [{"id": "0", "agent": "agent", "messages": messages}],
        "calls": [{"i": number, "thread": "0", "agent": "agent", "in": index} for number, index in enumerate(at)],
    }


def hash_of(text: str) -> int:
    """Return a number for a text, the same in every process."""
    return random.Random(text).getrandbits(64)


def _says(role: str, text: str) -> JsonObject:
    return {"role": role, "content": [{"type": "text", "text": text}]}


def _user_texts(trace: JsonObject) -> Iterator[str]:
    for message in trace["threads"][0]["messages"]:
        texts = [block["text"] for block in message["content"] if block["type"] == "text" and not block.get("synth")]
        if message["role"] == "user" and texts:
            yield "\n".join(texts)


def _results(trace: JsonObject) -> Iterator[JsonObject]:
    """Yield what the tools answered, in order, with the call that each answers."""
    asked: dict[str, JsonObject] = {}
    for message in trace["threads"][0]["messages"]:
        for block in message["content"]:
            if block["type"] == "tool_use":
                asked[block["id"]] = block
            elif block["type"] == "tool_result":
                call, content = asked[block["tool_use_id"]], block["content"]
                text = content if isinstance(content, str) else "".join(inner.get("text", "") for inner in content)
                yield {"name": call["name"], "input": call["input"], "content": text}
