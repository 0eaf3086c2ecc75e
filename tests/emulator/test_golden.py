"""The emulator against the real API's own accounting: recorded calls, split as the API split them.

Not comparable: flagged records whose tokens are not all in the request (`server_tools`, `binary_elided`,
`external_content`), and those named below with the reason.
"""

from __future__ import annotations

from itertools import pairwise

from agentcache.emulator.cache_settings import CacheSettings
from agentcache.emulator.refusals import ApiError
from agentcache.emulator.validation import read_request
from tests.emulator.recordings import (
    OLD_MODELS,
    Compared,
    Record,
    load,
    messages_body,
    needs_recordings,
    replay,
    sessions,
)

pytestmark = needs_recordings

TOLERANCE = 0.06
INCOMPLETE = {"server_tools", "binary_elided", "external_content"}

UNPLAYED = {
    "pydantic-ai:test_anthropic_compaction_usage_with_cache_streaming": "server-side compaction is not played",
    "openllmetry:test_prompt_cache": "the recorder replaced the 18,000-token system prompt by five words",
}
# One recording in two cassettes: the second reads what the first wrote.
CONTINUED = {
    "dd-trace-py:anthropic_completion_cache_write": ("dd-trace-py:anthropic_completion_cache_read", 5.0),
    "dd-trace-py:anthropic_completion_stream_cache_write": ("dd-trace-py:anthropic_completion_stream_cache_read", 4.0),
}


def comparable(records: list[Record]) -> list[list[Record]]:
    """Return the sessions that can be compared, those recorded in two parts joined."""
    parts = {
        name: [record for record in each if not INCOMPLETE & set(record["flags"])]
        for name, each in sessions(records).items()
        if name not in UNPLAYED
    }
    for first, (second, later) in CONTINUED.items():
        if first in parts and second in parts:
            parts[first] = [*parts[first], *({**record, "t": later} for record in parts.pop(second))]
    return [each for each in parts.values() if each]


def differing(compared: list[Compared]) -> list[Compared]:
    return [each for each in compared if each.error > TOLERANCE]


def test_records_that_hit_the_cache_are_split_as_the_api_split_them() -> None:
    compared = [each for session in comparable(load("anthropic_cache_hits.json")) for each in replay(session)]
    assert len(compared) == 13
    assert differing(compared) == []
    assert sum(each.warmed for each in compared) == 4, "calls that read what was written before the recording began"


def test_records_whose_marked_prefix_is_too_short_are_all_plain() -> None:
    compared = [each for session in comparable(load("anthropic_cache_negatives.json")) for each in replay(session)]
    assert len(compared) == 45
    assert [each for each in compared if each.emulated != each.recorded] == []


def test_the_claude_code_session_is_reproduced_call_by_call() -> None:
    compared = list(replay(load("claude_code_session.json.gz")))
    assert len(compared) == 64
    assert differing(compared) == []
    assert sum(bool(each.recorded[1]) for each in compared) == 17
    assert [bool(each.emulated[2]) for each in compared] == [bool(each.recorded[2]) for each in compared]
    assert not any(each.warmed for each in compared)


def test_each_call_of_the_session_reads_exactly_what_the_one_before_it_left() -> None:
    cached = [each for each in replay(load("claude_code_session.json.gz")) if sum(each.recorded[:3])]
    for before, after in pairwise(cached):
        recorded_grows = after.recorded[2] == before.recorded[1] + before.recorded[2]
        emulated_grows = abs(after.emulated[2] - before.emulated[1] - before.emulated[2]) <= 0.03 * sum(after.recorded)
        assert recorded_grows == emulated_grows, after.record


def test_bedrock_records_are_split_as_bedrock_split_them() -> None:
    settings = CacheSettings(platform="bedrock", minimum_tokens=OLD_MODELS)
    compared = [each for session in comparable(load("bedrock.json")) for each in replay(session, settings)]
    assert len(compared) == 16
    assert differing(compared) == []


def test_every_recorded_request_that_the_api_took_is_taken() -> None:
    refused: dict[str, list[str]] = {}
    for record in load("uncached_calibration.jsonl.gz"):
        try:
            read_request(messages_body(record), betas=frozenset(), settings=CacheSettings(), accept_unknown_models=True)
        except ApiError as error:
            refused.setdefault(error.message.split(": ")[-1][:60], []).append(record["id"])
    assert {reason: len(each) for reason, each in refused.items()} == {
        # Fields and blocks of beta features; the records do not keep the headers that allow them.
        "Extra inputs are not permitted": 7,
        "content of type 'tool_addition' is not played; the real API ": 2,
        # claude-3-opus in 2024 took a result for another call's id; every newer report is a refusal.
        "toolu_01DYJo37oETVsCdLTTcCWcdq. Each `tool_result` block mus": 2,
    }
