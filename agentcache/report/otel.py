"""Runs, calls and tools as OpenTelemetry spans and metrics (extra `otel`), under the names of the GenAI conventions.

The only module that imports OpenTelemetry. Source of names, units and bucket boundaries:
open-telemetry/semantic-conventions-genai, `docs/gen-ai/gen-ai-spans.md`, `gen-ai-agent-spans.md` and
`gen-ai-metrics.md` at commit 002c8a6 (status: development), read on 2026-11-28. What the conventions have no name for
(lifetimes of written tokens, dollars, our own ids) stands under `agentcache.`. No text of prompts, answers, tool
arguments or error messages is told: of an error only its type.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeAlias

try:
    from opentelemetry import metrics, trace
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider
except ModuleNotFoundError as error:
    # Who imports this module has asked for the extra, so the error stays one of imports.
    told = "spans and metrics need the package opentelemetry-api; install it (pip install 'agentcache-claude[otel]')"
    raise ModuleNotFoundError(told, name=error.name) from error

from agentcache.accounting.usage import SIDE_KINDS, CallRecord, RunStatus, Usage
from agentcache.runtime.events import CallFinished, Event, RunFinished, RunStarted, ToolFinished, ToolStarted
from agentcache.version import __version__

Attributes: TypeAlias = dict[str, str | int | float | tuple[str, ...]]

PROVIDER = "anthropic"
_SCOPE = "agentcache"
_TOKEN_BOUNDS = tuple(4.0**power for power in range(14))
_SECOND_BOUNDS = tuple(0.01 * 2**power for power in range(14))
_ENDED_KEPT = 4096
"""Runs that ended and whose context is still known: a keep-alive reads for a run some time after its end."""
_OTHER = "_OTHER"
"""The conventions' own word for an error without a type."""


class OtelSink:
    """An event sink: `Runtime(on_event=OtelSink())`.

    tracer_provider, meter_provider: where spans and metrics go; `None` takes the process's own. A run at the top is a
    child of the span that is current where it begins. Each run is a span (`invoke_agent NAME`, `invoke_workflow NAME`)
    under the run above it; each row that the ledger keeps of a call is one under its run (`chat MODEL`, compactions
    and advisors as well), and so is each tool call (`execute_tool NAME`).

    Belongs to the event loop of its runtime. A run still open when the process ends has no span, its calls do.
    """

    def __init__(
        self, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        self._tracer = trace.get_tracer(_SCOPE, __version__, tracer_provider)
        self._instruments = _Instruments(meter_provider)
        self._open: dict[str, Span] = {}
        self._ended: OrderedDict[str, Context] = OrderedDict()
        self._tools_began: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        """Take one event; kinds that make no span are passed over."""
        match event:
            case RunStarted():
                self._begin_run(event)
            case RunFinished():
                self._end_run(event)
            case CallFinished():
                self._tell_call(event)
                self._instruments.count(event.record)
            case ToolStarted():
                self._tools_began[event.tool_call_id] = event.at
            case ToolFinished():
                self._tell_tool(event)
            case _:
                pass

    def _begin_run(self, event: RunStarted) -> None:
        kind = "workflow" if event.agent is None else "agent"
        attributes: Attributes = {
            "gen_ai.operation.name": f"invoke_{kind}",
            f"gen_ai.{kind}.name": event.name,
            "agentcache.run.id": event.run_id,
        }
        if event.agent is not None:
            attributes["gen_ai.provider.name"] = PROVIDER
        above = None if event.parent_run_id is None else self._context_of(event.parent_run_id)
        self._open[event.run_id] = self._tracer.start_span(
            f"invoke_{kind} {event.name}", above, attributes=attributes, start_time=_ns(event.at)
        )

    def _end_run(self, event: RunFinished) -> None:
        span = self._open.pop(event.run_id, None)
        if span is None:
            return
        if event.status is not RunStatus.FINISHED:
            _fail(span, event.status.value if event.error is None else _type_of(event.error))
        span.end(_ns(event.at))
        self._ended[event.run_id] = trace.set_span_in_context(span)
        if len(self._ended) > _ENDED_KEPT:
            self._ended.popitem(last=False)

    def _tell_call(self, event: CallFinished) -> None:
        record = event.record
        span = self._tracer.start_span(
            f"chat {record.model}",
            self._context_of(record.run_id),
            kind=SpanKind.CLIENT,
            attributes=_call_attributes(record),
            start_time=_ns(record.sent_at),
        )
        if record.error is not None:
            _fail(span, _type_of(record.error))
        span.end(_ns(event.at if record.ended_at is None else record.ended_at))

    def _tell_tool(self, event: ToolFinished) -> None:
        attributes: Attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": event.tool,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": event.tool_call_id,
            "agentcache.tool.memo_hit": event.memo_hit,
        }
        began_at = self._tools_began.pop(event.tool_call_id, event.at)
        span = self._tracer.start_span(
            f"execute_tool {event.tool}",
            self._context_of(event.run_id),
            attributes=attributes,
            start_time=_ns(began_at),
        )
        if event.outcome != "ok":
            _fail(span, event.outcome)
        span.end(_ns(event.at))

    def _context_of(self, run_id: str) -> Context | None:
        span = self._open.get(run_id)
        return self._ended.get(run_id) if span is None else trace.set_span_in_context(span)


class _Instruments:
    """What is measured of each row of a call."""

    def __init__(self, provider: MeterProvider | None) -> None:
        meter = metrics.get_meter(_SCOPE, __version__, provider)
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=_TOKEN_BOUNDS,
        )
        self._seconds = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="GenAI operation duration.",
            explicit_bucket_boundaries_advisory=_SECOND_BOUNDS,
        )
        self._buckets = meter.create_counter(
            "agentcache.client.tokens", unit="{token}", description="Tokens by the bucket that they are billed in."
        )
        self._dollars = meter.create_counter(
            "agentcache.client.cost", unit="{USD}", description="List price of calls whose price is known."
        )

    def count(self, record: CallRecord) -> None:
        attributes: Attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": PROVIDER,
            "gen_ai.request.model": record.model,
        }
        if record.ended_at is not None and record.kind not in SIDE_KINDS:
            failed: Attributes = {} if record.error is None else {"error.type": _type_of(record.error)}
            self._seconds.record(max(0.0, record.ended_at - record.sent_at), attributes | failed)
        if record.agent is not None:
            attributes["gen_ai.agent.name"] = record.agent
        if record.usage is not None:
            self._count_tokens(record.usage, attributes)
        if record.cost_usd is not None:
            self._dollars.add(float(record.cost_usd), attributes)

    def _count_tokens(self, usage: Usage, attributes: Attributes) -> None:
        self._tokens.record(usage.input_tokens, attributes | {"gen_ai.token.type": "input"})
        self._tokens.record(usage.output_tokens, attributes | {"gen_ai.token.type": "output"})
        buckets = {
            "uncached_input": usage.uncached_input_tokens,
            "cache_write_5m": usage.cache_write_5m_tokens,
            "cache_write_1h": usage.cache_write_1h_tokens,
            "cache_read": usage.cache_read_tokens,
            "output": usage.output_tokens,
        }
        for bucket, tokens in buckets.items():
            self._buckets.add(tokens, attributes | {"agentcache.token.bucket": bucket})


def _call_attributes(record: CallRecord) -> Attributes:
    """Return what is known of a call; what is unknown is absent, never zero."""
    told: dict[str, str | int | float | tuple[str, ...] | None] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": record.model,
        "gen_ai.agent.name": record.agent,
        "gen_ai.conversation.id": record.conversation,
        "gen_ai.response.id": record.message_id,
        "gen_ai.response.finish_reasons": None if record.stop_reason is None else (record.stop_reason,),
        "gen_ai.response.time_to_first_chunk": _first_s(record),
        "agentcache.call.id": record.call_id,
        "agentcache.call.kind": record.kind.value,
        "agentcache.request.attempts": record.attempts,
        # A double cannot hold the ledger's decimals.
        "agentcache.cost_usd": None if record.cost_usd is None else f"{record.cost_usd:f}",
    }
    if record.usage is not None:
        told |= {
            "gen_ai.usage.input_tokens": record.usage.input_tokens,
            "gen_ai.usage.output_tokens": record.usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": record.usage.cache_read_tokens,
            "gen_ai.usage.cache_creation.input_tokens": record.usage.cache_write_tokens,
            "agentcache.usage.cache_write_5m_tokens": record.usage.cache_write_5m_tokens,
            "agentcache.usage.cache_write_1h_tokens": record.usage.cache_write_1h_tokens,
        }
    return {name: value for name, value in told.items() if value is not None}


def _first_s(record: CallRecord) -> float | None:
    return None if record.first_token_at is None else max(0.0, record.first_token_at - record.sent_at)


def _fail(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))


def _type_of(error: str) -> str:
    """Return the type at the head of an error's sentence; what comes behind it may quote a prompt."""
    head = error.partition(":")[0]
    return head if head.isidentifier() else _OTHER


def _ns(at: float) -> int:
    return round(at * 1e9)
