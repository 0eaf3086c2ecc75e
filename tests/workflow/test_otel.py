"""Spans and metrics of runs on the emulator, taken by OpenTelemetry's own SDK in memory."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk", reason="spans are tested where the extra otel is installed")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from agentcache import CallError, LimitReached, Limits, Run, tool, workflow
from agentcache.accounting.usage import Usage
from agentcache.emulator.faults import Fault, ScheduledFaults
from agentcache.report.otel import OtelSink
from agentcache.runtime.client import DEFAULT_MAX_ATTEMPTS
from tests.workflow.conftest import Request, agent, at_once, staged


@tool
def look_up(order: int) -> str:
    """Look an order up."""
    return f"order {order} is on its way"


@tool
def broken(order: int) -> str:
    """Fail."""
    raise RuntimeError(f"secret {order}")


class Telemetry:
    """A sink with the SDK behind it, and what the SDK was told."""

    def __init__(self) -> None:
        self._exporter, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.sink = OtelSink(self.tracers, MeterProvider([self._reader]))

    @property
    def spans(self) -> tuple[Any, ...]:
        return self._exporter.get_finished_spans()

    def named(self, beginning: str) -> list[Any]:
        return [span for span in self.spans if span.name.startswith(beginning)]

    def points(self) -> dict[str, list[Any]]:
        data = self._reader.get_metrics_data()
        assert data is not None
        metrics = [each for place in data.resource_metrics for scope in place.scope_metrics for each in scope.metrics]
        return {metric.name: [*metric.data.data_points] for metric in metrics}


def looks_up(name: str = "look_up") -> Any:
    def reply(request: Request) -> Any:
        last = request["messages"][-1]["content"][-1]
        return "done" if last["type"] == "tool_result" else [{"type": "tool_use", "name": name, "input": {"order": 17}}]

    return reply


@workflow
async def review(run: Run) -> list[str]:
    return await run.map(agent(tools=[look_up]), ["first secret", "second secret", "third secret"])


async def test_the_tree_of_spans_is_the_tree_of_runs_with_calls_and_tools_in_it() -> None:
    telemetry = Telemetry()
    async with staged(looks_up(), on_event=telemetry.sink) as on:
        await on.runtime.run(review)
        runs, calls = await on.runtime.ledger.runs(), await on.runtime.ledger.calls()
        tools = await on.runtime.ledger.tool_calls()

    above = {span.context.span_id: span for span in telemetry.spans}
    run_of = {span.context.span_id: str(span.attributes["agentcache.run.id"]) for span in telemetry.named("invoke_")}
    tree = {
        run_of[span.context.span_id]: run_of[span.parent.span_id] if span.parent else None
        for span in telemetry.named("invoke_")
    }
    assert tree == {run.run_id: run.parent_run_id for run in runs}
    chats = {span.attributes["agentcache.call.id"]: run_of[span.parent.span_id] for span in telemetry.named("chat ")}
    assert chats == {call.call_id: call.run_id for call in calls}
    executed = {
        span.attributes["gen_ai.tool.call.id"]: run_of[span.parent.span_id] for span in telemetry.named("execute_")
    }
    assert executed == {row.tool_call_id: row.run_id for row in tools}
    assert Counter(span.name for span in above.values()) == {
        "invoke_workflow review": 1,
        "invoke_agent clerk": 3,
        "chat claude-sonnet-5-5": 6,
        "execute_tool look_up": 3,
    }
    assert len({span.context.trace_id for span in telemetry.spans}) == 1


async def test_tokens_of_spans_and_metrics_sum_up_to_the_ledger() -> None:
    telemetry = Telemetry()
    async with staged(looks_up(), on_event=telemetry.sink) as on:
        await on.runtime.run(review)
        calls = await on.runtime.ledger.calls()

    used = sum((call.usage for call in calls if call.usage), Usage())
    assert used.cache_read_tokens
    expected = {
        "gen_ai.usage.input_tokens": used.input_tokens,
        "gen_ai.usage.output_tokens": used.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": used.cache_read_tokens,
        "gen_ai.usage.cache_creation.input_tokens": used.cache_write_tokens,
    }
    told = {name: sum(int(span.attributes[name]) for span in telemetry.named("chat ")) for name in expected}
    assert told == expected
    points = telemetry.points()
    usage = {point.attributes["gen_ai.token.type"]: point.sum for point in points["gen_ai.client.token.usage"]}
    assert usage == {"input": used.input_tokens, "output": used.output_tokens}
    buckets = {p.attributes["agentcache.token.bucket"]: p.value for p in points["agentcache.client.tokens"]}
    assert buckets == {
        "uncached_input": used.uncached_input_tokens,
        "cache_write_5m": used.cache_write_5m_tokens,
        "cache_write_1h": used.cache_write_1h_tokens,
        "cache_read": used.cache_read_tokens,
        "output": used.output_tokens,
    }
    assert sum(point.count for point in points["gen_ai.client.operation.duration"]) == len(calls)
    (cost,) = points["agentcache.client.cost"]
    assert cost.value == pytest.approx(float(sum(call.cost_usd or 0 for call in calls)))


async def test_a_run_belongs_to_the_span_that_is_current_where_it_begins() -> None:
    telemetry = Telemetry()
    async with staged(lambda request: "ok", on_event=telemetry.sink) as on:
        with telemetry.tracers.get_tracer("web").start_as_current_span("GET /orders"):
            await on.runtime.run(agent(), "hi")

    (outer,), (run,) = telemetry.named("GET"), telemetry.named("invoke_agent")
    assert run.parent.span_id == outer.context.span_id


async def test_a_call_that_failed_and_its_run_are_errors_with_a_type_and_no_text() -> None:
    telemetry = Telemetry()
    busy = ScheduledFaults([Fault(kind="529")] * DEFAULT_MAX_ATTEMPTS)
    async with staged(lambda request: "ok", on_event=telemetry.sink, faults=busy, sleep=at_once) as on:
        with pytest.raises(CallError):
            await on.runtime.run(agent(), "hi")

    for span in telemetry.spans:
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
        assert span.attributes["error.type"] == "Overloaded"
    assert len(telemetry.spans) == 2


async def test_a_run_that_met_its_limit_is_an_error_and_its_call_is_none() -> None:
    telemetry = Telemetry()
    async with staged(looks_up(), on_event=telemetry.sink, limits=Limits(turns=1)) as on:
        with pytest.raises(LimitReached):
            await on.runtime.run(agent(tools=[look_up]), "hi")

    (run,), (call,) = telemetry.named("invoke_"), telemetry.named("chat ")
    assert run.attributes["error.type"] == "LimitReached"
    assert call.status.status_code is StatusCode.UNSET


async def test_nothing_that_anybody_wrote_is_told() -> None:
    telemetry = Telemetry()
    async with staged(looks_up("broken"), on_event=telemetry.sink) as on:
        await on.runtime.run(agent(tools=[broken]), "a secret question")

    (failed,) = telemetry.named("execute_tool")
    assert failed.attributes["error.type"] == "error"
    told = "".join(span.to_json() for span in telemetry.spans)
    assert not [text for text in ("secret", "looked", "done", "Answer briefly") if text in told]
