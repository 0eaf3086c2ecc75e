"""Thresholds that a ledger's numbers must keep, and a sentence for each that is broken.

What is not known keeps no threshold: a day on which a call has no price has not been shown to cost little enough.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from agentcache.accounting.pricing import plain_usd
from agentcache.accounting.summary import Summary, SummaryRow

_Share = Annotated[Decimal, Field(ge=0, le=1)]
_Count = Annotated[int, Field(ge=0, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentThresholds:
    """What must hold for one agent's own calls; `None` asks for nothing. A share is from 0 to 1."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    read_share: _Share | None = None
    """The least share of the prompts, all models together, that is read from the cache."""
    usd_per_day: Annotated[Decimal, Field(ge=0)] | None = None
    """The most dollars that all calls of one day (UTC) may cost."""
    wasted_write_tokens: _Count | None = None
    """The most tokens that may have been written and never read (estimate)."""
    wasted_write_share: _Share | None = None
    """The same as a share of all tokens written."""
    unknown_usage_calls: _Count | None = None
    """The most calls of which the server never said what it billed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds(AgentThresholds):
    """What must hold for all calls together, but for `read_share`, which each agent keeps for itself.

    agents: what must hold for agents by their names, too. An agent's `read_share` there takes the place of the general
    one; the others come on top.
    """

    agents: Mapping[str, AgentThresholds] = field(default_factory=dict)


def broken_thresholds(
    thresholds: Thresholds, *, by_agent: Summary, by_day: Summary, agents: Mapping[str, Summary] | None = None
) -> tuple[str, ...]:
    """Return a sentence for each threshold that is broken, agents and days in order; empty when all hold.

    by_agent and by_day: of the same calls. agents: by day, of each agent's own calls alone; agents of `thresholds` that
    are not among them are not checked.
    """
    alone = {name: summary for name, summary in (agents or {}).items() if name in thresholds.agents}
    own_share = {name for name in alone if thresholds.agents[name].read_share is not None}
    sentences = [
        *_read_shares(thresholds.read_share, by_agent, own_share),
        *_days(thresholds.usd_per_day, by_day),
        *_wasted(thresholds, by_agent.total),
        *_unknown(thresholds.unknown_usage_calls, by_agent.unknown_usage_calls),
    ]
    for name in sorted(alone):
        sentences += _of_agent(name, thresholds.agents[name], alone[name])
    return tuple(sentences)


def unchecked_agents(agents: Mapping[str, Summary], known: Collection[str]) -> tuple[str, ...]:
    """Return a sentence for each agent with thresholds and no call: none was broken, and none was shown to hold.

    agents: the calls of each agent with thresholds. known: agents that have calls.
    """
    sentences = []
    for name in sorted(name for name, summary in agents.items() if not summary.total.calls):
        close = get_close_matches(name, known, n=1)
        remedy = (
            f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(map(repr, sorted(known))) or 'none'}"
        )
        sentences.append(
            f"agent {name!r} has thresholds and no call among those looked at, so none was checked; {remedy}"
        )
    return tuple(sentences)


def _of_agent(name: str, thresholds: AgentThresholds, days: Summary) -> Iterator[str]:
    whose, setting = f"agent {name!r}: ", f"agents.{name}."
    if thresholds.read_share is not None:
        yield from _read_share(thresholds.read_share, name, days.total, setting)
    yield from _days(thresholds.usd_per_day, days, whose, setting)
    yield from _wasted(thresholds, days.total, whose, setting)
    yield from _unknown(thresholds.unknown_usage_calls, days.unknown_usage_calls, whose, setting)


def _read_shares(least: Decimal | None, summary: Summary, but: Collection[str]) -> Iterator[str]:
    if least is None:
        return
    agents: dict[str, SummaryRow] = {}
    for row in summary.rows:
        name = row.agent or ""
        agents[name] = agents.get(name, SummaryRow()) + row
    for name, row in agents.items():
        if name not in but:
            yield from _read_share(least, name, row)


def _read_share(least: Decimal, name: str, row: SummaryRow, setting: str = "") -> Iterator[str]:
    prompt, read = row.usage.input_tokens, row.usage.cache_read_tokens
    # Compared as integers times the threshold: a float's last digit must not decide.
    if read < least * prompt:
        yield (
            f"agent {name!r} read {read:,} of {prompt:,} prompt tokens from the cache, a share of "
            f"{_share(read, prompt)}; {setting}read_share asks for {least} or more."
        )


def _days(most: Decimal | None, summary: Summary, whose: str = "", setting: str = "") -> Iterator[str]:
    if most is None:
        return
    for row in summary.rows:
        if row.priced_usd > most:
            least = "at least " if row.unpriced_calls else ""
            yield (
                f"{whose}{row.day} cost {least}${plain_usd(row.priced_usd)}; "
                f"{setting}usd_per_day allows ${plain_usd(most)}."
            )
        elif row.unpriced_calls:
            yield (
                f"{whose}{row.day} cost at least ${plain_usd(row.priced_usd)}, and {_calls(row.unpriced_calls)} "
                f"without a price came on top; whether {setting}usd_per_day (${plain_usd(most)}) was kept is not known."
            )


def _wasted(thresholds: AgentThresholds, total: SummaryRow, whose: str = "", setting: str = "") -> Iterator[str]:
    wasted, written = total.wasted_write_tokens, total.usage.cache_write_tokens
    most, share = thresholds.wasted_write_tokens, thresholds.wasted_write_share
    if most is not None and wasted > most:
        yield (
            f"{whose}{wasted:,} written tokens were not read again (estimate); "
            f"{setting}wasted_write_tokens allows {most:,}."
        )
    if share is not None and wasted > share * written:
        yield (
            f"{whose}{wasted:,} of {written:,} written tokens were not read again (estimate), a share of "
            f"{_share(wasted, written)}; {setting}wasted_write_share allows {share}."
        )


def _unknown(most: int | None, calls: int, whose: str = "", setting: str = "") -> Iterator[str]:
    if most is not None and calls > most:
        yield f"{whose}{_calls(calls)} of unknown usage; {setting}unknown_usage_calls allows {most:,}."


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.4f}"


def _calls(number: int) -> str:
    return "1 call" if number == 1 else f"{number:,} calls"
