"""`agentcache simulate`: what other policies would have cost, beside the bound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from agentcache.cli.printing import Format, as_json, console
from agentcache.errors import SettingsError, TargetError

if TYPE_CHECKING:
    from agentcache.simulate.cases import Case
    from agentcache.simulate.dump import RequestDump
    from agentcache.simulate.outcome import Outcome, Simulation
    from agentcache.simulate.traffic import TrafficCall


class Totals(StrEnum):
    """Where the length of a prompt comes from."""

    ESTIMATED = "estimated"
    RECORDED = "recorded"


class ArrivalModel(StrEnum):
    """When calls come; see `agentcache.simulate.arrivals`."""

    RECORDED = "recorded"
    BRISK = "brisk"
    WANDERING = "wandering"


def simulate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Request logs and trace files.")],
    policy: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A policy; may be repeated. [all of them]")
    ] = None,
    arrivals: Annotated[
        ArrivalModel, typer.Option(help="When calls come; `recorded` falls back to `brisk` for traces without times.")
    ] = ArrivalModel.RECORDED,
    seed: Annotated[int, typer.Option(help="Seed of the users' pauses.")] = 0,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="The model where a trace names no Claude model.")
    ] = None,
    prefix: Annotated[
        Path | None, typer.Option(metavar="FILE", help="System and tools for traces that lack them.")
    ] = None,
    totals: Annotated[Totals, typer.Option(help="Prompt lengths: estimated, or from the recorded usage.")] = (
        Totals.ESTIMATED
    ),
    per_call: Annotated[bool, typer.Option("--per-call", help="Add every call's buckets to the JSON.")] = False,
    dump_requests: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Write what the (single) policy would send as a request log.")
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TABLE,
) -> None:
    """Bill recorded traffic under other cache policies.

    Each policy is billed call by call by the emulator's cache, beside the least that any policy could have paid.
    """
    # Start-up time: the planner and the emulator's cache are not needed for `--help`.
    from agentcache.simulate.arrivals import Arrivals
    from agentcache.simulate.cases import CaseReader
    from agentcache.simulate.outcome import Simulation
    from agentcache.simulate.policies import RECORDED, policy_names
    from agentcache.simulate.reading import read_prefix, read_traffic
    from agentcache.simulate.replay import Replay
    from agentcache.simulate.traces import TraceOptions

    names = policy or [name for name in policy_names() if name != RECORDED]
    if dump_requests is not None and len(names) != 1:
        raise SettingsError("--dump-requests writes what one policy sends; name it with one --policy")
    replays = [Replay.of(name) for name in names]
    system, tools = ((), ()) if prefix is None else read_prefix(prefix)
    options = TraceOptions(model=model, system=system, tools=tools, arrivals=Arrivals(arrivals.value), seed=seed)
    calls = read_traffic(files, options)
    simulation = Simulation(replays=replays, keep_details=per_call)
    reader = CaseReader(totals_recorded=totals is Totals.RECORDED)
    with _dump(dump_requests) as dump:
        _run(simulation, reader.cases(calls), calls, dump)
    outcome = simulation.outcome()
    if format_ is Format.JSON:
        typer.echo(as_json(outcome.to_json(per_call=per_call)))
    else:
        console().print(_table(outcome))


def _run(simulation: Simulation, cases: Iterator[Case], calls: Sequence[TrafficCall], dump: RequestDump | None) -> None:
    """Bill every call; on a terminal a bar shows how far it is."""
    screen = console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task("billing", total=len(calls))
        for billed in simulation.run(cases):
            progress.advance(task)
            if dump is not None:
                dump.write(billed[0])


@contextmanager
def _dump(path: Path | None) -> Iterator[RequestDump | None]:
    if path is None:
        yield None
        return
    # Start-up time, as above.
    from agentcache.simulate.dump import RequestDump

    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        raise TargetError(f"cannot write {path}: {error.strerror or error}") from error
    with file:
        yield RequestDump(file)


def _table(outcome: Outcome) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("policy")
    for heading in ("calls", "uncached", "write 5m", "write 1h", "read", "unread writes", "refused", "cost", "ratio"):
        table.add_column(heading, justify="right")
    for policy in outcome.policies:
        ratio, usage = policy.ratio_to(outcome.bound_usd), policy.usage
        counts = (
            policy.calls,
            usage.uncached_input_tokens,
            usage.cache_write_5m_tokens,
            usage.cache_write_1h_tokens,
            usage.cache_read_tokens,
            policy.wasted_write_tokens,
            policy.refused,
        )
        cost = "unpriced" if policy.cost_usd is None else f"${policy.cost_usd:,.4f}"
        table.add_row(policy.name, *(f"{count:,}" for count in counts), cost, "?" if ratio is None else f"{ratio:.3f}")
    bound = "unpriced" if outcome.bound_usd is None else f"${outcome.bound_usd:,.4f}"
    table.add_row("bound", *[""] * 7, bound, "1.000", style="dim")
    return table
