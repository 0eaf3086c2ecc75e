"""What a person sees while a run goes on: a live table on a terminal, plain lines everywhere else. Always on stderr.

Progress only counts and shows events; the numbers that are reported at the end come from the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

from rich.live import Live
from rich.table import Table

from agentcache.accounting.usage import CallRecord, Usage
from agentcache.cli.printing import Screen
from agentcache.runtime.events import (
    ApprovalDecided,
    ApprovalRequested,
    CallFinished,
    CallRetried,
    CallStarted,
    Event,
    EventSink,
    Notice,
    RunFinished,
    RunStarted,
    ToolFinished,
)
from agentcache.visible import visible

OUTSIDE = "(no agent)"


@dataclass(slots=True, kw_only=True)
class AgentTally:
    """What one agent has done so far. `cost_usd` is `None` from the first call on whose price is unknown."""

    running: int = 0
    calls: int = 0
    errors: int = 0
    tool_calls: int = 0
    usage: Usage = field(default_factory=Usage)
    cost_usd: Decimal | None = Decimal(0)

    def add(self, record: CallRecord) -> None:
        """Count one finished call."""
        self.running -= 1
        self.calls += 1
        self.errors += record.error is not None
        self.usage += record.usage or Usage()
        unpriced = record.cost_usd is None or self.cost_usd is None
        self.cost_usd = None if unpriced else (self.cost_usd or Decimal(0)) + (record.cost_usd or Decimal(0))


@dataclass(slots=True)
class Tally:
    """What all agents have done so far, by agent, in the order in which they first called."""

    agents: dict[str, AgentTally] = field(default_factory=dict)
    run_id: str | None = None
    """The topmost run; `None` until it began."""

    def take(self, event: Event) -> None:
        """Count one event."""
        if isinstance(event, RunStarted) and self.run_id is None:
            self.run_id = event.run_id
        elif isinstance(event, CallStarted):
            self._of(event).running += 1
        elif isinstance(event, CallFinished):
            self._of(event).add(event.record)
        elif isinstance(event, ToolFinished):
            self._of(event).tool_calls += 1

    def _of(self, event: Event) -> AgentTally:
        return self.agents.setdefault(event.agent or OUTSIDE, AgentTally())

    def table(self) -> Table:
        """Return the counts as a table, one row per agent."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("agent")
        for name in ("running", "calls", "tools", "prompt tokens", "read", "answer tokens", "cost $"):
            table.add_column(name, justify="right")
        for name, agent in self.agents.items():
            numbers = (agent.running, agent.calls, agent.tool_calls)
            table.add_row(visible(name), *map(str, numbers), *_usage_cells(agent.usage), _dollars(agent.cost_usd))
        return table


@contextmanager
def progress(target: Screen, tally: Tally) -> Iterator[EventSink]:
    """Show what happens on `target` while the block runs. The value takes the events and counts them in `tally`."""
    if target.is_terminal:
        with _live(target, tally) as sink:
            yield sink
    else:
        yield _plain(target, tally)


@contextmanager
def _live(target: Screen, tally: Tally) -> Iterator[EventSink]:
    with Live(console=target, get_renderable=tally.table, refresh_per_second=8, transient=True) as live:
        waiting: set[str] = set()

        def take(event: Event) -> None:
            tally.take(event)
            if isinstance(event, CallRetried | Notice):
                live.console.print(line_of(event), style="yellow")
            elif isinstance(event, ApprovalRequested):
                live.stop()  # the question has the terminal for itself
                waiting.add(event.tool_call_id)
            elif isinstance(event, ApprovalDecided):
                waiting.discard(event.tool_call_id)
                if not waiting:
                    live.start()

        yield take


def _plain(target: Screen, tally: Tally) -> EventSink:
    def take(event: Event) -> None:
        tally.take(event)
        line = line_of(event)
        if line is not None:
            target.print(line, soft_wrap=True)

    return take


def line_of(event: Event) -> str | None:
    """Return an event as one line that drives no terminal; `None` for events too small to be told one by one."""
    told = _told(event)
    return None if told is None else visible(told)


def _told(event: Event) -> str | None:
    who = event.agent or OUTSIDE
    match event:
        case RunStarted(agent=None):
            return f"{event.name}: started"
        case CallFinished():
            return f"{who}: {_call(event.record)}"
        case CallRetried():
            return f"{who}: attempt {event.attempt} failed ({event.reason}); next one in {event.wait_s:.1f} s"
        case ToolFinished():
            return f"{who}: tool {event.tool} {event.outcome}{' (kept result)' if event.memo_hit else ''}"
        case ApprovalRequested():
            return f"{who}: tool {event.tool} waits for approval"
        case ApprovalDecided():
            because = f" ({event.reason})" if event.reason else ""
            return f"{who}: tool {event.tool} {'approved' if event.approved else 'declined'}{because}"
        case Notice():
            return f"{who}: {event.message}"
        case RunFinished(agent=None):
            return f"{event.name}: {event.status}"
        case _:
            return None


def _call(record: CallRecord) -> str:
    if record.error is not None:
        return f"call failed: {record.error}"
    if record.usage is None:
        return "call ended, its usage is unknown"
    prompt, read, answer = _usage_cells(record.usage)
    return f"call {record.turn}: prompt {prompt} ({read} read), answer {answer} tokens, ${_dollars(record.cost_usd)}"


def _usage_cells(usage: Usage) -> tuple[str, str, str]:
    share = usage.read_share
    return f"{usage.input_tokens:,}", "-" if share is None else f"{share:.0%}", f"{usage.output_tokens:,}"


def _dollars(amount: Decimal | None) -> str:
    return "?" if amount is None else f"{amount:.4f}"
