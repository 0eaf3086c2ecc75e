"""What holds of shortfalls whatever was recorded: none loses more than was left, and ids and order tell nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from agentcache.accounting.observed import RECORDED, Event, observed_in
from agentcache.accounting.shortfall_findings import CODES, explain_recorded, shares_by_cause
from agentcache.accounting.shortfalls import CERTAINTY, ShortCause, Shortfall, shortfalls
from agentcache.accounting.usage import CallRecord
from tests.accounting.recorded import OPUS, STRIPPED, SWITCHED, row


@dataclass(frozen=True)
class Drawn:
    """A call as drawn: how long after the one before, how much of what was left it reads, what it writes and shows."""

    gap_s: float
    read_share: float
    hour: int
    five: int
    back: int
    model: str
    shows: Mapping[str, object]


SHOWN = st.fixed_dictionaries(
    {
        "thinks": st.booleans(),
        "asked": st.booleans(),
        "compacted": st.sampled_from([False, False, False, True]),
        "positions": st.integers(0, 25),
        "events": st.lists(st.sampled_from(list(Event)), max_size=2, unique=True).map(tuple),
    }
)
CALLS = st.builds(
    Drawn,
    gap_s=st.sampled_from([0.5, 20, 290, 310, 3590, 3700]),
    read_share=st.sampled_from([0, 0.25, 0.5, 0.9, 1, 1, 1]),
    hour=st.integers(0, 900),
    five=st.integers(0, 300),
    back=st.sampled_from([1, 1, 1, 2, 3]),
    model=st.sampled_from([OPUS, OPUS, SWITCHED, STRIPPED]),
    shows=SHOWN,
)
SESSIONS = st.lists(st.lists(CALLS, min_size=1, max_size=8), min_size=1, max_size=4)


def rows(sessions: Sequence[Sequence[Drawn]]) -> list[list[CallRecord]]:
    """Return the calls of each session: the first begins with 100 tokens that another read, the others carry one on."""
    return [session_rows(drawn, f"s{number}") for number, drawn in enumerate(sessions)]


def session_rows(drawn: Sequence[Drawn], session: str) -> list[CallRecord]:
    made: list[CallRecord] = []
    at = 0.0
    for place, each in enumerate(drawn):
        at += each.gap_s
        before = made[max(place - each.back, 0)] if made else None
        read = 100 if before is None else int(left(before) * each.read_share)
        made.append(
            row(
                f"{session}-{place}",
                None if before is None else before.call_id,
                at,
                read=read,
                hour=each.hour,
                five=each.five,
                uncached=3,
                model=each.model,
                session=session,
                ended_at=at + 1,
                **each.shows,
            )
        )
    return made


def left(call: CallRecord) -> int:
    assert call.usage is not None
    return call.usage.cache_read_tokens + call.usage.cache_write_tokens


def told(found: Sequence[Shortfall]) -> dict[str, tuple[object, ...]]:
    return {
        each.call.call_id: (each.cause, each.lost_tokens, each.lost_usd, each.earlier.call_id, each.upto_tokens)
        for each in found
    }


@given(SESSIONS)
def test_no_call_loses_more_than_the_one_it_carries_on_had_left_nor_than_its_prompt_holds(
    sessions: list[list[Drawn]],
) -> None:
    calls = [call for session in rows(sessions) for call in session]

    found = shortfalls(calls)

    for each in found:
        assert each.call.usage is not None
        assert 0 < each.lost_tokens <= left(each.earlier) - each.read_tokens
        assert each.read_tokens + each.lost_tokens <= each.call.usage.input_tokens
        assert each.lost_usd is None or each.lost_usd >= 0
    assert max(Counter(each.call.call_id for each in found).values(), default=0) <= 1
    assert sum(each.lost_tokens for each in found) <= sum(left(each.earlier) for each in found)


@given(SESSIONS)
def test_a_log_whose_every_call_reads_all_that_was_left_gives_no_finding(sessions: list[list[Drawn]]) -> None:
    full = [[replace(each, read_share=1) for each in session] for session in sessions]

    assert shortfalls([call for session in rows(full) for call in session]) == ()


@given(SESSIONS, st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_that_of_unrelated_sessions_matters(
    sessions: list[list[Drawn]], chance: Random
) -> None:
    made = rows(sessions)
    calls = [call for session in made for call in session]
    shuffled = calls.copy()
    chance.shuffle(shuffled)
    moved = [
        replace(call, sent_at=call.sent_at + shift, ended_at=None if call.ended_at is None else call.ended_at + shift)
        for number, session in enumerate(made)
        for call in session
        for shift in [7_777.0 * (len(made) - number)]
    ]

    assert told(shortfalls(shuffled)) == told(shortfalls(calls)) == told(shortfalls(moved))


@given(SESSIONS)
def test_other_names_for_calls_runs_agents_and_conversations_change_nothing(sessions: list[list[Drawn]]) -> None:
    calls = [call for session in rows(sessions) for call in session]

    renamed = shortfalls(list(map(under_another_name, calls)))

    def unnamed(found: Sequence[Shortfall]) -> Counter[tuple[object, ...]]:
        return Counter((each.call.sent_at, each.cause, each.lost_tokens, each.upto_tokens) for each in found)

    assert unnamed(renamed) == unnamed(shortfalls(calls))


def under_another_name(call: CallRecord) -> CallRecord:
    seen = observed_in(call.plan)
    assert seen is not None
    follows = None if seen.follows is None else other_name(seen.follows)
    return replace(
        call,
        call_id=other_name(call.call_id),
        run_id="elsewhere",
        agent="somebody",
        conversation=f"x{call.conversation}",
        plan={RECORDED: replace(seen, follows=follows).to_json()},
    )


def other_name(name: str) -> str:
    """Return another name, of another place in the order of names."""
    return name[::-1]


@given(SESSIONS)
def test_findings_have_a_code_exactly_when_the_cause_is_explained_and_shares_add_up(
    sessions: list[list[Drawn]],
) -> None:
    findings = explain_recorded([call for session in rows(sessions) for call in session])

    for finding in findings:
        assert (finding["code"] is not None) == (finding["certainty"] == "explained")
        assert finding["severity"] in {"error", "warning", "info"}
    shares = shares_by_cause(findings)
    assert sum(share["calls"] for share in shares if isinstance(share["calls"], int)) == len(findings)
    assert len({share["cause"] for share in shares}) == len(shares)


def test_every_cause_is_either_narrowed_or_unexplained_or_has_a_code() -> None:
    assert set(CODES) | set(CERTAINTY) == set(ShortCause)
    assert not set(CODES) & set(CERTAINTY)
