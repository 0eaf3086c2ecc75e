"""`agentcache models`: what is known about each model."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer
from rich.table import Table

from agentcache.cli.printing import Format, console, hand_over_json
from agentcache.prompt.model_facts import ModelFacts, all_facts

_FEATURES = {
    "adaptive_thinking": "adaptive thinking",
    "budget_thinking": "thinking budget",
    "structured_outputs": "structured outputs",
    "forced_tool_choice": "forced tools",
    "mid_conversation_system": "system messages",
}


def models(format_: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TABLE) -> None:
    """Print what is known of each model.

    Minimum prefix, limits, prices, features. Prices are US dollars per million tokens, as they stand today, for
    a prompt of the first price tier. The JSON form has every period, tier and source.
    """
    facts = all_facts()
    if format_ is Format.JSON:
        hand_over_json(facts)
    else:
        console().print(_table(facts))


def _table(facts: tuple[ModelFacts, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model", no_wrap=True)
    for name in ("min. prefix", "context", "max. output", "input $", "write 5m $", "write 1h $", "read $", "output $"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("features", "checked"):
        table.add_column(name)
    for model in facts:
        features = ", ".join(word for field, word in _FEATURES.items() if getattr(model, field))
        table.add_row(model.model, *_limits(model), *_prices(model), features, f"{model.checked} ({model.confidence})")
    return table


def _limits(model: ModelFacts) -> list[str]:
    limits = (model.minimum_prefix_tokens, model.context_window_tokens, model.max_output_tokens)
    return ["?" if limit is None else f"{limit:,}" for limit in limits]


def _prices(model: ModelFacts) -> list[str]:
    prices = model.prices_for()
    if prices is None:
        return ["?"] * 5
    each = (prices.input_usd, prices.write_5m_usd, prices.write_1h_usd, prices.read_usd, prices.output_usd)
    return [_dollars(price) for price in each]


def _dollars(price: Decimal) -> str:
    return f"{price:.2f}" if price == round(price, 2) else f"{price.normalize():f}"
