"""What the threads of a trace show of its calls besides their bills, for those who explain them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from agentcache.accounting.observed import Observed, asks, events_of, positions, thinks
from agentcache.prompt.canonical import JsonObject, JsonValue

_REPLACED = "compact"
"""Why a thread begins that has a summary in the place of the one before."""


def observed_calls(trace: JsonObject, call_id: Callable[[int], str]) -> list[Observed]:
    """Return what each call of a trace shows, in the order of its calls.

    call_id: the id of the call at a place of the trace. Raises `KeyError`, `IndexError`, `TypeError` or `ValueError`
    for a trace that is not sound.
    """
    threads = {str(thread["id"]): thread for thread in _objects(trace["threads"])}
    messages = _messages(threads)
    lasts: dict[str, list[tuple[int, int]]] = {}
    seen = []
    for place, call in enumerate(_objects(trace["calls"])):
        thread, sent = str(call["thread"]), _count(call["in"])
        before = _before(thread, sent, threads, lasts)
        lasts.setdefault(thread, []).append((sent, place))
        replaced = None if before is not None else _replaced(thread, threads, lasts)
        fresh = messages[thread][0 if before is None else before[0] : sent]
        asked = [block for message in fresh if message["role"] == "user" for block in _blocks(message)]
        follows = before[1] if before is not None else replaced
        seen.append(
            Observed(
                follows=None if follows is None else call_id(follows),
                compacted=replaced is not None,
                thinks=thinks(_answer(call, messages[thread])),
                asked=asks(asked),
                positions=positions(str(block["type"]) for message in fresh for block in _blocks(message)),
                messages=sent,
                events=events_of(asked),
            )
        )
    return seen


def _messages(threads: Mapping[str, JsonObject]) -> dict[str, list[JsonObject]]:
    """Return the messages of each thread, those of the thread that it branched off included."""
    whole: dict[str, list[JsonObject]] = {}
    for name in threads:
        chain = [name]
        while chain[-1] not in whole and (parent := _parent(threads[chain[-1]])) is not None:
            if parent[0] in chain:
                raise ValueError(f"thread {name} begins with itself")
            chain.append(parent[0])
        for each in reversed(chain):
            parent = _parent(threads[each])
            shared = [] if parent is None else whole[parent[0]][: parent[1]]
            whole.setdefault(each, [*shared, *_objects(threads[each]["messages"])])
    return whole


def _before(
    thread: str, sent: int, threads: Mapping[str, JsonObject], lasts: Mapping[str, Sequence[tuple[int, int]]]
) -> tuple[int, int] | None:
    """Return messages and place of the call that one carries on.

    It is the last of its thread or, for the first, the longest whose prompt its thread took over from another.
    """
    if thread in lasts:
        return next((each for each in reversed(lasts[thread]) if each[0] <= sent), None)
    parent = _parent(threads[thread])
    while parent is not None:
        upto = parent[1]
        shared = [each for each in lasts.get(parent[0], ()) if each[0] <= upto]
        if shared:
            return max(shared)
        parent = _parent(threads[parent[0]])
    return None


def _replaced(
    thread: str, threads: Mapping[str, JsonObject], lasts: Mapping[str, Sequence[tuple[int, int]]]
) -> int | None:
    """Return the last call of the conversation that a thread's summary replaced, `None` for a thread without one."""
    if threads[thread].get("reason") != _REPLACED or len(lasts[thread]) > 1:
        return None
    agent = threads[thread].get("agent")
    others = [each for each in lasts if each != thread and threads[each].get("agent") == agent]
    return max((lasts[each][-1][1] for each in others), default=None)


def _parent(thread: JsonObject) -> tuple[str, int] | None:
    told = thread.get("prefix_of")
    return (str(told["thread"]), _count(told["upto"])) if isinstance(told, dict) else None


def _answer(call: JsonObject, messages: Sequence[JsonObject]) -> list[JsonObject]:
    if call.get("persisted") is False:
        return _objects(call["response"])
    return _blocks(messages[_count(call["in"])])


def _blocks(message: JsonObject) -> list[JsonObject]:
    return _objects(message["content"])


def _objects(value: JsonValue) -> list[JsonObject]:
    if not isinstance(value, list):
        raise TypeError("a list of objects was expected")
    return [item for item in value if isinstance(item, dict)]


def _count(value: JsonValue) -> int:
    if not isinstance(value, int) or value < 0:
        raise TypeError(f"a count was expected, not {value!r}")
    return value
