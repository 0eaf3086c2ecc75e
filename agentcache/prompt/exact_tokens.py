"""How many tokens a piece of prompt is, counted with Claude's vocabularies instead of estimated; still offline.

The vocabularies are those of the package `ctok` (extra `exact`, Python 3.12 and newer), which reconstructs them from
answers of `count_tokens`: about 0.5 MB of text a second, so callers count a block once and keep the number. What stands
around texts is ours, found by laying recorded requests (2026-11) over candidates until the rest was the same number in
all of them: a tool definition is JSON with spaces inside `<function>`, a format's schema is JSON indented by two, a
call and its result are fixed text around names and values.

It does not know how blocks join (a token may span two, or a join may cost one), what parallel calls add, nor the size
of images and PDFs, for which it says what `token_estimate` says. Numbers for the dense vocabulary rest on 21 recorded
requests, and on none with a call that has arguments.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from agentcache.errors import SettingsError
from agentcache.prompt import token_estimate
from agentcache.prompt.model_facts import ModelFacts, Tokenizer


class ExactTokens:
    """Counts prompts with the vocabulary of the model's tokenizer; a `TokenCounter`, and the emulator's counter.

    Raises `SettingsError` when made where `ctok` is not installed.
    """

    __slots__ = ("_format_tokens", "_token_count")

    def __init__(self) -> None:
        """Load the package; its vocabularies are read at the first count, half a second each."""
        try:
            # An optional extra: its package needs Python 3.12, and ours runs on 3.11.
            from ctok import token_count
        except ImportError as error:
            raise SettingsError(
                "exact token counts need the package ctok: pip install 'agentcache-claude[exact]' (Python 3.12+)"
            ) from error
        self._token_count: Callable[[str, str], int] = token_count
        self._format_tokens: dict[tuple[Tokenizer, str], int] = {}

    def text_tokens(self, text: str, facts: ModelFacts) -> int:
        """Return the tokens of `text` without what stands around a message; 0 for the empty text.

        White space at the end may be free, as it is at the end of a message.
        """
        if not text:
            return 0
        version, frame = _VOCABULARIES[facts.tokenizer]
        return self._token_count(text, version) - frame

    def block_tokens(self, block: Mapping[str, object], facts: ModelFacts) -> int:
        """Return the tokens of one tool definition, system block or message content block.

        Texts, tools, calls, results and thinking are counted. Other kinds, Anthropic's own tools among them, are as
        long as `token_estimate.block_tokens` says.
        """
        kind = block.get("type")
        if block.get("defer_loading") is True:
            return 0
        if "input_schema" in block:
            return self._tool_tokens(block, facts)
        if kind in {"text", "thinking"}:
            return self.text_tokens(_text(block.get(str(kind))), facts)
        if kind == "tool_use":
            return self._call_tokens(block, facts)
        if kind == "tool_result":
            return _AROUND[facts.tokenizer]["result"] + self._result_tokens(block.get("content"), facts)
        return token_estimate.block_tokens(block, facts)

    def message_tokens(self, role: str, facts: ModelFacts) -> int:
        """Return the tokens that opening a message of `role` adds to those of its blocks."""
        return _MID_SYSTEM_TOKENS if role == "system" else _MESSAGE_TOKENS

    def closing_tokens(self, facts: ModelFacts) -> int:
        """Return the tokens after the last block that ask for the answer; they belong to no prefix."""
        return _CLOSING_TOKENS.get(facts.canonical, _AROUND[facts.tokenizer]["closing"])

    def tool_prompt_tokens(self, facts: ModelFacts, *, forced: bool = False) -> int:
        """Return the hidden prompt that comes with any tool: the documented number, as the estimate has it."""
        return token_estimate.tool_prompt_tokens(facts, forced=forced)

    def output_format_tokens(self, schema: Mapping[str, object], facts: ModelFacts) -> int:
        """Return what `output_config.format` adds to the system prompt for a JSON schema."""
        shown = json.dumps(schema, ensure_ascii=False, indent=2)
        key = (facts.tokenizer, shown)
        tokens = self._format_tokens.get(key)
        if tokens is None:
            tokens = self._format_tokens[key] = _FORMAT_TOKENS + self.text_tokens(shown, facts)
        return tokens

    def _tool_tokens(self, tool: Mapping[str, object], facts: ModelFacts) -> int:
        """Count a definition as it is shown to the model: an empty description is left out, and so is `strict`."""
        described = {"description": tool["description"]} if tool.get("description") else {}
        shown = {**described, "name": tool.get("name"), "parameters": tool["input_schema"]}
        examples = tool.get("input_examples")
        return (
            _AROUND[facts.tokenizer]["tool"]
            + self.text_tokens(f"<function>{_json(shown)}</function>\n", facts)
            + (self.text_tokens(_json(examples), facts) if examples else 0)
        )

    def _call_tokens(self, block: Mapping[str, object], facts: ModelFacts) -> int:
        around, arguments = _AROUND[facts.tokenizer], block.get("input")
        total = around["call"] + self.text_tokens(_text(block.get("name")), facts)
        for name, value in arguments.items() if isinstance(arguments, Mapping) else ():
            shown = value if isinstance(value, str) else _json(value)
            total += around["argument"] + self.text_tokens(str(name), facts) + self.text_tokens(shown, facts)
        return total

    def _result_tokens(self, content: object, facts: ModelFacts) -> int:
        """Count what a tool answered; text stands on lines of its own, which decides what its first word costs."""
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        total = 0
        for block in blocks if isinstance(blocks, (list, tuple)) else ():
            if isinstance(block, Mapping) and block.get("type") == "text":
                total += self.text_tokens(f"\n{_text(block.get('text'))}\n", facts)
            elif isinstance(block, Mapping):
                total += self.block_tokens(block, facts)
        return total


_VOCABULARIES: Mapping[Tokenizer, tuple[str, int]] = {"classic": ("3.0", 7), "dense": ("4.8", 6)}
"""The version that `ctok` knows the vocabulary by, and what it counts for the message around a text."""

_MESSAGE_TOKENS = 3
"""A user or assistant message, both vocabularies: with the closing it makes the 7 and 6 of a lone message."""

_MID_SYSTEM_TOKENS = 1
"""A system message between the others: 6 of 7 recorded conversations with one or two; the seventh is two shorter."""

_AROUND: Mapping[Tokenizer, Mapping[str, int]] = {
    "classic": {"closing": 4, "tool": 1, "call": 24, "argument": 14, "result": 14},
    "dense": {"closing": 3, "tool": 2, "call": 12, "argument": 12, "result": 8},
}
"""Tokens around what is counted. Only the sum of a call and its result is measured; `argument` of `dense` is that of
`token_estimate`."""

_CLOSING_TOKENS: Mapping[str, int] = {"claude-opus-4-7": 8}
"""Opus 4.7 alone: 11 for a lone message, by `ctok` and by both recorded ones."""

_FORMAT_TOKENS = 81
"""Around the schema, the same in 11 of 19 recorded requests with a format alone, 79 to 82 in the others."""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
