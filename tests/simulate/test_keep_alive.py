"""`auto` keeps silent prompts alive where conversations come back, and the reads are billed like everything else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from agentcache.accounting.usage import Usage
from agentcache.prompt.canonical import JsonValue
from agentcache.simulate.arrivals import Arrivals
from agentcache.simulate.cases import CaseReader
from agentcache.simulate.dump import open_dump
from agentcache.simulate.outcome import Outcome, Simulation
from agentcache.simulate.reading import read_traffic
from agentcache.simulate.replay import Billed, Replay
from agentcache.simulate.traces import TraceOptions
from tests.simulate.recordings import Body, assistant, line, prose, request, simulated, user, write_lines


def conversations(
    count: int, gaps_s: tuple[float, ...], *, spacing_s: float = 100.0, **fields: JsonValue
) -> list[Body]:
    """Return `count` conversations of long messages, each with these gaps between its calls."""
    lines = []
    for number in range(count):
        messages: list[JsonValue] = []
        at_s = number * spacing_s
        for turn, gap_s in enumerate((*gaps_s, 0.0)):
            messages.append(user(f"{number}: {prose(1500 if turn == 0 else 1000)}"))
            lines.append(line(at_s, request(*messages, **fields), conversation=f"c{number}", agent="clerk"))
            messages.append(assistant("Noted."))
            at_s += gap_s
    return sorted(lines, key=lambda each: float(str(each["t"])))


def outcome_of(path: Path, *, keep_alive: bool = True, dump: Path | None = None) -> tuple[Outcome, list[Billed]]:
    simulation = Simulation(replays=[Replay.of("auto", keep_alive=keep_alive)])
    bills = []
    with open_dump(dump) as writer:
        for (bill,) in simulation.run(
            CaseReader().cases(read_traffic([path], TraceOptions(arrivals=Arrivals.RECORDED)))
        ):
            bills.append(bill)
            if writer is not None:
                writer.write(bill)
    return simulation.outcome(), bills


@pytest.fixture
def coming_back(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "log.jsonl", conversations(30, (20.0, 20.0, 20.0, 450.0)))


def reads_of(path: Path) -> Iterator[JsonValue]:
    for text in path.read_text(encoding="utf-8").splitlines():
        call = json.loads(text)
        if call["request"]["max_tokens"] == 0:
            yield call


def test_where_conversations_come_back_late_reads_are_cheaper_than_writes(coming_back: Path) -> None:
    (kept,), (left,) = (outcome_of(coming_back, keep_alive=wanted)[0].policies for wanted in (True, False))
    assert kept.keep_alive_reads > 0
    assert left.keep_alive_reads == 0
    assert kept.cost_usd is not None
    assert left.cost_usd is not None
    assert kept.cost_usd < left.cost_usd
    assert kept.usage.cache_write_5m_tokens < left.usage.cache_write_5m_tokens


def test_reads_are_in_the_buckets_and_not_among_the_calls(coming_back: Path) -> None:
    outcome, bills = outcome_of(coming_back)
    calls = sum((bill.usage for bill in bills if bill.usage), Usage())
    reads = sum((each.usage for bill in bills for each in bill.reads), Usage())
    body = outcome.to_json()["policies"][0]  # type: ignore[index]  # a list of objects
    assert outcome.policies[0].usage == calls + reads
    assert body["calls"] == len(bills)  # type: ignore[index,call-overload]
    assert body["keep_alive_reads"] == sum(len(bill.reads) for bill in bills)  # type: ignore[index,call-overload]


def test_a_read_comes_before_its_prefix_expires_and_finds_it(coming_back: Path) -> None:
    _, bills = outcome_of(coming_back)
    reads = [each for bill in bills for each in bill.reads]
    assert {round(each.read.at_s - each.read.case.call.at_s) for each in reads} == {290}
    assert all(each.usage.cache_read_tokens and not each.usage.cache_write_tokens for each in reads)


def test_where_nobody_comes_back_hardly_anything_is_read(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "log.jsonl", conversations(40, (20.0, 20.0, 20.0)))
    assert outcome_of(path)[0].policies[0].keep_alive_reads == 0


def test_what_the_api_would_refuse_is_not_read(tmp_path: Path) -> None:
    forced = conversations(30, (20.0, 20.0, 20.0, 450.0), thinking={"type": "enabled", "budget_tokens": 2048})
    path = write_lines(tmp_path / "log.jsonl", forced)
    assert outcome_of(path)[0].policies[0].keep_alive_reads == 0


def test_the_dump_has_the_reads_in_their_place_and_bills_the_same_to_somebody_else(
    coming_back: Path, tmp_path: Path
) -> None:
    dumped = tmp_path / "dump.jsonl"
    outcome, _ = outcome_of(coming_back, dump=dumped)
    times = [json.loads(text)["t"] for text in dumped.read_text(encoding="utf-8").splitlines()]
    again = simulated([dumped], ["recorded"]).policies[0]
    assert all(before <= after for before, after in pairwise(times))
    assert len(list(reads_of(dumped))) == outcome.policies[0].keep_alive_reads > 0
    assert (again.usage, again.cost_usd) == (outcome.policies[0].usage, outcome.policies[0].cost_usd)
