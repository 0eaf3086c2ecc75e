"""How written tokens are split by lifetime where a reply tells it in part, and what a reply is refused for."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agentcache.accounting.pricing import cost_usd
from agentcache.accounting.reading import merge_stream_usage, side_records, usage_of
from agentcache.accounting.usage import BilledPart, CallKind, CallRecord, Usage
from agentcache.errors import ReplyMalformed
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.spans import Span


def split(five: JsonValue, hour: JsonValue) -> JsonObject:
    return {"ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": hour}


def iterations(*entries: JsonObject) -> list[JsonValue]:
    return [{"type": "message", **entry} for entry in entries]


@pytest.mark.parametrize(
    ("told", "five", "hour"),
    [
        ({"cache_creation": {"ephemeral_5m_input_tokens": 700}}, 700, 0),
        ({"cache_creation": {"ephemeral_1h_input_tokens": 700}}, 0, 700),
        ({"cache_creation": split(700, 0)}, 700, 0),
        ({"cache_creation": split(None, None), "cache_creation_input_tokens": 700}, 700, 0),
        ({"cache_creation": split(0, 900), "cache_creation_input_tokens": 700}, 0, 700),
    ],
)
def test_a_split_that_is_told_in_part(told: JsonObject, five: int, hour: int) -> None:
    assert usage_of(told)[0] == Usage(cache_write_5m_tokens=five, cache_write_1h_tokens=hour)


def test_iterations_without_a_split_share_what_those_with_one_leave_of_the_top_level() -> None:
    told: JsonObject = {
        "cache_creation_input_tokens": 1000,
        "cache_creation": split(400, 600),
        "iterations": iterations(
            {"cache_creation_input_tokens": 200, "cache_creation": split(0, 200)},
            {"cache_creation_input_tokens": 300},
            {"cache_creation_input_tokens": 500},
        ),
    }

    usage, parts = usage_of(told)

    assert usage == Usage(cache_write_5m_tokens=400, cache_write_1h_tokens=600)
    assert [part.usage.cache_write_1h_tokens for part in parts] == [200, 300, 100]


def test_iterations_of_a_reply_without_any_split_last_as_long_as_the_caller_says() -> None:
    told: JsonObject = {"cache_creation_input_tokens": 9, "iterations": iterations({"cache_creation_input_tokens": 7})}

    assert usage_of(told, default_ttl="1h")[0] == Usage(cache_write_1h_tokens=9)
    assert usage_of(told)[0] == Usage(cache_write_5m_tokens=9)


def test_what_the_top_level_tells_beyond_its_iterations_keeps_its_lifetime() -> None:
    told: JsonObject = {
        "cache_creation_input_tokens": 1000,
        "cache_creation": split(400, 600),
        "iterations": iterations({"cache_creation_input_tokens": 500}),
    }

    _, parts = usage_of(told)

    assert [part.usage for part in parts] == [
        Usage(cache_write_1h_tokens=500),
        Usage(cache_write_5m_tokens=400, cache_write_1h_tokens=100),
    ]


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ({"input_tokens": -1}, "usage.input_tokens is -1"),
        ({"output_tokens": "9"}, "usage.output_tokens is '9'"),
        ({"cache_read_input_tokens": 1.5}, "usage.cache_read_input_tokens is 1.5"),
        ({"cache_creation_input_tokens": True}, "usage.cache_creation_input_tokens is True"),
        ({"cache_creation": split("9", 0)}, "usage.cache_creation.ephemeral_5m_input_tokens is '9'"),
        ({"cache_creation": split(0, "9")}, "usage.cache_creation.ephemeral_1h_input_tokens is '9'"),
        ({"server_tool_use": {"web_search_requests": "9"}}, "usage.server_tool_use.web_search_requests is '9'"),
        ({"iterations": iterations({"input_tokens": "9"})}, "usage.iterations.input_tokens is '9'"),
        ({"iterations": [{"type": "compaction", "input_tokens": "9"}]}, "usage.iterations.input_tokens is '9'"),
    ],
)
def test_a_count_that_is_none_is_named_by_its_place(told: JsonObject, named: str) -> None:
    with pytest.raises(ReplyMalformed) as refused:
        usage_of(told)
    assert str(refused.value) == (
        f"{named}, no number of tokens; this server does not speak the Messages API, so its usage cannot be recorded"
    )


def test_without_a_search_or_a_model_there_is_neither() -> None:
    _, (part,) = usage_of({"input_tokens": 5, "server_tool_use": {"web_search_requests": 0}, "speed": 3})

    assert (part.web_searches, part.speed, part.model) == (0, None, "")
    assert cost_usd(part) is None


@pytest.mark.parametrize(
    ("start", "delta", "merged"),
    [
        (
            {"cache_creation_input_tokens": 2000, "cache_creation": {**split(0, 2000), "of_next_year": 1}},
            {"cache_creation_input_tokens": 2600},
            {**split(600, 2000), "of_next_year": 1},
        ),
        (
            {"cache_creation_input_tokens": 900, "cache_creation": split(600, 300)},
            {"cache_creation_input_tokens": 200},
            split(0, 200),
        ),
        (
            {"cache_creation_input_tokens": 900, "cache_creation": split(600, 300)},
            {"cache_creation_input_tokens": 900, "cache_creation": split(700, 250)},
            split(700, 250),
        ),
        (
            {"cache_creation_input_tokens": 900, "cache_creation": split(100, 300)},
            {"output_tokens": 4},
            split(100, 300),
        ),
        (
            {"cache_creation": split(None, None)},
            {"cache_creation_input_tokens": 900},
            split(None, None),
        ),
        (
            {"cache_creation": None},
            {"cache_creation_input_tokens": 900},
            None,
        ),
    ],
    ids=["grown", "shrunk", "told again", "no writes told", "no split", "null"],
)
def test_a_stream_ends_with_a_split_of_what_was_written(
    start: JsonObject, delta: JsonObject, merged: JsonValue
) -> None:
    assert merge_stream_usage(start, delta)["cache_creation"] == merged


def test_a_delta_with_a_count_that_is_none_is_refused_by_its_place() -> None:
    start: JsonObject = {"cache_creation": split(1, 1)}

    with pytest.raises(ReplyMalformed, match=r"^usage\.cache_creation_input_tokens is -1, "):
        merge_stream_usage(start, {"cache_creation_input_tokens": -1})


def test_a_side_row_has_its_own_part_and_nothing_of_the_prompt_that_it_stood_beside() -> None:
    usage, parts = usage_of({"input_tokens": 7, "iterations": [{"type": "compaction", "input_tokens": 5}]}, model="m")
    call = CallRecord(
        call_id="call_1",
        run_id="run_1",
        agent="support",
        model="m",
        conversation="c",
        turn=3,
        message_id="msg_1",
        sent_at=1.0,
        ended_at=2.0,
        stop_reason="end_turn",
        error="it ended early",
        usage=usage,
        parts=parts,
        cost_usd=Decimal(1),
        counterfactual_usd=Decimal(2),
        plan={"policy": "layers"},
        section_tokens={"rules": 5},
        prefix_digests=("d",),
        found_digests=("d",),
        prompt_spans=(Span(layer="static", section=None, where="system[0]", tokens=7, digest="d"),),
        request={"model": "m"},
        response={"id": "msg_1"},
    )

    assert side_records(call, lambda kind: f"{kind}_2") == (
        CallRecord(
            call_id="call_2",
            run_id="run_1",
            kind=CallKind.COMPACTION,
            agent="support",
            model="m",
            conversation="c",
            turn=3,
            message_id="msg_1",
            sent_at=1.0,
            ended_at=2.0,
            usage=Usage(uncached_input_tokens=5),
            parts=(BilledPart(model="m", usage=Usage(uncached_input_tokens=5), kind=CallKind.COMPACTION),),
        ),
    )
