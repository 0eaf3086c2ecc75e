"""The specification's test vectors (section 5.5): what one call is charged, as the documentation prints it."""

from __future__ import annotations

import pytest

from tests.emulator.account import SONNET, Account, request, text, tool, user


def three_levels() -> dict[str, object]:
    """Tools 2k marked 1h, system 3k marked 5m, messages 1k unmarked: V8."""
    return request(
        user(text(1000)),
        tools=[tool("look", 2000, ttl="1h")],
        system=[text(3000, ttl="5m")],
        model="claude-sonnet-4-5",
    )


def test_v1_a_warm_document_is_read_and_only_the_question_is_plain() -> None:
    account = Account()
    document = text(200_000 - 50, "d")
    model = "claude-opus-4-8"
    account.charge(request(user({**document, "cache_control": {"type": "ephemeral"}}), model=model))
    question = request(user({**document, "cache_control": {"type": "ephemeral"}}, text(50, "q")), model=model)
    assert account.charge(question, now=10) == (0, 0, 199_950, 50)


def test_v2b_a_prewarming_call_writes_the_system_prompt_and_answers_nothing() -> None:
    account = Account()
    warm = {**request(user(text(8)), system=[text(5120, ttl="5m")]), "max_tokens": 0}
    answer = account.post(warm)
    assert answer.body is not None
    assert answer.body["content"] == []
    assert answer.body["stop_reason"] == "max_tokens"
    usage = answer.body["usage"]
    assert isinstance(usage, dict)
    assert usage["output_tokens"] == 0
    assert usage["cache_creation_input_tokens"] == 5120
    assert usage["input_tokens"] == 8


def budgeted(budget: int, *questions: object) -> dict[str, object]:
    return {
        **request(
            user(text(1370, "book", ttl="5m"), *questions), thinking={"type": "enabled", "budget_tokens": budget}
        ),
        "max_tokens": 20_000,
    }


def test_v3_to_v5_a_changed_thinking_budget_writes_the_messages_again() -> None:
    account = Account()
    assert account.charge(budgeted(4000, text(17))) == (0, 1370, 0, 17)
    assert account.charge(budgeted(4000, text(303)), now=20) == (0, 0, 1370, 303)
    assert account.charge(budgeted(8000, text(747)), now=40) == (0, 1370, 0, 747)


def test_v6_a_changed_effort_writes_the_messages_again() -> None:
    account = Account()

    def call(question: int, **config: object) -> dict[str, object]:
        return request(user(text(3546, "book", ttl="5m"), text(question)), model="claude-opus-4-8", **config)

    assert account.charge(call(15)) == (0, 3546, 0, 15)
    assert account.charge(call(1062), now=20) == (0, 0, 3546, 1062)
    assert account.charge(call(2706, output_config={"effort": "medium"}), now=40) == (0, 3546, 0, 2706)


def test_v7_a_prefix_under_the_minimum_is_plain_input_and_no_error() -> None:
    account = Account()
    assert account.charge(request(user(text(900, ttl="5m")), model="claude-sonnet-4-5")) == (0, 0, 0, 900)
    assert len(account.api.cache) == 0


def test_the_minimum_itself_is_enough() -> None:
    exact = request(user(text(1024, ttl="5m")), model="claude-sonnet-4-5")
    short = request(user(text(1023, ttl="5m")), model="claude-sonnet-4-5")
    assert Account().charge(exact) == (0, 1024, 0, 0)
    assert Account().charge(short) == (0, 0, 0, 1023)


def test_v8_both_lifetimes_are_billed_apart() -> None:
    assert Account().charge(three_levels()) == (2000, 3000, 0, 1000)


def test_v9_after_six_minutes_the_long_entry_is_read_and_the_short_one_written_again() -> None:
    account = Account()
    account.charge(three_levels())
    assert account.charge(three_levels(), now=360) == (0, 3000, 2000, 1000)


def test_v10_after_two_minutes_both_are_read() -> None:
    account = Account()
    account.charge(three_levels())
    assert account.charge(three_levels(), now=120) == (0, 0, 5000, 1000)


@pytest.mark.parametrize(("new_blocks", "hits"), [(1, True), (18, True), (19, True), (20, False), (35, False)])
def test_v11_the_look_back_reaches_nineteen_positions(new_blocks: int, hits: bool) -> None:
    account = Account()
    first = user(text(2000, ttl="5m"))
    account.charge(request(first))
    tail = [text(1, f"new{number}") for number in range(new_blocks - 1)]
    grown = user(text(2000), *tail, text(1, "last", ttl="5m"))
    expected = (0, new_blocks, 2000, 0) if hits else (0, 2000 + new_blocks, 0, 0)
    assert account.charge(request(grown), now=1) == expected


def test_v12_a_book_is_written_once_and_then_read() -> None:
    account = Account()
    book = user(text(187_354, "book", ttl="5m"), text(4))
    assert account.charge(request(book, model=SONNET)) == (0, 187_354, 0, 4)
    assert account.charge(request(book, model=SONNET), now=30) == (0, 0, 187_354, 4)


def test_no_marker_means_no_cache_at_all() -> None:
    account = Account()
    plain = request(user(text(5000)), system=[text(5000)])
    assert account.charge(plain) == (0, 0, 0, 10_000)
    assert account.charge(plain, now=1) == (0, 0, 0, 10_000)
    account.charge(request(user(text(5000)), system=[text(5000, ttl="5m")]), now=2)
    assert account.charge(plain, now=3) == (0, 0, 0, 10_000)
