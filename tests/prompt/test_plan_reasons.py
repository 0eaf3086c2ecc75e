"""What a plan says of each breakpoint: the words and numbers that the ledger keeps and `agentcache show` prints."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentcache.errors import BreakpointError, SettingsError
from agentcache.prompt.breakpoints import plan
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.layout import Layout, lay_out
from agentcache.prompt.model_facts import Ttl, facts_for
from agentcache.prompt.plans import Plan, Policy
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.reuse import Outlook, Reuse
from agentcache.prompt.sections import Stability

FACTS = replace(facts_for("claude-opus-5-5"), minimum_prefix_tokens=0)
NEVER = Outlook(soon=0.0, later=0.0, basis="stated")
MARK: JsonObject = {"type": "ephemeral"}


def section(name: str, *, mark: Ttl | None = None, words: int = 100) -> RenderedSection:
    return RenderedSection(name=name, stability=Stability.STATIC, text="word " * words, breakpoint=mark)


def marked(count: int) -> list[RenderedSection]:
    return [section(f"part_{number}", mark="5m") for number in range(count)]


def texts(count: int) -> list[JsonObject]:
    return [{"type": "text", "text": f"text {place}"} for place in range(count)]


def laid_out(*blocks: JsonObject, system: list[RenderedSection], answer: tuple[JsonObject, ...] = ()) -> Layout:
    """Return a layout of a system prompt, one message of the user, and an answer with one more text behind it."""
    messages: list[JsonObject] = [{"role": "user", "content": [*blocks]}]
    if answer:
        messages += [{"role": "assistant", "content": [*answer]}, {"role": "user", "content": [*texts(1)]}]
    return lay_out(facts=FACTS, tools=[], system=system, messages=messages)


def refused(planned: Plan) -> dict[str, tuple[str, str]]:
    return {point.where: (point.refusal, point.detail) for point in planned.refused}


def test_the_whole_plan_as_json() -> None:
    layout = laid_out(*texts(1), system=[section("rules", mark="1h")])
    told = plan(layout, FACTS, Reuse(tail_continues=False), policy="automatic").to_json()
    system, message = layout.blocks
    assert told == {
        "policy": "automatic",
        "automatic": None,
        "asked": ["system[0]", "messages[0].content[0]"],
        "kept": [
            {
                "where": "system[0]",
                "ttl": "1h",
                "tokens": system.prefix_tokens,
                "digest": system.prefix_digest,
                "reason": "the author marked section 'rules'",
                "origin": "author",
            }
        ],
        "refused": [
            {
                "where": "messages[0].content[0]",
                "ttl": "5m",
                "tokens": message.prefix_tokens,
                "digest": message.prefix_digest,
                "reason": "moving tail, left to the API",
                "origin": "policy",
                "refusal": "cannot_pay",
                "detail": "no other call will extend these messages",
            }
        ],
    }


def test_a_refused_breakpoint_is_all_that_was_asked_for() -> None:
    layout = laid_out(*texts(1), system=[section("rules", mark="1h")])
    point = plan(layout, FACTS, Reuse(tail_continues=False), policy="automatic").refused[0]
    assert (point.block, point.automatic, point.origin, point.ttl) == (1, True, "policy", "5m")
    marked_off = plan(layout, FACTS, policy="off").refused[0]
    assert (marked_off.block, marked_off.automatic, marked_off.origin, marked_off.ttl) == (0, False, "author", "1h")


def test_the_moving_tail_and_the_lifetime_of_the_automatic_one() -> None:
    layout = laid_out(*texts(1), system=[])
    (tail,) = plan(layout, FACTS).kept
    assert (tail.reason, tail.origin, tail.automatic) == ("moving tail of the messages", "policy", False)
    automatic = plan(layout, FACTS, policy="automatic")
    assert (automatic.automatic, automatic.kept[0].reason) == ("5m", "moving tail, left to the API")


def test_off_says_why() -> None:
    layout = laid_out(*texts(1), system=marked(1))
    assert refused(plan(layout, FACTS, policy="off")) == {
        "system[0]": ("policy_off", "the policy `off` sends no marker")
    }


@pytest.mark.parametrize("policy", ["auto", "layers", "automatic", "off"])
def test_a_plan_tells_its_policy(policy: Policy) -> None:
    assert plan(laid_out(*texts(1), system=marked(1)), FACTS, policy=policy).policy == policy


def test_under_the_minimum_says_how_long_it_is_and_how_long_it_must_be() -> None:
    layout = laid_out(*texts(1), system=[section("rules")])
    have = layout.blocks[0].prefix_tokens
    facts = replace(FACTS, minimum_prefix_tokens=have + 1)
    assert refused(plan(layout, facts)) == {
        "system[0]": ("under_minimum", f"about {have} tokens, where the model caches {have + 1} and more")
    }
    assert refused(plan(layout, replace(FACTS, minimum_prefix_tokens=have))) == {}


def test_a_layer_that_ends_on_an_authors_mark_is_a_duplicate() -> None:
    planned = plan(laid_out(*texts(1), system=marked(1)), FACTS)
    assert refused(planned) == {"system[0]": ("duplicate", "this block carries a breakpoint already")}


def test_a_tail_that_the_author_marked_is_kept_once() -> None:
    block = {**texts(1)[0], "cache_control": MARK}
    planned = plan(laid_out(block, system=[]), FACTS)
    assert [(point.where, point.origin) for point in planned.kept] == [("messages[0].content[0]", "author")]
    assert refused(planned) == {"messages[0].content[0]": ("duplicate", "this block carries a breakpoint already")}


def test_the_tail_is_the_last_block_of_the_messages_that_takes_a_marker() -> None:
    thought: JsonObject = {"type": "thinking", "thinking": "hm", "signature": "s"}
    said: list[JsonObject] = [{"role": "user", "content": [*texts(1)]}]
    thinking: JsonObject = {"role": "assistant", "content": [thought]}
    for messages, asked in (
        ([], ["system[0]"]),
        ([thinking], ["system[0]"]),
        ([*said, thinking], ["system[0]", "messages[0].content[0]"]),
    ):
        layout = lay_out(facts=FACTS, tools=[], system=[section("rules")], messages=messages)
        assert [point.where for point in plan(layout, FACTS).asked] == asked


def test_a_parting_in_the_messages_is_marked_by_nobody() -> None:
    layout = laid_out(*texts(3), system=[section("rules")])
    at_once = Outlook(soon=1.0, later=0.0, basis="stated")
    planned = plan(layout, FACTS, Reuse(shared={layout.messages_start: at_once}), policy="auto")
    assert [point.where for point in planned.asked] == ["system[0]", "messages[0].content[2]"]


def test_an_authors_mark_on_a_message_names_no_section() -> None:
    block = {**texts(1)[0], "cache_control": MARK}
    assert plan(laid_out(block, system=[]), FACTS).kept[0].reason == "the author marked this block"


def test_a_prompt_that_nobody_uses_again_says_so_of_each_part() -> None:
    layout = laid_out(*texts(1), system=[section("rules")])
    assert refused(plan(layout, FACTS, Reuse(tail_continues=False, prefix_recurs=False))) == {
        "system[0]": ("cannot_pay", "no other call will use these tools and this system prompt"),
        "messages[0].content[0]": ("cannot_pay", "no other call will extend these messages"),
    }
    assert list(refused(plan(layout, FACTS, Reuse(prefix_recurs=False)))) == []


def test_four_marks_of_the_authors_leave_the_tail_out() -> None:
    planned = plan(laid_out(*texts(1), system=marked(4)), FACTS)
    assert refused(planned)["messages[0].content[0]"] == ("over_four", "the author's marks take all four")


def test_four_marks_and_nothing_else_refuse_nothing() -> None:
    assert refused(plan(laid_out(*texts(1), system=marked(4)), FACTS, Reuse(tail_continues=False))) == {
        "system[3]": ("duplicate", "this block carries a breakpoint already"),
        "messages[0].content[0]": ("cannot_pay", "no other call will extend these messages"),
    }


def test_five_marks_are_an_error_that_says_where_they_are_and_what_to_do() -> None:
    with pytest.raises(BreakpointError) as caught:
        plan(laid_out(*texts(1), system=marked(5)), FACTS)
    assert str(caught.value) == (
        "5 blocks are marked (system[0], system[1], system[2], system[3], system[4]) but a request carries at most "
        "4 breakpoints; take marks off prefixes that a later mark covers"
    )


@pytest.mark.parametrize(
    ("block", "named"),
    [
        ({"type": "text", "text": ""}, "a text that is empty or shown for one turn only"),
        ({"type": "thinking", "thinking": "hm", "signature": "s"}, "a thinking block"),
    ],
)
def test_a_mark_on_a_block_that_takes_none_is_an_error_that_names_its_kind(block: JsonObject, named: str) -> None:
    layout = laid_out(*texts(1), system=[], answer=({**block, "cache_control": MARK},))
    with pytest.raises(BreakpointError) as caught:
        plan(layout, FACTS)
    assert str(caught.value) == f"messages[1].content[0] is marked, but {named} takes no breakpoint; mark another"


def test_an_unknown_policy_is_named_with_those_that_are_known() -> None:
    with pytest.raises(SettingsError) as caught:
        plan(laid_out(*texts(1), system=[]), FACTS, policy="aggressive")  # type: ignore[arg-type]  # what it is about
    assert str(caught.value) == "cache policy 'aggressive' is unknown; take one of auto, layers, automatic, off"


# ------------------------------------------------------------------------------------------------- earlier writes


def test_an_anchor_says_what_it_is_for() -> None:
    layout = laid_out(*texts(1), system=[section("rules")], answer=tuple(texts(30)))
    known = Reuse(written=frozenset({layout.blocks[1].prefix_digest}))
    anchor = next(point for point in plan(layout, FACTS, known).kept if point.origin == "anchor")
    assert (anchor.where, anchor.ttl, anchor.automatic) == ("messages[0].content[0]", "5m", False)
    assert anchor.reason == "anchor on an earlier write that nothing else reaches within 19 positions"


def test_a_stand_in_for_the_tail_says_for_what_and_the_tail_what_took_its_place() -> None:
    layout = laid_out(*texts(1), system=marked(3), answer=tuple(texts(30)))
    known = Reuse(written=frozenset({layout.blocks[3].prefix_digest}))
    planned = plan(layout, FACTS, known)
    last = planned.kept[-1]
    assert (last.where, last.origin) == ("messages[1].content[18]", "anchor")
    assert last.reason == (
        "in place of the tail: the last block that finds the earlier write on messages[0].content[0]"
    )
    assert refused(planned)["messages[2].content[0]"] == (
        "over_four",
        "the one free slot goes to messages[1].content[18], which finds the earlier write",
    )


def test_a_layer_that_finds_no_slot_says_what_took_them_and_whether_it_is_covered() -> None:
    system = [*marked(3), section("own")]
    layout = laid_out(*texts(1), system=system)
    taken = "worth less than system[0], system[1], system[2], messages[0].content[0]"
    assert refused(plan(layout, FACTS))["system[3]"] == ("over_four", taken)
    written = frozenset({layout.blocks[3].prefix_digest, layout.blocks[4].prefix_digest})
    assert refused(plan(layout, FACTS, Reuse(written=written)))["system[3]"] == (
        "over_four",
        f"{taken}; an earlier write that reaches further covers it",
    )


def test_a_layer_that_was_never_written_is_covered_by_nothing() -> None:
    layout = laid_out(*texts(1), system=[*marked(3), section("own")])
    known = Reuse(written=frozenset({layout.blocks[4].prefix_digest}))
    assert "covers it" not in refused(plan(layout, FACTS, known))["system[3]"][1]


# -------------------------------------------------------------------------------------------------- what should pay


def test_what_should_not_pay_says_what_was_expected() -> None:
    layout = laid_out(*texts(1), system=[section("rules")])
    planned = plan(layout, FACTS, Reuse(tail=NEVER, shared={0: NEVER}), policy="auto")
    whole = layout.blocks[1].prefix_tokens
    assert refused(planned) == {
        "system[0]": ("does_not_pay", "0% chance of a read within 5m (stated)"),
        "messages[0].content[0]": (
            "does_not_pay",
            f"expected to cost in tokens: no write {whole:,.0f}, 5m {whole * 1.25:,.0f}, 1h {whole * 2:,.0f} "
            "(next call within 5m 0%, within 1h 0%; stated)",
        ),
    }


def test_a_tail_that_should_pay_keeps_its_reason_in_front_of_the_sums() -> None:
    layout = laid_out(*texts(1), system=[section("rules", words=1000)])
    known = Reuse(
        tail=Outlook(soon=0.5, later=0.25, basis="stated"), shared={0: Outlook(soon=0.25, later=0.0, basis="stated")}
    )
    whole, shared = layout.blocks[1].prefix_tokens, layout.blocks[0].prefix_tokens
    own = whole - round(0.25 * shared)
    lost = 0.25 * 1.25 * own
    plain, five = whole + 0.5 * 1.25 * whole + lost, 1.25 * whole + 0.5 * 0.05 * whole + lost
    hour = 2 * whole + 0.5 * 0.05 * whole + 0.25 * 0.05 * own
    assert plan(layout, FACTS, known, policy="auto").kept[-1].reason == (
        f"moving tail of the messages: expected to cost in tokens: no write {plain:,.0f}, 5m {five:,.0f}, "
        f"1h {hour:,.0f} (next call within 5m 50%, within 1h 25%; stated)"
    )


def test_what_lives_is_neither_written_nor_lost() -> None:
    layout = laid_out(*texts(1), system=[section("rules", words=1000)], answer=tuple(texts(1)))
    live: dict[str, Ttl] = {layout.blocks[1].prefix_digest: "1h"}
    known = Reuse(
        tail=Outlook(soon=0.0, later=0.5, basis="stated"), live=live, written=frozenset(live), shared={0: NEVER}
    )
    new = layout.blocks[3].prefix_tokens - layout.blocks[1].prefix_tokens
    told = plan(layout, FACTS, known, policy="auto").kept[-1].reason
    assert f"no write {new + 0.5 * 1.25 * new:,.0f}, 5m {1.25 * new + 0.5 * 1.25 * new:,.0f}, " in told


def test_a_breakpoint_in_front_of_a_loose_end_lives_as_long_as_the_tail_behind_it() -> None:
    layout = laid_out(*texts(3), system=[section("rules")])
    known = Reuse(loose_blocks=2, tail=Outlook(soon=0.1, later=0.8, basis="stated"), shared={0: NEVER})
    loose = next(point for point in plan(layout, FACTS, known, policy="auto").kept if point.block == 1)
    assert (loose.ttl, loose.reason) == ("1h", "other prompts share all but the last 2 blocks")


def test_a_loose_end_that_is_the_whole_message_needs_no_breakpoint_in_the_system_prompt() -> None:
    layout = laid_out(*texts(3), system=[section("rules")])
    planned = plan(layout, FACTS, Reuse(loose_blocks=3), policy="auto")
    assert [(point.where, point.reason.partition(":")[0]) for point in planned.asked] == [
        ("system[0]", "end of the static layer"),
        ("messages[0].content[2]", "moving tail of the messages"),
    ]


def test_in_front_of_a_loose_end_the_next_block_that_takes_a_marker_is_taken() -> None:
    thought: JsonObject = {"type": "thinking", "thinking": "hm", "signature": "s"}
    layout = laid_out(*texts(1), system=[section("rules")], answer=(thought,))
    planned = plan(layout, FACTS, Reuse(loose_blocks=1), policy="auto")
    assert [point.where for point in planned.kept] == [
        "system[0]",
        "messages[0].content[0]",
        "messages[2].content[0]",
    ]


def test_without_a_free_slot_nothing_stands_in_front_of_a_loose_end() -> None:
    layout = laid_out(*texts(3), system=marked(3))
    planned = plan(layout, FACTS, Reuse(loose_blocks=1), policy="auto")
    assert [point.where for point in planned.kept] == [
        "system[0]",
        "system[1]",
        "system[2]",
        "messages[0].content[2]",
    ]


def test_a_loose_end_behind_an_authors_mark_or_under_the_minimum_adds_nothing() -> None:
    block = {**texts(1)[0], "cache_control": MARK}
    layout = laid_out(block, *texts(1), system=[section("rules")])
    planned = plan(layout, FACTS, Reuse(loose_blocks=1), policy="auto")
    assert [(point.where, point.origin) for point in planned.asked] == [
        ("system[0]", "policy"),
        ("messages[0].content[0]", "author"),
        ("messages[0].content[1]", "policy"),
    ]


def test_only_the_policy_auto_keeps_anything_in_front_of_a_loose_end() -> None:
    planned = plan(laid_out(*texts(3), system=[section("rules")]), FACTS, Reuse(loose_blocks=1), policy="layers")
    assert [point.where for point in planned.asked] == ["system[0]", "messages[0].content[2]"]
