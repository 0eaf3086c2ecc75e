"""Thresholds that a ledger's numbers must keep, and a sentence for each that is broken.

What is not known keeps no threshold: a day on which a call has no price has not been shown to cost little enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from agentcache.accounting.pricing import plain_usd
from agentcache.accounting.summary import Summary, SummaryRow

_Share = Annotated[Decimal, Field(ge=0, le=1)]
_Count = Annotated[int, Field(ge=0, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What must hold; `None` asks for nothing. A share is from 0 to 1."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    read_share: _Share | None = None
    """The least share of each agent's prompts, all its models together, that is read from the cache."""
    usd_per_day: Annotated[Decimal, Field(ge=0)] | None = None
    """The most dollars that all calls of one day (UTC) may cost."""
    wasted_write_tokens: _Count | None = None
    """The most tokens that may have been written and never read (estimate)."""
    wasted_write_share: _Share | None = None
    """The same as a share of all tokens written."""
    unknown_usage_calls: _Count | None = None
    """The most calls of which the server never said what it billed."""


def broken_thresholds(thresholds: Thresholds, *, by_agent: Summary, by_day: Summary) -> tuple[str, ...]:
    """Return a sentence for each threshold that is broken, agents and days in order; empty when all hold.

    The summaries are of the same calls.
    """
    return (
        *_read_shares(thresholds.read_share, by_agent),
        *_days(thresholds.usd_per_day, by_day),
        *_wasted(thresholds, by_agent.total),
        *_unknown(thresholds.unknown_usage_calls, by_agent.unknown_usage_calls),
    )


def _read_shares(least: Decimal | None, summary: Summary) -> Iterator[str]:
    if least is None:
        return
    agents: dict[str, SummaryRow] = {}
    for row in summary.rows:
        name = row.agent or ""
        agents[name] = agents.get(name, SummaryRow()) + row
    for name, row in agents.items():
        prompt, read = row.usage.input_tokens, row.usage.cache_read_tokens
        # Compared as integers times the threshold: a float's last digit must not decide.
        if read < least * prompt:
            yield (
                f"agent {name!r} read {read:,} of {prompt:,} prompt tokens from the cache, a share of "
                f"{_share(read, prompt)}; read_share asks for {least} or more."
            )


def _days(most: Decimal | None, summary: Summary) -> Iterator[str]:
    if most is None:
        return
    for row in summary.rows:
        if row.priced_usd > most:
            least = "at least " if row.unpriced_calls else ""
            yield (f"{row.day} cost {least}${plain_usd(row.priced_usd)}; usd_per_day allows ${plain_usd(most)}.")
        elif row.unpriced_calls:
            yield (
                f"{row.day} cost at least ${plain_usd(row.priced_usd)}, and {_calls(row.unpriced_calls)} without a "
                f"price came on top; whether usd_per_day (${plain_usd(most)}) was kept is not known."
            )


def _wasted(thresholds: Thresholds, total: SummaryRow) -> Iterator[str]:
    wasted, written = total.wasted_write_tokens, total.usage.cache_write_tokens
    most, share = thresholds.wasted_write_tokens, thresholds.wasted_write_share
    if most is not None and wasted > most:
        yield f"{wasted:,} written tokens were not read again (estimate); wasted_write_tokens allows {most:,}."
    if share is not None and wasted > share * written:
        yield (
            f"{wasted:,} of {written:,} written tokens were not read again (estimate), a share of "
            f"{_share(wasted, written)}; wasted_write_share allows {share}."
        )


def _unknown(most: int | None, calls: int) -> Iterator[str]:
    if most is not None and calls > most:
        yield f"{_calls(calls)} of unknown usage; unknown_usage_calls allows {most:,}."


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.4f}"


def _calls(number: int) -> str:
    return "1 call" if number == 1 else f"{number:,} calls"
