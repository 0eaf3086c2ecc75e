"""Tool calls of durable runs: what is on record of where an answer came from."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest

from agentcache import Limits
from agentcache.prompt.canonical import JsonValue
from agentcache.runtime.limits import Meter
from agentcache.runtime.memo import Remembered
from agentcache.runtime.nested_runs import NestedRuns
from agentcache.runtime.recorded_steps import RecordedToolCall
from agentcache.runtime.tool_results import ToolResult
from agentcache.stores.memory import MemoryLedger


class Step:
    """A step whose result is kept as text, as a database would."""

    def __init__(self, kept: str | None = None) -> None:
        self.kept = kept

    @property
    def recorded(self) -> bool:
        return self.kept is not None

    async def run(self, produce: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        if self.kept is None:
            self.kept = json.dumps(await produce())
        result: JsonValue = json.loads(self.kept)
        return result


def call(step: Step) -> RecordedToolCall:
    nested = NestedRuns(ledger=MemoryLedger(), meter=Meter(limits=Limits(), started_at=0.0))
    return RecordedToolCall(step=step, nested=nested)


async def never() -> Remembered:
    pytest.fail("a tool whose result is on record was called")


@pytest.mark.parametrize(
    "answer",
    [
        Remembered(result=ToolResult(content="4 €"), source="redis", saved_s=1.25),
        Remembered(result=ToolResult(content=[{"type": "text", "text": "4 €"}]), source="shared"),
        Remembered(result=ToolResult(content="no boat", outcome="error")),
    ],
)
async def test_an_answer_on_record_comes_from_where_it_came_from_first(answer: Remembered):
    step = Step()

    async def first() -> Remembered:
        return answer

    assert await call(step).answer(first) == answer
    assert await call(Step(step.kept)).answer(never) == answer


@pytest.mark.parametrize(("hit", "source"), [(True, "memory"), (False, "executed")])
async def test_a_record_from_before_sources_were_kept_is_read(hit: bool, source: str):
    kept = json.dumps({"content": "4 €", "outcome": "ok", "hit": hit, "runs": []})

    answer = await call(Step(kept)).answer(never)

    assert (answer.source, answer.hit, answer.result.content) == (source, hit, "4 €")
