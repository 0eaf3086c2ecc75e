"""What is told of a cause besides its code and place: calls that it hit, and what they lost in tokens and dollars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from agentcache.accounting.explaining.explanation import explain_calls
from agentcache.accounting.explaining.logged_calls import LoggedCall
from agentcache.accounting.explaining.suspects import Explanation
from agentcache.accounting.logged_sections import LoggedSection
from agentcache.accounting.mistakes import MISTAKES
from agentcache.accounting.usage import BilledPart, Usage
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.rendering import Renderer
from agentcache.prompt.sections import Prompt, Stability
from tests.accounting.explaining.small_logs import calls_of
from tests.accounting.test_explanation import RULES, TOOLS, TURNS, assistant, request, user

MODEL = "claude-opus-5"
"""A million tokens written for five minutes are 6.25 dollars, read 0.50."""


def billed(requests: Sequence[JsonObject], *usages: Usage | None, apart_s: float = 20.0) -> list[LoggedCall]:
    """Return requests as calls of a log in which the replies tell what they cost."""
    calls = calls_of(requests, apart_s=apart_s)
    bills = [None if usage is None else BilledPart(model=MODEL, usage=usage) for usage in usages]
    return [replace(call, agent="clerk", bill=bill) for call, bill in zip(calls, bills, strict=True)]


def wrote(tokens: int, *, read: int = 0) -> Usage:
    return Usage(cache_write_5m_tokens=tokens, cache_read_tokens=read)


def clocks(*minutes: str) -> list[JsonObject]:
    """Return a conversation whose system prompt tells the time."""
    return [
        request(TURNS[: 1 + 2 * number], system=f"It is 10:{minute}.\n{RULES}") for number, minute in enumerate(minutes)
    ]


def test_the_whole_explanation_of_a_clock() -> None:
    calls = billed(clocks("21", "35", "49"), wrote(4000), wrote(4500, read=1000), wrote(6000))

    (found,) = explain_calls(calls)

    assert found == Explanation(
        code="PC001",
        where="system[0]",
        cause="system_changed",
        severity=MISTAKES["PC001"].severity,
        call=1,
        continues=0,
        calls=2,
        agent="clerk",
        before="10:21.",
        after="10:35.",
        lost_tokens=3000 + 5500,
        lost_usd=Decimal("0.048875"),  # 8,500 tokens at 6.25 less 0.50 dollars per million
    )
    assert found.message == (
        "call 1: clock in prefix at system[0] and does not read what call 0 left in the cache; 2 calls in all"
    )


def test_the_bill_overrules_the_difference() -> None:
    assert explain_calls(billed(clocks("21", "35"), wrote(4000), wrote(500, read=4000))) == []
    assert len(explain_calls(billed(clocks("21", "35"), wrote(4000), wrote(501, read=3999)))) == 1


def test_what_no_reply_told_the_price_of_is_not_known_and_what_some_told_is_counted() -> None:
    nothing = explain_calls(billed(clocks("21", "35"), None, None))
    one = explain_calls(billed(clocks("21", "35", "49"), None, wrote(4500), wrote(5000)))
    unpriced = [
        replace(call, bill=None if call.bill is None else replace(call.bill, model="acme-9"))
        for call in billed(clocks("21", "35"), wrote(4000), wrote(4500))
    ]

    assert [(found.lost_tokens, found.lost_usd) for found in nothing] == [(None, None)]
    assert [(found.calls, found.lost_tokens, found.lost_usd) for found in one] == [(2, 4500, Decimal("0.025875"))]
    assert [(found.lost_tokens, found.lost_usd) for found in explain_calls(unpriced)] == [(4000, None)]


def test_a_call_that_read_more_than_was_left_lost_nothing_of_what_others_lost() -> None:
    """A warm-up that wrote little does not make up for what its neighbours lost."""
    calls = billed(clocks("21", "35", "49"), wrote(4000), wrote(500, read=3000), wrote(5000, read=3400))

    (found,) = explain_calls(calls)

    assert (found.calls, found.lost_tokens) == (2, 1000 + 100)


@pytest.mark.parametrize(("calls", "severity"), [(2, "info"), (3, "warning")])
def test_an_expiry_that_comes_back_is_a_cadence_and_a_warning(calls: int, severity: str) -> None:
    requests = [request(TURNS[: 1 + 2 * number]) for number in range(calls)]

    (found,) = explain_calls(billed(requests, *[wrote(4000)] * calls, apart_s=400))

    assert (found.code, found.severity, found.calls) == ("PC050", severity, calls - 1)
    assert (found.before, found.after) == ("300 s", "400 s")


def test_calls_without_any_marker_are_one_family_at_fault() -> None:
    bare = [{key: value for key, value in each.items() if key != "cache_control"} for each in clocks("21", "21")]

    (found,) = explain_calls(billed(bare, Usage(uncached_input_tokens=4000), Usage(uncached_input_tokens=4100)))

    assert (found.code, found.where, found.cause, found.severity) == (
        "PC043",
        "cache_control",
        "no_marker",
        MISTAKES["PC043"].severity,
    )
    assert (found.call, found.continues, found.calls, found.agent) == (0, None, 2, "clerk")
    assert (found.lost_tokens, found.lost_usd) == (None, None)


def hourly(word: str, **more: JsonValue) -> JsonObject:
    """Return a request that shares nothing with those of other words, and is kept for an hour."""
    system = "\n".join(f"{word}{number} keeps {word} from {word}{number + 1}." for number in range(200))
    control: JsonObject = {"type": "ephemeral", "ttl": "1h"}
    asked: JsonObject = {"messages": [user(f"Where is {word}?")], "system": system, "cache_control": control}
    return {"model": MODEL, "max_tokens": 100, **asked, **more}


def test_traffic_that_pays_for_an_hour_and_is_never_read_is_told_of_once() -> None:
    hour = Usage(cache_write_1h_tokens=4000)

    (found,) = explain_calls(billed([hourly("malt"), hourly("wool")], hour, hour))

    assert (found.code, found.where, found.cause, found.call, found.calls) == ("PC054", "ttl", "unread_writes", 0, 2)
    assert (found.continues, found.lost_tokens, found.lost_usd) == (None, None, None)


@pytest.mark.parametrize(
    ("second", "usages"),
    [
        ({}, (Usage(cache_write_1h_tokens=4000), Usage(cache_read_tokens=10, cache_write_1h_tokens=4000))),
        ({}, (Usage(cache_write_1h_tokens=4000), Usage(uncached_input_tokens=4000))),
        ({}, (Usage(cache_write_1h_tokens=4000), None)),
        ({"cache_control": {"type": "ephemeral"}}, (wrote(4000), wrote(4000))),
    ],
    ids=["one is read", "one wrote nothing", "one is not known", "five minutes"],
)
def test_traffic_of_other_kinds_pays_for_no_hour_in_vain(
    second: JsonObject, usages: tuple[Usage | None, Usage | None]
) -> None:
    assert explain_calls(billed([hourly("malt"), hourly("wool", **second)], *usages)) == []


def test_causes_come_in_the_order_of_the_calls_that_they_hit_first() -> None:
    requests = [
        *clocks("21"),
        request(TURNS[:3], system=f"It is 10:35.\n{RULES}"),
        request(TURNS[:5], system=f"It is 10:35.\n{RULES}", model="claude-sonnet-5"),
    ]

    found = explain_calls(billed(requests, *[wrote(4000)] * 3))

    assert [(each.code, each.call, each.continues) for each in found] == [("PC001", 1, 0), ("PC036", 2, 1)]


def test_a_place_that_varies_is_one_cause_and_the_first_of_what_was_seen_of_it_as_often() -> None:
    requests = [
        *clocks("21", "35"),
        request(TURNS[:5], system=f"It is 10:35.\n{RULES}\n\nFrom now on, you answer in French only."),
    ]

    (found,) = explain_calls(billed(requests, *[wrote(4000)] * 3))

    assert (found.code, found.call, found.calls, found.lost_tokens) == ("PC001", 1, 2, 8000)


def test_conversations_of_other_prompts_have_causes_of_their_own() -> None:
    other = [
        request(turns, system=f"{place} is open.\nYou plan routes.\n{RULES[::-1]}", tools=[])
        for place, turns in (
            ("Gate 9", [user("What is in stock?")]),
            ("Gate 11", [user("What is in stock?"), assistant("Boots."), user("Which sizes?")]),
        )
    ]
    one = clocks("21", "35")

    found = explain_calls(billed([one[0], other[0], one[1], other[1]], *[wrote(4000)] * 4))

    assert [(each.call, each.continues, each.calls, each.where) for each in found] == [
        (2, 0, 1, "system[0]"),
        (3, 1, 1, "system[0]"),
    ]


def test_a_call_with_a_head_of_its_own_is_told_by_what_it_left_out() -> None:
    aside = request(TURNS[:5], tools=TOOLS[:1])

    (found,) = explain_calls(
        billed([request(TURNS[:3]), aside, request(TURNS)], *[wrote(4000)] * 2, wrote(9, read=4000))
    )

    assert (found.code, found.where, found.cause, found.calls) == ("PC053", "tools[1]", "tools_changed", 1)
    assert ("open" in found.before, found.after) == (True, "")


def test_tools_that_stay_away_are_no_head_of_one_call() -> None:
    requests = [request(TURNS[:3]), request(TURNS[:5], tools=TOOLS[:1]), request(TURNS, tools=TOOLS[:1])]

    (found,) = explain_calls(billed(requests, *[wrote(4000)] * 2, wrote(9, read=4000)))

    assert (found.code, found.call) == ("PC020", 1)


OTHER_PROMPT = "\n".join(f"{number}. Routes are planned by {number} drivers at dawn." for number in range(120))


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [(4, 2, "PC053"), (4, 3, "PC020"), (3, 1, "PC053"), (2, 1, "PC020")],
)
def test_of_a_last_call_half_of_the_tools_or_fewer_are_a_head_of_its_own(before: int, after: int, code: str) -> None:
    requests = [request(TURNS[:3], tools=TOOLS[:before]), request(TURNS[:5], tools=TOOLS[:after])]

    assert [found.code for found in explain_calls(billed(requests, wrote(4000), wrote(4000)))] == [code]


def test_tools_that_come_and_go_are_no_head_of_one_call() -> None:
    requests = [request(TURNS[: 1 + 2 * n], tools=TOOLS[: 1 if n % 2 else 4]) for n in range(4)]

    found = explain_calls(billed(requests, *[wrote(4000)] * 4))

    assert [(each.code, each.call, each.calls) for each in found] == [("PC020", 1, 2)]


def test_one_tool_less_for_one_call_is_no_head_of_its_own() -> None:
    requests = [request(TURNS[:3]), request(TURNS[:5], tools=TOOLS[:3]), request(TURNS)]

    found = explain_calls(billed(requests, *[wrote(4000)] * 2, wrote(9, read=4000)))

    assert [(each.code, each.call) for each in found] == [("PC020", 1)]


WORDS = "alpha, beta, gamma, delta, epsilon, zeta, eta, theta, iota"


@pytest.mark.parametrize(
    ("usual", "other", "code"),
    [
        (f"It is 10:21.\n{RULES}", OTHER_PROMPT, "PC053"),
        (f"It is 10:21.\n{RULES}", f"It is 10:35.\n{RULES}", "PC001"),
        (f"Known: {WORDS}\n{RULES}", f"Known: iota, {WORDS[:-6]}\n{RULES}", "PC012"),
        (RULES.replace("\n", "\r\n"), RULES, "PC014"),
    ],
)
def test_only_another_prompt_amid_a_conversation_is_a_fork(usual: str, other: str, code: str) -> None:
    requests = [request(TURNS[: 3 + 2 * n], system=text) for n, text in enumerate((usual, other, usual))]

    found = explain_calls(billed(requests, *[wrote(4000)] * 2, wrote(9, read=4000)))

    assert [(each.code, each.where) for each in found] == [(code, "system[0]")]


def test_history_that_is_never_marked_is_told_once_and_as_part_of_a_lost_marker() -> None:
    marked: JsonObject = {"type": "text", "text": RULES, "cache_control": {"type": "ephemeral"}}
    bare = {key: value for key, value in request(TURNS).items() if key != "cache_control"}
    turns = [*TURNS, assistant("It is here."), user("Good."), assistant("Anything else?"), user("No.")]
    unmarked: list[JsonObject] = [
        bare | {"messages": list[JsonValue](turns[:count]), "system": [marked]} for count in (3, 5, 7, 9)
    ]
    usages = [wrote(4000), *[wrote(0, read=4000)] * 3]

    never = explain_calls(billed(unmarked, *usages))
    lost = explain_calls(billed([request(TURNS[:1]), *unmarked], wrote(5000), *usages))

    assert [(each.code, each.where, each.call, each.calls) for each in never] == [("PC046", "messages", 1, 3)]
    assert never[0].lost_tokens == 0, "what was never written cannot be lost"
    assert [(each.code, each.where, each.call, each.calls) for each in lost] == [("PC045", "cache_control", 1, 4)]


def test_each_family_without_a_marker_is_told_of() -> None:
    other = request([user("What is in stock?")], system=OTHER_PROMPT, tools=[])
    bare = [
        {key: value for key, value in each.items() if key != "cache_control"} | {"system": each["system"]}
        for each in (*clocks("21", "21"), {**other, "system": OTHER_PROMPT * 2}, {**other, "system": OTHER_PROMPT * 2})
    ]

    found = explain_calls(billed(bare, *[Usage(uncached_input_tokens=4000)] * 4))

    assert [(each.code, each.call, each.calls) for each in found] == [("PC043", 0, 2), ("PC043", 2, 2)]


def test_a_head_that_is_marked_and_shared_is_read_whatever_stands_behind_it() -> None:
    control: JsonObject = {"cache_control": {"type": "ephemeral"}}
    customers = [
        request(
            [user(f"Question {number}?")],
            system=[
                {"type": "text", "text": RULES, **control},
                {"type": "text", "text": f"Customer: {name}", **control},
            ],
        )
        for number, name in enumerate(("Ana Bell", "Tom Reed"))
    ]

    assert explain_calls(billed(customers, wrote(4000), wrote(100, read=3900))) == []


def test_conversations_of_other_accounts_have_nothing_to_share() -> None:
    customers = [
        request([user(f"Question {number}?")], system=f"Customer: {name}\n{RULES}")
        for number, name in enumerate(("Ana Bell", "Tom Reed"))
    ]
    marked: list[JsonObject] = [
        {**each, "system": [{"type": "text", "text": each["system"], "cache_control": {"type": "ephemeral"}}]}
        for each in customers
    ]
    calls = billed(marked, wrote(4000), wrote(4000))

    assert [each.code for each in explain_calls(calls)] == ["PC004"]
    assert explain_calls([calls[0], replace(calls[1], headers={"x-workspace": "other"})]) == []


def test_a_passage_that_differs_between_conversations_is_theirs_and_in_one_an_edit() -> None:
    sold = [
        f"{RULES}\nThe shop {place} since spring.\n{RULES}" for place in ("sells boots by the sea", "lends old maps")
    ]
    marked: list[list[JsonValue]] = [
        [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}] for text in sold
    ]
    between = [request([user(f"Question {n}?")], system=text) for n, text in enumerate(marked)]
    within = [request(TURNS[: 1 + 2 * n], system=text) for n, text in enumerate(marked)]

    assert [each.code for each in explain_calls(billed(between, wrote(4000), wrote(4000)))] == ["PC010"]
    assert [each.code for each in explain_calls(billed(within, wrote(4000), wrote(4000)))] == ["PC018"]


def test_a_section_in_a_log_of_the_runtime_is_told_with_its_layer_and_its_line() -> None:
    renderer = Renderer(Prompt(static="It is {{ now }}.\n" + RULES))
    rendered = [renderer.render(Stability.STATIC, {"now": now})[0] for now in ("10:21", "10:35")]
    made_of = [renderer.provenance([section.provenance or ""])[0] for section in rendered]
    requests = [request(TURNS[: 1 + 2 * n], system=section.text) for n, section in enumerate(rendered)]
    calls = [
        replace(call, sections=(LoggedSection(where="system[0]", section="static", layer="static", made_of=made),))
        for call, made in zip(billed(requests, wrote(4000), wrote(4000)), made_of, strict=True)
    ]

    (found,) = explain_calls(calls)

    assert (found.layer, found.change and found.change.variables) == ("static", ("now",))
    assert "prints {{ now }}" in found.message


def warm_up(**more: JsonValue) -> JsonObject:
    return {**request(TURNS[:1]), "max_tokens": 0, **more}


def test_a_warm_up_for_another_prompt_is_told_by_what_differs() -> None:
    warmed = warm_up(system=f"It is 10:21.\n{RULES}")

    (found,) = explain_calls(billed([warmed, request(TURNS[:1])], wrote(4000), wrote(4000)))

    assert (found.code, found.where, found.cause) == ("PC052", "system[0]", "system_changed")
    assert (found.before, found.after) == ("It is 10:21.\\n-", "-")
    assert (found.call, found.continues, found.lost_tokens) == (1, 0, 4000)


def test_a_warm_up_with_other_settings_is_told_by_the_setting() -> None:
    choosing = request(TURNS[:1], tool_choice={"type": "any"})

    (found,) = explain_calls(billed([warm_up(), choosing], wrote(4000), wrote(4000)))

    assert (found.code, found.where) == ("PC052", "tool_choice")


def test_a_warm_up_whose_marker_stands_on_its_own_question_warms_nothing() -> None:
    question = warm_up(messages=[user("Nothing.")], system=RULES)
    real = request([user("Where is order 7?")], system=RULES)

    (found,) = explain_calls(billed([question, real], wrote(4000), wrote(4000)))

    assert (found.code, found.where, found.cause) == ("PC052", "cache_control", "messages_changed")
    assert found.before == "Nothing."


def test_a_warm_up_whose_marker_stands_on_a_block_is_told_by_the_block() -> None:
    block: JsonObject = {"type": "text", "text": "Nothing.", "cache_control": {"type": "ephemeral"}}
    bare = {key: value for key, value in warm_up(system=RULES).items() if key != "cache_control"}
    question: JsonObject = {**bare, "messages": [user(block)]}

    (found,) = explain_calls(billed([question, request(TURNS[:1], system=RULES)], wrote(4000), wrote(4000)))

    assert (found.code, found.where) == ("PC052", "messages[0].content[0]")
    assert (found.before, found.after) == ("Nothing.", "")


def test_a_warm_up_that_is_read_is_no_fault() -> None:
    other = warm_up(system=f"It is 10:21.\n{RULES}")
    assert explain_calls(billed([other, request(TURNS[:1])], wrote(4000), wrote(0, read=4000))) == []
    assert explain_calls(billed([warm_up(), request(TURNS[:1])], wrote(4000), wrote(0, read=4000))) == []
