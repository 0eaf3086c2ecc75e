"""The plan of a storm: what each of its runs is to do, drawn from a seed and the number of the run alone. Pure.

An errand is one thing that a user has done: a run, or a few in a row in one conversation. A task is what a model is
told to do; it stands in the text of the user's message, so that the model (`model.py`) needs no memory.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, TypeAlias, get_args

from agentcache import Limits

Job = Literal[
    "text", "tools", "receipt", "talk", "map", "gather", "delegate", "forks", "handoff", "fallback", "bounded"
]
JOBS: tuple[Job, ...] = get_args(Job)
Fate = Literal["wait", "stream", "leave", "cancel"]
Task: TypeAlias = dict[str, Any]
"""`id`; `rounds`, each a list of `{"tool", "input"}`; `bad`, so many answers that fit no schema; `declines`, the models
that do; `pad`, words behind the answer; `aloud`, whether it speaks before it asks for tools."""

MARK = "chaos "
SONNET, OPUS, HAIKU = "claude-sonnet-5-5", "claude-opus-5", "claude-haiku-5-5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One errand. `tasks`: of its steps, or of the parts that run beside each other, as the job wants them.

    fate: whether the user waits for the result, reads the stream to its end, leaves it or cancels the run `after` so
    many events.
    """

    number: int
    job: Job
    tasks: tuple[Task, ...]
    limits: Limits | None
    fate: Fate
    after: int


def errand(seed: str, number: int) -> Errand:
    """Return errand `number` (from 0) of the storm `seed`."""
    drawn = random.Random(f"{seed}:{number}")
    job = drawn.choice(JOBS)
    return Errand(
        number=number,
        job=job,
        tasks=_tasks(drawn, number, job),
        limits=_limits(drawn) if job == "bounded" else None,
        fate=drawn.choices(("wait", "stream", "leave", "cancel"), weights=(50, 25, 10, 15))[0],
        after=drawn.randint(1, 25),
    )


def text_of(task: Task) -> str:
    """Return the words of a user, or of another agent, that ask for a task."""
    return MARK + json.dumps(task)


def answer_of(task: Task, results: int | None = None) -> str:
    """Return what the model answers when it has `results` of tools; `None`: of all that it asks for."""
    told = sum(map(len, task["rounds"])) if results is None else results
    return f"{task['id']}: {told}{' word' * task['pad']}"


def errand_of(identifier: str) -> int:
    """Return the number of the errand that a task's or a tool call's id belongs to."""
    return int(identifier.removeprefix("toolu_").partition("-")[0])


def tool_use_id(task: Task, turn: int, place: int) -> str:
    """Return the id under which the model asks for a tool: the same however often the turn is sent."""
    return f"toolu_{task['id']}-t{turn}-{place}"


def payments(task: Task) -> Iterator[str]:
    """Yield the ids of the calls with side effects that the task itself asks for, those of sub-agents left out."""
    for turn, calls in enumerate(task["rounds"]):
        for place, call in enumerate(calls):
            if call["tool"] == "pay":
                yield tool_use_id(task, turn, place)


def _tasks(drawn: random.Random, number: int, job: Job) -> tuple[Task, ...]:
    count = {"talk": 3, "map": drawn.randint(2, 3), "gather": 2, "forks": 3, "handoff": 2}.get(job, 1)
    tasks = [_task(drawn, f"{number}-{place}", tools=job not in {"text", "receipt"}) for place in range(count)]
    if job == "receipt":
        tasks[0]["bad"] = drawn.choice((0, 0, 1))
    if job == "fallback":
        tasks[0]["declines"] = drawn.choice(([], [SONNET], [SONNET, OPUS]))
    if job == "handoff":
        tasks[0] |= {"rounds": [], "next": tasks.pop()}
    if job == "delegate":
        tasks[0]["rounds"].insert(0, _delegation(drawn, tasks[0]["id"]))
    return tuple(tasks)


def _task(drawn: random.Random, identifier: str, *, tools: bool) -> Task:
    rounds = [[_call(drawn, identifier) for _ in range(drawn.randint(1, 3))] for _ in range(drawn.randint(1, 2))]
    return {
        "id": identifier,
        "rounds": rounds if tools else [],
        "bad": 0,
        "declines": [],
        "pad": drawn.randint(0, 20),
        "aloud": drawn.random() < 0.5,
    }


def _call(drawn: random.Random, identifier: str) -> Task:
    tool = drawn.choices(
        ("price", "pay", "words", "flaky", "late", "nobody", "misfit"), weights=(30, 25, 15, 10, 5, 5, 5)
    )[0]
    match tool:
        case "price":
            return {"tool": "price", "input": {"item": drawn.randint(1, 40)}}
        case "pay":
            return {"tool": "pay", "input": {"reference": identifier, "cents": drawn.randint(1, 9999)}}
        case "words":
            return {"tool": "words", "input": {"text": "so many words " * drawn.randint(1, 5)}}
        case "flaky":
            return {"tool": "flaky", "input": {"how": drawn.choice(("told", "raised", "fine"))}}
        case "misfit":
            return {"tool": "price", "input": {"item": "no number"}}
        case _:
            return {"tool": tool, "input": {}}


def _delegation(drawn: random.Random, identifier: str) -> list[Task]:
    """Return calls of sub-agents: an expert, forks, and a payment beside them that no fork may make again."""
    calls: list[Task] = [{"tool": "pay", "input": {"reference": identifier, "cents": 1}}]
    for place in range(drawn.randint(1, 3)):
        task = _task(drawn, f"{identifier}-s{place}", tools=drawn.random() < 0.6)
        calls.append({"tool": drawn.choice(("expert", "fork")), "input": {"task": text_of(task)}})
    return calls


def _limits(drawn: random.Random) -> Limits:
    match drawn.choice(("usd", "usd", "turns", "tokens", "seconds")):
        case "usd":
            return Limits(usd=Decimal(drawn.randint(5, 400)) / 10_000)
        case "turns":
            return Limits(turns=drawn.randint(1, 4))
        case "tokens":
            return Limits(tokens=drawn.randint(1_000, 30_000))
        case _:
            return Limits(seconds=drawn.uniform(0.5, 60))
