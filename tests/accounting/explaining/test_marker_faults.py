"""Calls whose text is as it should be and that still do not read: what is said of markers, lengths and times."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentcache.accounting.explaining.lines_of_descent import Descent
from agentcache.accounting.explaining.logged_calls import LoggedCall, common_blocks
from agentcache.accounting.explaining.marker_faults import (
    family_fault,
    growth_fault,
    is_one_shot_traffic,
    sibling_fault,
    unread_history,
)
from agentcache.accounting.explaining.suspects import Suspect
from agentcache.accounting.usage import BilledPart, Usage
from agentcache.prompt.canonical import JsonObject, JsonValue
from tests.accounting.explaining.small_logs import calls_of

OPUS, STRIPPING = "claude-opus-5", "claude-sonnet-4-5"
CONTROL: JsonObject = {"type": "ephemeral"}
MARK: JsonObject = {"cache_control": CONTROL}
HOUR: JsonObject = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
RULES = "\n".join(f"- Rule {number}: be kind, and say what you do with order {number}." for number in range(120))
THOUGHT: JsonObject = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
PICTURE: JsonObject = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aa"}}


def text(words: str, **more: JsonValue) -> JsonObject:
    return {"type": "text", "text": words, **more}


def turn(role: str, *blocks: JsonValue) -> JsonObject:
    return {"role": role, "content": list(blocks)}


def call(
    *messages: JsonObject,
    at_s: float = 0.0,
    system: list[JsonValue] | None = None,
    model: str = OPUS,
    bill: Usage | None = None,
    **more: JsonValue,
) -> LoggedCall:
    head = [text(RULES)] if system is None else system
    request: JsonObject = {
        "model": model,
        "system": list[JsonValue](head),
        "messages": list[JsonValue](messages),
        **more,
    }
    made = calls_of([request], starts_s=at_s)[0]
    return made if bill is None else replace(made, bill=BilledPart(model=model, usage=bill))


def grown(parent: LoggedCall, *more: JsonObject, after_s: float = 20.0, **settings: JsonValue) -> LoggedCall:
    """Return the call that carries `parent` on with more messages, so many seconds later."""
    messages = parent.request["messages"]
    assert isinstance(messages, list)
    request = {**parent.request, "messages": [*messages, *more], **settings}
    return calls_of([request], starts_s=parent.at_s + after_s)[0]


ASKED = turn("user", text("Where is order 7?", **MARK))
PARENT = call(ASKED, at_s=100)
ANSWERED = turn("assistant", text("On its way."))
AGAIN = turn("user", text("And order 8?", **MARK))


@pytest.mark.parametrize(
    ("later", "fault"),
    [
        (grown(PARENT, ANSWERED, AGAIN), None),
        (grown(PARENT, ANSWERED, AGAIN, after_s=299), None),
        (grown(PARENT, ANSWERED, AGAIN, after_s=300), Suspect("PC050", "ttl", "expired", "300 s", "300 s")),
        (grown(PARENT, ANSWERED, AGAIN, after_s=0.9), Suspect("PC051", "concurrency", "concurrent")),
        (grown(PARENT, ANSWERED, AGAIN, after_s=1.0), None),
        (
            grown(PARENT, ANSWERED, turn("user", text("This?"), PICTURE), cache_control=CONTROL),
            Suspect("PC033", "messages[2].content[1]", "messages_changed"),
        ),
        (call(turn("user", text("Where is order 7?")), at_s=120), Suspect("PC045", "cache_control", "marker_lost")),
        (
            call(turn("user", text("Where is order 7?")), ANSWERED, system=[text(RULES, **MARK)], at_s=120),
            Suspect("PC045", "cache_control", "marker_moved_back"),
        ),
    ],
)
def test_why_a_conversation_that_only_grew_was_not_read(later: LoggedCall, fault: Suspect | None) -> None:
    assert growth_fault(later, PARENT) == fault


def test_what_was_never_marked_is_not_missed() -> None:
    bare = call(turn("user", text("Where is order 7?")))

    assert growth_fault(grown(bare, ANSWERED, AGAIN), bare) is None


def test_an_hour_is_an_hour() -> None:
    parent = call(turn("user", text("Where is order 7?", **HOUR)))

    assert growth_fault(grown(parent, ANSWERED, AGAIN, after_s=3599), parent) is None
    assert growth_fault(grown(parent, ANSWERED, AGAIN, after_s=3600), parent) == Suspect(
        "PC050", "ttl", "expired", "3600 s", "3600 s"
    )


def test_a_picture_that_was_there_before_is_not_the_first() -> None:
    parent = call(turn("user", PICTURE, text("This?", **MARK)))

    assert growth_fault(grown(parent, ANSWERED, turn("user", PICTURE, text("That?", **MARK))), parent) is None


@pytest.mark.parametrize(("between", "code"), [(18, None), (19, "PC047")])
def test_a_marker_finds_what_was_written_nineteen_positions_before_it(between: int, code: str | None) -> None:
    filler = [text(f"Line {number}.") for number in range(between)]
    parent = call(turn("user", text("Where is order 7?")), cache_control=CONTROL)
    later = grown(parent, turn("assistant", *filler), turn("user", text("And order 8?")))

    fault = growth_fault(later, parent)

    assert fault == (None if code is None else Suspect(code, "lookback", "lookback_exceeded"))


@pytest.mark.parametrize(
    ("model", "thought", "said", "stripped"),
    [
        (STRIPPING, THOUGHT, text("And order 8?", **MARK), True),
        (STRIPPING, {"type": "redacted_thinking", "data": "x"}, text("And order 8?", **MARK), True),
        (STRIPPING, THOUGHT, {"type": "tool_result", "tool_use_id": "t", "content": "x", **MARK}, False),
        (STRIPPING, text("Hm."), text("And order 8?", **MARK), False),
        (OPUS, THOUGHT, text("And order 8?", **MARK), False),
    ],
)
def test_thinking_is_taken_out_when_the_user_speaks_to_a_model_that_does_so(
    model: str, thought: JsonObject, said: JsonObject, stripped: bool
) -> None:
    parent = call(turn("user", text("Go.")), turn("assistant", thought), turn("user", text("On.", **MARK)), model=model)

    fault = growth_fault(grown(parent, turn("user", said)), parent)

    assert fault == (Suspect("PC031", "thinking", "thinking_stripped") if stripped else None)


LONG = text("The parcel is with the carrier, and will be scanned again tonight. " * 40)
HEAD_ONLY: list[JsonValue] = [text(RULES, **MARK)]


def test_history_behind_a_marked_head_is_sent_anew_each_time() -> None:
    parent = call(turn("user", LONG), system=HEAD_ONLY)
    told = Suspect("PC046", "messages", "history_uncached")

    assert unread_history(grown(parent, ANSWERED, turn("user", text("More?"))), parent) == told
    assert unread_history(grown(parent, ANSWERED, AGAIN), parent) is None, "its end is marked"
    marked = call(turn("user", {**LONG, **MARK}), system=HEAD_ONLY)
    assert unread_history(grown(parent, ANSWERED, turn("user", text("More?"))), marked) is None
    short = call(turn("user", text("Where?")), system=HEAD_ONLY)
    assert unread_history(grown(short, ANSWERED, turn("user", text("More?"))), short) is None
    bare = call(turn("user", LONG))
    assert unread_history(grown(bare, ANSWERED, turn("user", text("More?"))), bare) is None


def sibling(later: LoggedCall, earlier: LoggedCall, *, goes_on: bool = False) -> Suspect | None:
    descent = Descent(parent=earlier, relation="sibling", common=common_blocks(earlier, later))
    return sibling_fault(later, descent, goes_on=goes_on)


def asking(words: str, at_s: float = 0.0, *, system: list[JsonValue] | None = None) -> LoggedCall:
    return call(turn("user", text(words)), at_s=at_s, system=HEAD_ONLY if system is None else system)


@pytest.mark.parametrize(
    ("at_s", "fault"),
    [
        (0.9, Suspect("PC051", "concurrency", "concurrent")),
        (1.0, None),
        (299, None),
        (300, Suspect("PC050", "ttl", "expired", "300 s", "300 s")),
    ],
)
def test_a_marked_head_is_shared_from_the_first_answer_on_until_it_expires(at_s: float, fault: Suspect | None) -> None:
    assert sibling(asking("And this?", 100 + at_s), asking("What?", 100)) == fault


@pytest.mark.parametrize(
    ("automatic", "where"),
    [(True, "cache_control"), (False, "messages[0].content[0]")],
    ids=["automatic", "explicit"],
)
def test_a_marker_on_what_varies_shares_nothing(automatic: bool, where: str) -> None:
    own, control = ({}, CONTROL) if automatic else (MARK, None)
    calls = [
        call(turn("user", text(words, **own)), at_s=at, system=[text(RULES * 3)], cache_control=control)
        for at, words in ((0.0, "What?"), (20.0, "And this?"))
    ]

    assert sibling(calls[1], calls[0]) == Suspect("PC044", where, "messages_changed")
    assert sibling(calls[1], calls[0], goes_on=True) is None, "the next call of its conversation reads it"
    concurrent = replace(calls[1], at_s=0.5)
    assert sibling(concurrent, calls[0]) == Suspect("PC051", "concurrency", "concurrent")


def test_a_marker_on_a_system_block_that_varies_is_the_systems() -> None:
    calls = [
        asking("What?", at, system=[text(RULES * 3), text(f"You serve {who}.", **MARK)])
        for at, who in ((0.0, "Ana"), (20.0, "Bo"))
    ]

    assert sibling(calls[1], calls[0]) == Suspect("PC044", "system[1]", "system_changed")


def pair(first: JsonObject, second: JsonObject) -> Suspect | None:
    """Return why a call with the second head does not read the first one."""
    calls = [
        calls_of([{"model": OPUS, "messages": [turn("user", text("What?"))], **head}], starts_s=20.0 * number)[0]
        for number, head in enumerate((first, second))
    ]
    return sibling(calls[1], calls[0])


def test_other_tools_or_a_value_amid_what_is_shared_are_changes_of_text_and_no_fault_of_a_marker() -> None:
    tools: list[JsonObject] = [
        {"name": name, "description": RULES * 3, "input_schema": {}} for name in ("find", "seek", "shut")
    ]
    ana, bo = (text(f"You serve {who}.\n{RULES}", **MARK) for who in ("Ana", "Bo"))
    head, other = text(RULES * 3), text(RULES[::-1], **MARK)

    assert (
        pair(
            {"tools": [tools[0], tools[1]], "system": RULES, "cache_control": CONTROL},
            {"tools": [tools[0], tools[2]], "system": RULES, "cache_control": CONTROL},
        )
        is None
    )
    assert pair({"system": [head, ana]}, {"system": [head, bo]}) is None
    assert pair({"system": [head, ana]}, {"system": [head, other]}) == Suspect("PC044", "system[1]", "system_changed")


def test_too_little_in_common_or_no_marker_is_no_fault() -> None:
    short: list[JsonValue] = [text("Be kind.")]
    brief = [call(turn("user", text(words, **MARK)), at_s=at, system=short) for at, words in ((0.0, "a"), (20.0, "b"))]
    bare = [call(turn("user", text(words)), at_s=at) for at, words in ((0.0, "a"), (20.0, "b"))]

    assert sibling(brief[1], brief[0]) is None
    assert sibling(bare[1], bare[0]) is None
    assert sibling(asking("b", 20.0), bare[0]) is None


def test_a_family_without_a_marker_or_with_too_short_a_prefix_never_caches() -> None:
    long = [call(turn("user", text(words)), system=[text(RULES * 3)]) for words in "ab"]
    short = [call(turn("user", text(words)), system=[text("Be kind.")]) for words in "ab"]
    marked = [call(turn("user", text(words, **MARK)), system=[text("Be kind.")]) for words in "ab"]
    nothing, written = Usage(uncached_input_tokens=9), Usage(cache_write_5m_tokens=9)

    assert family_fault(long) == Suspect("PC043", "cache_control", "no_marker")
    assert family_fault(long[:1]) is None
    assert family_fault(short) is None, "no marker would help"
    assert family_fault(marked) == Suspect("PC048", "min_tokens", "below_minimum")
    assert family_fault([short[0], marked[1]]) == Suspect("PC048", "min_tokens", "below_minimum")
    assert family_fault([*marked, asking("What?", system=[text(RULES * 3, **MARK)])]) is None
    bills = [replace(each, bill=BilledPart(model=OPUS, usage=nothing)) for each in marked]
    assert family_fault(bills) == Suspect("PC048", "min_tokens", "below_minimum")
    assert family_fault([bills[0], replace(bills[1], bill=BilledPart(model=OPUS, usage=written))]) is None


def test_an_hour_that_nobody_reads_is_paid_for_by_each_call() -> None:
    hour = Usage(cache_write_1h_tokens=9)
    calls = [call(turn("user", text(words, **HOUR)), bill=hour) for words in "ab"]

    assert is_one_shot_traffic(calls)
    assert not is_one_shot_traffic(calls[:1])
    assert not is_one_shot_traffic([*calls, call(turn("user", text("c", **MARK)), bill=hour)])
    assert not is_one_shot_traffic([*calls, call(turn("user", text("c", **HOUR)), bill=Usage(cache_read_tokens=1))])
    assert not is_one_shot_traffic([*calls, call(turn("user", text("c", **HOUR)))])
    assert not is_one_shot_traffic([*calls, call(turn("user", text("c")), bill=hour)])
