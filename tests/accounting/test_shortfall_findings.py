"""What is told of calls that recorded sessions lost tokens with: words, codes and numbers, cause by cause."""

from __future__ import annotations

import pytest

from agentcache.accounting.mistakes import MISTAKES
from agentcache.accounting.observed import Event
from agentcache.accounting.shortfall_findings import explain_recorded, shares_by_cause
from agentcache.accounting.usage import CallRecord
from agentcache.prompt.canonical import JsonObject
from tests.accounting.recorded import STRIPPED, SWITCHED, row

OTHERS = [
    row("other", None, 5, read=900, hour=50, session="other"),
    row("third", None, 6, read=900, hour=70, session="third"),
]
"""Two sessions that begin with the same 900 tokens, which are a head by that."""

FIRST = row("a", None, 0, hour=1000)
GROWN = row("b", "a", 10, read=1000, hour=500, messages=3)


def only(*calls: CallRecord) -> JsonObject:
    (found,) = explain_recorded(calls)
    return found


def test_the_whole_finding() -> None:
    assert only(row("a", None, 0, five=1000), row("b", "a", 301, hour=1100)) == {
        "call": "b",
        "run": "run of s",
        "agent": "claude-code",
        "model": "claude-opus-4-6",
        "conversation": "s",
        "turn": 0,
        "sent_at": 1_770_000_301.0,
        "earlier_call": "a",
        "cause": "expired",
        "certainty": "explained",
        "code": "PC050",
        "name": MISTAKES["PC050"].name,
        "severity": MISTAKES["PC050"].severity,
        "where": "ttl",
        "section": None,
        "layer": None,
        "available_tokens": 1000,
        "read_tokens": 0,
        "upto_tokens": None,
        "lost_tokens": 1000,
        "lost_usd": "0.0095",
        "gap_s": 301.0,
        "ttl_s": 300.0,
        "events": [],
        "message": "1,000 tokens were cached for 300 s and had last been used 301 s before.",
        "fix": MISTAKES["PC050"].fix,
    }


@pytest.mark.parametrize(
    ("calls", "cause", "code", "where", "message"),
    [
        (
            [FIRST, row("b", "a", 10, hour=1100, model=SWITCHED)],
            "model_changed",
            "PC036",
            "model",
            "claude-opus-4-6 had left 1,000 tokens; claude-opus-4-5 has a cache of its own.",
        ),
        (
            [row("a", None, 0, read=1000), row("b", "a", 3601, hour=1000)],
            "expired",
            "PC050",
            "ttl",
            "1,000 tokens were cached for an hour at most and had last been used 3,601 s before.",
        ),
        (
            [row("a", None, 0, hour=1000, ended_at=4), row("b", "a", 2, hour=1020)],
            "concurrent",
            "PC051",
            "concurrency",
            "the call that wrote 1,000 tokens was still being answered, 2 s after it was sent.",
        ),
        (
            [row("a", None, 0, read=900, hour=4100), row("b", "a", 10, read=900, hour=600, compacted=True)],
            "compacted",
            "PC027",
            "messages",
            "a summary stands in the place of a history of 5,000 tokens.",
        ),
        (
            [
                row("a", None, 0, read=900, hour=100, model=SWITCHED, asked=True, thinks=True),
                row("b", "a", 10, read=900, hour=120, model=SWITCHED, asked=True, thinks=False),
            ],
            "thinking_changed",
            "PC038",
            "thinking",
            "thinking was switched, as the answers show; 900 of 1,000 tokens were still found.",
        ),
        (
            [
                row("a", None, 0, hour=1000, model=STRIPPED, asked=True, thinks=True),
                row("b", "a", 10, read=1000, hour=300, model=STRIPPED, thinks=True, positions=3),
                row("c", "b", 20, read=1000, hour=250, model=STRIPPED, asked=True, thinks=True, positions=2),
            ],
            "thinking_stripped",
            "PC031",
            "thinking",
            "the user spoke, the API took the last turn's thinking out; 1,000 of 1,300 tokens read.",
        ),
        (
            [row("a", None, 0, read=900, hour=4000), row("b", "a", 10, read=900, hour=1500)],
            "history_shortened",
            "PC025",
            "messages",
            "the prompt shrank to 2,400 tokens from 4,900 tokens, though the conversation went on.",
        ),
        (
            [row("a", None, 0, read=900, hour=100), row("b", "a", 10, read=900, hour=400, positions=21)],
            "lookback_exceeded",
            "PC047",
            "lookback",
            "the prompt grew further than a breakpoint looks back; 900 of 1,000 tokens were read.",
        ),
    ],
)
def test_what_a_record_proves_has_the_code_of_a_mistake(
    calls: list[CallRecord], cause: str, code: str, where: str, message: str
) -> None:
    found = only(*calls)

    assert (found["cause"], found["certainty"], found["code"], found["where"]) == (cause, "explained", code, where)
    assert found["message"] == message
    known = MISTAKES[code]
    assert (found["name"], found["severity"], found["fix"]) == (known.name, known.severity, known.fix)


@pytest.mark.parametrize(
    ("calls", "cause", "where", "message", "fix"),
    [
        (
            [FIRST, GROWN, row("c", "b", 20, read=1000, hour=510), row("d", "c", 30, read=1500, hour=60)],
            "changed_for_one_call",
            None,
            "read 1,000 of 1,500 tokens, which the next call found again.",
            "compare this request's settings and tools with those of the calls around it",
        ),
        (
            [row("a", None, 0, read=900, hour=100), row("b", "a", 10, read=880, hour=120), *OTHERS],
            "head_changed",
            "system",
            "read 880 of 1,000 tokens: the prompt was another, or not found, between token 880 and token 900, "
            "within tools and system or what is rendered with them.",
            "compare tools, system prompt and settings of both requests; record requests to see them",
        ),
        (
            [FIRST, row("b", "a", 10, read=900, hour=120), *OTHERS],
            "messages_changed",
            "messages",
            "read 900 of 1,000 tokens: the prompt was another, or not found, between token 900 and token 1,000, "
            "right behind the head.",
            "compare the first messages and the settings of both requests; record requests",
        ),
        (
            [FIRST, GROWN, row("c", "b", 20, read=1500, hour=500), row("d", "c", 30, read=1500, hour=600)],
            "history_changed",
            "messages[3]",
            "read 1,500 of 2,000 tokens: the prompt was another, or not found, between token 1,500 and token 2,000, "
            "within the history.",
            "compare the messages of both requests from there on; record requests to see them",
        ),
    ],
)
def test_what_is_only_narrowed_down_has_no_code_and_says_where_to_look(
    calls: list[CallRecord], cause: str, where: str | None, message: str, fix: str
) -> None:
    found = only(*calls)

    assert (found["cause"], found["certainty"], found["code"], found["name"]) == (cause, "narrowed", None, None)
    assert (found["severity"], found["where"]) == ("warning", where)
    assert (found["message"], found["fix"]) == (message, fix)


def test_a_length_that_tells_nothing_is_worth_a_word_and_no_warning() -> None:
    found = only(FIRST, row("b", "a", 10, read=900, hour=120, model="claude-opus-4-6"))

    assert (found["cause"], found["certainty"], found["severity"]) == ("unexplained", "unexplained", "info")
    assert (found["where"], found["code"]) == (None, None)
    assert found["message"] == "read 900 of 1,000 tokens, a length that no other call tells anything of."
    assert found["fix"] == "record requests (`--record-requests`, or a proxy's log) to compare them"


def test_what_the_client_did_before_a_call_stands_behind_the_sentence() -> None:
    found = only(FIRST, row("b", "a", 10, read=900, hour=120, events=(Event.RESTARTED, Event.TOOLS_LOADED)))

    assert found["events"] == ["restarted", "tools_loaded"]
    assert str(found["message"]).endswith(
        " anything of. Before it, the client was left and started again and a tool search loaded tools."
    )


def test_a_place_without_a_known_message_is_the_messages() -> None:
    found = only(FIRST, row("b", "a", 10, read=1000, hour=500), row("c", "b", 20, read=1200, hour=400))

    assert (found["cause"], found["where"]) == ("history_changed", "messages")


def test_a_loss_at_an_unknown_price_is_none_in_dollars() -> None:
    calls = [row(name, above, at, hour=1000, model="acme-9") for name, above, at in (("a", None, 0), ("b", "a", 9))]

    assert (only(*calls)["lost_tokens"], only(*calls)["lost_usd"]) == (1000, None)


def test_only_the_calls_that_were_asked_for_are_told_of_and_the_others_still_tell_of_heads() -> None:
    calls = [FIRST, row("b", "a", 10, read=900, hour=200), row("c", "b", 20, read=900, hour=300), *OTHERS]

    assert [found["call"] for found in explain_recorded(calls)] == ["b", "c"]
    (found,) = explain_recorded(calls, only=lambda call: call.call_id == "c")
    assert (found["call"], found["cause"]) == ("c", "messages_changed")


def test_causes_are_counted_the_most_frequent_first_and_equals_by_name() -> None:
    def told(cause: str, lost: int | None, code: str | None = None) -> JsonObject:
        return {"cause": cause, "certainty": "narrowed", "code": code, "lost_tokens": lost}

    findings = [
        told("head_changed", 50),
        told("unexplained", 7, "PC050"),
        told("expired", None),
        told("unexplained", 8),
    ]

    assert shares_by_cause(findings) == [
        {"cause": "unexplained", "certainty": "narrowed", "code": "PC050", "calls": 2, "lost_tokens": 15},
        {"cause": "expired", "certainty": "narrowed", "code": None, "calls": 1, "lost_tokens": 0},
        {"cause": "head_changed", "certainty": "narrowed", "code": None, "calls": 1, "lost_tokens": 50},
    ]
