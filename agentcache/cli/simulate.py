"""`agentcache simulate`: what other policies would have cost, beside the bound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from agentcache.cli.printing import Format, console, hand_over_json
from agentcache.errors import SettingsError, TargetError
from agentcache.prompt.model_facts import facts_for

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
        list[str] | None,
        typer.Option(metavar="NAME", help="A policy; may be repeated. [all; `recorded` for logs only]"),
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
    keep_alive: Annotated[
        bool,
        typer.Option("--keep-alive/--no-keep-alive", help="Whether `auto` keeps silent prompts alive where that pays."),
    ] = True,
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
    from agentcache.simulate.dump import open_dump
    from agentcache.simulate.outcome import Simulation
    from agentcache.simulate.policies import RECORDED, policy_names
    from agentcache.simulate.reading import read_prefix, read_traffic
    from agentcache.simulate.replay import Replay
    from agentcache.simulate.traces import TraceOptions

    if dump_requests is not None and len(policy or ()) != 1:
        raise SettingsError("--dump-requests writes what one policy sends; name it with one --policy")
    if model is not None and not facts_for(model).known:
        raise SettingsError(f"--model {model}: no such model is known; `agentcache models` lists them")
    replays = [Replay.of(name, keep_alive=keep_alive) for name in policy or policy_names()]
    system, tools = ((), ()) if prefix is None else read_prefix(prefix)
    options = TraceOptions(model=model, system=system, tools=tools, arrivals=Arrivals(arrivals.value), seed=seed)
    calls = read_traffic(files, options)
    notices = console(stderr=True)
    _tell_what_is_missing(calls, totals, notices)
    if not policy and not any(call.from_log for call in calls):
        replays = [replay for replay in replays if replay.name != RECORDED]  # traces have no markers to keep
    simulation = Simulation(replays=replays, keep_details=per_call)
    reader = CaseReader(totals_recorded=totals is Totals.RECORDED)
    with open_dump(dump_requests) as dump:
        _run(simulation, reader.cases(calls), calls, dump, notices)
    if simulation.unpriced_models:
        models = ", ".join(sorted(simulation.unpriced_models))
        notices.print(f"no price is known for {models}: costs and the bound are left out")
    outcome = simulation.outcome()
    if format_ is Format.JSON:
        hand_over_json(outcome.to_json(per_call=per_call))
    else:
        console().print(_table(outcome))


def _tell_what_is_missing(calls: Sequence[TrafficCall], totals: Totals, notices: Console) -> None:
    """Say what the traffic lacks and how it is made up for."""
    bare = len({(call.run, call.agent) for call in calls if call.lacks_prompt})
    if bare:
        whose = "1 agent's" if bare == 1 else f"{bare} agents'"
        notices.print(f"{whose} system prompt and tools were not recorded; --prefix FILE adds them")
    unmeasured = sum(call.recorded_prompt_tokens is None for call in calls) if totals is Totals.RECORDED else 0
    if unmeasured == len(calls):
        raise TargetError("no call of this traffic has a recorded usage, which --totals recorded needs")
    if unmeasured:
        which = "1 call has" if unmeasured == 1 else f"{unmeasured} calls have"
        notices.print(f"{which} no recorded usage, so the length of the prompt is estimated")


def _run(
    simulation: Simulation,
    cases: Iterator[Case],
    calls: Sequence[TrafficCall],
    dump: RequestDump | None,
    screen: Console,
) -> None:
    """Bill every call; on a terminal a bar shows how far it is."""
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task("billing", total=len(calls))
        for billed in simulation.run(cases):
            progress.advance(task)
            if dump is not None:
                dump.write(billed[0])


def _table(outcome: Outcome) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("policy")
    for heading in (
        "calls",
        "uncached",
        "write 5m",
        "write 1h",
        "read",
        "unread writes",
        "kept alive",
        "refused",
        "cost",
        "ratio",
    ):
        table.add_column(heading, justify="right")
    for policy in outcome.policies:
        ratio, usage = outcome.ratio_to_bound(policy), policy.usage
        counts = (
            policy.calls,
            usage.uncached_input_tokens,
            usage.cache_write_5m_tokens,
            usage.cache_write_1h_tokens,
            usage.cache_read_tokens,
            policy.wasted_write_tokens,
            policy.keep_alive_reads,
            policy.refused,
        )
        cost = "unpriced" if policy.cost_usd is None else f"${policy.cost_usd:,.4f}"
        table.add_row(policy.name, *(f"{count:,}" for count in counts), cost, "?" if ratio is None else f"{ratio:.3f}")
    bound = ("unpriced", "?") if outcome.bound_usd is None else (f"${outcome.bound_usd:,.4f}", "1.000")
    table.add_row("bound", *[""] * 8, *bound, style="dim")
    return table
