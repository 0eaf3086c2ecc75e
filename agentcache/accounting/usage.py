"""What a call used, in five disjoint buckets, and the row that the ledger keeps of it.

The API's `input_tokens` excludes cache reads and writes; other libraries use the same name for the sum. To be
misread by nobody, the buckets here are called what they are billed as.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.spans import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one or more calls, each token in exactly one bucket.

    uncached_input_tokens: billed at full price; cache_write_5m_tokens, cache_write_1h_tokens: written to the cache with
    that lifetime; cache_read_tokens: read from it; output_tokens: of the answer, thinking included.
    """

    uncached_input_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0

    @property
    def cache_write_tokens(self) -> int:
        """Tokens written with either lifetime."""
        return self.cache_write_5m_tokens + self.cache_write_1h_tokens

    @property
    def input_tokens(self) -> int:
        """The whole prompt: uncached, written and read."""
        return self.uncached_input_tokens + self.cache_write_tokens + self.cache_read_tokens

    @property
    def total_tokens(self) -> int:
        """Prompt and answer."""
        return self.input_tokens + self.output_tokens

    @property
    def read_share(self) -> float | None:
        """Read tokens as a share of the prompt, 0 to 1; `None` for an empty prompt."""
        return self.cache_read_tokens / self.input_tokens if self.input_tokens else None

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            uncached_input_tokens=self.uncached_input_tokens + other.uncached_input_tokens,
            cache_write_5m_tokens=self.cache_write_5m_tokens + other.cache_write_5m_tokens,
            cache_write_1h_tokens=self.cache_write_1h_tokens + other.cache_write_1h_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
        )


class CallKind(StrEnum):
    """Why a row stands in the ledger."""

    MESSAGE = "message"
    """An agent's own call."""
    COMPACTION = "compaction"
    """A summary that the server made inside a call; billed apart from it."""
    ADVISOR = "advisor"
    """An advisor model's answer inside a call; billed apart from it."""
    WARM = "warm"
    """A `max_tokens: 0` call that wrote a prefix before traffic came."""
    KEEP_ALIVE = "keep_alive"
    """A `max_tokens: 0` call that read a prefix so that it would not expire."""
    SUMMARY = "summary"
    """A call of the runtime that summed a conversation up, so that its older turns need not be sent again."""


SIDE_KINDS = frozenset({CallKind.COMPACTION, CallKind.ADVISOR})
"""Kinds of rows that the server caused inside another call; no request of ours stands behind them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledPart:
    """Tokens that one model charged for, with what modifies their price.

    `service_tier`, `speed` and `inference_geo` are the API's own words, `None` where it said nothing.
    """

    model: str
    usage: Usage
    kind: CallKind = CallKind.MESSAGE
    """In `SIDE_KINDS` when the part is billed apart from the call that it came with."""
    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None
    web_searches: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One row of the ledger: a request to the model, what became of it and what it cost.

    call_id, run_id: ids of ours. message_id, request_id: the API's. agent: its name; `None` where nobody's.
    conversation: its name, `None` outside of one. kind: why the row is there (`message`, `warm`, `keep_alive`,
    `summary`, ...). turn: the run's own calls, from 1. attempts: requests sent. stop_reason: the API's. error: one
    sentence where the call failed. response: the reply, where text is kept. sent_at, first_token_at, ended_at: Unix
    seconds, `None` where it did not happen. `usage` is `None` when the server never said what it billed (a connection
    that died before the reply began); it is all zeros when the API refused the request, which it does free of charge.
    `cost_usd` and `counterfactual_usd` are `None` when usage is unknown or the model has no known price.
    """

    call_id: str
    run_id: str
    kind: CallKind = CallKind.MESSAGE
    agent: str | None
    model: str
    conversation: str | None = None
    turn: int = 0
    message_id: str | None = None
    request_id: str | None = None
    sent_at: float
    first_token_at: float | None = None
    ended_at: float | None = None
    stop_reason: str | None = None
    attempts: int = 1
    error: str | None = None
    usage: Usage | None
    parts: tuple[BilledPart, ...] = ()
    """What the reply told in detail; `own_parts` are the ones that belong to this row."""
    cost_usd: Decimal | None = None
    counterfactual_usd: Decimal | None = None
    plan: JsonObject = field(default_factory=dict)
    """The plan as JSON: `policy`, `asked`, `kept`, `refused`, each breakpoint with where, ttl, tokens, reason."""
    section_tokens: Mapping[str, int] = field(default_factory=dict)
    """Estimated tokens per section name; `tools` and `messages` count what belongs to no section."""
    prefix_digests: tuple[str, ...] = ()
    """Digests of the kept breakpoints' prefixes, shortest first: what this call may have written."""
    found_digests: tuple[str, ...] = ()
    """Digests of earlier calls' breakpoints that this call's prompt contains, shortest first."""
    held_s: Mapping[str, float] | None = None
    """Seconds for which the scheduler held the call back, by reason; empty when it did not, `None` when unknown."""
    held_saved_usd: Decimal | None = None
    """What reading a prefix that it was held for saved (estimate); `None` when unknown or unpriced."""
    prompt_spans: tuple[Span, ...] | None = None
    """The prompt as runs of blocks in wire order, for attribution by layer and for the causes of misses. `None` in a
    row from before this was kept, and where no request of ours stands behind the row."""
    request: JsonObject | None = None
    """The request body; kept only when the runtime was told to keep text."""
    response: JsonObject | None = None

    @property
    def own_parts(self) -> tuple[BilledPart, ...]:
        """The parts that add up to `usage`: without those that stand in rows of their own.

        A record that names no parts is one part of its own model; one without usage has none.
        """
        if self.usage is None:
            return ()
        if not self.parts:
            return (BilledPart(model=self.model, usage=self.usage, kind=self.kind),)
        if self.kind in SIDE_KINDS:
            return self.parts
        return tuple(part for part in self.parts if part.kind not in SIDE_KINDS)

    def with_costs(self, cost_usd: Decimal | None, counterfactual_usd: Decimal | None) -> CallRecord:
        """Return the record priced."""
        return replace(self, cost_usd=cost_usd, counterfactual_usd=counterfactual_usd)


class RunStatus(StrEnum):
    """How far a run came."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One execution of an agent or a workflow. Runs nest through `parent_run_id`, `None` at the top.

    run_id: ours. conversation: its name, `None` outside of one. started_at, ended_at: Unix seconds; `None` while it
    runs. status: `running`, `finished`, `failed` or `cancelled`. error: one sentence where it failed.
    """

    run_id: str
    parent_run_id: str | None
    name: str
    """The agent's or workflow's name."""
    agent: str | None
    """The agent's name; `None` for a workflow."""
    conversation: str | None = None
    started_at: float
    ended_at: float | None = None
    status: RunStatus = RunStatus.RUNNING
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallRecord:
    """One execution of a tool (or one answer from the memo).

    tool_call_id, run_id: ours. agent, tool: names. started_at, ended_at: Unix seconds. memo_hit: whether a kept result
    answered. result_chars: characters of text in the result.
    """

    tool_call_id: str
    run_id: str
    agent: str | None
    call_id: str
    """The model call that asked for the tool."""
    tool: str
    started_at: float
    ended_at: float
    outcome: str
    """`ok`, `error`, `timeout`, `invalid_arguments`, `unknown_tool`, `cancelled`, `declined`."""
    memo_hit: bool = False
    result_chars: int = 0
    memo_tier: str | None = None
    """What answered: `memory`, `sqlite` or `redis` for a kept result, `shared` for an equal call that was under way,
    `executed` when none of them did. `None` in a row from before this was kept."""
    memo_saved_s: float | None = None
    """Seconds that the execution took whose result this is; 0 when it was executed. `None` in a row from before."""
    result_bytes: int | None = None
    """UTF-8 bytes of the content as it is sent: of a text itself, of content blocks as JSON. `None` as above."""
    result_tokens: int | None = None
    """Estimated tokens of the result's block; `None` as above, and where no model's tokenizer is known."""
    result_digest: str | None = None
    """Digest of the content as it is sent: equal for results that are the same to the byte. `None` as above."""
