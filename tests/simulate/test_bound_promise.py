"""No choice of markers and keep-alive reads, billed by the emulator's cache, is cheaper than the bound."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import product

from hypothesis import event, given, settings
from hypothesis import strategies as st

from agentcache.accounting.bound import BoundCall, InputBound
from agentcache.emulator.json_values import digest
from agentcache.emulator.prompt_cache import CachePrompt, Charge, Marker, Position, PromptCache
from agentcache.prompt.model_facts import Prices, Ttl


def prices(read_usd: str) -> Prices:
    return Prices(
        input_usd=Decimal(1),
        write_5m_usd=Decimal("1.25"),
        write_1h_usd=Decimal(2),
        read_usd=Decimal(read_usd),
        output_usd=Decimal(5),
    )


@dataclass(frozen=True)
class Call:
    """One request: which block follows which (their names are their contents), when, and how long after its end."""

    at_s: float
    first_token_s: float
    blocks: tuple[int, ...]
    marks: dict[int, Ttl]
    closing_tokens: int
    prices: Prices


@dataclass(frozen=True)
class Traffic:
    calls: tuple[Call, ...]
    lengths: tuple[int, ...]
    """Tokens of each block by its name."""
    runs: frozenset[int]
    """Names of blocks that continue a run of tool blocks, and so share the look-back position of the one before."""
    minimum_tokens: int


# Within the first token, within five minutes, about their end, within the hour, about its end, beyond it.
WAITS = st.sampled_from([0.0, 0.5, 2.0, 30.0, 200.0, 299.0, 300.0, 420.0, 900.0, 2400.0, 3599.0, 3600.0, 5000.0])


@st.composite
def marks(draw: st.DrawFn, count: int) -> dict[int, Ttl]:
    """Draw up to four markers on `count` blocks, the long ones first."""
    places = sorted(draw(st.sets(st.integers(0, count - 1), max_size=4)))
    long = draw(st.integers(0, len(places)))
    return {place: "1h" if index < long else "5m" for index, place in enumerate(places)}


@st.composite
def traffics(draw: st.DrawFn) -> Traffic:
    """Draw calls on a tree of prefixes: each goes some way along an earlier one and then its own way."""
    paths: list[tuple[int, ...]] = [()]
    lengths: list[int] = []
    calls: list[Call] = []
    at_s = 0.0
    for _ in range(draw(st.integers(3, 8))):
        earlier = draw(st.sampled_from([paths[-1], paths[-1], *paths]))  # mostly the conversation goes on
        kept = earlier[: draw(st.sampled_from([len(earlier)] * 3 + [*range(len(earlier))]))]
        added = draw(st.lists(st.sampled_from([1, 20, 500]), min_size=not kept, max_size=2))
        blocks = (*kept, *range(len(lengths), len(lengths) + len(added)))
        lengths += added
        paths.append(blocks)
        at_s += draw(WAITS)
        calls.append(
            Call(
                at_s=at_s,
                first_token_s=draw(st.sampled_from([1.0, 0.0, 20.0])),
                blocks=blocks,
                marks=draw(marks(len(blocks))) if blocks else {},
                closing_tokens=draw(st.integers(0, 5)),
                prices=prices(draw(st.sampled_from(["0.1", "0.05"]))),
            )
        )
    return Traffic(
        calls=tuple(calls),
        lengths=tuple(lengths),
        runs=frozenset(draw(st.sets(st.integers(0, max(0, len(lengths) - 1)), max_size=3))),
        minimum_tokens=draw(st.sampled_from([0, 0, 200, 700])),
    )


@st.composite
def conversations(draw: st.DrawFn) -> Traffic:
    """Draw one conversation that grows by a block a call, with a long beginning."""
    waits = draw(st.lists(WAITS, min_size=2, max_size=3))
    added = draw(st.lists(st.sampled_from([1, 20, 500]), min_size=len(waits), max_size=len(waits)))
    calls = [
        Call(
            at_s=sum(waits[:number]),
            first_token_s=1.0,
            blocks=tuple(range(number + 1)),
            marks={},
            closing_tokens=1,
            prices=prices("0.1"),
        )
        for number in range(len(waits) + 1)
    ]
    return Traffic(calls=tuple(calls), lengths=(500, *added), runs=frozenset(), minimum_tokens=0)


def prompt(traffic: Traffic, call: Call, marks: dict[int, Ttl]) -> CachePrompt:
    state, tokens, step = b"root", 0, 0
    positions = []
    for index, block in enumerate(call.blocks):
        state, tokens = digest(state, str(block).encode()), tokens + traffic.lengths[block]
        step += not (index and block in traffic.runs)
        ends = index + 1 == len(call.blocks) or call.blocks[index + 1] not in traffic.runs
        positions.append(Position(state, tokens, step, ends_step=ends))
    return CachePrompt(
        positions=tuple(positions),
        markers=tuple(Marker(place, ttl) for place, ttl in marks.items()),
        total_tokens=tokens + call.closing_tokens,
        minimum_tokens=traffic.minimum_tokens,
    )


def bound_usd(traffic: Traffic) -> Decimal:
    bound = InputBound()
    for call in traffic.calls:
        unmarked = prompt(traffic, call, {})
        bound.add(
            BoundCall(
                digests=[position.digest for position in unmarked.positions],
                prefix_tokens=[position.tokens for position in unmarked.positions],
                total_tokens=unmarked.total_tokens,
                minimum_tokens=unmarked.minimum_tokens,
                at_s=call.at_s,
                first_token_at_s=call.at_s + call.first_token_s,
                prices=call.prices,
                keep_alive_usd=Decimal("0.05"),
            )
        )
    return bound.usd


def usd(charge: Charge, rates: Prices) -> Decimal:
    return (
        charge.plain_tokens * rates.input_usd
        + charge.write_5m_tokens * rates.write_5m_usd
        + charge.write_1h_tokens * rates.write_1h_usd
        + charge.read_tokens * rates.read_usd
    ) / 10**6


def billed_usd(traffic: Traffic, keep_alives: Sequence[tuple[int, float]]) -> Decimal:
    """Return what the calls cost, and reads that repeat a call's prompt some seconds later to keep it alive."""
    cache, total = PromptCache(), Decimal(0)
    sent = [(call.at_s, call, False) for call in traffic.calls]
    sent += [(traffic.calls[number].at_s + wait_s, traffic.calls[number], True) for number, wait_s in keep_alives]
    for at_s, call, keeps_alive in sorted(sent, key=lambda one: one[0]):
        asked = prompt(traffic, call, call.marks)
        if keeps_alive:
            asked = replace(asked, markers=asked.markers[-1:], total_tokens=asked.total_tokens + 10)
            tried = deepcopy(cache).look_up(asked, now=at_s)
            if tried.hit is None or tried.writes:
                continue  # too late to keep anything alive
        rates = prices("0.05") if keeps_alive else call.prices
        total += usd(cache.charge(asked, now=at_s, first_byte_at=at_s + call.first_token_s), rates)
    return total


@settings(max_examples=6 * settings().max_examples, deadline=None)
@given(traffic=traffics())
def test_no_markers_are_cheaper_than_the_bound(traffic: Traffic) -> None:
    cost, bound = billed_usd(traffic, []), bound_usd(traffic)
    event("reached" if cost == bound else "above")
    assert cost >= bound


@settings(max_examples=60, deadline=None)
@given(conversation=conversations())
def test_no_choice_of_lifetimes_for_the_tails_of_a_conversation_is(conversation: Traffic) -> None:
    """Every choice, call by call, of no marker or a marker on the last block for five minutes or for the hour."""
    tails: list[list[dict[int, Ttl]]] = [
        [{}, {len(call.blocks) - 1: "5m"}, {len(call.blocks) - 1: "1h"}] for call in conversation.calls
    ]
    costs = []
    for chosen in product(*tails):
        calls = [replace(call, marks=marks) for call, marks in zip(conversation.calls, chosen, strict=True)]
        costs.append(billed_usd(replace(conversation, calls=tuple(calls)), []))
    assert min(costs) >= bound_usd(conversation)


@settings(max_examples=3 * settings().max_examples, deadline=None)
@given(data=st.data(), conversation=conversations())
def test_keep_alive_reads_do_not_make_them_cheaper(data: st.DataObject, conversation: Traffic) -> None:
    calls, keep_alives = [], []
    for number, (call, later) in enumerate(zip(conversation.calls, [*conversation.calls[1:], None], strict=True)):
        ttl: Ttl = data.draw(st.sampled_from(("5m", "1h")))
        calls.append(replace(call, marks={len(call.blocks) - 1: ttl}))
        if later is not None and data.draw(st.booleans()):
            every_s = 290 if ttl == "5m" else 3500
            keep_alives += [(number, at_s) for at_s in range(every_s, int(later.at_s - call.at_s), every_s)]
    assert billed_usd(replace(conversation, calls=tuple(calls)), keep_alives) >= bound_usd(conversation)


@settings(max_examples=2 * settings().max_examples, deadline=None)
@given(traffic=traffics())
def test_the_bound_is_never_dearer_than_no_caching_at_all(traffic: Traffic) -> None:
    bare = replace(traffic, calls=tuple(replace(call, marks={}) for call in traffic.calls))
    assert Decimal(0) <= bound_usd(traffic) <= billed_usd(bare, [])
