"""The model of a storm: it does what the task in the newest user message says. Pure; equal requests, equal replies."""

from __future__ import annotations

import json
from typing import Any

from tests.chaos.errands import MARK, Task, answer_of, errand_of, tool_use_id


def reply(request: dict[str, Any]) -> dict[str, Any] | list[dict[str, Any]]:
    """Return what the model says to `request`."""
    at, task = _told(request)
    later = request["messages"][at + 1 :]
    turn = sum(message["role"] == "assistant" for message in later)
    if request["model"] in task["declines"]:
        return _declined(task, turn)
    if turn < len(task["rounds"]):
        return _asks(task, turn)
    if turn - len(task["rounds"]) < task["bad"]:
        return [{"type": "text", "text": "This is no JSON."}]
    results = sum(block["type"] == "tool_result" for message in later for block in _blocks(message))
    return [{"type": "text", "text": _answer(request, task, results)}]


def errand_in(request: dict[str, Any]) -> int:
    """Return the number of the errand that a request belongs to."""
    return errand_of(_told(request)[1]["id"])


def _told(request: dict[str, Any]) -> tuple[int, Task]:
    """Return the newest task and the index of the message that it stands in."""
    for at, message in reversed(list(enumerate(request["messages"]))):
        for block in reversed(_blocks(message)):
            if message["role"] == "user" and block["type"] == "text" and MARK in block["text"]:
                task: Task = json.loads(block["text"][block["text"].index(f"{MARK}{{") + len(MARK) :])
                return at, task
    raise ValueError(f"no message has a task: {request['messages']!r:.300}")


def _asks(task: Task, turn: int) -> list[dict[str, Any]]:
    spoken = [{"type": "text", "text": "Let me see what there is to be done about this, one after the other."}]
    calls = [
        {"type": "tool_use", "id": tool_use_id(task, turn, place), "name": call["tool"], "input": call["input"]}
        for place, call in enumerate(task["rounds"][turn])
    ]
    return [*(spoken if task["aloud"] else []), *calls]


def _declined(task: Task, turn: int) -> dict[str, Any]:
    begun = _asks(task, turn)[:2] if turn < len(task["rounds"]) else [{"type": "text", "text": "I would rather"}]
    return {"content": begun, "stop_reason": "refusal"}


def _answer(request: dict[str, Any], task: Task, results: int) -> str:
    properties = _wanted(request)
    if "hand_over_to" in properties:
        handed: dict[str, Any] = {"hand_over_to": None, "summary": "", "answer": answer_of(task, results)}
        if "next" in task:
            handed = {"hand_over_to": "back", "summary": MARK + json.dumps(task["next"]), "answer": None}
        return json.dumps(handed)
    if "results" in properties:
        return json.dumps({"task": task["id"], "results": results})
    return answer_of(task, results)


def _wanted(request: dict[str, Any]) -> dict[str, Any]:
    """Return the properties of the output that is wanted; none where it is a text."""
    form = (request.get("output_config") or {}).get("format") or {}
    properties: dict[str, Any] = (form.get("schema") or {}).get("properties") or {}
    return properties


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
