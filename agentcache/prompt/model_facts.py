"""What is known about each Claude model: minimum prefix, limits, features, prices.

The facts themselves are data with sources and dates in `model_facts.toml`; this module reads that file once, resolves
the many names of a model, and answers for a date and a prompt length. It does not know what a call costs (accounting
does), nor which models an account may use. An unknown model gets conservative facts and no price: guessing by the
look of a name would be wrong silently.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache, lru_cache
from hashlib import sha256
from importlib.resources import files
from types import MappingProxyType
from typing import Literal, TypeAlias, TypedDict, cast

Ttl: TypeAlias = Literal["5m", "1h"]
"""How long a cache entry lives from its last use."""
Tokenizer: TypeAlias = Literal["classic", "dense"]

TTL_SECONDS: Mapping[Ttl, int] = MappingProxyType({"5m": 300, "1h": 3600})
"""How long an entry lives, in seconds from the start of the request that wrote or last read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """US dollars per million tokens, one price per bucket."""

    input_usd: Decimal
    write_5m_usd: Decimal
    write_1h_usd: Decimal
    read_usd: Decimal
    output_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PricePeriod:
    """Prices that hold from one day on and up to one prompt length."""

    since: str | None
    """ISO date of the first day; `None` since the model exists."""
    up_to_prompt_tokens: int | None
    """Longest prompt (uncached + written + read) that pays these prices; `None` for any length."""
    prices: Prices
    fast: Prices | None
    """Prices of `speed: "fast"`; `None` when unknown or when the model has no fast mode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceModifiers:
    """Factors on prices that hold for every model, and the price of what is not a token."""

    batch: Decimal
    """Factor on every price of a request in a Message Batch."""
    us_inference: Decimal
    """Factor on every price under `inference_geo: "us"`, for models whose facts say `us_inference`."""
    web_search_usd: Decimal
    """US dollars per web search, on top of its tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """The facts of one model, under the name that was asked for."""

    model: str
    """The name as asked for: it goes to the wire unchanged."""
    canonical: str
    """The entry's own id, the same for every alias, dated id and platform spelling of one model."""
    known: bool
    """False when the name is in no entry; every other field is then conservative."""
    minimum_prefix_tokens: int
    """Shortest prefix that the API caches; a marker on a shorter one does nothing."""
    context_window_tokens: int | None
    max_output_tokens: int | None
    tokenizer: Tokenizer
    """`dense` from Opus 4.7 on: about 30 % more tokens for the same text than `classic`."""
    mid_conversation_system: bool
    """Whether `messages` may contain `{"role": "system"}`."""
    forced_tool_choice: bool
    """Whether `tool_choice` `any` and `tool` are accepted."""
    adaptive_thinking: bool
    thinking_always_on: bool
    """Whether `thinking: disabled` is refused."""
    budget_thinking: bool
    """Whether `thinking: {"type": "enabled", "budget_tokens": n}` is accepted."""
    efforts: tuple[str, ...]
    """Accepted values of `output_config.effort`, lowest first; empty when the parameter is refused."""
    default_effort: str | None
    structured_outputs: bool
    """Whether `output_config.format` is accepted."""
    keeps_all_thinking: bool
    """False: a user message that is no tool result strips earlier thinking blocks, and the cached prefix with them."""
    thinking_bound_to_prefix: bool
    """Whether a thinking block is refused or dropped once the prompt before it has changed."""
    per_message_effort: bool
    us_inference: bool
    """Whether `inference_geo: "us"` exists for this model and raises its prices."""
    tool_prompt_tokens: tuple[int, int] | None
    """Tokens of the hidden tool-use prompt: with `tool_choice` auto or none, with any or tool. `None` if not known."""
    prices: tuple[PricePeriod, ...]
    """Empty when unpriced."""
    source: str
    checked: str
    """ISO date on which somebody last compared the entry with its sources."""
    confidence: Literal["H", "M", "L"]
    """Confidence in the weakest number of the entry."""
    doubt: str
    """Which number that is; empty when there is none."""

    def prices_for(self, *, on: str | None = None, prompt_tokens: int = 0, fast: bool = False) -> Prices | None:
        """Return the prices on the ISO date `on` (`None`: the newest) for a prompt of `prompt_tokens`.

        `prompt_tokens` counts the whole prompt, cache reads and writes included. `None` means unpriced.
        """
        begun = [period for period in self.prices if on is None or period.since is None or period.since <= on]
        if not begun:
            return None
        newest = max(period.since or "" for period in begun)
        tiers = [period for period in begun if (period.since or "") == newest]
        for period in sorted(tiers, key=_tier_limit):
            if prompt_tokens <= _tier_limit(period):
                return period.fast if fast else period.prices
        return None


def facts_for(model: str) -> ModelFacts:
    """Return the facts for any spelling of a model name: id, alias, dated id, Bedrock, Google Cloud or 1M-window form.

    Never raises: a name that no entry has gives conservative facts with `known=False` and no prices.
    """
    return _facts_for(model)


def all_facts() -> tuple[ModelFacts, ...]:
    """Return the facts of every known model, in the order of the file, under their own ids."""
    return tuple(_table().values())


@cache
def facts_digest() -> str:
    """Return a digest of the facts: what was derived from other facts has another one beside it."""
    return sha256(_text().encode()).hexdigest()[:16]


def price_modifiers() -> PriceModifiers:
    """Return the factors that hold for every model."""
    modifiers = _document()["modifiers"]
    return PriceModifiers(
        batch=Decimal(modifiers["batch"]),
        us_inference=Decimal(modifiers["us_inference"]),
        web_search_usd=Decimal(modifiers["web_search_usd"]),
    )


class _PriceText(TypedDict):
    input: str
    write_5m: str
    write_1h: str
    read: str
    output: str


class _PeriodText(TypedDict, total=False):
    since: str
    up_to_prompt_tokens: int
    standard: _PriceText
    fast: _PriceText


class _Entry(TypedDict, total=False):
    id: str
    aliases: list[str]
    minimum_prefix_tokens: int
    context_window_tokens: int
    max_output_tokens: int
    tokenizer: Tokenizer
    mid_conversation_system: bool
    forced_tool_choice: bool
    adaptive_thinking: bool
    thinking_always_on: bool
    budget_thinking: bool
    efforts: list[str]
    default_effort: str
    structured_outputs: bool
    keeps_all_thinking: bool
    thinking_bound_to_prefix: bool
    per_message_effort: bool
    us_inference: bool
    tool_prompt_tokens: list[int]
    prices: list[_PeriodText]
    source: str
    checked: str
    confidence: Literal["H", "M", "L"]
    doubt: str


class _Names(TypedDict):
    prefixes: list[str]
    suffixes: list[str]


class _Document(TypedDict):
    modifiers: dict[str, str]
    names: _Names
    unknown: _Entry
    model: list[_Entry]


def _text() -> str:
    return files(__package__).joinpath("model_facts.toml").read_text(encoding="utf-8")


@cache
def _document() -> _Document:
    # The file is ours and a test reads every key of every entry, so its shape is asserted, not parsed again.
    return cast("_Document", tomllib.loads(_text()))


@cache
def _table() -> Mapping[str, ModelFacts]:
    return MappingProxyType({entry["id"]: _facts(entry["id"], entry, known=True) for entry in _document()["model"]})


@cache
def _names() -> Mapping[str, str]:
    """Map every id and alias to the id of its entry."""
    return MappingProxyType(
        {name: entry["id"] for entry in _document()["model"] for name in (entry["id"], *entry.get("aliases", ()))}
    )


@lru_cache(maxsize=256)
def _facts_for(model: str) -> ModelFacts:
    identifier = _resolve(model)
    if identifier is None:
        return _facts(model, _document()["unknown"], known=False)
    facts = _table()[identifier]
    return facts if facts.model == model else replace(facts, model=model)


def _resolve(model: str) -> str | None:
    names = _names()
    bare = _without_prefixes(model)
    if bare in names:
        return names[bare]
    for suffix in _document()["names"]["suffixes"]:
        bare = re.sub(suffix, "", bare)
        if bare in names:
            return names[bare]
    return None


def _without_prefixes(model: str) -> str:
    bare = model.rsplit("/", 1)[-1] if model.startswith("arn:") else model
    shorter = True
    while shorter:
        shorter = False
        for prefix in _document()["names"]["prefixes"]:
            if bare.startswith(prefix):
                bare, shorter = bare[len(prefix) :], True
    return bare


def _facts(name: str, entry: _Entry, *, known: bool) -> ModelFacts:
    tool_prompt = entry.get("tool_prompt_tokens")
    return ModelFacts(
        model=name,
        canonical=entry.get("id", name),
        known=known,
        minimum_prefix_tokens=entry["minimum_prefix_tokens"],
        context_window_tokens=entry.get("context_window_tokens"),
        max_output_tokens=entry.get("max_output_tokens"),
        tokenizer=entry["tokenizer"],
        mid_conversation_system=entry.get("mid_conversation_system", False),
        forced_tool_choice=entry["forced_tool_choice"],
        adaptive_thinking=entry.get("adaptive_thinking", False),
        thinking_always_on=entry.get("thinking_always_on", False),
        budget_thinking=entry.get("budget_thinking", False),
        efforts=tuple(entry.get("efforts", ())),
        default_effort=entry.get("default_effort"),
        structured_outputs=entry.get("structured_outputs", False),
        keeps_all_thinking=entry.get("keeps_all_thinking", False),
        thinking_bound_to_prefix=entry.get("thinking_bound_to_prefix", False),
        per_message_effort=entry.get("per_message_effort", False),
        us_inference=entry.get("us_inference", False),
        tool_prompt_tokens=(tool_prompt[0], tool_prompt[1]) if tool_prompt else None,
        prices=tuple(_period(period) for period in entry.get("prices", ())),
        source=entry["source"],
        checked=entry["checked"],
        confidence=entry["confidence"],
        doubt=entry.get("doubt", ""),
    )


def _period(period: _PeriodText) -> PricePeriod:
    fast = period.get("fast")
    return PricePeriod(
        since=period.get("since"),
        up_to_prompt_tokens=period.get("up_to_prompt_tokens"),
        prices=_prices(period["standard"]),
        fast=_prices(fast) if fast else None,
    )


def _prices(text: _PriceText) -> Prices:
    return Prices(
        input_usd=Decimal(text["input"]),
        write_5m_usd=Decimal(text["write_5m"]),
        write_1h_usd=Decimal(text["write_1h"]),
        read_usd=Decimal(text["read"]),
        output_usd=Decimal(text["output"]),
    )


def _tier_limit(period: PricePeriod) -> float:
    return float("inf") if period.up_to_prompt_tokens is None else period.up_to_prompt_tokens
