"""Calls under a policy: which part of each prompt is written, read or paid in full."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agentcache.accounting.usage import Usage
from agentcache.prompt.plans import Plan
from agentcache.simulate.cases import Case
from agentcache.simulate.policies import Fixed
from agentcache.simulate.replay import Replay
from tests.simulate.recordings import (
    ANSWERED,
    CLOSING,
    LONG,
    OPENING,
    SHORT,
    Body,
    assistant,
    cases_of,
    line,
    mark,
    prose,
    request,
    text,
    tokens,
    usages,
    user,
    write_lines,
)

SYSTEM = tokens(LONG)
QUESTION = OPENING + tokens("Where is order 17?")
ANSWER = ANSWERED + tokens("On its way.")
THANKS = OPENING + tokens("Thanks!")


@pytest.fixture
def conversation(tmp_path: Path) -> Path:
    """Two turns, a minute apart, behind a long system prompt; nothing is marked."""
    first = request(user("Where is order 17?"), system=LONG)
    second = request(user("Where is order 17?"), assistant("On its way."), user("Thanks!"), system=LONG)
    return write_lines(tmp_path / "log.jsonl", [line(0, first), line(60, second)])


def test_without_markers_everything_is_paid_in_full(conversation: Path) -> None:
    assert usages(conversation, "off") == [
        Usage(uncached_input_tokens=SYSTEM + QUESTION + CLOSING),
        Usage(uncached_input_tokens=SYSTEM + QUESTION + ANSWER + THANKS + CLOSING),
    ]


@pytest.mark.parametrize("policy", ["automatic", "fixed-5m", "layers"])
def test_what_one_call_writes_the_next_one_reads(conversation: Path, policy: str) -> None:
    assert usages(conversation, policy) == [
        Usage(cache_write_5m_tokens=SYSTEM + QUESTION, uncached_input_tokens=CLOSING),
        Usage(
            cache_read_tokens=SYSTEM + QUESTION,
            cache_write_5m_tokens=ANSWER + THANKS,
            uncached_input_tokens=CLOSING,
        ),
    ]


def test_lifetimes_are_billed_apart(conversation: Path) -> None:
    assert usages(conversation, "fixed-1h-prefix")[0] == Usage(
        cache_write_1h_tokens=SYSTEM, cache_write_5m_tokens=QUESTION, uncached_input_tokens=CLOSING
    )


@pytest.mark.parametrize(
    ("policy", "wait_s", "read"),
    [("fixed-5m", 299, True), ("fixed-5m", 300, False), ("fixed-1h", 3599, True), ("fixed-1h", 3600, False)],
)
def test_an_entry_lives_as_long_as_it_was_paid_for(tmp_path: Path, policy: str, wait_s: float, read: bool) -> None:
    log = write_lines(tmp_path / "log.jsonl", [line(at_s, request(user(LONG))) for at_s in (0, wait_s)])
    usage = usages(log, policy)[1]
    assert usage is not None
    assert (usage.cache_read_tokens > 0) is read


def test_an_entry_is_found_only_twenty_positions_back(tmp_path: Path) -> None:
    tail = [text(f"part {number}") for number in range(20)]
    marked, later = user(text(LONG, "5m")), user(LONG, *tail[:-1], {**tail[-1], "cache_control": mark()})
    near = user(LONG, *tail[:-2], {**tail[-2], "cache_control": mark()})
    log = write_lines(tmp_path / "log.jsonl", [line(at_s, request(each)) for at_s, each in enumerate((marked, later))])
    nearer = write_lines(
        tmp_path / "nearer.jsonl", [line(at_s, request(each)) for at_s, each in enumerate((marked, near))]
    )

    far_usage, near_usage = usages(log, "recorded")[1], usages(nearer, "recorded")[1]

    assert far_usage is not None
    assert near_usage is not None
    assert far_usage.cache_read_tokens == 0
    assert near_usage.cache_read_tokens == OPENING + tokens(LONG)


@pytest.mark.parametrize(("words", "written"), [(900, False), (1200, True)])
def test_a_prompt_under_the_minimum_is_not_cached(tmp_path: Path, words: int, written: bool) -> None:
    log = write_lines(tmp_path / "log.jsonl", [line(0, request(user(prose(words))))])
    (usage,) = usages(log, "fixed-5m")
    assert usage is not None
    assert (usage.cache_write_5m_tokens > 0) is written


@pytest.mark.parametrize(("first_token_s", "read"), [(5.0, False), (0.5, True)])
def test_a_call_cannot_read_before_the_writers_first_token(tmp_path: Path, first_token_s: float, read: bool) -> None:
    lines = [line(at_s, request(user(LONG)), first_token_s=first_token_s) for at_s in (0, 1)]
    usage = usages(write_lines(tmp_path / "log.jsonl", lines), "fixed-5m")[1]
    assert usage is not None
    assert (usage.cache_read_tokens > 0) is read


def test_workspaces_do_not_share_a_cache(tmp_path: Path) -> None:
    header = "Anthropic-Workspace-Id"
    lines = [line(at_s, request(user(LONG)), headers={header: f"w{at_s}"}) for at_s in (0, 1)]
    usage = usages(write_lines(tmp_path / "log.jsonl", lines), "fixed-5m")[1]
    assert usage is not None
    assert usage.cache_read_tokens == 0


def test_the_records_own_markers_are_billed_as_they_stand(tmp_path: Path) -> None:
    body = request(user(text(LONG, "1h"), text(SHORT, "5m"), "and the rest"))
    (usage,) = usages(write_lines(tmp_path / "log.jsonl", [line(0, body)]), "recorded")
    assert usage == Usage(
        cache_write_1h_tokens=OPENING + tokens(LONG),
        cache_write_5m_tokens=tokens(SHORT),
        uncached_input_tokens=tokens("and the rest") + CLOSING,
    )


def test_the_records_automatic_marker_stands_on_the_last_block_that_takes_one(tmp_path: Path) -> None:
    thought: Body = {"type": "thinking", "thinking": "hm", "signature": "s"}
    body = request(user(LONG), assistant(thought), cache_control=mark())
    (usage,) = usages(write_lines(tmp_path / "log.jsonl", [line(0, body)]), "recorded")
    assert usage is not None
    assert usage.cache_write_5m_tokens == OPENING + tokens(LONG)


EAGER: Body = {"name": "a", "input_schema": {"type": "object"}}
DEFERRED: Body = {**EAGER, "name": "b", "defer_loading": True, "cache_control": mark()}
REFUSED = {
    "five markers": request(user(*(text(f"{LONG} {number}", "5m") for number in range(5)))),
    "five with the automatic one": request(
        user(*(text(f"{LONG} {number}", "5m") for number in range(4)), "end"), cache_control=mark()
    ),
    "an hour behind five minutes": request(user(text(LONG, "5m"), text(SHORT, "1h"))),
    "a lifetime that there is none of": request(user(text(LONG, "2h"))),
    "another lifetime on the automatic marker's block": request(user(text(LONG, "1h")), cache_control=mark("5m")),
    "on a deferred tool": request(user(LONG), tools=[EAGER, DEFERRED]),
    "on a thought": request(
        user(LONG), assistant({"type": "thinking", "thinking": "hm", "signature": "s", "cache_control": mark()})
    ),
    "on an empty text": request(user(LONG, text("", "5m"))),
    "on a message for one turn": request(
        user(LONG),
        {**user(text("note", "5m")), "role": "system", "clear_at": "next_user_message"},
        model="claude-opus-5",
    ),
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_recorded_markers_that_the_api_refuses_are_counted(tmp_path: Path, body: Body) -> None:
    log = write_lines(tmp_path / "log.jsonl", [line(0, body), line(1, request(user(LONG)))])
    replay = Replay.of("recorded")
    bills = [replay.bill(case) for case in cases_of(log)]
    assert [bill.usage is None for bill in bills] == [True, False]
    assert replay.refused == 1


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_markers_of_the_record_mean_nothing_to_other_policies(tmp_path: Path, body: Body) -> None:
    log = write_lines(tmp_path / "log.jsonl", [line(0, body)])
    bare = write_lines(tmp_path / "bare.jsonl", [line(0, cases_of(log)[0].bare)])
    assert "cache_control" not in bare.read_text()
    for policy in ("off", "automatic", "fixed-1h-prefix", "layers", "auto"):
        assert usages(log, policy) == usages(bare, policy)


class Rising(Fixed):
    """A policy with a mistake: it marks the end for an hour and what stands before it for five minutes."""

    def plan(self, case: Case) -> Plan:
        chosen = super().plan(case)
        first, last = chosen.kept
        return replace(chosen, kept=(replace(first, ttl="5m"), replace(last, ttl="1h")))


def test_a_plan_that_the_api_refuses_is_counted(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [line(0, request(user(LONG), system=LONG))])
    replay = Replay(name="rising", policy=Rising("rising", "1h", "5m"))
    assert [replay.bill(case).usage for case in cases_of(log)] == [None]
    assert replay.refused == 1


class Astray(Fixed):
    """A policy with a mistake: in prompts that have thoughts it marks the first one instead of the end."""

    def plan(self, case: Case) -> Plan:
        chosen = super().plan(case)
        thoughts = [at for at, block in enumerate(case.layout.blocks) if block.kind == "thinking"]
        return replace(chosen, kept=(replace(chosen.kept[0], block=thoughts[0]),)) if thoughts else chosen


def test_a_marker_that_is_refused_for_its_block_is_not_held_against_others(tmp_path: Path) -> None:
    thought: Body = {"type": "thinking", "thinking": "hm", "signature": "s"}
    bodies = [request(user(LONG), assistant(thought, "so"), user("on")), request(user(LONG))]
    log = write_lines(tmp_path / "log.jsonl", [line(at_s, body) for at_s, body in enumerate(bodies)])
    replay = Replay(name="astray", policy=Astray("astray", "5m", "5m"))
    assert [replay.bill(case).usage is None for case in cases_of(log)] == [True, False]


def test_written_tokens_are_wasted_until_somebody_reads_them(conversation: Path) -> None:
    replay = Replay.of("fixed-5m")
    wasted = []
    for case in cases_of(conversation):
        replay.bill(case)
        wasted.append(replay.wasted_write_tokens)
    assert wasted == [SYSTEM + QUESTION, ANSWER + THANKS]


def test_what_is_written_over_unread_was_wasted_for_good(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [line(at_s, request(user(LONG))) for at_s in (0, 400, 500)])
    replay = Replay.of("fixed-5m")
    for case in cases_of(log):
        replay.bill(case)
    assert replay.wasted_write_tokens == OPENING + tokens(LONG)
