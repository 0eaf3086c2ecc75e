"""The tables of the ledger, and how values are stored so that they come back as they went in.

This is the schema as queries see it today; `migrations.py` says how a database came to it. What a column means is
said at the field of the record that it is named after.

Dollars are decimal text, since both databases would round them otherwise. Times are doubles in Unix seconds.
JSON is text: canonical where its keys mean nothing, with its keys in their order where they are part of a prompt.
`seals` and `wasted_writes` are made of the other tables (`seals.py`): who drops their rows loses time, nothing else.
Model output may hold what UTF-8 or PostgreSQL refuse (lone surrogates, NUL); it is stored as an escape.
"""

from __future__ import annotations

import json
from decimal import Decimal

from sqlalchemy import BigInteger, Boolean, Column, Dialect, Double, ForeignKey, Integer, MetaData, Table, Text
from sqlalchemy.types import TypeDecorator

from agentcache.accounting.pricing import plain_usd
from agentcache.prompt.canonical import JsonValue, canonical_json

_ESCAPES = {0: "\\x00"} | {code: f"\\u{code:04x}" for code in range(0xD800, 0xE000)}


def _storable(text: str) -> str:
    # Nearly all text is plain, and a look at each of its letters takes longer than to say so.
    return text if text.isascii() and "\0" not in text else text.translate(_ESCAPES)


class Words(TypeDecorator[str]):
    """Text. What no database takes (NUL, lone surrogates) is written as an escape."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return the text that is stored."""
        return None if value is None else _storable(value)


class Dollars(TypeDecorator[Decimal]):
    """An amount of US dollars, exact."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        """Return the text that is stored."""
        return None if value is None else plain_usd(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        """Return the amount that was stored."""
        return None if value is None else Decimal(value)


class CanonicalJson(TypeDecorator[JsonValue]):
    """JSON whose keys have no order: equal values are equal text. NULL stands for nothing, not for JSON's null."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: JsonValue, dialect: Dialect) -> str | None:
        """Return the text that is stored."""
        return None if value is None else _storable(canonical_json(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> JsonValue:
        """Return the value that was stored."""
        return None if value is None else _parsed(value)


class OrderedJson(CanonicalJson):
    """JSON that the API renders into a prompt: its keys keep their order."""

    cache_ok = True

    def process_bind_param(self, value: JsonValue, dialect: Dialect) -> str | None:
        """Return the text that is stored."""
        return None if value is None else json.dumps(value, separators=(",", ":"), allow_nan=False)


def _parsed(text: str) -> JsonValue:
    value: JsonValue = json.loads(text)
    return value


metadata = MetaData()

runs = Table(
    "runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("parent_run_id", Text, ForeignKey("runs.run_id")),
    Column("name", Words, nullable=False),
    Column("agent", Words),
    Column("conversation", Words),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("status", Text, nullable=False),
    Column("error", Words),
)

calls = Table(
    "calls",
    metadata,
    Column("call_id", Text, primary_key=True),
    Column("run_id", Text, ForeignKey("runs.run_id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("agent", Words),
    Column("model", Words, nullable=False),
    Column("conversation", Words),
    Column("turn", Integer, nullable=False),
    Column("message_id", Words),
    Column("request_id", Words),
    Column("sent_at", Double, nullable=False),
    Column("first_token_at", Double),
    Column("ended_at", Double),
    Column("stop_reason", Words),
    Column("attempts", Integer, nullable=False),
    Column("error", Words),
    Column("uncached_input_tokens", BigInteger),
    Column("cache_write_5m_tokens", BigInteger),
    Column("cache_write_1h_tokens", BigInteger),
    Column("cache_read_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("parts", CanonicalJson, nullable=False),
    Column("cost_usd", Dollars),
    Column("counterfactual_usd", Dollars),
    Column("plan", CanonicalJson, nullable=False),
    Column("section_tokens", CanonicalJson, nullable=False),
    Column("prefix_digests", CanonicalJson, nullable=False),
    Column("found_digests", CanonicalJson, nullable=False),
    Column("request", OrderedJson),
    Column("response", OrderedJson),
    Column("held_s", CanonicalJson),
    Column("held_saved_usd", Dollars),
    Column("prompt_spans", CanonicalJson),
)

tool_calls = Table(
    "tool_calls",
    metadata,
    Column("tool_call_id", Text, primary_key=True),
    Column("run_id", Text, ForeignKey("runs.run_id"), nullable=False),
    Column("agent", Words),
    Column("call_id", Text, nullable=False),
    Column("tool", Words, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double, nullable=False),
    Column("outcome", Words, nullable=False),
    Column("memo_hit", Boolean, nullable=False),
    Column("result_chars", Integer, nullable=False),
    Column("memo_tier", Text),
    Column("memo_saved_s", Double),
    Column("result_bytes", BigInteger),
    Column("result_tokens", BigInteger),
    Column("result_digest", Text),
)

conversations = Table(
    "conversations",
    metadata,
    Column("conversation_id", Text, primary_key=True),
    Column("agent", Words, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", OrderedJson, nullable=False),
    Column("head", Text, ForeignKey("conversation_messages.digest")),
)

conversation_messages = Table(
    "conversation_messages",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("parent", Text, ForeignKey("conversation_messages.digest")),
    Column("depth", Integer, nullable=False),
    Column("message", OrderedJson, nullable=False),
)

earlier_histories = Table(
    "earlier_histories",
    metadata,
    Column("conversation_id", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("head", Text, ForeignKey("conversation_messages.digest")),
)

section_provenance = Table(
    "section_provenance",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("used_at", Double, nullable=False),
    Column("made_of", CanonicalJson, nullable=False),
)

seals = Table(
    "seals",
    metadata,
    Column("since", Double, primary_key=True),
    Column("until", Double, nullable=False),
    Column("made_of", Text, nullable=False),
    Column("day_sums", Text, nullable=False),
    Column("run_sums", Text, nullable=False),
    Column("open_writes", Text, nullable=False),
)

wasted_writes = Table(
    "wasted_writes",
    metadata,
    Column("call_id", Text, primary_key=True),
    Column("sealed_since", Double, nullable=False),
    Column("sent_at", Double, nullable=False),
    Column("hour", Integer, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("agent", Text),
    Column("model", Text, nullable=False),
    Column("tokens", BigInteger, nullable=False),
)

schema_migrations = Table(
    "schema_migrations",
    metadata,
    Column("name", Text, primary_key=True),
    Column("applied_at", Double, nullable=False),
)
