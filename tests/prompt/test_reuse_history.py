"""What is learned from calls: chances that are chances, from the past alone, the same for the same past."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.layout import Layout, lay_out
from agentcache.prompt.model_facts import Ttl, facts_for
from agentcache.prompt.partings import Partings
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.reuse import Reuse
from agentcache.prompt.reuse_history import PastCall, ReuseHistory
from agentcache.prompt.sections import Stability

SYSTEM = [RenderedSection(name="rules", stability=Stability.STATIC, text="word " * 2000, breakpoint=None)]


@dataclass(frozen=True)
class Call:
    conversation: int
    turn: int
    at_s: float
    ttl: Ttl


def layout(conversation: int, turn: int) -> Layout:
    messages: list[JsonObject] = [
        {"role": "user" if place % 2 == 0 else "assistant", "content": f"{conversation}: {place}"}
        for place in range(2 * turn + 1)
    ]
    return lay_out(facts=facts_for("claude-sonnet-5-5"), tools=[], system=SYSTEM, messages=messages)


LAYOUTS = {(conversation, turn): layout(conversation, turn) for conversation in range(3) for turn in range(6)}


@st.composite
def traffic(draw):
    """Draw calls of up to three conversations that grow, in the order of time."""
    now, turns, calls = 0.0, [0, 0, 0], []
    for conversation in draw(st.lists(st.integers(0, 2), max_size=14)):
        if turns[conversation] < 6:
            now += draw(st.sampled_from([1.0, 40.0, 290.0, 301.0, 700.0, 1500.0, 4000.0]))
            calls.append(Call(conversation, turns[conversation], now, draw(st.sampled_from(["5m", "1h"]))))
            turns[conversation] += 1
    return calls


def played(calls: list[Call], history: ReuseHistory | None = None) -> list[Reuse]:
    history, known = history or ReuseHistory(), []
    for call in calls:
        prompt = LAYOUTS[call.conversation, call.turn]
        known.append(history.before_call(prompt, agent="a", at_s=call.at_s))
        history.call_sent(prompt, [(len(prompt.blocks) - 1, call.ttl)], agent="a", at_s=call.at_s)
    return known


def silences(count: int, silent_s: float, *, end_s: float) -> list[PastCall]:
    """Return as many conversations of `a` that were silent once for so long, and not seen again until `end_s`."""
    times = (end_s - 4000 - silent_s, end_s - 4000)
    return [PastCall(line=f"c{n}", agent="a", opens=True, at_s=at_s, marks=()) for at_s in times for n in range(count)]


@given(traffic())
@settings(max_examples=60, deadline=None)
def test_outlooks_are_chances(calls):
    for known in played(calls):
        for outlook in (known.tail, *known.shared.values()):
            assert 0 <= outlook.soon <= 1
            assert 0 <= outlook.later <= 1
            assert outlook.soon + outlook.later <= 1 + 1e-9


@given(traffic())
@settings(max_examples=40, deadline=None)
def test_equal_histories_give_equal_outlooks(calls):
    assert played(calls) == played(calls)


@given(traffic(), st.integers(0, 14))
@settings(max_examples=40, deadline=None)
def test_nothing_is_known_of_calls_that_are_yet_to_come(calls, seen):
    assert played(calls)[:seen] == played(calls[:seen])


@given(traffic(), st.floats(0, 5000), st.floats(0, 3600))
@settings(max_examples=60, deadline=None)
def test_chances_of_a_return_are_chances_one_for_each_lifetime_left_of_the_hour(calls, later_s, silent_s):
    history = ReuseHistory()
    played(calls, history)
    now = (calls[-1].at_s if calls else 0.0) + later_s
    chances = history.return_chances(LAYOUTS[0, 0], agent="a", at_s=now, silent_s=silent_s)
    assert len(chances) == 12 - max(1, round(silent_s / 300))
    assert all(0 <= chance <= 1 for chance in chances)


@given(traffic(), st.integers(0, 14))
@settings(max_examples=40, deadline=None)
def test_asking_what_is_known_now_teaches_nothing(calls, at):
    history = ReuseHistory()
    before = played(calls[:at], history)
    now = calls[len(before) - 1].at_s if before else 0.0
    history.now_known(LAYOUTS[2, 5], agent="a", at_s=now)
    history.return_chances(LAYOUTS[2, 5], agent="a", at_s=now, silent_s=0)
    assert before + played(calls[at:], history) == played(calls)


def test_silences_that_end_late_raise_the_chances_of_the_lifetimes_in_which_they_ended():
    history = ReuseHistory()
    unknown = history.return_chances(LAYOUTS[0, 0], agent="a", at_s=0, silent_s=290)
    history.learn(silences(40, 450, end_s=10_000))
    chances = history.return_chances(LAYOUTS[0, 0], agent="a", at_s=10_000, silent_s=290)
    assert chances[0] > 0.3 > unknown[0]
    assert chances[1] < unknown[1]


def test_a_conversation_that_is_known_to_be_over_says_nothing_about_open_ones():
    def chances(*, told: bool) -> tuple[float, ...]:
        history = ReuseHistory()
        history.learn(silences(40, 450, end_s=10_000))
        for conversation in range(3):
            history.before_call(LAYOUTS[conversation, 0], agent="a", at_s=10_000)
            if told:
                history.conversation_over(LAYOUTS[conversation, 0], agent="a")
        return history.return_chances(LAYOUTS[0, 1], agent="a", at_s=14_000, silent_s=290)

    assert all(told > untold for told, untold in zip(chances(told=True), chances(told=False), strict=True))


def test_calls_that_are_announced_before_others_are_sent_keep_their_own_marks():
    history = ReuseHistory()
    for conversation in range(2):
        history.before_call(LAYOUTS[conversation, 0], agent="a", at_s=0)
    for conversation in range(2):
        prompt = LAYOUTS[conversation, 0]
        history.call_sent(prompt, [(len(prompt.blocks) - 1, "5m")], agent="a", at_s=conversation)
    for conversation in range(2):
        known = history.before_call(LAYOUTS[conversation, 1], agent="a", at_s=10)
        assert LAYOUTS[conversation, 0].blocks[-1].prefix_digest in known.live


def test_a_call_that_is_told_late_counts_from_when_it_was_sent_and_shortens_nothing():
    history, prompt = ReuseHistory(), LAYOUTS[0, 0]
    end = prompt.blocks[-1].prefix_digest
    history.before_call(prompt, agent="a", at_s=1000)
    history.call_sent(prompt, [(len(prompt.blocks) - 1, "5m")], agent="a", at_s=100)
    assert end not in history.before_call(LAYOUTS[0, 1], agent="a", at_s=1000).live
    history.read_or_written([(end, "5m")], at_s=1000)
    history.call_sent(prompt, [(len(prompt.blocks) - 1, "5m")], agent="a", at_s=900)
    assert end in history.before_call(LAYOUTS[0, 2], agent="a", at_s=1250).live


def test_an_entry_that_was_kept_alive_is_live_when_the_next_call_comes():
    history, prompt = ReuseHistory(), LAYOUTS[0, 0]
    history.before_call(prompt, agent="a", at_s=0)
    history.call_sent(prompt, [(len(prompt.blocks) - 1, "5m")], agent="a", at_s=0)
    end = prompt.blocks[-1].prefix_digest
    history.read_or_written([(end, "5m")], at_s=290)
    assert end in history.before_call(LAYOUTS[0, 1], agent="a", at_s=580).live
    assert end not in history.before_call(LAYOUTS[0, 2], agent="a", at_s=881).live


@pytest.mark.parametrize(("line", "counted"), [("c", True), (None, False)])
def test_a_warm_up_of_another_process_teaches_what_lives_and_nothing_else(line, counted):
    history = ReuseHistory()
    history.learn([PastCall(line=line, agent="a", opens=True, at_s=at_s, marks=(("p", "1h"),)) for at_s in (0, 10)])
    assert history._entries["p"] == ("1h", 3610.0)
    assert (len(history._tails.gaps.counts) > 0) == counted


def of_session(number: int) -> Layout:
    own = RenderedSection(name="who", stability=Stability.SESSION, text=f"customer {number} " * 600, breakpoint=None)
    messages: list[JsonObject] = [{"role": "user", "content": "hello"}]
    return lay_out(facts=facts_for("claude-sonnet-5-5"), tools=[], system=[*SYSTEM, own], messages=messages)


def test_sessions_that_do_not_come_back_are_forgotten_and_what_they_share_is_not():
    history = ReuseHistory()
    for number in range(100):
        history.before_call(of_session(number), agent="a", at_s=120.0 * number)
    assert len(history._layer_lines) <= 3600 / 120 + 1
    known = history.before_call(of_session(100), agent="a", at_s=12_000.0)
    assert known.shared[0].soon > known.shared[1].soon


def test_what_stands_behind_a_shared_block_is_remembered_while_the_longest_unseen_sessions_go():
    partings = Partings(room=20)
    for number in range(50):
        partings.learn(of_session(number))
    shared, own = of_session(49).blocks[:2]
    assert shared.prefix_digest in partings
    assert own.prefix_digest not in partings
    assert len(partings._behind) == 20
