"""Long histories: whether to send a summary in place of a conversation's older turns, and where to cut.

A compaction pays once for the summary and for writing the shorter prompt; from then on every call reads less. Decides
by weighing the two over the calls that are expected; knows tokens, prices and chances, neither requests nor clocks.
What still lives in the cache is told: where nothing does, the long prompt would be written anew in any case, so a cold
moment is the cheap one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from agentcache.errors import SettingsError
from agentcache.prompt.amendments import further_calls, is_amendment
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.model_facts import ModelFacts
from agentcache.prompt.reuse import Outlook

CompactionWay: TypeAlias = Literal["summary", "api"]
"""Who makes the summary: a call of the agent's own, or the API (beta)."""
Trigger: TypeAlias = Literal["pays", "trigger_tokens", "window"]

INSTRUCTIONS = """\
Summarise this conversation so far, so that it can go on from your summary alone. Keep every fact, number, name, \
identifier and decision that may matter later, what the user wants, what was done and found out, and what is still \
open. Leave out pleasantries and whatever was overtaken. The last turns are kept word for word; do not repeat them. \
Answer with the summary only, and call no tool."""

COMPACT_BETA = "compact-2026-09-04"
"""The beta feature behind `compaction` in a request (SDK 2.12.0, `anthropic_beta_param.py`)."""

_SUMMARY_HEADING = "[summary of the conversation so far]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """When and how an agent's conversations are compacted; an agent without one never does so.

    way: `summary`, a call of the agent's own that reads the cached history and answers with a summary of it; or `api`,
        the API's compaction on demand (beta), whose summary is a signed block.
    keep_turns: the last user turns, with all answers and tools in them, that stay word for word; at least 1.
    trigger_tokens: compact as soon as the prompt is that long, whether it should pay or not; `None`: only if it does.
    window_share: compact in any case when prompt and room for an answer fill this share of the context window.
    summary_tokens: how long a summary is expected to be.
    instructions: what the summariser is asked; `None`: our own words (`INSTRUCTIONS`), or the API's.

    Raises `SettingsError` for a value without meaning.
    """

    way: CompactionWay = "summary"
    keep_turns: int = 2
    trigger_tokens: int | None = None
    window_share: float = 0.8
    summary_tokens: int = 1_000
    instructions: str | None = None

    def __post_init__(self) -> None:
        if self.way not in get_args(CompactionWay):
            raise SettingsError(f"compaction way {self.way!r} is unknown; take {', '.join(get_args(CompactionWay))}")
        for name, least in (("keep_turns", 1), ("summary_tokens", 1), ("trigger_tokens", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise SettingsError(f"compaction: {name} is {value}; it must be at least {least}")
        if not 0.0 < self.window_share <= 1.0:
            raise SettingsError(f"compaction: window_share is {self.window_share}; it lies above 0 and up to 1")
        if self.instructions is not None and not self.instructions.strip():
            raise SettingsError("compaction: the instructions are empty; the summariser must be asked something")


@dataclass(frozen=True, slots=True, kw_only=True)
class Long:
    """A conversation's prompt as it would be sent, in tokens, and how much of it can be read from the cache now."""

    prompt_tokens: int
    live_tokens: int
    head_tokens: int
    """Tools and system prompt, which a compaction leaves as they are."""
    head_live_tokens: int
    kept_tokens: int
    """The last turns, which stay word for word."""
    answer_tokens: int
    """Room for one answer."""
    summary_live_tokens: int
    """How much the summariser can read; less than `live_tokens` where it cannot send the same prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionChoice:
    """Whether to compact, why, and the sum behind it.

    Costs are in uncached input tokens, over this call and `further_calls` expected ones; a hard trigger does not ask
    what they are.
    """

    compact: bool
    reason: str
    trigger: Trigger | None = None
    keep_cost_tokens: int | None = None
    compact_cost_tokens: int | None = None
    further_calls: float | None = None

    def to_json(self) -> JsonObject:
        """Return the choice as the ledger keeps it beside the plan."""
        return {
            "compact": self.compact,
            "trigger": self.trigger,
            "reason": self.reason,
            "keep_cost_tokens": self.keep_cost_tokens,
            "compact_cost_tokens": self.compact_cost_tokens,
            "further_calls": self.further_calls,
        }


def cut_before(history: Sequence[JsonObject], keep_turns: int) -> int | None:
    """Return the index of the message that the last `keep_turns` user turns begin with; `None` if nothing is ahead."""
    starts = [index for index, message in enumerate(history) if _begins_turn(message)]
    return starts[-keep_turns] if len(starts) >= keep_turns and starts[-keep_turns] > 0 else None


def compacted(history: Sequence[JsonObject], cut: int, summary: str) -> tuple[JsonObject, ...]:
    """Return the history with a summary in place of the messages ahead of `cut`, in the message that stands there.

    Amendments go too: the system prompt is then sent as it is now.
    """
    first, *rest = (message for message in history[cut:] if not is_amendment(message))
    content = first["content"]
    own = content if isinstance(content, list) else [{"type": "text", "text": content}]
    return ({**first, "content": [{"type": "text", "text": f"{_SUMMARY_HEADING}\n{summary}"}, *own]}, *rest)


def behind_block(history: Sequence[JsonObject], cut: int, block: JsonObject) -> tuple[JsonObject, ...]:
    """Return the history with the API's block in place of the messages ahead of `cut`; amendments go, as above."""
    rest = (message for message in history[cut:] if not is_amendment(message))
    return ({"role": "assistant", "content": [block]}, *rest)


def betas_for(messages: Iterable[JsonObject], settings: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """Return the beta features that a request needs: to compact, or to send back what a compaction gave."""
    sends_back = any(_is_compaction(message) for message in messages)
    return (COMPACT_BETA,) if sends_back or "compaction" in settings else ()


def choose_compaction(policy: Compaction, long: Long, facts: ModelFacts, outlook: Outlook) -> CompactionChoice:
    """Return whether to compact before the next call; of two ways that cost the same, the one that does nothing.

    `outlook` is that of one call: a conversation that goes on with probability p has p / (1 - p) calls to come.
    """
    dropped = long.prompt_tokens - long.head_tokens - long.kept_tokens
    if dropped <= policy.summary_tokens:
        told = (
            f"{max(0, dropped):,} tokens could go, and a summary of them is expected to take {policy.summary_tokens:,}"
        )
        return CompactionChoice(compact=False, reason=told)
    calls = further_calls(outlook)
    keep, compact = _costs(policy, long, facts, outlook, calls)
    trigger = _hard_trigger(policy, long, facts) or ("pays" if compact < keep else None)
    sums = f"expected to cost in tokens: keep {keep:,}, compact {compact:,}, over this call and {calls:.1f} more"
    return CompactionChoice(
        compact=trigger is not None,
        trigger=trigger,
        reason=f"{_TOLD[trigger]}{sums} ({outlook.basis})",
        keep_cost_tokens=keep,
        compact_cost_tokens=compact,
        further_calls=round(calls, 2),
    )


_TOLD: dict[Trigger | None, str] = {
    None: "",
    "pays": "",
    "trigger_tokens": "the prompt has reached trigger_tokens; ",
    "window": "the prompt nears the context window; ",
}


def _hard_trigger(policy: Compaction, long: Long, facts: ModelFacts) -> Trigger | None:
    window = facts.context_window_tokens
    if window is not None and long.prompt_tokens + long.answer_tokens >= policy.window_share * window:
        return "window"
    if policy.trigger_tokens is not None and long.prompt_tokens >= policy.trigger_tokens:
        return "trigger_tokens"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weights:
    """What a token costs by how it is billed, in uncached tokens of the shorter prompt."""

    uncached: float = 1.0
    write_5m: float = 1.25
    write_1h: float = 2.0
    read: float = 0.1
    output: float = 5.0


def _weights(facts: ModelFacts, *, prompt_tokens: int, base_tokens: int) -> _Weights:
    """Return the model's prices for a prompt of this length: where long prompts cost more, that is a reason too."""
    prices, base = facts.prices_for(prompt_tokens=prompt_tokens), facts.prices_for(prompt_tokens=base_tokens)
    if prices is None or base is None:
        return _Weights()
    return _Weights(
        uncached=float(prices.input_usd / base.input_usd),
        write_5m=float(prices.write_5m_usd / base.input_usd),
        write_1h=float(prices.write_1h_usd / base.input_usd),
        read=float(prices.read_usd / base.input_usd),
        output=float(prices.output_usd / base.input_usd),
    )


def _costs(policy: Compaction, long: Long, facts: ModelFacts, outlook: Outlook, calls: float) -> tuple[int, int]:
    """Return what is expected to be paid without and with a compaction."""
    shorter = long.head_tokens + policy.summary_tokens + long.kept_tokens
    whole = _weights(facts, prompt_tokens=long.prompt_tokens, base_tokens=shorter)
    short = _weights(facts, prompt_tokens=shorter, base_tokens=shorter)
    summary = (
        whole.read * long.summary_live_tokens
        + whole.uncached * (long.prompt_tokens - long.summary_live_tokens)
        + whole.output * policy.summary_tokens
    )
    keep = _sent(whole, long.prompt_tokens, long.live_tokens, outlook, calls)
    return round(keep), round(summary + _sent(short, shorter, long.head_live_tokens, outlook, calls))


def _sent(weights: _Weights, prompt_tokens: int, live_tokens: int, outlook: Outlook, calls: float) -> float:
    """Return what sending a prompt costs now and in the calls to come, with the lifetime that costs less.

    Of calls that come after more than five minutes the hour's entry is read; the other one must be written anew.
    """
    goes_on = outlook.soon + outlook.later
    late = outlook.later / goes_on if goes_on else 0.0
    ways = ((weights.write_5m, (1.0 - late) * weights.read + late * weights.write_5m), (weights.write_1h, weights.read))
    return min(
        weights.read * live_tokens + write * (prompt_tokens - live_tokens) + calls * later * prompt_tokens
        for write, later in ways
    )


def _is_compaction(message: JsonObject) -> bool:
    content = message.get("content")
    return isinstance(content, list) and any(
        isinstance(block, dict) and block.get("type") == "compaction" for block in content
    )


def _begins_turn(message: JsonObject) -> bool:
    """Tell whether a user speaks here, and not only tools answer."""
    content = message.get("content")
    if message.get("role") != "user":
        return False
    return not isinstance(content, list) or any(
        isinstance(block, dict) and block.get("type") != "tool_result" for block in content
    )
