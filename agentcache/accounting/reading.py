"""How the API's `usage` becomes tokens in five disjoint buckets, and parts that one model each charged for.

Decides which numbers count where a reply tells the same tokens twice (a total and its split by lifetime, the top
level and its `iterations`, the start of a stream and its end). Knows no prices, and nothing of requests.

Sources: types of anthropic 2.12.0 (`Usage`, `BetaUsage`, `MessageDeltaUsage`, the iteration types); the pages
advisor-tool, compaction and refusals-and-fallback of platform.claude.com, read as of September 2026:

- the top level is the sum over the iterations of the model that answered (older replies gave the first one's input
  only), and leaves out what another model did before a fallback;
- `iterations` is "the per-attempt record of what you're billed";
- tokens of `compaction` and `advisor_message` iterations are in no top-level field.

So iterations are believed where they are given, and the top level where it tells more than they do: nothing that the
server reported is lost. One thing is overstated knowingly: an attempt that was refused before any output is free in
some refusal categories, and is counted here like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from agentcache.accounting.usage import SIDE_KINDS, BilledPart, CallKind, CallRecord, Usage
from agentcache.errors import ReplyMalformed
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.model_facts import Ttl

_SIDE_KIND_OF_TYPE = {"compaction": CallKind.COMPACTION, "advisor_message": CallKind.ADVISOR}


def usage_of(
    response_usage: Mapping[str, object], *, model: str = "", default_ttl: Ttl = "5m"
) -> tuple[Usage, tuple[BilledPart, ...]]:
    """Return what a call used and the parts it was billed in, from the `usage` object of its reply.

    `model` is the model that was asked, for iterations that name none; left out, such parts are unpriced.
    `default_ttl` is the lifetime of written tokens that the reply does not split by lifetime: `5m` is the API's
    own default, `1h` is right when every breakpoint of the request was a 1h one.

    The parts whose kind is in `SIDE_KINDS` (compactions, advisors) are outside the usage and get rows of their own
    (`side_records`). The other parts add up to the usage exactly: one per iteration, since a model's price may
    depend on the length of each prompt; just one where the reply has no iterations.

    Missing and null fields are zeros. Raises `ReplyMalformed` for a count that is no whole number from 0 up.
    """
    top = _counts(response_usage, "usage")
    entries = _iterations(response_usage)
    side = tuple(_side_part(entry, kind, model, response_usage) for entry in entries if (kind := _side_kind(entry)))
    own_entries = [entry for entry in entries if _side_kind(entry) is None]
    own = [_part(entry, usage, model, response_usage) for entry, usage in _own_usages(own_entries, top, default_ttl)]
    missing = _beyond(top, sum((part.usage for part in own), Usage()), default_ttl)
    if missing != Usage() or not own:
        own.append(_part({}, missing, model, response_usage))
    own[0] = replace(own[0], web_searches=_web_searches(response_usage))
    return sum((part.usage for part in own), Usage()), (*own, *side)


def side_records(record: CallRecord, new_id: Callable[[str], str]) -> tuple[CallRecord, ...]:
    """Return a row of its own for every compaction and every advisor's answer that was billed inside a call.

    `new_id` makes a call id from a prefix. The rows share run, agent, turn, times and API ids with the call; they
    carry no plan, since nobody planned them, and no cost yet. Empty for nearly every call.
    """
    if record.kind in SIDE_KINDS:
        return ()
    return tuple(_side_record(record, part, new_id("call")) for part in record.parts if part.kind in SIDE_KINDS)


def merge_stream_usage(start: Mapping[str, JsonValue], delta: Mapping[str, JsonValue]) -> JsonObject:
    """Return the usage of a stream from that of `message_start` and that of a `message_delta`.

    The delta's fields are cumulative: each that is not null replaces the start's, none is added. Only the start
    splits writes by lifetime; where the delta's total has grown over that split, the growth is 5m (the API marks
    results of server tools itself, always with 5m), and where it has shrunk, 5m shrinks first.
    Merging the same delta again changes nothing.
    """
    merged: JsonObject = dict(start) | {name: value for name, value in delta.items() if value is not None}
    split = start.get("cache_creation")
    told_again = delta.get("cache_creation") is not None or delta.get("cache_creation_input_tokens") is None
    if isinstance(split, dict) and not told_again:
        counts = _counts(merged, "usage")
        if counts.write_1h is not None:
            now: JsonObject = {
                "ephemeral_5m_input_tokens": counts.writes - counts.write_1h,
                "ephemeral_1h_input_tokens": counts.write_1h,
            }
            merged["cache_creation"] = split | now
    return merged


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """One usage object as told."""

    uncached: int
    writes: int
    write_1h: int | None
    """What of `writes` lives for an hour, the rest for 5m; `None` when the object does not split its writes."""
    read: int
    output: int

    def usage(self, hour: int) -> Usage:
        """Return the counts as usage with `hour` of the written tokens for one hour."""
        return Usage(
            uncached_input_tokens=self.uncached,
            cache_write_5m_tokens=self.writes - hour,
            cache_write_1h_tokens=hour,
            cache_read_tokens=self.read,
            output_tokens=self.output,
        )


def _counts(told: Mapping[str, object], where: str) -> _Counts:
    split = told.get("cache_creation")
    five = hour = None
    if isinstance(split, Mapping):
        five = _count(split, "ephemeral_5m_input_tokens", f"{where}.cache_creation")
        hour = _count(split, "ephemeral_1h_input_tokens", f"{where}.cache_creation")
    total = _count(told, "cache_creation_input_tokens", where)
    writes = (five or 0) + (hour or 0) if total is None else total
    is_split = five is not None or hour is not None
    return _Counts(
        uncached=_count(told, "input_tokens", where) or 0,
        writes=writes,
        # What a total has more than its split is 5m, and what it has less is taken from 5m first.
        write_1h=min(hour or 0, writes) if is_split else None,
        read=_count(told, "cache_read_input_tokens", where) or 0,
        output=_count(told, "output_tokens", where) or 0,
    )


def _count(told: Mapping[str, object], name: str, where: str) -> int | None:
    value = told.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ReplyMalformed(
            f"{where}.{name} is {value!r}, no number of tokens; "
            "this server does not speak the Messages API, so its usage cannot be recorded"
        )
    return value


def _iterations(response_usage: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
    entries = response_usage.get("iterations")
    return [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list | tuple) else []


def _side_kind(entry: Mapping[str, object]) -> CallKind | None:
    """Return the kind of the row for an entry outside the top level; types not known here count as the model's own."""
    return _SIDE_KIND_OF_TYPE.get(str(entry.get("type")))


def _own_usages(
    entries: Sequence[Mapping[str, object]], top: _Counts, default_ttl: Ttl
) -> list[tuple[Mapping[str, object], Usage]]:
    """Return every iteration with its usage; those without a split of their own share the top level's 1h writes."""
    told = [(entry, _counts(entry, "usage.iterations")) for entry in entries]
    hours_left = None if top.write_1h is None else top.write_1h - sum(counts.write_1h or 0 for _, counts in told)
    usages = []
    for entry, counts in told:
        hour = counts.write_1h
        if hour is None:
            hour = _hour_writes(counts.writes, hours_left, default_ttl)
            hours_left = None if hours_left is None else hours_left - hour
        usages.append((entry, counts.usage(hour)))
    return [(entry, usage) for entry, usage in usages if usage != Usage()]


def _hour_writes(writes: int, known_hours: int | None, default_ttl: Ttl) -> int:
    if known_hours is None:
        return writes if default_ttl == "1h" else 0
    return max(0, min(writes, known_hours))


def _beyond(top: _Counts, known: Usage, default_ttl: Ttl) -> Usage:
    """Return what the top level tells beyond `known`, bucket by bucket."""
    writes = max(0, top.writes - known.cache_write_tokens)
    hours = None if top.write_1h is None else top.write_1h - known.cache_write_1h_tokens
    beyond = replace(
        top,
        uncached=max(0, top.uncached - known.uncached_input_tokens),
        writes=writes,
        read=max(0, top.read - known.cache_read_tokens),
        output=max(0, top.output - known.output_tokens),
    )
    return beyond.usage(_hour_writes(writes, hours, default_ttl))


def _part(entry: Mapping[str, object], usage: Usage, model: str, response_usage: Mapping[str, object]) -> BilledPart:
    return BilledPart(
        model=_text(entry, "model") or model,
        usage=usage,
        service_tier=_text(response_usage, "service_tier"),
        speed=_text(response_usage, "speed"),
        inference_geo=_text(response_usage, "inference_geo"),
    )


def _side_part(
    entry: Mapping[str, object], kind: CallKind, model: str, response_usage: Mapping[str, object]
) -> BilledPart:
    """Return a side part. It runs at standard speed: `speed` is a setting of the model that was asked."""
    counts = _counts(entry, "usage.iterations")
    part = _part(entry, counts.usage(counts.write_1h or 0), model, response_usage)
    return replace(part, kind=kind, speed=None)


def _side_record(record: CallRecord, part: BilledPart, call_id: str) -> CallRecord:
    return replace(
        record,
        call_id=call_id,
        kind=part.kind,
        model=part.model,
        stop_reason=None,
        error=None,
        usage=part.usage,
        parts=(part,),
        cost_usd=None,
        counterfactual_usd=None,
        plan={},
        section_tokens={},
        prefix_digests=(),
        found_digests=(),
        prompt_spans=None,
        request=None,
        response=None,
    )


def _web_searches(response_usage: Mapping[str, object]) -> int:
    tools = response_usage.get("server_tool_use")
    return (_count(tools, "web_search_requests", "usage.server_tool_use") or 0) if isinstance(tools, Mapping) else 0


def _text(told: Mapping[str, object], name: str) -> str | None:
    value = told.get(name)
    return value if isinstance(value, str) else None
