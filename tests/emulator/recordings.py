"""Recorded requests with the API's own cache accounting, replayed through the emulated cache.

The prompt's length is taken from the record and its positions from the estimate, stretched to that length. Recorders
had often run their tests before: where a record reads what no earlier record of its session can have written, the entry
that it read is put in the cache first, and the record is called warmed.
"""

from __future__ import annotations

import gzip
import json
import os
from base64 import b64decode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from agentcache.emulator.cache_settings import CacheSettings
from agentcache.emulator.positions import PromptReader, Scope
from agentcache.emulator.prompt_cache import PromptCache
from agentcache.emulator.validation import read_request
from tests.emulator.account import columns

SHARED = Path(os.environ.get("AGENTCACHE_SHARED", Path(__file__).parents[3] / "shared"))
GOLDEN = SHARED / "traces" / "golden"

SECONDS_BETWEEN = 5.0
"""Where a record has no time: the recorders ran their calls one after another."""

FIRST_BYTE_AFTER = 0.5

# Models that the facts no longer list; their minimum was 1,024 while they were current.
OLD_MODELS = {"claude-3-5-sonnet-20240620": 1024, "us.anthropic.claude-3-7-sonnet-20250219-v1:0": 1024}

Record = dict[str, Any]
Split = tuple[int, int, int, int]
"""1h write, 5m write, read, plain."""

needs_recordings = pytest.mark.skipif(
    not GOLDEN.is_dir() and not os.environ.get("CI"), reason=f"the recorded requests are not at {GOLDEN}"
)


@dataclass(frozen=True)
class Compared:
    record: str
    recorded: Split
    emulated: Split
    warmed: bool

    @property
    def error(self) -> float:
        """Return the largest difference between the two splits, as a share of the prompt."""
        pairs = zip(self.recorded, self.emulated, strict=True)
        return max(abs(one - other) for one, other in pairs) / sum(self.recorded)


def load(name: str) -> list[Record]:
    path = GOLDEN / name
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if ".jsonl" in name:
        return [json.loads(line) for line in text.splitlines()]
    records: list[Record] = json.loads(text)
    return records


def sessions(records: Iterable[Record]) -> dict[str, list[Record]]:
    grouped: dict[str, list[Record]] = {}
    for record in records:
        grouped.setdefault(record["session"], []).append(record)
    return {name: sorted(each, key=lambda record: record["i"]) for name, each in grouped.items()}


def recorded_split(record: Record) -> Split:
    usage = record["response"]["usage"]
    if "inputTokens" in usage:
        written, read = usage.get("cacheWriteInputTokens", 0), usage.get("cacheReadInputTokens", 0)
        return 0, written, read, usage["inputTokens"]
    written = usage.get("cache_creation_input_tokens") or 0
    long = (usage.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0
    return long, written - long, usage.get("cache_read_input_tokens") or 0, usage.get("input_tokens") or 0


def replay(records: list[Record], settings: CacheSettings | None = None) -> Iterator[Compared]:
    """Yield what each record was charged and what the emulated cache charges it."""
    rules = settings or CacheSettings(minimum_tokens=OLD_MODELS)
    cache, reader = PromptCache(rules), PromptReader(rules)
    for number, record in enumerate(records):
        recorded = recorded_split(record)
        request = read_request(messages_body(record), betas=frozenset(), settings=rules, accept_unknown_models=True)
        prompt = reader.read(request, Scope(), total_tokens=sum(recorded))
        now = record["t"] if record["t"] is not None else number * SECONDS_BETWEEN
        lookup = cache.look_up(prompt, now=now)
        warmed = bool(recorded[2]) and lookup.hit is None
        if warmed:
            nearest = min(
                range(len(prompt.positions)), key=lambda place: abs(prompt.positions[place].tokens - recorded[2])
            )
            cache.warm(prompt, nearest, now=now)
            lookup = cache.look_up(prompt, now=now)
        cache.commit(lookup, first_byte_at=now + FIRST_BYTE_AFTER)
        yield Compared(record["id"], recorded, columns(lookup.charge), warmed)


def messages_body(record: Record) -> Record:
    """Return the recorded body as a Messages body; Bedrock's Converse form is translated."""
    body, model = record["request"], unquote(record["model"])
    if "inferenceConfig" in body:
        return {"model": model, "max_tokens": body["inferenceConfig"].get("maxTokens", 4096), **_from_converse(body)}
    return {**{key: value for key, value in body.items() if key != "anthropic_version"}, "model": model}


def _from_converse(body: Record) -> Record:
    fields: Record = {
        "messages": [
            {"role": message["role"], "content": _marked(map(_block, message["content"]))}
            for message in body["messages"]
        ],
        "system": _marked(map(_block, body.get("system", []))),
    }
    config = body.get("toolConfig", {})
    if "tools" in config:
        fields["tools"] = _marked(map(_tool, config["tools"]))
    for kind, options in config.get("toolChoice", {}).items():
        fields["tool_choice"] = {"type": kind, **options}
    return fields


def _marked(blocks: Iterable[Record]) -> list[Record]:
    """Turn each cache point into a marker on the block before it."""
    merged: list[Record] = []
    for block in blocks:
        if "cachePoint" in block:
            merged[-1]["cache_control"] = {"type": "ephemeral"}
        else:
            merged.append(block)
    return merged


def _tool(tool: Record) -> Record:
    if "cachePoint" in tool:
        return tool
    spec = tool["toolSpec"]
    return {
        "name": spec["name"],
        "description": spec.get("description", ""),
        "input_schema": spec["inputSchema"]["json"],
    }


def _block(block: Record) -> Record:
    kind, value = next(iter(block.items()))
    if kind == "cachePoint":
        return block
    if kind == "text":
        # Converse takes a block of white space, which the Messages API refuses: one token stands in for it.
        return {"type": "text", "text": value if value.strip() else "-"}
    if kind == "toolUse":
        return {"type": "tool_use", "id": value["toolUseId"], "name": value["name"], "input": value["input"]}
    if kind == "toolResult":
        content = [_block(inner) for inner in value["content"]]
        return {"type": "tool_result", "tool_use_id": value["toolUseId"], "content": content}
    if kind == "document":
        text = b64decode(value["source"]["bytes"]).decode()
        source = {"type": "text", "media_type": "text/plain", "data": text}
        return {"type": "document", "source": source, "title": value["name"]}
    raise KeyError(kind)
