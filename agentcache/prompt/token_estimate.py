"""How many tokens a piece of prompt is, without asking the API.

The estimate is linear in counts of character patterns ("a space before a letter", "two dots of punctuation"), so it
is one pass of C code per pattern and adds up over blocks. It does not know a vocabulary: a rare word costs as much
as a common one of its length. An exact counter can take its place wherever a `TokenCounter` is accepted.

Where the weights come from (2026-11): for each tokenizer family an L1 fit, weights not negative, over (a) growth of
the billed prompt between consecutive calls in recorded coding sessions (`classic` 8,635 and `dense` 1,165 pairs, of
which a quarter was held out), and (b) recorded complete requests with the `input_tokens` that the API answered
(`classic` 313, `dense` 23). Weights of newline and of a word at a space were held at values that suit prose, those of
scripts too rare in the data at published characters per token. Held-out error of one call's growth: median 5.4 %
(`classic`) and 3.5 % (`dense`); p90 32 % and 11 %, mostly prompt text that the recordings do not show. Error of whole
requests, measured again by `tests/prompt/test_token_estimate.py`: `classic` median 1.6 %, p90 13 %, bias +0.3 % over
348; `dense`, mostly tiny ones, median 5 %, p90 18 %, bias +0.3 % over 21.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from agentcache.prompt.model_facts import ModelFacts, Tokenizer


class TokenCounter(Protocol):
    """Whatever can say how long a block is; the seam for an exact tokenizer."""

    def block_tokens(self, block: Mapping[str, object], facts: ModelFacts) -> int:
        """Return the tokens of one tool definition, system block or message content block."""
        ...


def text_tokens(text: str, facts: ModelFacts) -> int:
    """Return the estimated tokens of `text` under the model's tokenizer; 0 for the empty text, else at least 1."""
    if not text:
        return 0
    # A leading word has no character before it that the patterns could see, so a space stands in.
    classes = b" " + text.encode("utf-8", "surrogatepass").translate(_CLASSES)
    weights = _ASCII_WEIGHTS if text.isascii() else _WEIGHTS
    count = classes.count
    return max(1, round(sum(weight * count(pattern) for pattern, weight in weights[facts.tokenizer])))


def block_tokens(block: Mapping[str, object], facts: ModelFacts) -> int:
    """Return the estimated tokens of one tool definition, system block or message content block.

    `cache_control` and signatures cost nothing, a deferred tool costs nothing where it stands. Images count as
    `IMAGE_TOKENS` and documents that are no text as `DOCUMENT_TOKENS`: their real size needs decoding.
    """
    kind = _text(block.get("type"))
    if block.get("defer_loading") is True:
        return 0
    if "input_schema" in block:
        return _tool_tokens(block, facts)
    if kind == "text":
        return text_tokens(_text(block.get("text")), facts)
    if kind in {"tool_use", "server_tool_use", "mcp_tool_use"}:
        return _tool_use_tokens(block, facts)
    if kind in {"tool_result", "mcp_tool_result"}:
        return _OVERHEAD[facts.tokenizer]["tool_result"] + _content_tokens(block.get("content"), facts)
    if kind == "thinking":
        return text_tokens(_text(block.get("thinking")), facts)
    if kind == "redacted_thinking":
        return len(_text(block.get("data"))) // _OPAQUE_CHARACTERS_PER_TOKEN
    if kind == "image":
        return IMAGE_TOKENS
    if kind == "document":
        return _document_tokens(block, facts)
    return _other_tokens(block, facts)


def message_tokens(role: str, facts: ModelFacts) -> int:
    """Return the tokens that opening a message of `role` adds to those of its blocks."""
    return _OVERHEAD[facts.tokenizer]["assistant" if role == "assistant" else "user"]


def closing_tokens(facts: ModelFacts) -> int:
    """Return the tokens after the last block that ask for the answer; they belong to no prefix."""
    return _OVERHEAD[facts.tokenizer]["closing"]


def tool_prompt_tokens(facts: ModelFacts, *, forced: bool = False) -> int:
    """Return the hidden prompt that comes with any tool; `forced` for `tool_choice` any or tool.

    Documented per model; a model without a documented number gets that of its tokenizer's newest documented one.
    """
    auto_and_forced = facts.tool_prompt_tokens or _TOOL_PROMPT[facts.tokenizer]
    return auto_and_forced[1 if forced else 0]


def output_format_tokens(schema: Mapping[str, object], facts: ModelFacts) -> int:
    """Return what `output_config.format` adds to the system prompt for a JSON schema."""
    base, factor = _OUTPUT_FORMAT
    return base + round(factor * text_tokens(_json(schema), facts))


def settings_tokens(request: Mapping[str, object], facts: ModelFacts) -> int:
    """Return what thinking and output format add to the prompt of a request, beside its blocks."""
    total = 0
    thinking, output = request.get("thinking"), request.get("output_config")
    if isinstance(thinking, Mapping):
        total += _THINKING_TOKENS[facts.tokenizer].get(_text(thinking.get("type")), 0)
    if isinstance(output, Mapping):
        form = output.get("format")
        schema = form.get("schema") if isinstance(form, Mapping) else None
        total += output_format_tokens(schema, facts) if isinstance(schema, Mapping) else 0
    return total


class TokenEstimator:
    """The estimate as a `TokenCounter`."""

    __slots__ = ()

    def block_tokens(self, block: Mapping[str, object], facts: ModelFacts) -> int:
        """See `block_tokens`."""
        return block_tokens(block, facts)


IMAGE_TOKENS = 1_600
"""An image of about 1.15 megapixels, the largest that is not scaled down (width x height / 750)."""

DOCUMENT_TOKENS = 3_000
"""A PDF page as text and picture (1,500 to 3,000 tokens a page are documented); the page count needs decoding."""

_OPAQUE_CHARACTERS_PER_TOKEN = 4

_OVERHEAD: Mapping[Tokenizer, Mapping[str, int]] = {
    "classic": {
        "user": 4, "assistant": 2, "closing": 4, "tool": 15, "tool_use": 27, "argument": 13, "tool_result": 15,
    },
    "dense": {
        "user": 4, "assistant": 2, "closing": 4, "tool": 20, "tool_use": 20, "argument": 12, "tool_result": 12,
    },
}  # fmt: skip
"""Tokens around a message, a tool definition, a call, each of its arguments, a result. Fitted with the weights; calls
and results come in pairs, so only their sum is measured."""

_TOOL_PROMPT: Mapping[Tokenizer, tuple[int, int]] = {"classic": (496, 588), "dense": (290, 410)}

_OUTPUT_FORMAT = (76, 1.7)
"""Fitted to 24 recorded requests with a JSON schema, classic tokenizer: 104 tokens for a schema of 15, 375 for 175."""

_THINKING_TOKENS: Mapping[Tokenizer, Mapping[str, int]] = {"classic": {"enabled": 28, "adaptive": 17}, "dense": {}}
"""Measured as the difference to the same request without thinking; none on models that think unless told not to."""

_ANTHROPIC_TOOL_TOKENS: Mapping[str, int] = {"bash": 245, "text_editor": 700, "computer": 735, "memory": 1_060}
"""Tools whose definition the API writes: documented, but memory (measured on Sonnet 4.5)."""

_OTHER_TOOL_TOKENS = 500

_UNSEEN_KEYS = frozenset(
    {"cache_control", "signature", "encrypted_content", "encrypted_index", "data", "id", "tool_use_id", "caller"}
)
"""Keys of blocks that carry no text for the model, or none that we can measure."""


def _class_of(byte: int) -> str:
    character = chr(byte)
    if byte >= 0x80:
        for first, name in ((0xF0, "E"), (0xEE, "P"), (0xE3, "K"), (0xE0, "P"), (0xD0, "C"), (0xC0, "L"), (0x80, "x")):
            if byte >= first:
                return name
    if character.isalpha():
        return "a" if character.islower() else "A"
    if character.isdigit():
        return "0"
    return {" ": " ", "\n": "n", "\r": "n", "\t": "t", "_": "_"}.get(character, ".")


_CLASSES = bytes(ord(_class_of(byte)) for byte in range(256))
"""Each UTF-8 byte as a character class. Lead bytes tell scripts apart: L accented Latin and Greek, C Cyrillic, Hebrew
and Arabic, P symbols, K East Asian, E emoji; x is a continuation byte."""

_PATTERNS: Mapping[str, tuple[str, ...]] = {
    "word": (" a", " A"),
    "bare_word": (".a", "0a", "_a", "ta", ".A", "0A", "_A", "tA"),
    "first_word": ("na", "nA"),
    "hump": ("aA",),
    "six_letters": ("aaaaaa",),
    "ten_letters": ("aaaaaaaaaa",),
    "capitals": ("AA",),
    "digit": ("0",),
    "number": (" 0",),
    "mark": (".",),
    "lone_mark": (" .",),
    "underscore": ("_",),
    "indent": ("  ",),
    "line": ("n",),
    "tab": ("t",),
    "accented": ("L",),
    "cyrillic": ("C",),
    "symbol": ("P",),
    "east_asian": ("K",),
    "emoji": ("E",),
}
_TOKENS_PER_PATTERN: Mapping[Tokenizer, Mapping[str, float]] = {
    "classic": {
        "word": 1.03, "bare_word": 1.38, "first_word": 1.0, "hump": 1.43, "six_letters": 0.37, "capitals": 0.54,
        "digit": 0.72, "number": 0.97, "mark": 0.45, "lone_mark": 0.31, "underscore": 1.11, "indent": 0.24,
        "line": 1.1, "tab": 0.20, "accented": 1.0, "cyrillic": 0.6, "symbol": 0.80, "east_asian": 1.2, "emoji": 2.5,
    },
    "dense": {
        "word": 1.20, "bare_word": 1.62, "first_word": 1.3, "hump": 2.23, "six_letters": 1.02, "ten_letters": 1.0,
        "capitals": 1.30, "digit": 0.73, "number": 1.54, "mark": 0.60, "lone_mark": 0.53, "underscore": 0.91,
        "indent": 0.05, "line": 1.3, "tab": 0.41, "accented": 1.3, "cyrillic": 0.8, "symbol": 0.82,
        "east_asian": 1.5, "emoji": 3.2,
    },
}  # fmt: skip


def _weights(features: Iterable[str], tokenizer: Tokenizer) -> tuple[tuple[bytes, float], ...]:
    tokens = _TOKENS_PER_PATTERN[tokenizer]
    return tuple((text.encode(), tokens[name]) for name in features if name in tokens for text in _PATTERNS[name])


_WEIGHTS: Mapping[Tokenizer, tuple[tuple[bytes, float], ...]] = {
    "classic": _weights(_PATTERNS, "classic"),
    "dense": _weights(_PATTERNS, "dense"),
}
_ASCII_WEIGHTS: Mapping[Tokenizer, tuple[tuple[bytes, float], ...]] = {
    tokenizer: tuple((pattern, weight) for pattern, weight in weights if pattern not in {b"L", b"C", b"P", b"K", b"E"})
    for tokenizer, weights in _WEIGHTS.items()
}


def _tool_tokens(tool: Mapping[str, object], facts: ModelFacts) -> int:
    name, description = _text(tool.get("name")), _text(tool.get("description"))
    examples = tool.get("input_examples")
    return (
        _OVERHEAD[facts.tokenizer]["tool"]
        + text_tokens(name, facts)
        + text_tokens(description, facts)
        + text_tokens(_json(tool["input_schema"]), facts)
        + (text_tokens(_json(examples), facts) if examples else 0)
    )


def _tool_use_tokens(block: Mapping[str, object], facts: ModelFacts) -> int:
    arguments = block.get("input")
    overhead = _OVERHEAD[facts.tokenizer]
    count = len(arguments) if isinstance(arguments, Mapping) else 0
    body = text_tokens(_text(block.get("name")), facts) + text_tokens(_json(arguments), facts)
    return overhead["tool_use"] + overhead["argument"] * count + body


def _document_tokens(block: Mapping[str, object], facts: ModelFacts) -> int:
    source = block.get("source")
    heading = text_tokens(_text(block.get("title")), facts) + text_tokens(_text(block.get("context")), facts)
    if isinstance(source, Mapping):
        if source.get("type") == "text":
            return heading + text_tokens(_text(source.get("data")), facts)
        if source.get("type") == "content":
            return heading + _content_tokens(source.get("content"), facts)
    return heading + DOCUMENT_TOKENS


def _other_tokens(block: Mapping[str, object], facts: ModelFacts) -> int:
    if "name" in block and "content" not in block and "input" not in block:
        family = _text(block.get("type")).rpartition("_")[0]
        return _ANTHROPIC_TOOL_TOKENS.get(family, _OTHER_TOOL_TOKENS)
    return _value_tokens({key: value for key, value in block.items() if key != "type"}, facts)


def _content_tokens(content: object, facts: ModelFacts) -> int:
    if isinstance(content, str):
        return text_tokens(content, facts)
    return sum(block_tokens(block, facts) for block in _objects(content))


def _value_tokens(value: object, facts: ModelFacts) -> int:
    """Count the texts inside a block of a kind that has no rule of its own, leaving out opaque ones."""
    if isinstance(value, str):
        return text_tokens(value, facts)
    if isinstance(value, Mapping):
        return sum(_value_tokens(item, facts) for key, item in value.items() if key not in _UNSEEN_KEYS)
    if isinstance(value, Sequence):
        return sum(_value_tokens(item, facts) for item in value)
    return 0 if value is None else 1


def _objects(value: object) -> list[Mapping[str, object]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, (list, tuple)) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
