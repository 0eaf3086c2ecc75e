"""Cache diagnostics: the six reasons and the rules of null (section 8)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.account import Account, Body, assistant, request, text, tool, user

OPUS = "claude-opus-4-8"


def body(previous: str | None, **changes: Any) -> Body:
    fields: Body = {
        "model": OPUS,
        "max_tokens": 100,
        "tools": [tool("look", 50)],
        "system": [text(300, "s")],
        "messages": [user(text(100, "m")), assistant(text(10)), user(text(10, "q"))],
        "diagnostics": {"previous_message_id": previous},
    }
    return {**fields, **changes}


def ask(account: Account, asked: Body, **options: Any) -> tuple[str, Any]:
    answer = account.post(asked, **options)
    assert answer.body is not None
    assert "diagnostics" in answer.body, "always present, null or not"
    return str(answer.body["id"]), answer.body["diagnostics"]


def diagnose(**changes: Any) -> Any:
    """Return the diagnostics of a request that differs from the one before it by `changes`."""
    account = Account()
    first, _ = ask(account, body(None))
    return ask(account, body(first, **changes), now=1)[1]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"model": "claude-opus-5"}, "model_changed"),
        ({"speed": "fast"}, "model_changed"),
        ({"system": [text(300, "t")]}, "system_changed"),
        ({"tools": [tool("look", 51)]}, "tools_changed"),
        ({"tools": []}, "tools_changed"),
        ({"messages": [user(text(99, "m")), assistant(text(10)), user(text(10, "q"))]}, "messages_changed"),
        ({"messages": [user(text(100, "m"))]}, "messages_changed"),
    ],
)
def test_what_was_changed_is_named(changes: dict[str, Any], kind: str) -> None:
    reason = diagnose(**changes)["cache_miss_reason"]
    assert reason["type"] == kind
    assert reason["cache_missed_input_tokens"] > 0


def test_appending_is_no_divergence() -> None:
    turns = [user(text(100, "m")), assistant(text(10)), user(text(10, "q"))]
    assert diagnose() is None
    assert diagnose(messages=[*turns, assistant(text(5)), user(text(5))]) is None


def test_moving_markers_is_no_divergence() -> None:
    assert diagnose(system=[text(300, "s", ttl="5m")]) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"tool_choice": {"type": "any"}},
        {"thinking": {"type": "adaptive"}},
        {"output_config": {"effort": "low"}},
    ],
)
def test_differences_that_the_api_does_not_explain_are_unavailable(changes: dict[str, Any]) -> None:
    assert diagnose(**changes) == {"cache_miss_reason": {"type": "unavailable"}}


def test_a_changed_set_of_beta_headers_is_unavailable() -> None:
    account = Account()
    first, _ = ask(account, body(None))
    diagnosed = ask(account, body(first), headers={"anthropic-beta": "some-beta"})[1]
    assert diagnosed == {"cache_miss_reason": {"type": "unavailable"}}


def test_the_earliest_divergence_is_the_one_reported() -> None:
    both = diagnose(model="claude-opus-5", system=[text(300, "t")])
    assert both["cache_miss_reason"]["type"] == "model_changed"
    both = diagnose(system=[text(300, "t")], messages=[user(text(1))])
    assert both["cache_miss_reason"]["type"] == "system_changed"


def test_a_longer_loss_is_a_bigger_estimate() -> None:
    late = [user(text(100, "m")), assistant(text(10, "x")), user(text(10, "q"))]
    early = [user(text(99, "m")), assistant(text(10)), user(text(10, "q"))]
    lost = [diagnose(messages=turns)["cache_miss_reason"]["cache_missed_input_tokens"] for turns in (late, early)]
    assert lost[0] < lost[1]


def test_null_when_not_asked_and_on_a_first_turn() -> None:
    account = Account()
    assert ask(account, request(user(text(1))))[1] is None
    assert ask(account, body(None))[1] is None


def test_only_requests_that_asked_are_remembered() -> None:
    account = Account()
    unasked = body(None)
    del unasked["diagnostics"]
    first, _ = ask(account, unasked)
    not_found = {"cache_miss_reason": {"type": "previous_message_not_found"}}
    assert ask(account, body(first))[1] == not_found
    assert ask(account, body("msg_never"))[1] == not_found


def test_fingerprints_do_not_cross_workspaces() -> None:
    account = Account()
    first, _ = ask(account, body(None))
    elsewhere = ask(account, body(first), headers={"anthropic-workspace-id": "wrkspc_b"})[1]
    assert elsewhere["cache_miss_reason"]["type"] == "previous_message_not_found"


def test_it_compares_requests_and_does_not_care_whether_the_cache_hit() -> None:
    account = Account()
    first, _ = ask(account, body(None))
    assert ask(account, body(first), now=100_000)[1] is None
