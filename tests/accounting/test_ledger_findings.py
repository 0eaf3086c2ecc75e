"""Misses as findings: the words for each cause, what was kept of a section that moved, and what the API said of it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from agentcache.accounting.api_diagnosis import Verdict, api_diagnosis, diagnosis_words
from agentcache.accounting.ledger_findings import Kept, explain_ledger, finding, miss_fix
from agentcache.accounting.misses import Cause, Miss
from agentcache.accounting.section_changes import provenance_of, requests_of, section_change
from agentcache.accounting.usage import CallRecord, Usage
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.provenance import Provenance, first_change
from agentcache.prompt.rendering import Renderer
from agentcache.prompt.sections import Prompt, Stability
from agentcache.prompt.spans import Span

CALL = CallRecord(
    call_id="now",
    run_id="run_1",
    agent="clerk",
    model="claude-sonnet-5-5",
    sent_at=1000.0,
    turn=2,
    usage=Usage(cache_read_tokens=500, cache_write_5m_tokens=4500),
)
EARLIER = replace(CALL, call_id="before", sent_at=900.0, turn=1, message_id="msg_1")


def rules(**variables: str) -> Provenance:
    renderer = Renderer(Prompt(static="Rules for\n{{ who }}"))
    (section,) = renderer.render(Stability.STATIC, variables)
    (made_of,) = renderer.provenance([section.provenance or ""])
    return made_of


def span(layer: str = "static", *, section: str | None = "rules", made_of: Provenance | None = None) -> Span:
    where = f"{layer}[0]" if section is None else "system[0]"
    provenance = None if made_of is None else made_of.digest
    return Span(layer=layer, section=section, where=where, tokens=1000, digest="d", provenance=provenance)


def missed(cause: Cause, at: Span, *, plan: JsonObject | None = None, earlier: CallRecord = EARLIER) -> Miss:
    return Miss(
        call=replace(CALL, plan=plan or {}),
        earlier=earlier,
        cause=cause,
        available_tokens=5000,
        lost_tokens=4500,
        lost_usd=Decimal("0.0103500"),
        span=at,
        gap_s=1234.0,
        ttl_s=300.0,
    )


@pytest.mark.parametrize(
    ("cause", "code", "severity", "message"),
    [
        (
            Cause.EXPIRED,
            "PC050",
            "info",
            "5,000 tokens were cached for 300 s and had last been used 1,234 s before.",
        ),
        (
            Cause.CONCURRENT,
            "PC051",
            "warning",
            "before was writing the same 5,000 tokens and had not begun to answer, 1,234 s after it was sent.",
        ),
        (
            Cause.NEVER_WRITTEN,
            "PC043",
            "error",
            "before sent the same 5,000 tokens 1,234 s before and cached nothing.",
        ),
        (
            Cause.BELOW_MINIMUM,
            "PC048",
            "warning",
            "before sent the same 5,000 tokens, which are fewer than the model caches.",
        ),
        (
            Cause.UNEXPLAINED,
            None,
            "warning",
            "5,000 tokens should have lived: last used 1,234 s before, for 300 s.",
        ),
    ],
)
def test_each_cause_has_its_code_and_its_words(cause: Cause, code: str | None, severity: str, message: str) -> None:
    told = finding(missed(cause, span()))
    assert (told["cause"], told["code"], told["severity"], told["message"]) == (cause.value, code, severity, message)
    assert told["fix"] == miss_fix(missed(cause, span()))


def test_a_finding_has_the_calls_the_place_and_the_amounts() -> None:
    told = finding(missed(Cause.MOVED, span()))
    del told["message"], told["fix"]
    assert told == {
        "call": "now",
        "run": "run_1",
        "agent": "clerk",
        "model": "claude-sonnet-5-5",
        "conversation": None,
        "turn": 2,
        "sent_at": 1000.0,
        "earlier_call": "before",
        "cause": "moved",
        "code": None,
        "name": "moved",
        "severity": "warning",
        "where": "system[0]",
        "section": "rules",
        "layer": "static",
        "path": None,
        "line": None,
        "column": None,
        "variables": [],
        "before": None,
        "after": None,
        "available_tokens": 5000,
        "read_tokens": 500,
        "lost_tokens": 4500,
        "lost_usd": "0.01035",
        "gap_s": 1234.0,
        "ttl_s": 300.0,
        "api": {"verdict": "not asked", "reason": None, "missed_tokens": None},
    }
    assert finding(replace(missed(Cause.MOVED, span()), lost_usd=None))["lost_usd"] is None


@pytest.mark.parametrize(
    ("at", "place"),
    [
        (span(), "system[0] (section 'rules', layer static)"),
        (span("tools", section=None), "tools[0] (layer tools)"),
        (span("settings", section=None), "the settings that are rendered with settings[0]"),
    ],
)
def test_a_prompt_that_moved_is_told_with_its_place(at: Span, place: str) -> None:
    assert finding(missed(Cause.MOVED, at))["message"] == f"the prompt is another than that of before from {place} on."


def test_a_session_layer_that_moved_has_a_code_of_its_own() -> None:
    assert finding(missed(Cause.MOVED, span("session")))["code"] == "PC057"
    assert finding(missed(Cause.EXPIRED, span("session")))["code"] == "PC050"


# ----------------------------------------------------------------------------------------- what sections are made of

ANA, BO = rules(who="Ana"), rules(who="Bo")
SENT_BEFORE = replace(EARLIER, prompt_spans=(span("tools", section=None), span(made_of=ANA)))
KEPT = Kept(provenance={each.digest: each for each in (ANA, BO)})


def test_a_section_that_moved_is_told_with_template_line_and_variable() -> None:
    moved = missed(Cause.MOVED, span(made_of=BO), earlier=SENT_BEFORE)
    told = finding(moved, KEPT)
    assert (told["path"], told["line"], told["variables"]) == ("static", 2, ["who"])
    assert told["fix"] == "move `who` to a less stable layer"
    assert told["message"] == (
        "the prompt is another than that of before from system[0] (section 'rules', layer static) on: "
        "static:2 prints {{ who }}, and that changed between the calls."
    )
    assert provenance_of([moved]) == {ANA.digest, BO.digest}


def test_all_variables_of_a_line_are_named_and_without_one_what_changes() -> None:
    moved = missed(Cause.MOVED, span())
    change = replace(first_change(ANA, BO) or pytest.fail("they differ"), variables=("who", "when"))
    assert miss_fix(moved, change) == "move `who` and `when` to a less stable layer"
    assert miss_fix(moved) == "move what changes to a less stable layer"


def test_what_nobody_kept_parts_nowhere() -> None:
    moved = missed(Cause.MOVED, span(made_of=BO), earlier=SENT_BEFORE)
    assert section_change(moved, {ANA.digest: ANA}) is None
    assert section_change(moved, {BO.digest: BO}) is None
    strangers = [
        missed(Cause.EXPIRED, span(made_of=BO), earlier=SENT_BEFORE),
        missed(Cause.MOVED, span(), earlier=SENT_BEFORE),
        missed(Cause.MOVED, span(section="another", made_of=BO), earlier=SENT_BEFORE),
        missed(Cause.MOVED, span(section=None, made_of=BO), earlier=SENT_BEFORE),
        missed(Cause.MOVED, span(made_of=BO), earlier=replace(EARLIER, prompt_spans=(span(),))),
        missed(Cause.MOVED, span(made_of=BO)),
    ]
    assert [section_change(each, KEPT.provenance) for each in strangers] == [None] * 6
    assert provenance_of(strangers) == set()


def test_a_change_of_text_has_a_code_where_both_requests_were_kept() -> None:
    requests: dict[str, JsonObject] = {
        call_id: {"model": CALL.model, "system": [{"type": "text", "text": f"Now: 2026-11-20 10:0{at}:00. Be kind."}]}
        for at, call_id in enumerate(("before", "now"))
    }
    moved = missed(Cause.MOVED, span())
    told = finding(moved, Kept(requests=requests))
    assert (told["code"], told["name"]) == ("PC001", "clock-in-prefix")
    assert "10:00:00" in str(told["before"])
    assert "10:01:00" in str(told["after"])
    assert requests_of([moved, missed(Cause.EXPIRED, span())]) == {"now", "before"}
    assert requests_of([missed(Cause.EXPIRED, span())]) == set()
    assert requests_of([missed(Cause.MOVED, span("tools", section=None))]) == set()
    elsewhere = replace(span(), where="system[1]")
    assert finding(missed(Cause.MOVED, elsewhere), Kept(requests=requests))["code"] is None
    for kept in ({"now": requests["now"]}, {"before": requests["before"]}):
        assert finding(moved, Kept(requests=kept))["code"] is None
    assert finding(missed(Cause.MOVED, span("tools", section=None)), Kept(requests=requests))["code"] is None


@pytest.mark.parametrize(
    ("before", "now", "code"), [("c", "c", "PC018"), ("c", "d", "PC005"), (None, None, "PC005"), (None, "c", "PC005")]
)
def test_a_text_that_changed_is_an_edit_in_one_conversation_and_a_value_between_two(
    before: str | None, now: str | None, code: str
) -> None:
    requests: dict[str, JsonObject] = {
        call_id: {"model": CALL.model, "system": f"You keep the books of {shop} with care."}
        for call_id, shop in (("before", "harbour"), ("now", "meadow"))
    }
    moved = missed(Cause.MOVED, span(), earlier=replace(EARLIER, conversation=before))
    told = finding(replace(moved, call=replace(moved.call, conversation=now)), Kept(requests=requests))
    assert told["code"] == code


# ---------------------------------------------------------------------------------------------------- a whole ledger


def test_findings_of_a_ledger_are_those_of_the_calls_that_are_asked_about() -> None:
    prompt = (Span(layer="static", section="rules", where="system[0]", tokens=5000, digest="d1"),)
    plan: JsonObject = {"kept": [{"digest": "d1", "ttl": "5m"}]}
    calls = [
        replace(
            CALL,
            call_id=f"call_{number}",
            sent_at=number * 400.0,
            first_token_at=number * 400.0 + 1,
            usage=Usage(cache_write_5m_tokens=5000),
            prompt_spans=prompt,
            plan=plan,
        )
        for number in range(3)
    ]
    assert [(told["call"], told["cause"]) for told in explain_ledger(calls)] == [
        ("call_1", "expired"),
        ("call_2", "expired"),
    ]
    assert [told["call"] for told in explain_ledger(calls, only=lambda call: call.call_id == "call_2")] == ["call_2"]


def test_recorded_calls_of_the_same_ledger_have_their_findings_between_those_of_others_by_time() -> None:
    prompt = (Span(layer="static", section="rules", where="system[0]", tokens=5000, digest="d1"),)
    own = [
        replace(
            CALL,
            call_id=name,
            sent_at=at,
            first_token_at=at + 1,
            usage=Usage(cache_write_5m_tokens=5000),
            prompt_spans=prompt,
            plan={"kept": [{"digest": "d1", "ttl": "5m"}]},
        )
        for name, at in (("own 1", 0.0), ("own 2", 400.0), ("own 3", 5000.0))
    ]
    recorded = [
        replace(CALL, call_id=name, sent_at=at, conversation="c", usage=Usage(cache_write_1h_tokens=5000))
        for name, at in (("recorded 1", 100.0), ("recorded 2", 600.0))
    ]
    calls = [*recorded, *own]
    assert [told["call"] for told in explain_ledger(calls)] == ["own 2", "recorded 2", "own 3"]
    assert [told["call"] for told in explain_ledger(calls, only=lambda call: "own" in call.call_id)] == [
        "own 2",
        "own 3",
    ]


def test_findings_of_a_ledger_tell_what_was_kept_of_a_section() -> None:
    plan: JsonObject = {"kept": [{"digest": "d", "ttl": "5m"}]}
    calls = [
        replace(
            CALL,
            call_id=who.digest,
            sent_at=at,
            first_token_at=at + 1,
            usage=Usage(cache_write_5m_tokens=5000),
            prompt_spans=(replace(span(made_of=who), digest=digest),),
            plan=plan,
        )
        for who, at, digest in ((ANA, 0.0, "d"), (BO, 9.0, "e"))
    ]
    (told,) = explain_ledger(calls, kept=KEPT)
    assert (told["cause"], told["variables"]) == ("moved", ["who"])


# --------------------------------------------------------------------------------------------- what the API says of it


def asked(answer: JsonValue, *, previous: str | None = "msg_1") -> JsonObject:
    return {"diagnostics": {"previous_message_id": previous, "answer": answer}}


def reason(name: str, tokens: JsonValue = 4500) -> JsonObject:
    return {"cache_miss_reason": {"type": name, "cache_missed_input_tokens": tokens}}


@pytest.mark.parametrize(
    ("cause", "layer", "plan", "verdict", "told"),
    [
        (Cause.MOVED, "static", {}, Verdict.NOT_ASKED, None),
        (Cause.MOVED, "static", asked(None, previous=None), Verdict.NOT_ASKED, None),
        (Cause.MOVED, "static", asked(reason("system_changed")), Verdict.AGREES, "system_changed"),
        (Cause.MOVED, "tools", asked(reason("system_changed")), Verdict.DIFFERS, "system_changed"),
        (Cause.MOVED, "history", asked(reason("messages_changed")), Verdict.AGREES, "messages_changed"),
        (Cause.MOVED, "static", asked(reason("unavailable")), Verdict.NO_DIAGNOSIS, "unavailable"),
        (Cause.MOVED, "static", asked(reason("system_changed"), previous="x"), Verdict.NO_DIAGNOSIS, "system_changed"),
        (Cause.EXPIRED, "static", asked(reason("system_changed"), previous="x"), Verdict.DIFFERS, "system_changed"),
        (Cause.EXPIRED, "static", asked(None), Verdict.AGREES, "no_difference"),
        (Cause.MOVED, "static", asked(None), Verdict.DIFFERS, "no_difference"),
        (Cause.MOVED, "static", asked({"cache_miss_reason": None}), Verdict.NO_DIAGNOSIS, "pending"),
        (Cause.MOVED, "static", asked("later"), Verdict.NO_DIAGNOSIS, "pending"),
    ],
)
def test_the_api_agrees_or_not(cause: Cause, layer: str, plan: JsonObject, verdict: Verdict, told: str | None) -> None:
    found = api_diagnosis(missed(cause, span(layer), plan=plan))
    assert (found.verdict, found.reason) == (verdict, told)


def test_the_api_tells_how_much_was_missed_where_it_says_a_number() -> None:
    told = [
        api_diagnosis(missed(Cause.MOVED, span(), plan=asked(reason("system_changed", each))))
        for each in (7, None, "many")
    ]
    assert [each.missed_tokens for each in told] == [7, None, None]
    assert told[0].to_json() == {"verdict": "agrees", "reason": "system_changed", "missed_tokens": 7}


def test_a_diagnosis_in_words() -> None:
    told = api_diagnosis(missed(Cause.MOVED, span(), plan=asked(reason("system_changed")))).to_json()
    assert diagnosis_words(told) == "agrees (system_changed, about 4,500 tokens)"
    assert diagnosis_words({**told, "missed_tokens": None}) == "agrees (system_changed)"
    assert diagnosis_words({**told, "reason": None}) == "agrees"
    assert diagnosis_words(None) == "not asked"
