"""What else the account shows: models, usage, the statement, rate limits, ids."""

from __future__ import annotations

from typing import Any

import pytest

from agentcache.emulator.messages_api import HttpAnswer, HttpCall, MessagesApi
from agentcache.emulator.rate_limits import RateLimits
from agentcache.prompt.model_facts import all_facts
from tests.emulator.account import HEADERS, Account, error_message, request, text, usage_of, user

HELLO = request(user(text(1)))


def get(path: str, query: str = "") -> HttpAnswer:
    call = HttpCall(method="GET", path=path, query=query, headers=HEADERS)
    return MessagesApi().respond(call, lambda _: "", now=0)


def listed(query: str = "") -> tuple[list[str], dict[str, Any]]:
    answer = get("/v1/models", query)
    assert answer.status == 200
    page: dict[str, Any] = answer.body or {}
    return [entry["id"] for entry in page["data"]], page


def test_the_list_of_models_comes_in_pages() -> None:
    known = [facts.model for facts in all_facts()]
    first, page = listed("limit=5")
    assert (first, page["has_more"], page["first_id"], page["last_id"]) == (known[:5], True, known[0], known[4])
    assert listed(f"after_id={known[4]}&limit=1000")[0] == known[5:]
    assert listed(f"before_id={known[4]}&limit=2")[0] == known[2:4]


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=1001", "after_id=nobody"])
def test_a_page_that_does_not_exist(query: str) -> None:
    assert get("/v1/models", query).status in {400, 404}


def test_one_model_by_any_of_its_names() -> None:
    answer = get("/v1/models/claude-sonnet-4-5-20250929")
    assert answer.body is not None
    assert answer.body["id"] == "claude-sonnet-4-5"
    assert answer.body["display_name"] == "Claude Sonnet 4.5"
    assert error_message(get("/v1/models/gpt")) == "model: gpt"


def test_the_usage_has_every_field_of_the_sdk_s_type() -> None:
    body = request(user(text(2000, ttl="1h"), text(500, ttl="5m"), text(7)), inference_geo="us")
    usage = usage_of(Account().post(body))
    assert usage == {
        "input_tokens": 7,
        "cache_creation_input_tokens": 2500,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 2000},
        "output_tokens": usage["output_tokens"],
        "output_tokens_details": {"thinking_tokens": 0},
        "service_tier": "standard",
        "inference_geo": "us",
    }
    fast = {**HELLO, "model": "claude-opus-5", "speed": "fast"}
    assert usage_of(Account().post(fast))["speed"] == "fast"


def test_the_statement_says_what_each_message_was_charged() -> None:
    account = Account()
    body = request(user(text(2000, ttl="5m"), text(5)))
    identifiers = [(account.post(body, now=now).body or {})["id"] for now in (0, 1)]
    statement: dict[str, Any] = account.api.statement.to_json()
    assert [line["message_id"] for line in statement["lines"]] == identifiers
    assert [line["cache_read_input_tokens"] for line in statement["lines"]] == [0, 2000]
    assert statement["total"]["ephemeral_5m_input_tokens"] == 2000
    assert statement["total"]["input_tokens"] == 10
    assert statement["total"]["calls"] == 2
    assert all(line["complete"] for line in statement["lines"])


def test_refused_calls_are_on_no_statement() -> None:
    account = Account()
    account.error({**HELLO, "max_tokens": -1})
    assert account.api.statement.lines == ()


def test_a_reset_forgets_everything() -> None:
    account = Account()
    body = request(user(text(2000, ttl="5m")))
    account.charge(body)
    account.api.reset()
    assert account.api.statement.lines == ()
    assert account.charge(body, now=1) == (0, 2000, 0, 0)


def test_ids_are_the_same_for_the_same_seed_and_differ_between_seeds() -> None:
    def first_id(seed: str) -> object:
        return (Account(seed=seed).post(HELLO).body or {})["id"]

    assert first_id("a") == first_id("a")
    assert first_id("a") != first_id("b")
    assert str(first_id("a")).startswith("msg_01")


def test_known_totals_stretch_the_positions_to_them() -> None:
    account = Account(totals=lambda _: 5000)
    body = request(user(text(2000, ttl="5m"), text(500)))
    assert account.charge(body) == (0, 4000, 0, 1000)


def test_a_rate_limit_refuses_with_the_time_to_wait_and_reads_do_not_count() -> None:
    account = Account(rate_limits=RateLimits(input_tokens=2500))
    body = request(user(text(2000, ttl="5m")))
    for _ in range(20):
        assert account.post(body).status == 200
    account.post(request(user(text(600))))
    refused = account.post(body)
    assert refused.status == 429
    assert "2,500 input tokens per minute" in error_message(refused)
    wait = int(dict(refused.headers)["retry-after"])
    assert account.post(body, now=wait + 1).status == 200


def test_requests_per_minute_are_limited_too() -> None:
    account = Account(rate_limits=RateLimits(requests=2))
    assert [account.post(HELLO).status for _ in range(4)] == [200, 200, 429, 429]
    assert account.post(HELLO, now=31).status == 200
